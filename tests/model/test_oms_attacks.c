/* Model signatures: bundles that were changed, and statements that are signed and still wrong. */
#include "oms_signing.h"

/* ---- the envelope ---------------------------------------------------------------------------- */

static struct sign_pair *pair;

static int make_pair(void **state)
{
    if (start_crypto(state) != 0)
        return -1;
    pair = fresh_pair(SIGNATURE_ECDSA_P256);
    return 0;
}

static int free_pair(void **state)
{
    sign_pair_free(pair);
    return 0;
}

#define DIGEST_1 "0000000000000000000000000000000000000000000000000000000000000001"
#define DIGEST_2 "0000000000000000000000000000000000000000000000000000000000000002"
#define ROOT_1 "ec4916dd28fc4c10d78e287ca5d9cc51ee1ae73cbfde08c6b37324cbfaac8bc5"

/* The statement of one file, in parts that tests replace. */
struct statement {
    const char *type, *subject, *root, *predicate_type, *resources, *serialization;
};
static const struct statement good = {
    .type = "https://in-toto.io/Statement/v1",
    .subject = "m",
    .root = ROOT_1,
    .predicate_type = "https://model_signing/signature/v1.0",
    .resources = "{\"name\":\"a\",\"digest\":\"" DIGEST_1 "\",\"algorithm\":\"sha256\"}",
    .serialization = "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":false}",
};

static void put_statement(struct buffer *out, const struct statement *s)
{
    buffer_format(
        out,
        "{\"_type\":\"%s\",\"subject\":[{\"name\":\"%s\",\"digest\":{\"sha256\":\"%s\"}}],"
        "\"predicateType\":\"%s\",\"predicate\":{\"resources\":[%s],\"serialization\":%s}}",
        s->type, s->subject, s->root, s->predicate_type, s->resources, s->serialization);
}

static lethe_result open_bundle(const char *bundle, size_t size_bytes, struct lethe_error *err)
{
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    lethe_result result = oms_open(bundle, size_bytes, sign_pair_public(pair), &list, err);
    if (result != LETHE_OK)
        assert_int_equal(list.count, 0);
    return result;
}

static void good_bundle(struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer payload = {0};
    put_statement(&payload, &good);
    bundle_of(payload.bytes, pair, out);
}

/* One replacement in a good bundle; the text that is replaced must be there. */
static void edited_bundle(const char *old_text, const char *new_text, struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    good_bundle(&bundle);
    char *found = strstr(bundle.bytes, old_text);
    assert_non_null(found);
    buffer_append(out, bundle.bytes, (size_t)(found - bundle.bytes));
    buffer_text(out, new_text);
    buffer_text(out, found + strlen(old_text));
}

