/* audit/note.h -- a C2SP signed note taken apart: text, blank line, signature lines. */
#ifndef AUDIT_NOTE_H
#define AUDIT_NOTE_H

#include "audit/checkpoint.h"
#include "base/cursor.h"

struct note { /* borrowed from the bytes that were split */
    const char *text;
    size_t text_bytes; /* the final newline included: these are the signed bytes */
    const char *signatures;
    size_t signatures_bytes;
};
/* Splits at the last blank line, after checking size, UTF-8 and control characters. */
LETHE_MUST_CHECK lethe_result note_split(const char *bytes, size_t size_bytes, struct note *out,
                                         struct lethe_error *err);
/* The same for longer ones, which nobody takes for checkpoints. */
LETHE_MUST_CHECK lethe_result note_split_within(const char *bytes, size_t size_bytes,
                                                size_t max_bytes, struct note *out,
                                                struct lethe_error *err);
/* Every signature line must be well formed, every one by `key` good, and at least one be there. */
LETHE_MUST_CHECK lethe_result note_verify(const struct note *note, const struct audit_key *key,
                                          struct lethe_error *err);

#define NOTE_KEY_ID_BYTES 4u
#define NOTE_TYPE_ED25519 0x01
#define NOTE_TYPE_COSIGNATURE 0x04 /* Ed25519, cosignature/v1 */
/* SHA-256(name || newline || type || public key), its first four bytes. */
void note_key_id(const struct audit_key *key, uint8_t type, uint8_t out[NOTE_KEY_ID_BYTES]);
/* Verifier keys of one of the two types; as audit_key_text() and audit_key_parse(). */
void note_key_text(const struct audit_key *key, uint8_t type, struct buffer *out);
LETHE_MUST_CHECK lethe_result note_key_parse(const char *text, size_t length, uint8_t type,
                                             struct audit_key *out, struct lethe_error *err);

/* One signature line, taken apart. */
#define NOTE_FIELD_MAX 8192 /* post-quantum signatures have nearly 5000 */
struct note_signature {
    const char *name; /* borrowed, not terminated */
    size_t name_length;
    uint8_t field[NOTE_FIELD_MAX]; /* key id, then the signature */
    size_t field_bytes;            /* more than NOTE_KEY_ID_BYTES */
};
/* Steps over the next line of a note's signatures, of which some are left. */
LETHE_MUST_CHECK lethe_result note_next_signature(struct cursor *lines, struct note_signature *out,
                                                  struct lethe_error *err);
/* By name and key id: the signature itself is not looked at. */
bool note_signature_is_by(const struct note_signature *line, const struct audit_key *key,
                          uint8_t type);

/* Decimal without sign and leading zeros. */
bool note_decimal(const char *text, size_t length, uint64_t *out);

/* Bytes of the note that signs the empty log. */
size_t note_genesis_bytes(const struct audit_key *key);

/* A key name may hold neither Unicode white space nor '+'. */
bool note_name_is_valid(const char *name, size_t length);

#endif
