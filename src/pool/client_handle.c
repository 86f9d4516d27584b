/* Leases that outlive the process that wrote them (pool/consumer.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"
#include "pool/consumer.h"

/* ---- the key --------------------------------------------------------------------------------- */

/* How a handle's key is wrapped: under a key of its tenant's, for its first lease. */
struct wrapping {
    char key[3 * 64 + 3];
    char lease[LEASE_ID_HEX_SIZE];
    struct buffer aad;
};

static lethe_result wrapping_of(const struct pool_handle *handle, struct wrapping *out,
                                struct lethe_error *err)
{
    snprintf(out->key, sizeof out->key, "%s.pool.handles", handle->tenant);
    lease_id_hex(&handle->at[0].lease, out->lease);
    out->aad = (struct buffer){0};
    pool_handle_aad(handle, &out->aad);
    return buffer_result(&out->aad, err);
}

static struct key_use use_for(const struct wrapping *wrapping, const char *purpose)
{
    return (struct key_use){.key = wrapping->key,
                            .shard = wrapping->lease,
                            .purpose = purpose,
                            .aad = wrapping->aad.bytes,
                            .aad_bytes = wrapping->aad.size_bytes};
}

static lethe_result wrap(struct pool_handle *handle, const struct key_source *keys,
                         const struct lethe_secret *key, struct lethe_error *err)
{
    struct wrapping wrapping;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    lethe_result result = wrapping_of(handle, &wrapping, err);
    const struct key_use use = use_for(&wrapping, "encrypt");
    if (result == LETHE_OK)
        result = keys->ensure(keys->context, wrapping.key, err);
    if (result == LETHE_OK)
        result = keys->wrap(keys->context, &use, key, &wrapped, err);
    buffer_clear(&wrapping.aad);
    TRY(result);
    if (wrapped.size_bytes >= sizeof handle->key)
        return error_set(err, LETHE_LIMIT, "a wrapped key of %zu bytes", wrapped.size_bytes);
    memcpy(handle->key, wrapped.bytes, wrapped.size_bytes);
    handle->key[wrapped.size_bytes] = '\0';
    return LETHE_OK;
}

static lethe_result unwrap(const struct pool_handle *handle, const struct key_source *keys,
                           struct lethe_secret **out, struct lethe_error *err)
{
    struct wrapping wrapping;
    lethe_result result = wrapping_of(handle, &wrapping, err);
    const struct key_use use = use_for(&wrapping, "decrypt");
    if (result == LETHE_OK)
        result = keys->unwrap(keys->context, &use, handle->key, out, err);
    buffer_clear(&wrapping.aad);
    TRY(error_context(err, result, "the handle's key"));
    if (lethe_secret_size(*out) == AEAD_KEY_BYTES)
        return LETHE_OK;
    lethe_secret_free(MOVE(*out));
    return error_set(err, LETHE_MALFORMED, "the handle's key has another size");
}

/* ---- over ------------------------------------------------------------------------------------ */

struct listing {
    struct client_call call;
    struct pool_handle *handle;
};

static void list_on_worker(void *context)
{
    struct listing *listing = context;
    struct lethe_pool_lease *lease = listing->call.lease;
    struct pool_handle *handle = listing->handle;
    struct lethe_error why = {0};
    if (versions_list(lease->versions, handle->entries, POOL_HANDLE_VERSIONS_MAX, &handle->versions,
                      &why) != LETHE_OK)
        client_call_fail(&listing->call, &why);
    memcpy(handle->space, block_key_space(lease->key), sizeof handle->space);
    handle->bytes = lease->bytes;
    handle->block_bytes = lease->block_bytes;
    for (unsigned i = 0; i < lease->copy_count; i++) {
        const struct client_copy *copy = &lease->copies[i];
        if (copy->state == COPY_LOST)
            continue;
        handle->at[handle->copies].lease = copy->id;
        memcpy(handle->at[handle->copies].provider, copy->provider, sizeof copy->provider);
        memcpy(handle->at[handle->copies].address, copy->remote->address,
               sizeof copy->remote->address);
        handle->copies++;
    }
    client_call_answered(&listing->call);
}

