/* A session's hidden states and seeds: guarded memory that is its own. */
#include <stdio.h>

#include "base/error.h"
#include "mem/session.h"
#include "residency/kv_core.h"
#include "residency/worker_core.h"

/* Under own_lock. Small things are in the slab, where they take no mapping. */
static lethe_result own_session(struct lethe_kv *session, struct lethe_error *err)
{
    if (kv_has_ended(session))
        return kv_cancelled(session, err);
    if (session->own != NULL)
        return LETHE_OK;
    struct lethe_label label = {0};
    snprintf(label.tenant, sizeof label.tenant, "%s", session->tenant);
    snprintf(label.session, sizeof label.session, "%s", session->name);
    snprintf(label.id, sizeof label.id, "%.63s", session->cache->name);
    return lethe_session_create(&label, 0, 0, &session->own, err);
}

static lethe_result own_region(struct lethe_kv *session, size_t size_bytes, void **out,
                               struct lethe_error *err)
{
    struct lethe_region *region;
    TRY(session_region(session->own, size_bytes, LETHE_CLASS_CONTENT,
                       worker_optional(session->cache->worker), &region, err));
    *out = lethe_region_bytes(region);
    return LETHE_OK;
}

static lethe_result own_secret(struct lethe_kv *session, size_t size_bytes, void **out,
                               struct lethe_error *err)
{
    struct lethe_secret *secret;
    TRY(lethe_session_secret(session->own, size_bytes, &secret, err));
    *out = lethe_secret_bytes(secret);
    return LETHE_OK;
}

static lethe_result own(struct lethe_kv *session, size_t size_bytes, void **out,
                        struct lethe_error *err)
{
    *out = NULL;
    pthread_mutex_lock(&session->own_lock);
    lethe_result result = own_session(session, err);
    if (result == LETHE_OK)
        result = size_bytes <= LETHE_SECRET_MAX_BYTES ? own_secret(session, size_bytes, out, err)
                                                      : own_region(session, size_bytes, out, err);
    pthread_mutex_unlock(&session->own_lock);
    return result;
}

lethe_result lethe_kv_buffer(struct lethe_kv *session, size_t size_bytes, void **out,
                             struct lethe_error *err)
{
    return own(session, size_bytes, out, err);
}

lethe_result lethe_kv_seed(struct lethe_kv *session, size_t size_bytes, uint8_t **out,
                           struct lethe_error *err)
{
    void *bytes = NULL;
    *out = NULL;
    if (size_bytes > LETHE_SECRET_MAX_BYTES)
        return error_set(err, LETHE_INVALID, "a seed of %zu bytes: at most %d", size_bytes,
                         LETHE_SECRET_MAX_BYTES);
    TRY(own(session, size_bytes, &bytes, err));
    *out = bytes;
    return LETHE_OK;
}
