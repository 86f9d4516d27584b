#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "crypto/digest.h"
#include "service/routes_transit.h"

#define RANDOM_MAX_BYTES ((size_t)128 << 10)

/* The two that a format can say; others are refused. None: *hex stays as it is. */
static lethe_result read_format(const struct field_value *value, bool *hex, struct lethe_error *err)
{
    if (value->length == 0)
        return LETHE_OK;
    *hex = field_is(value, "hex");
    if (*hex || field_is(value, "base64"))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "format: expected hex or base64");
}

static void put_hex(struct json_writer *writer, const char *name, const uint8_t *bytes,
                    size_t size_bytes)
{
    char digits[3];
    json_open_text(writer, name);
    for (size_t i = 0; i < size_bytes; i++) {
        hex_encode(bytes + i, 1, digits);
        guarded_append(writer->out, digits, 2);
    }
    json_close_text(writer);
    lethe_wipe(digits, sizeof digits);
}

static void put(struct json_writer *writer, const char *name, const struct guarded *bytes, bool hex)
{
    if (hex)
        put_hex(writer, name, bytes->bytes, bytes->size_bytes);
    else
        json_put_base64(writer, name, bytes->bytes, bytes->size_bytes);
}

/* ---- random ---------------------------------------------------------------------------------- */

enum { RANDOM_BYTES, RANDOM_FORMAT };
const struct field transit_random_fields[] = {
    {"bytes", FIELD_INTEGER, false, "1 to 131072; of the path, if it is there; 32", NULL},
    {"format", FIELD_TEXT, false, "base64 or hex", NULL},
    {0}};

static lethe_result read_size(struct call *call, uint64_t *size_bytes, struct lethe_error *err)
{
    int64_t number;
    const char *text = call_capture(call, "bytes");
    *size_bytes = 32;
    if (text[0] == '\0')
        return transit_number(call_field(call, RANDOM_BYTES), "bytes", 1, RANDOM_MAX_BYTES,
                              size_bytes, err);
    TRY(validate_integer("bytes", text, 1, (int64_t)RANDOM_MAX_BYTES + 1, &number, err));
    *size_bytes = (uint64_t)number;
    return LETHE_OK;
}

static lethe_result write_random(struct call *call, size_t size_bytes, bool hex,
                                 struct lethe_error *err)
{
    struct guarded *out = transit_scratch();
    const struct random_source *random = call_service(call)->options.keeper.random;
    uint8_t *bytes = guarded_extend(out, size_bytes);
    TRY(guarded_result(out, err));
    if (random_fill(random != NULL ? random : &random_system, bytes, size_bytes) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness");
    put(answer_data(call), "random_bytes", out, hex);
    return LETHE_OK;
}

lethe_result transit_random(struct call *call, struct lethe_error *err)
{
    uint64_t size_bytes;
    bool hex = false;
    TRY(read_size(call, &size_bytes, err));
    TRY(read_format(call_field(call, RANDOM_FORMAT), &hex, err));
    lethe_result result = write_random(call, (size_t)size_bytes, hex, err);
    transit_scratch_done();
    return result;
}

/* ---- hash ------------------------------------------------------------------------------------ */

enum { HASH_INPUT, HASH_ALGORITHM, HASH_FORMAT };
const struct field transit_hash_fields[] = {
    {"input", FIELD_BASE64, true, "base64", NULL},
    {"algorithm", FIELD_TEXT, false, "sha2-256, ...; of the path, if it is there", NULL},
    {"format", FIELD_TEXT, false, "hex or base64", NULL},
    {0}};

static lethe_result read_algorithm(struct call *call, enum digest_kind *out,
                                   struct lethe_error *err)
{
    const struct field_value *field = call_field(call, HASH_ALGORITHM);
    const char *path = call_capture(call, "algorithm");
    bool is_in_path = path[0] != '\0';
    const char *text = is_in_path ? path : field->text;
    size_t length = is_in_path ? strlen(path) : field->length;
    *out = DIGEST_SHA2_256;
    if (length > 0 && !digest_kind_parse(text, length, out))
        return error_set(err, LETHE_INVALID,
                         "algorithm: expected sha2- or sha3- and 224, 256, 384 or 512");
    return LETHE_OK;
}

/* The digest lies behind the input, in the same guarded memory, until it is written. */
static lethe_result write_hash(struct call *call, enum digest_kind kind, bool hex,
                               struct lethe_error *err)
{
    struct guarded *input = transit_scratch();
    const struct field_value *field = call_field(call, HASH_INPUT);
    if (field->length > 0 && field_decode(field, input) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "input is not valid base64");
    size_t size_bytes = input->size_bytes;
    uint8_t *digest = guarded_extend(input, DIGEST_MAX_BYTES);
    TRY(guarded_result(input, err));
    if (digest_compute(kind, input->bytes, size_bytes, digest) != LETHE_OK)
        return error_set(err, LETHE_NO_MEMORY, "there is no memory for a digest");
    struct guarded view = {.bytes = digest, .size_bytes = digest_bytes(kind)};
    put(answer_data(call), "sum", &view, hex);
    return LETHE_OK;
}

lethe_result transit_hash(struct call *call, struct lethe_error *err)
{
    enum digest_kind kind;
    bool hex = true;
    TRY(read_algorithm(call, &kind, err));
    TRY(read_format(call_field(call, HASH_FORMAT), &hex, err));
    lethe_result result = write_hash(call, kind, hex, err);
    transit_scratch_done();
    return result;
}
