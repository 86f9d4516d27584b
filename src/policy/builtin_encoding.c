/* policy/builtin_encoding.c -- base64, base64url, hex
 *
 * As Go's encoding/base64 and encoding/hex, errors included: line breaks within base64 are
 * skipped, padding must be whole, spare bits may be anything. */
#include <string.h>

#include "base/text.h"
#include "policy/builtin_text.h"
#include "policy/runes.h"

enum alphabet { ALPHABET_STANDARD, ALPHABET_URL };

static void translate_to_url(struct buffer *text)
{
    for (size_t i = 0; i < text->size_bytes; i++) {
        char *c = &text->bytes[i];
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
}

static lethe_result encode(struct builtin_call *call, const struct value *text,
                           enum alphabet alphabet, struct buffer *out)
{
    TRY(text_spend(call, text->count));
    base64_append(out, text->string, text->count);
    if (alphabet == ALPHABET_URL)
        translate_to_url(out);
    return buffer_result(out, NULL);
}

static lethe_result base64_encode(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(encode(call, operands[0], ALPHABET_STANDARD, &text));
    return text_result(call, &text, out);
}

static lethe_result base64url_encode(struct builtin_call *call, const struct value *const *operands,
                                     const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(encode(call, operands[0], ALPHABET_URL, &text));
    return text_result(call, &text, out);
}

static lethe_result base64url_encode_no_pad(struct builtin_call *call,
                                            const struct value *const *operands,
                                            const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(encode(call, operands[0], ALPHABET_URL, &text));
    while (text.size_bytes > 0 && text.bytes[text.size_bytes - 1] == '=')
        buffer_truncate(&text, text.size_bytes - 1);
    return text_result(call, &text, out);
}

/* ---- decoding ---- */

struct base64_reader {
    const char *text;
    size_t size_bytes;
    size_t at;
    enum alphabet alphabet;
};

static int digit_value(char c, enum alphabet alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (alphabet == ALPHABET_URL ? '-' : '+'))
        return 62;
    return c == (alphabet == ALPHABET_URL ? '_' : '/') ? 63 : -1;
}

static bool at_end(struct base64_reader *reader)
{
    while (reader->at < reader->size_bytes &&
           (reader->text[reader->at] == '\n' || reader->text[reader->at] == '\r'))
        reader->at++;
    return reader->at == reader->size_bytes;
}

/* Behind the first '=' of a quantum of which `count` digits were read. *bad is where it is wrong.
 */
static bool read_padding(struct base64_reader *reader, unsigned count, size_t *bad)
{
    *bad = reader->at - 1;
    if (count < 2)
        return false;
    if (count == 2) {
        *bad = reader->size_bytes;
        if (at_end(reader))
            return false;
        *bad = reader->at - 1;
        if (reader->text[reader->at++] != '=')
            return false;
    }
    bool end = at_end(reader);
    *bad = reader->at;
    return end;
}

struct quantum {
    uint32_t bits;
    unsigned count; /* digits; 0: the text has ended */
    bool last;
};

static bool read_quantum(struct base64_reader *reader, struct quantum *quantum, size_t *bad)
{
    *quantum = (struct quantum){0};
    while (quantum->count < 4) {
        if (at_end(reader)) {
            *bad = reader->at - quantum->count;
            quantum->last = true;
            return quantum->count == 0;
        }
        char c = reader->text[reader->at++];
        if (c == '=') {
            quantum->last = true;
            return read_padding(reader, quantum->count, bad);
        }
        int digit = digit_value(c, reader->alphabet);
        *bad = reader->at - 1;
        if (digit < 0)
            return false;
        quantum->bits |= (uint32_t)digit << (18 - 6 * quantum->count++);
    }
    return true;
}

static bool read_base64(struct base64_reader *reader, struct buffer *out, size_t *bad)
{
    struct quantum quantum = {0};
    while (!quantum.last) {
        if (!read_quantum(reader, &quantum, bad))
            return false;
        for (unsigned i = 0; i + 1 < quantum.count; i++)
            buffer_byte(out, (uint8_t)(quantum.bits >> (16 - 8 * i)));
    }
    return true;
}

static lethe_result decode(struct builtin_call *call, struct base64_reader reader,
                           const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    size_t bad = 0;
    TRY(text_spend(call, reader.size_bytes));
    if (!read_base64(&reader, &bytes, &bad))
        return builtin_fail(call, BUILTIN_ERROR, "illegal base64 data at input byte %zu", bad);
    return text_result(call, &bytes, out);
}

