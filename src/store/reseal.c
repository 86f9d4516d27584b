#include "store/reseal.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* One row under the new key, until the old ones are gone. Ciphertext: no secret. */
struct resealed {
    struct store_row row; /* path is borrowed from `rows`, sealed from `bytes` */
    uint8_t *bytes;
    uint8_t digest[ROW_DIGEST_BYTES];
};

struct reseal {
    const struct seal_keys *old_keys;
    const struct seal_keys *keys;
    const struct rows *rows;
    struct resealed *at;
    size_t count;
};

static void reseal_clear(struct reseal *reseal)
{
    for (size_t i = 0; i < reseal->count; i++)
        free(reseal->at[i].bytes);
    free(reseal->at);
}

static inline void reseal_clear_at_scope_end(struct reseal *reseal)
{
    reseal_clear(reseal);
}

/* The value is in guarded memory for the moment between the two keys. */
static lethe_result seal_anew(const struct reseal *reseal, const struct store_row *old,
                              struct resealed *out, struct lethe_error *err)
{
    struct sealed sealed;
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    TRY(seal_row_open(reseal->old_keys, old, &value, err));
    TRY(seal_row(reseal->keys, &out->row, lethe_secret_bytes_const(value), lethe_secret_size(value),
                 &sealed, err));
    TRY(seal_row_digest(reseal->keys, &out->row, out->digest, err));
    out->bytes = calloc(1, sealed.size_bytes);
    if (out->bytes == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to seal the store anew");
    out->row.sealed = memcpy(out->bytes, sealed.bytes, sealed.size_bytes);
    return LETHE_OK;
}

static lethe_result reseal_row(void *context, const struct store_row *row, struct lethe_error *err)
{
    struct reseal *reseal = context;
    uint8_t digest[ROW_DIGEST_BYTES];
    if (reseal->count == reseal->rows->count)
        return error_set(err, LETHE_INTEGRITY, "the store has more rows than a moment ago");
    const struct row *known = rows_find(reseal->rows, row->path);
    TRY(seal_row_digest(reseal->old_keys, row, digest, err));
    if (known == NULL || row->version != known->version ||
        !bytes_equal(digest, known->digest, sizeof digest))
        return error_set(err, LETHE_INTEGRITY, "row %s was changed while the store was open",
                         row->path);
    struct resealed *out = &reseal->at[reseal->count++];
    out->row =
        (struct store_row){.path = known->path, .version = known->version, .lease = known->lease};
    return seal_anew(reseal, row, out, err);
}

static lethe_result write_all(const struct scan_source *source, const struct reseal *reseal,
                              struct lethe_error *err)
{
    for (size_t i = 0; i < reseal->count; i++)
        TRY(source->backend->write(source->state, &reseal->at[i].row, 0, err));
    return LETHE_OK;
}

static lethe_result move_along(const struct reseal *reseal, struct rows *rows, struct head *head,
                               struct lethe_error *err)
{
    *head = (struct head){.epoch = head->epoch, .seals = reseal->count};
    for (size_t i = 0; i < reseal->count; i++) {
        TRY(rows_put(rows, &reseal->at[i].row, reseal->at[i].digest, err));
        head_add(head, reseal->at[i].digest);
    }
    return head->rows == rows->count
               ? LETHE_OK
               : error_set(err, LETHE_INTEGRITY, "the store showed a row twice");
}

lethe_result reseal_rows(const struct scan_source *source, const struct seal_keys *keys,
                         struct rows *rows, struct head *head, struct lethe_error *err)
{
    CLEANUP(reseal_clear)
    struct reseal reseal = {.old_keys = source->keys, .keys = keys, .rows = rows};
    reseal.at = calloc(rows->count + 1, sizeof *reseal.at);
    if (reseal.at == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to seal the store anew");
    TRY(source->backend->visit(source->state, reseal_row, &reseal, err));
    if (reseal.count != rows->count)
        return error_set(err, LETHE_INTEGRITY, "the store has fewer rows than a moment ago");
    TRY(source->backend->clear(source->state, err));
    TRY(write_all(source, &reseal, err));
    return move_along(&reseal, rows, head, err);
}
