#include "audit/checkpoint.h"

#include <string.h>

#include "audit/note.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"

/* ---- verifier keys --------------------------------------------------------------------------- */

void note_key_text(const struct audit_key *key, uint8_t type, struct buffer *out)
{
    uint8_t id[NOTE_KEY_ID_BYTES];
    char id_text[2 * NOTE_KEY_ID_BYTES + 1];
    uint8_t typed[1 + sizeof key->public_key];
    note_key_id(key, type, id);
    hex_encode(id, sizeof id, id_text);
    typed[0] = type;
    memcpy(typed + 1, key->public_key, sizeof key->public_key);

    buffer_format(out, "%s+%s+", key->name, id_text);
    base64_append(out, typed, sizeof typed);
}

/* What a key of this type is called in errors, and where it comes from. */
static const struct {
    uint8_t type;
    const char *what;
    const char *hint;
} kinds[] = {
    {NOTE_TYPE_ED25519, "a log key",
     "it reads NAME+8 hex digits+base64, as `lethe key export` prints it"},
    {NOTE_TYPE_COSIGNATURE, "a witness key",
     "it reads NAME+8 hex digits+base64, with 04 as the type of the key"},
};

static lethe_result bad_key(uint8_t type, struct lethe_error *err, const char *what)
{
    size_t kind = 0;
    while (kinds[kind].type != type)
        kind++;
    error_set(err, LETHE_MALFORMED, "%s %s", kinds[kind].what, what);
    error_hint(err, "%s", kinds[kind].hint);
    return LETHE_MALFORMED;
}

/* The three parts of a key, borrowed. */
struct key_parts {
    const char *name;
    size_t name_length;
    const char *id;
    size_t id_length;
    const char *encoded;
    size_t encoded_length;
};

static bool split_key(const char *text, size_t length, struct key_parts *out)
{
    const char *end = text + length;
    const char *first = memchr(text, '+', length);
    const char *second = first == NULL ? NULL : memchr(first + 1, '+', (size_t)(end - first - 1));
    if (second == NULL)
        return false;
    *out = (struct key_parts){text,       (size_t)(first - text),
                              first + 1,  (size_t)(second - first - 1),
                              second + 1, (size_t)(end - second - 1)};
    return true;
}

static bool id_fits(const struct key_parts *parts, const struct audit_key *key, uint8_t type)
{
    uint8_t id[NOTE_KEY_ID_BYTES];
    uint8_t claimed[NOTE_KEY_ID_BYTES];
    note_key_id(key, type, id);
    return hex_decode(parts->id, parts->id_length, claimed, sizeof claimed) == LETHE_OK &&
           memcmp(id, claimed, sizeof id) == 0;
}

lethe_result note_key_parse(const char *text, size_t length, uint8_t type, struct audit_key *out,
                            struct lethe_error *err)
{
    struct key_parts parts;
    struct audit_key key = {0};
    uint8_t typed[1 + sizeof key.public_key];
    size_t typed_bytes = 0;
    if (!split_key(text, length, &parts))
        return bad_key(type, err, "that is not in three parts");
    if (!note_name_is_valid(parts.name, parts.name_length))
        return bad_key(type, err, "whose name is empty, too long, or has white space in it");
    if (base64_decode(parts.encoded, parts.encoded_length, typed, sizeof typed, &typed_bytes) !=
            LETHE_OK ||
        typed_bytes != sizeof typed || typed[0] != type)
        return bad_key(type, err, "that is no Ed25519 key of this type");
    memcpy(key.name, parts.name, parts.name_length);
    memcpy(key.public_key, typed + 1, sizeof key.public_key);
    if (!id_fits(&parts, &key, type))
        return bad_key(type, err, "whose id does not fit: name or key were changed");
    *out = key;
    return LETHE_OK;
}

void audit_key_text(const struct audit_key *key, struct buffer *out)
{
    note_key_text(key, NOTE_TYPE_ED25519, out);
}

lethe_result audit_key_parse(const char *text, size_t length, struct audit_key *out,
                             struct lethe_error *err)
{
    return note_key_parse(text, length, NOTE_TYPE_ED25519, out, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

void audit_checkpoint_text(const struct audit_checkpoint *checkpoint, struct buffer *out)
{
    buffer_format(out, "%s\n%llu\n", checkpoint->origin, (unsigned long long)checkpoint->records);
    base64_append(out, checkpoint->root, sizeof checkpoint->root);
    buffer_byte(out, '\n');
}

void audit_note_sign_line(const struct audit_key *key, const uint8_t signature[64],
                          struct buffer *out)
{
    uint8_t field[NOTE_KEY_ID_BYTES + 64];
    note_key_id(key, NOTE_TYPE_ED25519, field);
    memcpy(field + NOTE_KEY_ID_BYTES, signature, 64);
    buffer_format(out, "\n\u2014 %s ", key->name);
    base64_append(out, field, sizeof field);
    buffer_byte(out, '\n');
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool parse_root(const char *text, size_t length, uint8_t out[32])
{
    size_t size_bytes = 0;
    return base64_decode(text, length, out, 32, &size_bytes) == LETHE_OK && size_bytes == 32;
}

/* tlog-checkpoint: origin, size, root, and perhaps extension lines that are not empty. */
static lethe_result parse_text(const struct note *note, struct audit_checkpoint *out,
                               struct lethe_error *err)
{
    struct cursor text = cursor_over(note->text, note->text_bytes);
    struct {
        const char *at;
        size_t length;
    } lines[3];
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (cursor_line(&text, &lines[i].at, &lines[i].length) != LETHE_OK)
            return error_set(err, LETHE_MALFORMED, "a checkpoint of fewer than three lines");
    }
    *out = (struct audit_checkpoint){0};
    if (lines[0].length == 0 || lines[0].length >= sizeof out->origin)
        return error_set(err, LETHE_MALFORMED, "a checkpoint whose origin is empty or too long");
    memcpy(out->origin, lines[0].at, lines[0].length);
    if (!note_decimal(lines[1].at, lines[1].length, &out->records))
        return error_set(err, LETHE_MALFORMED, "a checkpoint whose size is no decimal number");
    if (!parse_root(lines[2].at, lines[2].length, out->root))
        return error_set(err, LETHE_MALFORMED, "a checkpoint whose root is not 32 bytes of base64");
    if (memmem(note->text, note->text_bytes, "\n\n", 2) != NULL)
        return error_set(err, LETHE_MALFORMED, "a checkpoint with a blank line in its text");
    return LETHE_OK;
}

lethe_result audit_checkpoint_read(const char *bytes, size_t size_bytes,
                                   struct audit_checkpoint *out, struct lethe_error *err)
{
    struct note note;
    TRY(note_split(bytes, size_bytes, &note, err));
    return parse_text(&note, out, err);
}

lethe_result audit_checkpoint_open(const char *bytes, size_t size_bytes,
                                   const struct audit_key *key, struct audit_checkpoint *out,
                                   struct lethe_error *err)
{
    struct note note;
    TRY(note_split(bytes, size_bytes, &note, err));
    TRY(parse_text(&note, out, err));
    TRY(note_verify(&note, key, err));
    if (strcmp(out->origin, key->name) != 0)
        return error_set(err, LETHE_INTEGRITY, "a checkpoint of another log: expected %s",
                         key->name);
    return LETHE_OK;
}