static lethe_result describe(struct lethe_pool_lease *lease, const struct pool_hand_over *terms,
                             struct pool_handle *handle, struct lethe_error *err)
{
    struct listing listing = {.call = {.left = 1}, .handle = handle};
    handle->size_bytes = terms->size_bytes;
    snprintf(handle->tenant, sizeof handle->tenant, "%s", terms->tenant);
    client_call_run(&listing.call, lease, list_on_worker);
    if (listing.call.error.code != LETHE_OK) {
        if (err != NULL)
            *err = listing.call.error;
        return listing.call.error.code;
    }
    if (handle->copies == 0)
        return error_set(err, LETHE_LOST, "no copy of the lease is left");
    return wrap(handle, terms->keys, lease->secret, err);
}

lethe_result pool_lease_hand_over(struct lethe_pool_lease *lease,
                                  const struct pool_hand_over *terms, struct buffer *out,
                                  struct lethe_error *err)
{
    TRY(client_usable(lease->pool, err));
    CLEANUP(memory_free) struct pool_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a handle");
    TRY(describe(lease, terms, handle, err));
    TRY(pool_handle_write(handle, out, err));
    (void)!lethe_pool_renew(lease, NULL, NULL); /* its time counts from now, where it is reached */
    return client_lease_end(lease, false, err);
}

/* ---- taken up -------------------------------------------------------------------------------- */

/* A token for each copy that is there still. */
static lethe_result find_copies(struct lethe_pool *pool, const struct pool_handle *handle,
                                struct wire_allocated *out, struct lethe_error *err)
{
    struct lethe_error why = {0};
    for (size_t i = 0; i < handle->copies; i++) {
        CLEANUP(buffer_clear) struct buffer index = {0};
        CLEANUP(buffer_clear) struct buffer token = {0};
        struct wire_placed *copy = &out->copies[out->count];
        wire_lease_write(&handle->at[i].lease, &index);
        TRY(buffer_result(&index, err));
        if (client_ask_control(pool, WIRE_TOKEN, &index, &token, &why) != LETHE_OK ||
            token.size_bytes > sizeof copy->token)
            continue;
        copy->lease = handle->at[i].lease;
        memcpy(copy->provider, handle->at[i].provider, sizeof copy->provider);
        memcpy(copy->address, handle->at[i].address, sizeof copy->address);
        memcpy(copy->token, token.bytes, token.size_bytes);
        copy->token_bytes = token.size_bytes;
        out->count++;
    }
    if (out->count > 0)
        return LETHE_OK;
    if (why.code == LETHE_NOT_FOUND)
        return error_set(err, LETHE_LOST, "the lease is over, or is another identity's");
    return error_set(err, why.code != LETHE_OK ? why.code : LETHE_MALFORMED, "%s", why.text);
}

lethe_result pool_lease_take_up(struct lethe_pool *pool, const struct pool_handle *handle,
                                const struct key_source *keys, struct lethe_pool_lease **out,
                                struct lethe_error *err)
{
    *out = NULL;
    TRY(client_usable(pool, err));
    CLEANUP(memory_free) struct wire_allocated *placed = calloc(1, sizeof *placed);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    if (placed == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a lease");
    TRY(unwrap(handle, keys, &key, err));
    TRY(find_copies(pool, handle, placed, err));
    struct client_lease_shape shape = {.bytes = handle->bytes,
                                       .block_bytes = handle->block_bytes,
                                       .renews = true,
                                       .is_read_only = true,
                                       .versions = &handle->versions,
                                       .key = key};
    memcpy(shape.space, handle->space, sizeof shape.space);
    return client_lease_open(pool, &shape, placed, out, err);
}

/* ---- released -------------------------------------------------------------------------------- */

lethe_result pool_handle_release(struct lethe_pool *pool, const struct pool_handle *handle,
                                 struct lethe_error *err)
{
    size_t gone = 0;
    lethe_result result = LETHE_OK;
    TRY(client_usable(pool, err));
    for (size_t i = 0; i < handle->copies; i++) {
        struct lethe_error why = {0};
        lethe_result dropped = client_drop_wiped(pool, &handle->at[i].lease, &why);
        gone += dropped == LETHE_NOT_FOUND;
        if (dropped != LETHE_OK && dropped != LETHE_NOT_FOUND && result == LETHE_OK)
            result = error_set(err, dropped, "%s", why.text);
    }
    if (gone == handle->copies)
        return error_set(err, LETHE_NOT_FOUND, "the lease is over, or is another identity's");
    return result;
}