static void other_forms_of_the_envelope_are_fine(void **state)
{
    static const struct {
        const char *old_text, *new_text;
    } edits[] = {
        {"{", "{ "},
        {",\"keyid\":\"\"", ""},
        {"\"keyid\":\"\"", "\"keyid\":null"},
        {"\"keyid\":\"\"", "\"keyid\":\"whoever\""}, /* authenticated by nothing, so ignored */
        {",\"tlogEntries\":[]", ""},
        {"\"tlogEntries\":[]", "\"tlogEntries\":null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct lethe_error err = {0};
        CLEANUP(buffer_clear) struct buffer bundle = {0};
        CLEANUP(oms_list_clear) struct oms_list list = {0};
        edited_bundle(edits[i].old_text, edits[i].new_text, &bundle);
        assert_ok(oms_open(bundle.bytes, bundle.size_bytes, sign_pair_public(pair), &list, &err),
                  &err);
        assert_false(list.as_written);
    }
}

static void changed_envelopes_are_refused(void **state)
{
    static const struct {
        const char *old_text, *new_text;
        lethe_result result;
        const char *why;
    } edits[] = {
        {"v0.3+json", "v0.2+json", LETHE_MALFORMED, "mediaType"},
        {"\"mediaType\":", "\"mediaType\":\"\",\"mediaType\":", LETHE_MALFORMED, "name that"},
        {"{\"mediaType\"", "{\"more\":1,\"mediaType\"", LETHE_MALFORMED, "does not know"},
        {"\"hint\":\"", "\"hint\":\"0", LETHE_INTEGRITY, "another key"},
        {"\"hint\":", "\"rawBytes\":", LETHE_INTEGRITY, "another key"},
        {"\"hint\":", "\"rawBytes\":\"\",\"hint\":", LETHE_MALFORMED, "or both"},
        {"\"hint\":", "\"keyDetails\":", LETHE_MALFORMED, "neither hint nor rawBytes"},
        {"\"publicKey\":", "\"x509CertificateChain\":", LETHE_MALFORMED, "does not know"},
        {"\"tlogEntries\":[]", "\"tlogEntries\":[{}]", LETHE_MALFORMED, "log entries"},
        {"vnd.in-toto+json", "vnd.in-toto+jsonx", LETHE_MALFORMED, "payloadType"},
        {"\"signatures\":[", "\"signatures\":[{\"sig\":\"\"},", LETHE_MALFORMED, "2 signatures"},
        {"\"sig\":\"", "\"sig\":\" ", LETHE_MALFORMED, "strict base64"},
        {"\"sig\":\"", "\"sig\":\"AAAA", LETHE_INTEGRITY, "signature"},
        {"\"payload\":\"", "\"payload\":\"\\n", LETHE_MALFORMED, "strict base64"},
        {"\"payload\":\"", "\"payload\":\"ICAg", LETHE_INTEGRITY, "signature"},
        {"\"keyid\":\"\"", "\"keyid\":\"\",\"cert\":\"\"", LETHE_MALFORMED, "does not know"},
        {"}]}}", "}]}} x", LETHE_MALFORMED, "JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct lethe_error err = {0};
        CLEANUP(buffer_clear) struct buffer bundle = {0};
        edited_bundle(edits[i].old_text, edits[i].new_text, &bundle);
        lethe_result result = open_bundle(bundle.bytes, bundle.size_bytes, &err);
        if (result != edits[i].result || strstr(err.text, edits[i].why) == NULL)
            fail_msg("edit %zu: %s: %s", i, lethe_result_name(result), err.text);
    }
}

/* Any changed bit of model.sig is refused, or leaves it in a form that we do not write. */
static void every_changed_bit_is_noticed(void **state)
{
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    good_bundle(&bundle);
    assert_result(LETHE_OK, open_bundle(bundle.bytes, bundle.size_bytes, NULL));
    for (size_t i = 0; i < 8 * bundle.size_bytes; i++) {
        CLEANUP(oms_list_clear) struct oms_list list = {0};
        bundle.bytes[i / 8] ^= (char)(1 << i % 8);
        lethe_result result =
            oms_open(bundle.bytes, bundle.size_bytes, sign_pair_public(pair), &list, NULL);
        if (result == LETHE_OK && list.as_written)
            fail_msg("bit %zu of byte %zu can be changed", i % 8, i / 8);
        bundle.bytes[i / 8] ^= (char)(1 << i % 8);
    }
}

static void every_added_space_is_noticed(void **state)
{
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    good_bundle(&bundle);
    for (size_t at = 0; at <= bundle.size_bytes; at++) {
        CLEANUP(buffer_clear) struct buffer longer = {0};
        CLEANUP(oms_list_clear) struct oms_list list = {0};
        buffer_append(&longer, bundle.bytes, at);
        buffer_byte(&longer, ' ');
        buffer_append(&longer, bundle.bytes + at, bundle.size_bytes - at);
        lethe_result result =
            oms_open(longer.bytes, longer.size_bytes, sign_pair_public(pair), &list, NULL);
        assert_false(result == LETHE_OK && list.as_written);
    }
}

static void every_prefix_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    good_bundle(&bundle);
    for (size_t length = 0; length < bundle.size_bytes; length++) {
        CLEANUP(memory_free) char *exact = malloc(length);
        if (length > 0)
            memcpy(exact, bundle.bytes, length);
        assert_result(LETHE_MALFORMED, open_bundle(exact, length, NULL));
    }
}

static void other_keys_are_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    CLEANUP(sign_pair_free) struct sign_pair *stranger = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(sign_pair_free) struct sign_pair *ed25519 = fresh_pair(SIGNATURE_ED25519);
    struct oms_list list = {0};
    struct lethe_error err = {0};
    good_bundle(&bundle);
    assert_result(LETHE_INTEGRITY, oms_open(bundle.bytes, bundle.size_bytes,
                                            sign_pair_public(stranger), &list, &err));
    assert_non_null(strstr(err.text, "another key"));
    assert_string_not_equal(err.hint, "");
    assert_result(LETHE_INVALID, oms_open(bundle.bytes, bundle.size_bytes,
                                          sign_pair_public(ed25519), &list, &err));
}

