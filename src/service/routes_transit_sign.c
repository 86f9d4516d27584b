#include <string.h>

#include "base/error.h"
#include "service/routes_transit.h"

#define SIGNING_KEY_MISSING "signing key not found"

/* The fields that all three have, and their items too. */
#define INPUT_FIELDS                                                                               \
    {"input", FIELD_BASE64, false, "base64", NULL},                                                \
        {"context", FIELD_TEXT, false, "for derived keys, which are not offered", NULL},           \
        {"reference", FIELD_TEXT, false, "comes back with the item's result", NULL},               \
    {                                                                                              \
        "key_version", FIELD_INTEGER, false, "0: the latest", NULL                                 \
    }

/* ---- options of a call, which hold for all items of a batch -----------------------------------
 */

/* The path beats the body, and the newer of two names the older one. */
static lethe_result read_digest(struct call *call, const size_t *fields, size_t count,
                                enum digest_kind *out, struct lethe_error *err)
{
    const char *text = call_capture(call, "algorithm");
    size_t length = strlen(text);
    for (size_t i = 0; i < count && length == 0; i++) {
        text = call_field(call, fields[i])->text;
        length = call_field(call, fields[i])->length;
    }
    *out = DIGEST_SHA2_256;
    if (length > 0 && !digest_kind_parse(text, length, out))
        return error_set(err, LETHE_INVALID,
                         "hash algorithm: expected sha2- or sha3- and 224, 256, 384 or 512");
    return LETHE_OK;
}

static lethe_result read_marshaling(const struct field_value *value, bool *jws,
                                    struct lethe_error *err)
{
    *jws = field_is(value, "jws");
    if (value->length == 0 || *jws || field_is(value, "asn1"))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "marshaling_algorithm: expected asn1 or jws");
}

static lethe_result read_input(struct transit_work *work, const struct transit_item *item,
                               struct lethe_error *err)
{
    size_t start;
    const struct field_value *input = transit_field(item, ITEM_TEXT);
    if (!input->given)
        return error_set(err, LETHE_INVALID, "missing input");
    TRY(transit_read_use(work, item, err));
    TRY(transit_decode(work, input, "input", &start, err));
    work->use.input = (struct engine_bytes){work->bytes->bytes, work->bytes->size_bytes};
    return LETHE_OK;
}

/* ---- hmac ------------------------------------------------------------------------------------ */

enum { HMAC_ALGORITHM = ITEM_COMMON, HMAC_BATCH };
static const struct field hmac_items[] = {INPUT_FIELDS, {0}};
const struct field transit_hmac_fields[] = {
    INPUT_FIELDS,
    {"algorithm", FIELD_TEXT, false, "sha2-256, ...; of the path, if it is there", NULL},
    {"batch_input", FIELD_ITEMS, false, "many items in one call", hmac_items},
    {0}};

static lethe_result hmac_item(struct transit_work *work, const struct transit_item *item,
                              struct lethe_error *err)
{
    struct guarded *out = work->writer->out;
    TRY(read_input(work, item, err));
    json_open_text(work->writer, "hmac");
    size_t start = out->size_bytes;
    TRY(engine_hmac(work->engine, &work->use, out, err));
    work->version = transit_version_of(out->bytes + start, out->size_bytes - start);
    json_close_text(work->writer);
    return LETHE_OK;
}

lethe_result transit_hmac(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {
        "hmac", "encryption key not found", 0, hmac_items, HMAC_BATCH, 0, hmac_item};
    static const size_t algorithms[] = {HMAC_ALGORITHM};
    struct transit_work work;
    struct engine_signing how = {0};
    TRY(read_digest(call, algorithms, ARRAY_LEN(algorithms), &how.digest, err));
    transit_begin(&work, call, &operation);
    work.use.how = how;
    return transit_run(&work, err);
}

/* ---- sign ------------------------------------------------------------------------------------ */

/* What is said of how to sign: the same for both directions, from some place on. */
#define HOW_FIELDS                                                                                 \
    {"hash_algorithm", FIELD_TEXT, false, "sha2-256, ...; of the path, if it is there", NULL},     \
        {"algorithm", FIELD_TEXT, false, "the older name of hash_algorithm", NULL},                \
        {"prehashed", FIELD_BOOLEAN, false, "the input is the digest", NULL},                      \
        {"marshaling_algorithm", FIELD_TEXT, false, "asn1 or jws", NULL},                          \
    {                                                                                              \
        "batch_input", FIELD_ITEMS, false, "many items in one call", HOW_ITEMS                     \
    }
