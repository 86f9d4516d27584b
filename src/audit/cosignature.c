#include "audit/cosignature.h"

#include <string.h>

#include "audit/note.h"
#include "base/error.h"
#include "crypto/sign.h"

#define TIME_BYTES 8u
#define COSIGNATURE_BYTES (NOTE_KEY_ID_BYTES + TIME_BYTES + 64u)

lethe_result cosignature_key_parse(const char *text, size_t length, struct audit_key *out,
                                   struct lethe_error *err)
{
    return note_key_parse(text, length, NOTE_TYPE_COSIGNATURE, out, err);
}

void cosignature_message(uint64_t time_s, const char *text, size_t text_bytes, struct buffer *out)
{
    buffer_format(out, "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
    buffer_append(out, text, text_bytes);
}

/* ---- checking -------------------------------------------------------------------------------- */

static lethe_result check_policy(const struct cosignature_policy *policy, struct lethe_error *err)
{
    if (policy->count == 0 || policy->count > COSIGNATURE_WITNESSES_MAX)
        return error_set(err, LETHE_INVALID, "%zu witnesses: 1 to %d can be asked for",
                         policy->count, COSIGNATURE_WITNESSES_MAX);
    if (policy->quorum == 0 || policy->quorum > policy->count)
        return error_set(err, LETHE_INVALID, "a quorum of %zu of %zu witnesses", policy->quorum,
                         policy->count);
    for (size_t i = 0; i < policy->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (memcmp(policy->witnesses[i].public_key, policy->witnesses[j].public_key, 32) == 0)
                return error_set(err, LETHE_INVALID, "the witness %s is named twice",
                                 policy->witnesses[i].name);
        }
    }
    return LETHE_OK;
}

/* Its place in the policy, or -1. */
static int witness_of(const struct note_signature *line, const struct cosignature_policy *policy)
{
    for (size_t i = 0; i < policy->count; i++) {
        if (note_signature_is_by(line, &policy->witnesses[i], NOTE_TYPE_COSIGNATURE))
            return (int)i;
    }
    return -1;
}

static lethe_result refuse(const struct audit_key *witness, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY,
                     "the cosignature by %s does not fit: forged, or of another checkpoint",
                     witness->name);
}

static lethe_result verify(const struct note *note, const struct note_signature *line,
                           const struct audit_key *witness, uint64_t *time_s,
                           struct lethe_error *err)
{
    CLEANUP(sign_public_free) struct sign_public *public = NULL;
    CLEANUP(buffer_clear) struct buffer message = {0};
    struct cursor field = cursor_over(line->field, line->field_bytes);
    struct signature signature;
    if (line->field_bytes != COSIGNATURE_BYTES)
        return refuse(witness, err);
    TRY(cursor_skip(&field, NOTE_KEY_ID_BYTES));
    TRY(cursor_be64(&field, time_s));
    if (*time_s == 0 || *time_s > INT64_MAX)
        return refuse(witness, err);
    TRY(signature_from_bytes(field.at, cursor_left(&field), &signature, err));
    TRY(sign_public_from_raw(SIGNATURE_ED25519, witness->public_key, sizeof witness->public_key,
                             &public, err));
    cosignature_message(*time_s, note->text, note->text_bytes, &message);
    TRY(buffer_result(&message, err));
    lethe_result result = sign_verify(public, message.bytes, message.size_bytes, &signature, err);
    return result == LETHE_INTEGRITY ? refuse(witness, err) : result;
}

static lethe_result check_lines(const struct note *note, const struct cosignature_policy *policy,
                                struct cosignature_report *out, struct lethe_error *err)
{
    struct cursor lines = cursor_over(note->signatures, note->signatures_bytes);
    while (cursor_left(&lines) > 0) {
        struct note_signature line = {.name = ""};
        uint64_t time_s = 0;
        TRY(note_next_signature(&lines, &line, err));
        int witness = witness_of(&line, policy);
        if (witness < 0)
            continue;
        TRY(verify(note, &line, &policy->witnesses[witness], &time_s, err));
        out->good += out->times_s[witness] == 0;
        out->times_s[witness] = MAX(out->times_s[witness], time_s);
    }
    return LETHE_OK;
}

lethe_result cosignature_check(const char *bytes, size_t note_bytes,
                               const struct cosignature_policy *policy,
                               struct cosignature_report *out, struct lethe_error *err)
{
    struct note note;
    *out = (struct cosignature_report){0};
    TRY(check_policy(policy, err));
    TRY(note_split(bytes, note_bytes, &note, err));
    TRY(check_lines(&note, policy, out, err));
    if (out->good < policy->quorum)
        return error_set(err, LETHE_INTEGRITY,
                         "%zu of %zu witnesses signed the checkpoint, %zu must have", out->good,
                         policy->count, policy->quorum);
    return LETHE_OK;
}

/* ---- putting together ------------------------------------------------------------------------ */

/* Lines of `note` by the witnesses, or the log, that are not in `out` yet. */
static lethe_result add_lines(const struct note *note, const struct cosignature_policy *policy,
                              const struct audit_key *log_key, struct buffer *out,
                              struct lethe_error *err)
{
    struct cursor lines = cursor_over(note->signatures, note->signatures_bytes);
    while (cursor_left(&lines) > 0) {
        const char *start = (const char *)lines.at;
        struct note_signature line = {.name = ""};
        TRY(note_next_signature(&lines, &line, err));
        size_t length = (size_t)((const char *)lines.at - start);
        bool wanted = note_signature_is_by(&line, log_key, NOTE_TYPE_ED25519) ||
                      witness_of(&line, policy) >= 0;
        if (wanted && memmem(out->bytes, out->size_bytes, start, length) == NULL)
            buffer_append(out, start, length);
    }
    return LETHE_OK;
}

lethe_result cosignature_merge(const struct cosignature_notes *notes,
                               const struct cosignature_policy *policy, struct buffer *out,
                               struct lethe_error *err)
{
    struct note added, kept;
    TRY(note_split(notes->added->bytes, notes->added->size_bytes, &added, err));
    if (notes->kept != NULL) {
        TRY(note_split(notes->kept->bytes, notes->kept->size_bytes, &kept, err));
        if (kept.text_bytes != added.text_bytes ||
            memcmp(kept.text, added.text, kept.text_bytes) != 0)
            return error_set(err, LETHE_INVALID, "two notes of different checkpoints");
        buffer_append(out, notes->kept->bytes, notes->kept->size_bytes);
    } else {
        buffer_append(out, added.text, added.text_bytes);
        buffer_byte(out, '\n');
    }
    TRY(add_lines(&added, policy, notes->log_key, out, err));
    return buffer_result(out, err);
}