/* model-signing v0.2 wrote "DSSEV1", and upstream still takes it. */
static void the_misspelt_encoding_of_old_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer payload = {0};
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    struct signature signature;
    struct lethe_error err = {0};
    put_statement(&payload, &good);
    oms_pae(payload.bytes, payload.size_bytes, &encoded);
    encoded.bytes[4] = 'V';
    assert_ok(sign_message(pair, encoded.bytes, encoded.size_bytes, &signature, &err), &err);
    assert_ok(oms_bundle(&payload, &signature, sign_pair_public(pair), &bundle, &err), &err);
    assert_result(LETHE_INTEGRITY, open_bundle(bundle.bytes, bundle.size_bytes, &err));
}

/* ---- signed statements ----------------------------------------------------------------------- */

static lethe_result open_statement(const struct statement *statement, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer payload = {0};
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    put_statement(&payload, statement);
    bundle_of(payload.bytes, pair, &bundle);
    return open_bundle(bundle.bytes, bundle.size_bytes, err);
}

static void a_good_statement_is_accepted(void **state)
{
    struct lethe_error err = {0};
    assert_ok(open_statement(&good, &err), &err);
}

static void statements_with_one_wrong_word_are_refused(void **state)
{
    static const struct {
        size_t field; /* offset in struct statement */
        const char *text;
        lethe_result result;
        const char *why;
    } wrong[] = {
#define FIELD(name) offsetof(struct statement, name)
        {FIELD(type), "https://in-toto.io/Statement/v0.1", LETHE_MALFORMED, "_type"},
        {FIELD(predicate_type), "https://model_signing/signature/v2.0", LETHE_MALFORMED,
         "predicateType"},
        {FIELD(subject), "m\",\"name\":\"n", LETHE_MALFORMED, "name that the object has"},
        {FIELD(subject), "m\",\"more\":\"n", LETHE_MALFORMED, "does not know"},
        {FIELD(root), DIGEST_1, LETHE_INTEGRITY, "not that of its resources"},
        {FIELD(root), "EC4916DD", LETHE_MALFORMED, "64 lower-case hex"},
        {FIELD(root), ROOT_1 "\",\"sha512\":\"00", LETHE_MALFORMED, "does not know"},
        {FIELD(root), ROOT_1 "\"}},{\"name\":\"n\",\"digest\":{\"sha256\":\"" ROOT_1,
         LETHE_MALFORMED, "exactly one subject"},
        {FIELD(resources), "", LETHE_INTEGRITY, "not that of its resources"},
        {FIELD(resources), "{}", LETHE_MALFORMED, "resource 0"},
        {FIELD(resources), "{\"name\":\"a\",\"digest\":\"" DIGEST_1 "\",\"algorithm\":\"blake3\"}",
         LETHE_MALFORMED, "algorithm"},
        {FIELD(resources), "{\"name\":\".\",\"digest\":\"" DIGEST_1 "\",\"algorithm\":\"sha256\"}",
         LETHE_MALFORMED, "a single file was signed"},
        {FIELD(resources),
         "{\"name\":\"../a\",\"digest\":\"" DIGEST_1 "\",\"algorithm\":\"sha256\"}",
         LETHE_MALFORMED, "path of a file"},
        {FIELD(resources), "{\"name\":\"/a\",\"digest\":\"" DIGEST_1 "\",\"algorithm\":\"sha256\"}",
         LETHE_MALFORMED, "path of a file"},
        {FIELD(serialization), "{\"method\":\"files\",\"hash_type\":\"blake3\"}", LETHE_MALFORMED,
         "hash_type"},
        {FIELD(serialization), "{\"method\":\"bytes\",\"hash_type\":\"sha256\"}", LETHE_MALFORMED,
         "method"},
        {FIELD(serialization), "{\"method\":\"files\",\"hash_type\":\"sha256\",\"shard_size\":10}",
         LETHE_MALFORMED, "shard_size"},
        {FIELD(serialization), "{\"method\":\"shards\",\"hash_type\":\"sha256\"}", LETHE_MALFORMED,
         "shard_size"},
        {FIELD(serialization),
         "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":true}", LETHE_MALFORMED,
         "symbolic links"},
        {FIELD(serialization),
         "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":0}", LETHE_MALFORMED,
         "neither true nor false"},
        {FIELD(serialization),
         "{\"method\":\"files\",\"hash_type\":\"sha256\",\"ignore_paths\":[1]}", LETHE_MALFORMED,
         "ignore_paths"},
