#include "pool_certificates.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "crypto/x509.h"

#define HOUR_S 3600u

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("no certificates for this run", err);
}

static void begin(struct x509_template *certificate, struct lethe_error *err)
{
    const uint64_t now_s = clock_wall_ns(&clock_system) / 1000000000u;
    certificate->not_before_s = now_s - HOUR_S;
    certificate->not_after_s = now_s + 24 * HOUR_S;
    certificate->max_path_length = -1;
    must(random_fill(&random_system, certificate->serial, sizeof certificate->serial), NULL);
    certificate->serial[0] = (certificate->serial[0] & 0x7fu) | 0x40u; /* positive, and no zero */
}

static struct sign_pair *make_key(struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    struct sign_pair *pair = NULL;
    must(sign_generate(SIGNATURE_ECDSA_P256, &private_key, err), err);
    must(sign_pair_create(SIGNATURE_ECDSA_P256, private_key, &pair, err), err);
    return pair;
}

static void write_file(const char *path, const void *bytes, size_t size_bytes)
{
    struct lethe_error err = {0};
    must(file_write_atomic(AT_FDCWD, path, bytes, size_bytes, 0600, false, &err), &err);
}

/* ---- the authority --------------------------------------------------------------------------- */

void pool_authority_open(struct pool_authority *authority)
{
    struct lethe_error err = {0};
    struct x509_template certificate = {.subject.common_name = "bench authority", .is_ca = true};
    *authority = (struct pool_authority){.directory = "/tmp/lethe-bench-pool-XXXXXX"};
    if (mkdtemp(authority->directory) == NULL)
        bench_fail("no temporary directory", NULL);
    must(crypto_start(&err), &err);
    authority->key = make_key(&err);
    begin(&certificate, &err);
    must(x509_issue(&certificate, sign_pair_public(authority->key), authority->key, NULL, 0,
                    &authority->der, &err),
         &err);
    x509_pem_append(X509_PEM_CERTIFICATE, authority->der.bytes, authority->der.size_bytes,
                    &authority->pem);
    snprintf(authority->path, sizeof authority->path, "%s/ca.pem", authority->directory);
    write_file(authority->path, authority->pem.bytes, authority->pem.size_bytes);
}

void pool_authority_close(struct pool_authority *authority)
{
    struct lethe_error err = {0};
    sign_pair_free(authority->key);
    buffer_clear(&authority->der);
    buffer_clear(&authority->pem);
    if (file_remove_tree(AT_FDCWD, authority->directory, &err) != LETHE_OK)
        bench_fail("a directory is left", &err);
}

/* ---- whom it vouches for --------------------------------------------------------------------- */

static void issue(const struct pool_authority *authority, const char *name,
                  const struct sign_public *key, struct buffer *pem)
{
    CLEANUP(buffer_clear) struct buffer der = {0};
    struct lethe_error err = {0};
    char uri[96];
    snprintf(uri, sizeof uri, "spiffe://bench/tenant/bench/%s", name);
    struct x509_template certificate = {
        .subject = {.common_name = name,
                    .ip_addresses = {.at = {"127.0.0.1"}, .count = 1},
                    .uris = {.at = {uri}, .count = 1}},
        .extended_usage = X509_SERVER_AUTH | X509_CLIENT_AUTH,
    };
    begin(&certificate, &err);
    must(x509_issue(&certificate, key, authority->key, authority->der.bytes,
                    authority->der.size_bytes, &der, &err),
         &err);
    x509_pem_append(X509_PEM_CERTIFICATE, der.bytes, der.size_bytes, pem);
}

void pool_identity_open(struct pool_identity *identity, const struct pool_authority *authority,
                        const char *name)
{
    struct lethe_error err = {0};
    CLEANUP(sign_pair_free) struct sign_pair *key = make_key(&err);
    *identity = (struct pool_identity){0};
    issue(authority, name, sign_pair_public(key), &identity->pem);
    must(x509_private_pem(key, false, &identity->key_pem, &err), &err);
    snprintf(identity->path, sizeof identity->path, "%s/%s.pem", authority->directory, name);
    snprintf(identity->key_path, sizeof identity->key_path, "%s/%s.key", authority->directory,
             name);
    write_file(identity->path, identity->pem.bytes, identity->pem.size_bytes);
    write_file(identity->key_path, lethe_secret_bytes_const(identity->key_pem),
               lethe_secret_size(identity->key_pem));
}

void pool_identity_close(struct pool_identity *identity)
{
    buffer_clear(&identity->pem);
    lethe_secret_free(identity->key_pem);
}