static struct base64_reader reader_over(const char *text, size_t size_bytes, enum alphabet alphabet)
{
    return (struct base64_reader){.text = text, .size_bytes = size_bytes, .alphabet = alphabet};
}

static lethe_result base64_decode_text(struct builtin_call *call,
                                       const struct value *const *operands,
                                       const struct value **out)
{
    const struct value *text = operands[0];
    return decode(call, reader_over(text->string, text->count, ALPHABET_STANDARD), out);
}

static lethe_result base64_is_valid(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    const struct value *text = operands[0];
    if (text->kind != VALUE_STRING)
        return builtin_value(call, &value_false, out);
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    struct base64_reader reader = reader_over(text->string, text->count, ALPHABET_STANDARD);
    size_t bad;
    TRY(text_spend(call, text->count));
    bool valid = read_base64(&reader, &bytes, &bad);
    TRY(buffer_result(&bytes, NULL));
    return builtin_value(call, value_boolean(valid), out);
}

/* Padding may be left out (RFC 7515, appendix C). */
static lethe_result base64url_decode(struct builtin_call *call, const struct value *const *operands,
                                     const struct value **out)
{
    const struct value *text = operands[0];
    size_t size = text->count;
    if ((size > 0 && text->string[size - 1] == '=') || size % 4 == 0)
        return decode(call, reader_over(text->string, size, ALPHABET_URL), out);
    if (size % 4 == 1)
        return builtin_fail(call, BUILTIN_ERROR, "illegal base64url string: %s", text->string);
    CLEANUP(buffer_clear) struct buffer padded = {0};
    TRY(text_spend(call, size));
    buffer_append(&padded, text->string, size);
    buffer_text(&padded, size % 4 == 2 ? "==" : "=");
    TRY(buffer_result(&padded, NULL));
    return decode(call, reader_over(padded.bytes, padded.size_bytes, ALPHABET_URL), out);
}

/* ---- hex ---- */

static lethe_result hex_encode_text(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    const struct value *bytes = operands[0];
    TRY(text_spend(call, bytes->count));
    for (uint32_t i = 0; i < bytes->count; i++) {
        char digits[3];
        hex_encode(bytes->string + i, 1, digits);
        buffer_append(&text, digits, 2);
    }
    return text_result(call, &text, out);
}

/* "U+0067 'g'": the byte as the character of that number, shown when it can be. */
static lethe_result invalid_byte(struct builtin_call *call, char c)
{
    uint8_t byte = (uint8_t)c;
    if (byte < ' ' || (byte > '~' && byte < 0xa1) || byte == 0xad)
        return builtin_fail(call, BUILTIN_ERROR, "encoding/hex: invalid byte: U+%04X", byte);
    char shown[RUNE_BYTES_MAX];
    int length = (int)rune_encode(byte, shown);
    return builtin_fail(call, BUILTIN_ERROR, "encoding/hex: invalid byte: U+%04X '%.*s'", byte,
                        length, shown);
}

static lethe_result hex_decode_text(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    const struct value *text = operands[0];
    TRY(text_spend(call, text->count));
    int high = 0;
    for (uint32_t i = 0; i < text->count; i++) {
        int digit = hex_digit_value(text->string[i]);
        if (digit < 0)
            return invalid_byte(call, text->string[i]);
        if (i % 2 == 0)
            high = digit;
        else
            buffer_byte(&bytes, (uint8_t)(high << 4 | digit));
    }
    if (text->count % 2 != 0)
        return builtin_fail(call, BUILTIN_ERROR, "encoding/hex: odd length hex string");
    return text_result(call, &bytes, out);
}

static const struct builtin table[] = {
    {.name = "base64.encode", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = base64_encode},
    {.name = "base64.decode",
     .arity = 1,
     .operand_kinds = {KIND(STRING)},
     .call = base64_decode_text},
    {.name = "base64.is_valid", .arity = 1, .call = base64_is_valid},
    {.name = "base64url.encode",
     .arity = 1,
     .operand_kinds = {KIND(STRING)},
     .call = base64url_encode},
    {.name = "base64url.encode_no_pad",
     .arity = 1,
     .operand_kinds = {KIND(STRING)},
     .call = base64url_encode_no_pad},
    {.name = "base64url.decode",
     .arity = 1,
     .operand_kinds = {KIND(STRING)},
     .call = base64url_decode},
    {.name = "hex.encode", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = hex_encode_text},
    {.name = "hex.decode", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = hex_decode_text},
};
BUILTIN_FAMILY(encoding, table);