#undef FIELD
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct lethe_error err = {0};
        struct statement statement = good;
        *(const char **)((char *)&statement + wrong[i].field) = wrong[i].text;
        lethe_result result = open_statement(&statement, &err);
        if (result != wrong[i].result || strstr(err.text, wrong[i].why) == NULL)
            fail_msg("statement %zu: %s: %s", i, lethe_result_name(result), err.text);
    }
}

/* Resources with DIGEST_1 and then DIGEST_2, whose names are the variation. */
static lethe_result open_pieces(const char *first, const char *second, struct lethe_error *err)
{
    char resources[400];
    struct statement statement = good;
    snprintf(resources, sizeof resources,
             "{\"name\":\"%s\",\"digest\":\"" DIGEST_1 "\",\"algorithm\":\"sha256\"},"
             "{\"name\":\"%s\",\"digest\":\"" DIGEST_2 "\",\"algorithm\":\"sha256\"}",
             first, second);
    statement.resources = resources;
    statement.root = "d6ba9329f8932c12192b37849f772104d20048f76434a3290512d9d814e4116f";
    statement.serialization = "{\"method\":\"shards\",\"hash_type\":\"sha256\",\"shard_size\":10}";
    return open_statement(&statement, err);
}

static void pieces_must_cover_their_file(void **state)
{
    static const struct {
        const char *first, *second, *why; /* NULL: fine */
    } cases[] = {
        {"a:0:10", "a:10:11", NULL},
        {"a:10:11", "a:0:10", NULL}, /* in any order */
        {"a:b:0:10", "a:b:10:20", NULL},
        {"a:0:1", "b:0:1", NULL},
        {"a:0:10", "a:0:10", "does not follow"},
        {"a:0:10", "a:11:12", "does not follow"},
        {"a:0:9", "a:9:10", "does not follow"},
        {"a:0:10", "a:10:21", "does not follow"},
        {"a:0:10", "a:10:10", "does not follow"},
        {"a:0:10", "a:5:15", "does not follow"},
        {"a:0:10", "a:10", "path:start:end"},
        {"a:0:10", "a:10:", "path:start:end"},
        {"a:0:10", "a:010:11", "path:start:end"},
        {"a:0:10", "a:+10:11", "path:start:end"},
        {"a:0:10", "a:10:18446744073709551617", "path:start:end"},
        {"a:0:10", "a:10:20000000000000000000", "path:start:end"},
        {"a:0:10", ":10:11", "path of a file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lethe_error err = {0};
        lethe_result result = open_pieces(cases[i].first, cases[i].second, &err);
        if (result != (cases[i].why == NULL ? LETHE_OK : LETHE_MALFORMED) ||
            (cases[i].why != NULL && strstr(err.text, cases[i].why) == NULL))
            fail_msg("pieces %zu: %s: %s", i, lethe_result_name(result), err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_forms_of_the_envelope_are_fine),
        cmocka_unit_test(changed_envelopes_are_refused),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(every_added_space_is_noticed),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(the_misspelt_encoding_of_old_is_refused),
        cmocka_unit_test(a_good_statement_is_accepted),
        cmocka_unit_test(statements_with_one_wrong_word_are_refused),
        cmocka_unit_test(pieces_must_cover_their_file),
    };
    return cmocka_run_group_tests(tests, make_pair, free_pair);
}
