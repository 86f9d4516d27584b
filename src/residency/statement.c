/* VP-006: what is resident where, signed; and whether to believe it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/note.h"
#include "audit/record.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "residency/inside.h"
#include "residency/statement_text.h"

/* ---- make ------------------------------------------------------------------------------------ */

struct rows {
    struct statement_row *rows;
    size_t count;
};

static void rows_clear(struct rows *rows)
{
    free(rows->rows);
}
static inline void rows_clear_at_scope_end(struct rows *rows)
{
    rows_clear(rows);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct statement_row *)a)->seal.id,
                  ((const struct statement_row *)b)->seal.id);
}

/* Under worker->lock. */
static size_t count_listed(const struct lethe_worker *worker)
{
    size_t count = 0;
    const struct lethe_shard *shard;
    TAILQ_FOREACH(shard, &worker->shards, link)
    count++;
    return count;
}

/* Under worker->lock. What is still being sealed, or already wiped, is not resident. */
static lethe_result copy_rows(const struct lethe_worker *worker, struct rows *out,
                              struct lethe_error *err)
{
    const struct lethe_shard *shard;
    out->rows = calloc(count_listed(worker) + 1, sizeof *out->rows);
    if (out->rows == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a statement");
    TAILQ_FOREACH(shard, &worker->shards, link)
    {
        if (shard->phase == SHARD_SEALED)
            out->rows[out->count++] = (struct statement_row){.seal = shard->seal,
                                                             .verified_mode = shard->verified_mode,
                                                             .verified_at_s = shard->verified_at_s};
    }
    return LETHE_OK;
}

static lethe_result take_rows(struct lethe_worker *worker, struct rows *out,
                              struct lethe_error *err)
{
    pthread_mutex_lock(&worker->lock);
    lethe_result result = copy_rows(worker, out, err);
    pthread_mutex_unlock(&worker->lock);
    if (result == LETHE_OK)
        qsort(out->rows, out->count, sizeof *out->rows, by_id);
    return result;
}

static struct statement_head head_of(const struct lethe_worker *worker,
                                     const uint8_t nonce[STATEMENT_NONCE_BYTES])
{
    struct statement_head head = {.says = {.device_only = worker->policy == LETHE_DEVICE_ONLY,
                                           .time_s = worker_now_s(worker)}};
    struct lethe_statement *says = &head.says;
    snprintf(says->worker, sizeof says->worker, "%s", worker->name);
    snprintf(says->node, sizeof says->node, "%s", worker->log->node);
    snprintf(says->state, sizeof says->state, "%s",
             lethe_worker_state_name(lethe_worker_state(worker)));
    memcpy(head.nonce, nonce, sizeof head.nonce);
    return head;
}

static lethe_result sign_note(const struct audit_signer *signer, struct buffer *note,
                              struct lethe_error *err)
{
    uint8_t signature[64];
    TRY(buffer_result(note, err));
    TRY(signer->sign(signer->context, note->bytes, note->size_bytes, signature, err));
    audit_note_sign_line(&signer->key, signature, note);
    TRY(buffer_result(note, err));
    if (note->size_bytes > LETHE_STATEMENT_MAX_BYTES)
        return error_set(err, LETHE_LIMIT, "a statement of %zu bytes: %zu at most",
                         note->size_bytes, LETHE_STATEMENT_MAX_BYTES);
    return LETHE_OK;
}

lethe_result lethe_worker_statement(struct lethe_worker *worker,
                                    const uint8_t nonce[STATEMENT_NONCE_BYTES], char **note,
                                    struct lethe_error *err)
{
    *note = NULL;
    if (worker->log == NULL || worker->log->signer == NULL)
        return error_set(err, LETHE_UNAVAILABLE,
                         "worker %s has no log, whose key could sign a statement", worker->name);
    CLEANUP(rows_clear) struct rows rows = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(take_rows(worker, &rows, err));
    const struct statement_head head = head_of(worker, nonce);
    statement_append_head(&text, &head);
    for (size_t i = 0; i < rows.count; i++)
        statement_append_row(&text, &rows.rows[i]);
    TRY(sign_note(worker->log->signer, &text, err));
    *note = MOVE(text.bytes);
    return LETHE_OK;
}

/* ---- check ----------------------------------------------------------------------------------- */

static bool is_of_node(const struct audit_key *key, const char *node)
{
    const size_t prefix = sizeof RECORD_ORIGIN_PREFIX - 1;
    return strncmp(key->name, RECORD_ORIGIN_PREFIX, prefix) == 0 &&
           strcmp(key->name + prefix, node) == 0;
}

/* The signature first: what nobody signed is not even read. */
lethe_result lethe_statement_check(const char *bytes, size_t note_bytes, const char *vkey,
                                   const uint8_t nonce[STATEMENT_NONCE_BYTES],
                                   struct lethe_statement *out, struct lethe_error *err)
{
    struct audit_key key;
    struct note note;
    struct statement_head head;
    *out = (struct lethe_statement){0};
    TRY(audit_key_parse(vkey, strlen(vkey), &key, err));
    TRY(note_split_within(bytes, note_bytes, LETHE_STATEMENT_MAX_BYTES, &note, err));
    TRY(note_verify(&note, &key, err));
    TRY(statement_parse(note.text, note.text_bytes, &head, NULL, NULL, err));
    if (!is_of_node(&key, head.says.node))
        return error_set(err, LETHE_INTEGRITY, "a statement about node %s, signed by %s",
                         head.says.node, key.name);
    if (!bytes_equal(head.nonce, nonce, sizeof head.nonce))
        return error_set(err, LETHE_INTEGRITY, "a statement made for another nonce: not fresh");
    *out = head.says;
    return LETHE_OK;
}
