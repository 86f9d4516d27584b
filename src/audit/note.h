/* audit/note.h -- a C2SP signed note taken apart: text, blank line, signature lines. */
#ifndef AUDIT_NOTE_H
#define AUDIT_NOTE_H

#include "audit/checkpoint.h"

struct note { /* borrowed from the bytes that were split */
    const char *text;
    size_t text_bytes; /* the final newline included: these are the signed bytes */
    const char *signatures;
    size_t signatures_bytes;
};
/* Splits at the last blank line, after checking size, UTF-8 and control characters. */
LETHE_MUST_CHECK lethe_result note_split(const char *bytes, size_t size_bytes, struct note *out,
                                         struct lethe_error *err);
/* Every signature line must be well formed, every one by `key` good, and at least one be there. */
LETHE_MUST_CHECK lethe_result note_verify(const struct note *note, const struct audit_key *key,
                                          struct lethe_error *err);

#define NOTE_KEY_ID_BYTES 4u
#define NOTE_TYPE_ED25519 0x01
/* SHA-256(name || newline || type || public key), its first four bytes. */
void note_key_id(const struct audit_key *key, uint8_t out[NOTE_KEY_ID_BYTES]);

/* Bytes of the note that signs the empty log. */
size_t note_genesis_bytes(const struct audit_key *key);

/* A key name may hold neither Unicode white space nor '+'. */
bool note_name_is_valid(const char *name, size_t length);

#endif
