#include "audit/note.h"

#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

#define SIGNATURE_PREFIX "\u2014 " /* em dash and space */
#define SIGNATURE_MIN_BYTES (NOTE_KEY_ID_BYTES + 1)

/* ---- names and key ids ----------------------------------------------------------------------- */

/* Code points with the property White_Space, beyond ASCII, as UTF-8. */
static const char *const wide_spaces[] = {
    "\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
    "\u2004",   "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u2028",   "\u2029", "\u202f", "\u205f", "\u3000",
};

bool note_name_is_valid(const char *name, size_t length)
{
    if (length == 0 || length >= AUDIT_KEY_NAME_MAX || !text_is_utf8(name, length))
        return false;
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] <= ' ' || name[i] == '+')
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(wide_spaces); i++) {
        if (memmem(name, length, wide_spaces[i], strlen(wide_spaces[i])) != NULL)
            return false;
    }
    return true;
}

void note_key_id(const struct audit_key *key, uint8_t type, uint8_t out[NOTE_KEY_ID_BYTES])
{
    uint8_t hashed[AUDIT_KEY_NAME_MAX + 2 + sizeof key->public_key];
    size_t length = strnlen(key->name, sizeof key->name);
    memcpy(hashed, key->name, length);
    hashed[length] = '\n';
    hashed[length + 1] = type;
    memcpy(hashed + length + 2, key->public_key, sizeof key->public_key);

    uint8_t digest[SHA256_BYTES];
    sha256(hashed, length + 2 + sizeof key->public_key, digest);
    memcpy(out, digest, NOTE_KEY_ID_BYTES);
}

size_t note_genesis_bytes(const struct audit_key *key)
{
    size_t name = strlen(key->name);
    size_t text = name + sizeof "\n0\n" - 1 + BASE64_LENGTH(SHA256_BYTES) + 1;
    return text + 1 + sizeof SIGNATURE_PREFIX - 1 + name + 1 +
           BASE64_LENGTH(NOTE_KEY_ID_BYTES + 64) + 1;
}

bool note_decimal(const char *text, size_t length, uint64_t *out)
{
    uint64_t number = 0;
    if (length == 0 || (text[0] == '0' && length > 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    }
    *out = number;
    return true;
}

/* ---- taking apart ---------------------------------------------------------------------------- */

static lethe_result check_characters(const char *bytes, size_t size_bytes, struct lethe_error *err)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if ((unsigned char)bytes[i] < 0x20 && bytes[i] != '\n')
            return error_set(err, LETHE_MALFORMED, "a note with a control character in it");
    }
    if (!text_is_utf8(bytes, size_bytes))
        return error_set(err, LETHE_MALFORMED, "a note that is not UTF-8");
    return LETHE_OK;
}

lethe_result note_split(const char *bytes, size_t size_bytes, struct note *out,
                        struct lethe_error *err)
{
    return note_split_within(bytes, size_bytes, AUDIT_NOTE_MAX, out, err);
}

lethe_result note_split_within(const char *bytes, size_t size_bytes, size_t max_bytes,
                               struct note *out, struct lethe_error *err)
{
    if (size_bytes > max_bytes)
        return error_set(err, LETHE_MALFORMED, "a note of more than %zu bytes", max_bytes);
    TRY(check_characters(bytes, size_bytes, err));
    if (size_bytes == 0 || bytes[size_bytes - 1] != '\n')
        return error_set(err, LETHE_MALFORMED, "a note without a newline at its end");

    for (size_t i = size_bytes - 1; i > 0; i--) {
        if (bytes[i] != '\n' || bytes[i - 1] != '\n')
            continue;
        *out = (struct note){bytes, i, bytes + i + 1, size_bytes - i - 1};
        return LETHE_OK;
    }
    return error_set(err, LETHE_MALFORMED, "a note without a blank line before its signatures");
}

/* ---- signature lines ------------------------------------------------------------------------- */

static lethe_result parse_signature_line(const char *line, size_t length,
                                         struct note_signature *out, struct lethe_error *err)
{
    const size_t prefix = sizeof SIGNATURE_PREFIX - 1;
    if (length < prefix || memcmp(line, SIGNATURE_PREFIX, prefix) != 0)
        return error_set(err, LETHE_MALFORMED, "a line among a note's signatures that is none");
    out->name = line + prefix;
    const char *space = memchr(out->name, ' ', length - prefix);
    if (space == NULL)
        return error_set(err, LETHE_MALFORMED, "a signature line without a signature");
    out->name_length = (size_t)(space - out->name);
    if (!note_name_is_valid(out->name, out->name_length))
        return error_set(err, LETHE_MALFORMED, "a signature line with a bad key name");

    const char *encoded = space + 1;
    if (base64_decode(encoded, length - (size_t)(encoded - line), out->field, sizeof out->field,
                      &out->field_bytes) != LETHE_OK ||
        out->field_bytes < SIGNATURE_MIN_BYTES)
        return error_set(err, LETHE_MALFORMED, "a signature line that is not base64");
    return LETHE_OK;
}

lethe_result note_next_signature(struct cursor *lines, struct note_signature *out,
                                 struct lethe_error *err)
{
    const char *text = NULL;
    size_t length = 0;
    if (cursor_line(lines, &text, &length) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "a signature line without its newline");
    return parse_signature_line(text, length, out, err);
}

bool note_signature_is_by(const struct note_signature *line, const struct audit_key *key,
                          uint8_t type)
{
    uint8_t id[NOTE_KEY_ID_BYTES];
    note_key_id(key, type, id);
    return line->name_length == strlen(key->name) &&
           memcmp(line->name, key->name, line->name_length) == 0 &&
           memcmp(line->field, id, sizeof id) == 0;
}

static lethe_result verify_line(const struct note *note, const struct note_signature *line,
                                const struct sign_public *key, struct lethe_error *err)
{
    struct signature signature;
    lethe_result result = signature_from_bytes(
        line->field + NOTE_KEY_ID_BYTES, line->field_bytes - NOTE_KEY_ID_BYTES, &signature, err);
    if (result == LETHE_OK)
        result = sign_verify(key, note->text, note->text_bytes, &signature, err);
    if (result == LETHE_INTEGRITY)
        return error_set(err, LETHE_INTEGRITY, "a signature that does not fit: forged or changed");
    return result;
}

lethe_result note_verify(const struct note *note, const struct audit_key *key,
                         struct lethe_error *err)
{
    CLEANUP(sign_public_free) struct sign_public *public = NULL;
    TRY(sign_public_from_raw(SIGNATURE_ED25519, key->public_key, sizeof key->public_key, &public,
                             err));
    struct cursor lines = cursor_over(note->signatures, note->signatures_bytes);
    unsigned seen = 0;
    unsigned good = 0;
    while (cursor_left(&lines) > 0) {
        struct note_signature line = {.name = ""};
        TRY(note_next_signature(&lines, &line, err));
        if (++seen > AUDIT_NOTE_SIGNATURES_MAX)
            return error_set(err, LETHE_MALFORMED, "a note with more than %d signatures",
                             AUDIT_NOTE_SIGNATURES_MAX);
        if (!note_signature_is_by(&line, key, NOTE_TYPE_ED25519))
            continue;
        TRY(verify_line(note, &line, public, err));
        good++;
    }
    if (good == 0)
        return error_set(err, LETHE_INTEGRITY, "no signature by %s", key->name);
    return LETHE_OK;
}
