/* lethe_pool_open() and its like: who this is, whom it believes, and the threads. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "kms/secret_file.h"
#include "mem/process.h"
#include "pool/client_calls.h"

#define PEM_MAX ((size_t)1 << 20)

/* ---- options --------------------------------------------------------------------------------- */

static lethe_result check_options(const struct lethe_pool_options *options, struct lethe_error *err)
{
    const struct {
        const char *text, *name;
    } needed[] = {{options->control, "control"},
                  {options->control_id, "control_id"},
                  {options->ca_path, "ca_path"},
                  {options->certificate_path, "certificate_path"},
                  {options->key_path, "key_path"}};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (needed[i].text == NULL || needed[i].text[0] == '\0')
            return error_set(err, LETHE_INVALID, "a pool needs %s", needed[i].name);
    if (options->threads > CLIENT_THREADS_MAX)
        return error_set(err, LETHE_INVALID, "threads: %u, and at most %u", options->threads,
                         CLIENT_THREADS_MAX);
    if (options->connections > CLIENT_CONNECTIONS_MAX)
        return error_set(err, LETHE_INVALID, "connections: %u, and at most %u",
                         options->connections, CLIENT_CONNECTIONS_MAX);
    return LETHE_OK;
}

static lethe_result read_pem(const char *path, struct buffer *out, struct lethe_error *err)
{
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, out, err));
    buffer_byte(out, '\0');
    return buffer_result(out, err);
}

static lethe_result make_tls(const struct lethe_pool_options *options, struct tls_context **out,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer roots = {0};
    CLEANUP(buffer_clear) struct buffer certificates = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(read_pem(options->ca_path, &roots, err));
    TRY(read_pem(options->certificate_path, &certificates, err));
    TRY(secret_file_read(options->key_path, &key, err));
    const struct tls_options tls = {.certificates_pem = certificates.bytes,
                                    .key_pem = key,
                                    .roots_pem = roots.bytes,
                                    .bulk = true};
    return error_context(err, tls_client_create(&tls, out, err), "%s, %s and %s",
                         options->certificate_path, options->key_path, options->ca_path);
}

static lethe_result make_caller(struct lethe_pool *pool, const struct lethe_pool_options *options,
                                struct lethe_error *err)
{
    const struct caller_options caller = {.address = options->control,
                                          .control_id = options->control_id,
                                          .tls = pool->tls,
                                          .role = WIRE_CONSUMER,
                                          .timeout_ms = pool->timeout_ms};
    return caller_open(&caller, &pool->caller, err);
}

/* ---- life ------------------------------------------------------------------------------------ */

static lethe_result start(struct lethe_pool *pool, const struct lethe_pool_options *options,
                          struct lethe_error *err)
{
    TRY(make_tls(options, &pool->tls, err));
    TRY(make_caller(pool, options, err));
    for (unsigned i = 0; i < pool->threads; i++)
        TRY(client_worker_create(pool, i, &pool->workers[i], err));
    return client_helper_start(pool, err);
}

lethe_result lethe_pool_open(const struct lethe_pool_options *options, struct lethe_pool **out,
                             struct lethe_error *err)
{
    *out = NULL;
    TRY(check_options(options, err));
    TRY(crypto_start(err));
    struct lethe_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a pool");
    pool->threads = MAX(options->threads, 1);
    pool->connections = MAX(MAX(options->connections, 1), pool->threads);
    pool->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : CLIENT_TIMEOUT_MS;
    pool->epoch = process_epoch();
    pthread_mutex_init(&pool->control_lock, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->helper_wake, NULL);
    LIST_INIT(&pool->leases);
    STAILQ_INIT(&pool->jobs);
    lethe_result result = start(pool, options, err);
    if (result != LETHE_OK)
        lethe_pool_close(pool);
    else
        *out = pool;
    return result;
}

static struct lethe_pool_lease *first_lease(struct lethe_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct lethe_pool_lease *lease = LIST_FIRST(&pool->leases);
    pthread_mutex_unlock(&pool->lock);
    return lease;
}

void lethe_pool_close(struct lethe_pool *pool)
{
    if (pool == NULL || client_usable(pool, NULL) != LETHE_OK)
        return; /* a forked child tidies up nothing: there is nothing of it here but memory */
    struct lethe_pool_lease *lease;
    while ((lease = first_lease(pool)) != NULL)
        (void)!client_lease_end(lease, false, NULL);
    client_helper_stop(pool);
    for (unsigned i = 0; i < pool->threads; i++)
        client_worker_free(pool->workers[i]);
    caller_close(pool->caller);
    tls_context_free(pool->tls);
    pthread_cond_destroy(&pool->helper_wake);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->control_lock);
    free(pool);
}
