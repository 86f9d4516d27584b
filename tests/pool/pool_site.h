/* tests/pool/pool_site.h -- a pool for a test of consumers: a small control plane, hostile
 * providers that are honest until told otherwise, and a consumer's files. */
#ifndef TESTS_POOL_POOL_SITE_H
#define TESTS_POOL_POOL_SITE_H

#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lethe/pool.h>

#include "../net/certificates.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "small_control.h"
#include "terms.h"

#define SITE_PROVIDERS 3u
#define SITE_CONTROL_ID "spiffe://pool.test/control"

struct pool_site {
    char directory[64];
    char ca[96], certificate[96], key[96];
    struct identity_files authority, control_identity, consumer, identities[SITE_PROVIDERS];
    struct tls_context *control_tls, *tls[SITE_PROVIDERS];
    struct hostile *providers[SITE_PROVIDERS];
    struct small_control *control;
    struct lethe_pool *pool;
    struct lethe_error err;
};

static inline struct tls_context *site_server(const struct pool_site *site,
                                              const struct identity_files *identity)
{
    struct tls_context *context = NULL;
    struct lethe_error err = {0};
    const struct tls_options options = {.certificates_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .roots_pem = site->authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    assert_ok(tls_server_create(&options, &context, &err), &err);
    return context;
}

static inline void site_write(char path[96], const struct pool_site *site, const char *name,
                              const void *bytes, size_t size_bytes)
{
    struct lethe_error err = {0};
    snprintf(path, 96, "%s/%s", site->directory, name);
    assert_ok(file_write_atomic(AT_FDCWD, path, bytes, size_bytes, 0600, true, &err), &err);
}

static inline void site_files(struct pool_site *site)
{
    snprintf(site->directory, sizeof site->directory, "/tmp/lethe-pool-XXXXXX");
    assert_non_null(mkdtemp(site->directory));
    site_write(site->ca, site, "ca.pem", site->authority.certificate_pem,
               strlen(site->authority.certificate_pem));
    site_write(site->certificate, site, "node.pem", site->consumer.certificate_pem,
               strlen(site->consumer.certificate_pem));
    site_write(site->key, site, "node.key", lethe_secret_bytes(site->consumer.key_pem),
               lethe_secret_size(site->consumer.key_pem));
}

static inline struct lethe_pool_options site_pool_options(const struct pool_site *site)
{
    return (struct lethe_pool_options){.control = small_control_address(site->control),
                                       .control_id = SITE_CONTROL_ID,
                                       .ca_path = site->ca,
                                       .certificate_path = site->certificate,
                                       .key_path = site->key,
                                       .timeout_ms = 2000};
}

static inline void site_open_pool(struct pool_site *site, const struct lethe_pool_options *options)
{
    assert_ok(lethe_pool_open(options, &site->pool, &site->err), &site->err);
}

static inline int site_set_up(void **state)
{
    struct pool_site *site = calloc(1, sizeof *site);
    assert_non_null(site);
    assert_ok(crypto_start(&site->err), &site->err);
    certificate_make(NULL, "authority", NULL, 30, &site->authority);
    certificate_make(&site->authority, "control", "URI:" SITE_CONTROL_ID, 30,
                     &site->control_identity);
    certificate_make(&site->authority, "consumer", "URI:" TERMS_CONSUMER, 30, &site->consumer);
    site->control_tls = site_server(site, &site->control_identity);
    for (unsigned i = 0; i < SITE_PROVIDERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "URI:spiffe://pool.test/machine/%u", i);
        certificate_make(&site->authority, "provider", name, 30, &site->identities[i]);
        site->tls[i] = site_server(site, &site->identities[i]);
        site->providers[i] = hostile_start(site->tls[i], name + 4);
    }
    site->control = small_control_start(site->control_tls, site->providers, SITE_PROVIDERS);
    site_files(site);
    const struct lethe_pool_options options = site_pool_options(site);
    site_open_pool(site, &options);
    *state = site;
    return 0;
}

static inline int site_tear_down(void **state)
{
    struct pool_site *site = *state;
    lethe_pool_close(site->pool);
    small_control_stop(site->control);
    for (unsigned i = 0; i < SITE_PROVIDERS; i++) {
        hostile_stop(site->providers[i]);
        tls_context_free(site->tls[i]);
        certificate_free(&site->identities[i]);
    }
    tls_context_free(site->control_tls);
    certificate_free(&site->control_identity);
    certificate_free(&site->consumer);
    certificate_free(&site->authority);
    assert_result(LETHE_OK, file_remove_tree(AT_FDCWD, site->directory, NULL));
    free(site);
    return 0;
}

static inline void site_reopen(struct pool_site *site, const struct lethe_pool_options *options)
{
    lethe_pool_close(site->pool);
    site_open_pool(site, options);
}

static inline struct lethe_pool_lease *site_lease(struct pool_site *site, uint64_t bytes,
                                                  uint32_t block_bytes, unsigned copies)
{
    struct lethe_pool_lease *lease = NULL;
    const struct lethe_pool_lease_options options = {
        .bytes = bytes, .block_bytes = block_bytes, .copies = copies};
    assert_ok(lethe_pool_allocate(site->pool, &options, &lease, &site->err), &site->err);
    return lease;
}

static inline void site_release(struct pool_site *site, struct lethe_pool_lease *lease)
{
    assert_ok(lethe_pool_release(lease, &site->err), &site->err);
}

static inline void site_sleep_ms(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Bytes that say where they are, and in which state. */
static inline void site_fill(uint8_t *out, size_t size_bytes, uint64_t salt)
{
    for (size_t i = 0; i < size_bytes; i++) {
        uint64_t word = (salt + i / 8) * 0x9e3779b97f4a7c15ull;
        out[i] = (uint8_t)(word >> 8 * (i % 8));
    }
}

#define SITE_TEST(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

#endif