enum { HOW_HASH, HOW_ALGORITHM, HOW_PREHASHED, HOW_MARSHALING, HOW_BATCH };
enum { SIGN_HOW = ITEM_COMMON, SIGN_BATCH = SIGN_HOW + HOW_BATCH };

static const struct field sign_items[] = {INPUT_FIELDS, {0}};
#define HOW_ITEMS sign_items
const struct field transit_sign_fields[] = {INPUT_FIELDS, HOW_FIELDS, {0}};
#undef HOW_ITEMS

static lethe_result read_how(struct call *call, size_t place, struct engine_signing *how,
                             struct lethe_error *err)
{
    const size_t algorithms[] = {place + HOW_HASH, place + HOW_ALGORITHM};
    *how = (struct engine_signing){.prehashed = call_field(call, place + HOW_PREHASHED)->boolean};
    TRY(read_digest(call, algorithms, ARRAY_LEN(algorithms), &how->digest, err));
    return read_marshaling(call_field(call, place + HOW_MARSHALING), &how->jws, err);
}

static lethe_result sign_item(struct transit_work *work, const struct transit_item *item,
                              struct lethe_error *err)
{
    TRY(read_input(work, item, err));
    json_open_text(work->writer, "signature");
    TRY(engine_sign(work->engine, &work->use, work->writer->out, &work->version, err));
    json_close_text(work->writer);
    json_put_integer(work->writer, "key_version", (int64_t)work->version);
    return LETHE_OK;
}

lethe_result transit_sign(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {
        "sign", SIGNING_KEY_MISSING, 0, sign_items, SIGN_BATCH, 0, sign_item};
    struct transit_work work;
    struct engine_signing how;
    TRY(read_how(call, SIGN_HOW, &how, err));
    transit_begin(&work, call, &operation);
    work.use.how = how;
    return transit_run(&work, err);
}

/* ---- verify ---------------------------------------------------------------------------------- */

enum { VERIFY_SIGNATURE = ITEM_COMMON, VERIFY_HMAC, VERIFY_HOW };
enum { VERIFY_BATCH = VERIFY_HOW + HOW_BATCH };
#define PROOF_FIELDS                                                                               \
    {"signature", FIELD_TEXT, false, "vault:v<N>:...: this, or", NULL},                            \
    {                                                                                              \
        "hmac", FIELD_TEXT, false, "vault:v<N>:...", NULL                                          \
    }
static const struct field verify_items[] = {INPUT_FIELDS, PROOF_FIELDS, {0}};
#define HOW_ITEMS verify_items
const struct field transit_verify_fields[] = {INPUT_FIELDS, PROOF_FIELDS, HOW_FIELDS, {0}};
#undef HOW_ITEMS

static lethe_result verify_item(struct transit_work *work, const struct transit_item *item,
                                struct lethe_error *err)
{
    const struct field_value *signature = transit_field(item, VERIFY_SIGNATURE);
    const struct field_value *hmac = transit_field(item, VERIFY_HMAC);
    bool valid = false;
    if (signature->given == hmac->given)
        return error_set(err, LETHE_INVALID, "expected one of signature and hmac");
    TRY(read_input(work, item, err));
    const struct field_value *proof = hmac->given ? hmac : signature;
    work->use.proof = (struct engine_bytes){proof->text, proof->length};
    TRY((hmac->given ? engine_verify_hmac : engine_verify)(work->engine, &work->use, &valid, err));
    json_put_boolean(work->writer, "valid", valid);
    return LETHE_OK;
}

lethe_result transit_verify(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {
        "verify", SIGNING_KEY_MISSING, 0, verify_items, VERIFY_BATCH, 0, verify_item};
    struct transit_work work;
    struct engine_signing how;
    TRY(read_how(call, VERIFY_HOW, &how, err));
    transit_begin(&work, call, &operation);
    work.use.how = how;
    return transit_run(&work, err);
}
