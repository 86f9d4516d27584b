#include <string.h>

#include "audit/note.h"
#include "audit/proof.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"

#define FIRST_LINE "c2sp.org/tlog-proof@v1"
#define EXTRA "extra "
#define INDEX "index "

struct line {
    const char *at;
    size_t length;
};

static lethe_result malformed(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_MALFORMED, "%s", what);
}

static bool next_line(struct cursor *text, struct line *out)
{
    return cursor_line(text, &out->at, &out->length) == LETHE_OK;
}

/* Gives what stands behind `prefix`. */
static bool has_prefix(const struct line *line, const char *prefix, struct line *rest)
{
    size_t length = strlen(prefix);
    if (line->length < length || memcmp(line->at, prefix, length) != 0)
        return false;
    *rest = (struct line){line->at + length, line->length - length};
    return true;
}

/* ---- hash lines ------------------------------------------------------------------------------ */

static void lines_append(const struct proof *proof, struct buffer *out)
{
    for (size_t i = 0; i < proof->count; i++) {
        base64_append(out, proof->hashes[i], MERKLE_HASH_BYTES);
        buffer_byte(out, '\n');
    }
    buffer_byte(out, '\n');
}

/* To the blank line, which is stepped over. */
static lethe_result read_hashes(struct cursor *text, struct proof *out, struct lethe_error *err)
{
    struct line line;
    for (out->count = 0; next_line(text, &line); out->count++) {
        size_t size_bytes = 0;
        if (line.length == 0)
            return LETHE_OK;
        if (out->count == PROOF_HASHES_MAX)
            return malformed(err, "a proof with more hashes than any has");
        if (base64_decode(line.at, line.length, out->hashes[out->count], MERKLE_HASH_BYTES,
                          &size_bytes) != LETHE_OK ||
            size_bytes != MERKLE_HASH_BYTES)
            return malformed(err, "a proof with a line that is no hash");
    }
    return malformed(err, "a proof without a blank line before its checkpoint");
}

/* ---- inclusion ------------------------------------------------------------------------------- */

void proof_text_append(const struct proof_text *text, struct buffer *out)
{
    buffer_format(out, FIRST_LINE "\n" INDEX "%llu\n", (unsigned long long)text->index);
    lines_append(&text->proof, out);
    buffer_append(out, text->note, text->note_bytes);
}

/* Opaque, and not authenticated: only its form is looked at, as it may be as long as the text. */
static bool is_base64(const struct line *line)
{
    size_t padding = 0;
    for (size_t i = 0; i < line->length; i++) {
        char c = line->at[i];
        bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '+' || c == '/';
        padding += c == '=';
        if (!digit && c != '=')
            return false;
        if (digit && padding > 0)
            return false;
    }
    return line->length % 4 == 0 && padding <= 2;
}

static lethe_result read_head(struct cursor *text, uint64_t *index, struct lethe_error *err)
{
    struct line line, rest;
    if (!next_line(text, &line) || line.length != strlen(FIRST_LINE) ||
        memcmp(line.at, FIRST_LINE, line.length) != 0)
        return malformed(err, "no proof: it does not begin with " FIRST_LINE);
    if (!next_line(text, &line))
        return malformed(err, "a proof without an index");
    if (has_prefix(&line, EXTRA, &rest)) {
        if (!is_base64(&rest))
            return malformed(err, "a proof whose extra data is not base64");
        if (!next_line(text, &line))
            return malformed(err, "a proof without an index");
    }
    if (!has_prefix(&line, INDEX, &rest) || !note_decimal(rest.at, rest.length, index))
        return malformed(err, "a proof whose index is no decimal number");
    return LETHE_OK;
}

static lethe_result read_rest(struct cursor *text, struct proof *proof, struct line *note,
                              struct lethe_error *err)
{
    TRY(read_hashes(text, proof, err));
    *note = (struct line){(const char *)text->at, cursor_left(text)};
    return note->length > 0 ? LETHE_OK : malformed(err, "a proof without its checkpoint");
}

lethe_result proof_text_parse(const char *bytes, size_t size_bytes, struct proof_text *out,
                              struct lethe_error *err)
{
    struct line note;
    struct cursor text = cursor_over(bytes, size_bytes);
    *out = (struct proof_text){0};
    if (size_bytes > PROOF_TEXT_MAX)
        return malformed(err, "a proof that is longer than any");
    TRY(read_head(&text, &out->index, err));
    TRY(read_rest(&text, &out->proof, &note, err));
    out->note = note.at;
    out->note_bytes = note.length;
    return LETHE_OK;
}

lethe_result proof_text_check(const struct proof_text *text, const struct audit_key *key,
                              const struct proof_record *record, struct audit_checkpoint *out,
                              struct lethe_error *err)
{
    uint8_t leaf[MERKLE_HASH_BYTES];
    TRY(audit_checkpoint_open(text->note, text->note_bytes, key, out, err));
    if (record->length > MERKLE_ENTRY_MAX)
        return malformed(err, "a record that is longer than any");
    merkle_leaf(record->line, record->length, leaf);
    const struct proof_tree tree = proof_tree_of(out);
    return proof_check_inclusion(&text->proof, leaf, text->index, &tree, err);
}

/* ---- consistency ----------------------------------------------------------------------------- */

#define OLD "old "

void proof_growth_append(const struct proof_growth *growth, struct buffer *out)
{
    buffer_format(out, OLD "%llu\n", (unsigned long long)growth->old_size);
    lines_append(&growth->proof, out);
    buffer_append(out, growth->note, growth->note_bytes);
}

bool proof_is_growth(const char *bytes, size_t size_bytes)
{
    return size_bytes >= strlen(OLD) && memcmp(bytes, OLD, strlen(OLD)) == 0;
}

lethe_result proof_growth_parse(const char *bytes, size_t size_bytes, struct proof_growth *out,
                                struct lethe_error *err)
{
    struct line line, rest, note;
    struct cursor text = cursor_over(bytes, size_bytes);
    *out = (struct proof_growth){0};
    if (size_bytes > PROOF_TEXT_MAX)
        return malformed(err, "a proof that is longer than any");
    if (!next_line(&text, &line) || !has_prefix(&line, OLD, &rest) ||
        !note_decimal(rest.at, rest.length, &out->old_size))
        return malformed(err, "no consistency proof: it does not begin with an old size");
    TRY(read_rest(&text, &out->proof, &note, err));
    out->note = note.at;
    out->note_bytes = note.length;
    return LETHE_OK;
}

lethe_result proof_growth_check(const struct proof_growth *growth, const struct audit_key *key,
                                const struct audit_checkpoint *old, struct audit_checkpoint *out,
                                struct lethe_error *err)
{
    TRY(audit_checkpoint_open(growth->note, growth->note_bytes, key, out, err));
    if (growth->old_size != old->records)
        return error_set(err, LETHE_INTEGRITY,
                         "the proof begins at %llu records, the older checkpoint at %llu",
                         (unsigned long long)growth->old_size, (unsigned long long)old->records);
    const struct proof_tree from = proof_tree_of(old);
    const struct proof_tree to = proof_tree_of(out);
    return proof_check_consistency(&growth->proof, &from, &to, err);
}
