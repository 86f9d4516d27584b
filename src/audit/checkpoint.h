/* audit/checkpoint.h -- C2SP signed notes and checkpoints, signed with Ed25519.
 *
 * Sources: C2SP signed-note, tlog-checkpoint. A checkpoint is a note whose text is origin, size and
 * root. Pure functions. */
#ifndef AUDIT_CHECKPOINT_H
#define AUDIT_CHECKPOINT_H

#include "base/buffer.h"

#define AUDIT_KEY_NAME_MAX 128
#define AUDIT_NOTE_MAX 65536 /* bytes of a note: ours have fewer than 400 */
#define AUDIT_NOTE_SIGNATURES_MAX 64

/* A verifier key: "NAME+hex8(id)+base64(0x01 || public key)". */
struct audit_key {
    char name[AUDIT_KEY_NAME_MAX]; /* not empty, without white space and '+' */
    uint8_t public_key[32];
};
void audit_key_text(const struct audit_key *key, struct buffer *out);
/* LETHE_MALFORMED says what is wrong with it. */
LETHE_MUST_CHECK lethe_result audit_key_parse(const char *text, size_t length,
                                              struct audit_key *out, struct lethe_error *err);

struct audit_checkpoint {
    char origin[AUDIT_KEY_NAME_MAX];
    uint64_t records;
    uint8_t root[32];
};
/* Appends the text that is signed. */
void audit_checkpoint_text(const struct audit_checkpoint *checkpoint, struct buffer *out);
/* Appends blank line and signature line behind a text. */
void audit_note_sign_line(const struct audit_key *key, const uint8_t signature[64],
                          struct buffer *out);

/* Parses a note and checks it: at least one good signature by `key` and no bad one, and an origin
 * equal to the key's name. Signatures of others are skipped. LETHE_INTEGRITY for a bad or missing
 * signature or another log's origin, LETHE_MALFORMED for what is no checkpoint. */
LETHE_MUST_CHECK lethe_result audit_checkpoint_open(const char *note, size_t size_bytes,
                                                    const struct audit_key *key,
                                                    struct audit_checkpoint *out,
                                                    struct lethe_error *err);
/* What a note says, its signatures not looked at: for notes that something else vouches for. */
LETHE_MUST_CHECK lethe_result audit_checkpoint_read(const char *note, size_t size_bytes,
                                                    struct audit_checkpoint *out,
                                                    struct lethe_error *err);

#endif
