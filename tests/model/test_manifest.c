/* manifest.json: what is taken, what is written, and the many ways in which it may not be said. */
#include "check.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/json.h"
#include "model/manifest.h"
#include "model/paths.h"

static const char good[] =
    "{\"created\":\"2026-11-20T12:00:00Z\",\"format\":\"lethe-model/1\",\"model\":\"vad\","
    "\"release\":7,\"shards\":["
    "{\"cipher\":\"AES256_GCM_HKDF_1MB\",\"cipher_size\":156,"
    "\"digest\":\"fsverity-sha256:"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
    "\"file\":\"shards/0000.tink\",\"id\":\"0000\",\"key\":\"acme.vad.hot\",\"key_version\":3,"
    "\"kind\":\"weights\",\"name\":\"a/b.safetensors\",\"size\":100,"
    "\"tensors\":[{\"begin\":60,\"dtype\":\"F32\",\"end\":100,\"name\":\"w\",\"shape\":[2,5]}],"
    "\"tier\":\"hot\",\"type\":\"safetensors\",\"wrapped_key\":\"vault:v3:AAAA\"},"
    "{\"cipher\":\"AES256_GCM_HKDF_1MB\",\"cipher_size\":56,"
    "\"digest\":\"fsverity-sha256:"
    "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95\","
    "\"file\":\"shards/0001.tink\",\"id\":\"0001\",\"key\":\"acme.vad.cold\",\"key_version\":12,"
    "\"kind\":\"other\",\"name\":\"c\",\"size\":0,\"tensors\":[],"
    "\"tier\":\"cold\",\"type\":\"other\",\"wrapped_key\":\"vault:v12:BBBB\"}"
    "],\"tenant\":\"acme\"}\n";

static struct lethe_error err;

static void what_is_read_is_written_again(void **state)
{
    struct manifest *m;
    assert_ok(manifest_parse(good, sizeof good - 1, &m, &err), &err);
    assert_string_equal(m->tenant, "acme");
    assert_int_equal(m->release, 7);
    assert_int_equal(m->count, 2);
    assert_string_equal(m->shards[0].name, "a/b.safetensors");
    assert_int_equal(m->shards[0].tier, TIER_HOT);
    assert_int_equal(m->shards[0].kind, SHARD_WEIGHTS);
    assert_int_equal(m->shards[0].digest[1], 0x23);
    assert_int_equal(m->shards[0].tensors.count, 1);
    assert_int_equal(m->shards[0].tensors.tensors[0].shape[1], 5);
    assert_int_equal(m->shards[1].key_version, 12);
    assert_int_equal(m->shards[1].tier, TIER_COLD);

    CLEANUP(buffer_clear) struct buffer text = {0};
    assert_ok(manifest_write(m, &text, &err), &err);
    assert_string_equal(text.bytes, good);
    manifest_free(m);
}

/* docs/formats.md: le32-prefixed list of six texts. */
static void associated_data_is_as_documented(void **state)
{
    struct manifest *m;
    assert_ok(manifest_parse(good, sizeof good - 1, &m, &err), &err);
    CLEANUP(buffer_clear) struct buffer aad = {0};
    manifest_shard_aad(m, &m->shards[0], &aad);
    static const char expected[] = "\x0d\0\0\0lethe-shard/1\4\0\0\0acme\3\0\0\0vad\4\0\0\0"
                                   "0000\3\0\0\0hot\3\0\0\0"
                                   "100";
    assert_int_equal(aad.size_bytes, sizeof expected - 1);
    assert_memory_equal(aad.bytes, expected, sizeof expected - 1);
    manifest_free(m);
}

/* `from`, where it stands first, becomes `to`. */
static void assert_refused(const char *from, const char *to, const char *why)
{
    const char *at = strstr(good, from);
    assert_non_null(at);
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_append(&text, good, (size_t)(at - good));
    buffer_text(&text, to);
    buffer_text(&text, at + strlen(from));
    struct manifest *m;
    err = (struct lethe_error){0};
    lethe_result result = manifest_parse(text.bytes, text.size_bytes, &m, &err);
    assert_null(m);
    if (result != LETHE_MALFORMED || err.code != LETHE_MALFORMED || strstr(err.text, why) == NULL)
        fail_msg("%s instead of %s: %s: \"%s\" does not say \"%s\"", to, from,
                 lethe_result_name(result), err.text, why);
}

static void bad_manifests_are_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        const char *why;
    } cases[] = {
        {"{", "", ""},
        {"]", "", ""},
        {"\"release\":7", "\"release\":7,\"extra\":1", "does not know"},
        {"\"release\":7", "\"release\":7,\"release\":7", "already"},
        {"\"release\":7,", "", "release"},
        {"\"release\":7", "\"release\":\"7\"", "release"},
        {"\"release\":7", "\"release\":-7", "release"},
        {"\"release\":7", "\"release\":7.5", "release"},
        {"\"release\":7", "\"release\":0", "start at 1"},
        {"\"release\":7", "\"release\":9007199254740992", "release"},
        {"lethe-model/1", "lethe-model/2", "format"},
        {"2026-11-20T12:00:00Z", "2026-11-20 12:00:00Z", "created"},
        {"2026-11-20T12:00:00Z", "2026-11-20T12:00:00.1Z", "created"},
        {"\"model\":\"vad\"", "\"model\":\"va d\"", "model"},
        {"\"model\":\"vad\"", "\"model\":\"\"", "model"},
        {"\"model\":\"vad\"", "\"model\":\"dav\"", "key"},
        {"\"tenant\":\"acme\"", "\"tenant\":\"../acme\"", "tenant"},
        {"\"tenant\":\"acme\"", "\"tenant\":\"emca\"", "key"},
        {"AES256_GCM_HKDF_1MB", "AES256_GCM_HKDF_4KB", "cipher"},
        {"\"cipher_size\":156", "\"cipher_size\":157", "cipher_size"},
        {"\"size\":100", "\"size\":99", "cipher_size"},
        {"\"size\":100", "\"size\":9007199254740991", "size"},
        {"fsverity-sha256:01", "sha256:01", "digest"},
        {"fsverity-sha256:01", "fsverity-sha256:0", "digest"},
        {"fsverity-sha256:01234", "fsverity-sha256:0123A", "digest"},
        {"shards/0000.tink", "shards/0001.tink", "file"},
        {"shards/0000.tink", "../0000.tink", "file"},
        {"\"id\":\"0000\"", "\"id\":\"../0\"", "id"},
        {"\"id\":\"0000\"", "\"id\":\"\"", "id"},
        {"acme.vad.hot", "acme.vad.cold", "key"},
        {"acme.vad.hot", "evil.vad.hot", "key"},
        {"\"key_version\":3", "\"key_version\":4", "wrapped_key"},
        {"vault:v3:AAAA", "vault:v33:AAAA", "wrapped_key"},
        {"vault:v3:AAAA", "AAAA", "wrapped_key"},
        {"\"kind\":\"weights\"", "\"kind\":\"heavy\"", "kind"},
        {"a/b.safetensors", "/etc/passwd", "name"},
        {"a/b.safetensors", "a/../../b", "name"},
        {"a/b.safetensors", "a\\u0000b", ""},
        {"a/b.safetensors", "a\\nb", "name"},
        {"a/b.safetensors", "c", "name"},
        {"a/b.safetensors", "c/d", "name"},
        {"\"tier\":\"hot\"", "\"tier\":\"lukewarm\"", "tier"},
        {"\"tier\":\"hot\"", "\"tier\":\"warm\"", "key"},
        {"\"type\":\"safetensors\"", "\"type\":\"pickle\"", "type"},
        {"\"type\":\"safetensors\"", "\"type\":\"other\"", "dtype"},
        {"\"begin\":60", "\"begin\":101", "range"},
        {"\"end\":100", "\"end\":101", "range"},
        {"\"end\":100", "\"end\":59", "range"},
        {"\"F32\"", "\"F33\"", "dtype"},
        {"\"name\":\"w\"", "\"name\":\"\"", "name"},
        {"[2,5]", "[2,-5]", "shape"},
        {"[2,5]", "[1,1,1,1,1,1,1,1,10]", "dimensions"},
        {"[2,5]", "[2,\"5\"]", "shape"},
        {"[2,5]", "{}", "shape"},
        {"}\n", "} {}\n", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i].from, cases[i].to, cases[i].why);
}

static void the_same_id_twice_is_refused(void **state)
{
    static const char *const parts[] = {"shards/0001.tink", "\"id\":\"0001\""};
    static const char *const same[] = {"shards/0000.tink", "\"id\":\"0000\""};
    CLEANUP(buffer_clear) struct buffer text = {0};
    const char *rest = good;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *at = strstr(rest, parts[i]);
        buffer_append(&text, rest, (size_t)(at - rest));
        buffer_text(&text, same[i]);
        rest = at + strlen(parts[i]);
    }
    buffer_text(&text, rest);
    struct manifest *m;
    assert_result(LETHE_MALFORMED, manifest_parse(text.bytes, text.size_bytes, &m, &err));
    assert_non_null(strstr(err.text, "'id'"));
}

static void no_shards_are_refused(void **state)
{
    static const char text[] = "{\"created\":\"2026-11-20T12:00:00Z\",\"format\":\"lethe-model/1\","
                               "\"model\":\"vad\",\"release\":1,\"shards\":[],\"tenant\":\"t\"}";
    struct manifest *m;
    assert_result(LETHE_MALFORMED, manifest_parse(text, sizeof text - 1, &m, &err));
    assert_result(LETHE_MALFORMED, manifest_parse("", 0, &m, &err));
    assert_result(LETHE_MALFORMED, manifest_parse("[]", 2, &m, &err));
    assert_result(LETHE_MALFORMED, manifest_parse("{}", 2, &m, &err));
}

static void every_cut_is_refused(void **state)
{
    struct manifest *m;
    for (size_t size = 0; size < sizeof good - 2; size++)
        assert_result(LETHE_MALFORMED, manifest_parse(good, size, &m, &err));
}

static void words_have_names(void **state)
{
    enum tier tier;
    enum shard_kind kind;
    for (enum tier t = TIER_HOT; t <= TIER_ARCHIVE; t++) {
        assert_result(LETHE_OK, tier_parse(tier_name(t), &tier));
        assert_int_equal(tier, t);
    }
    for (enum shard_kind k = SHARD_WEIGHTS; k <= SHARD_OTHER; k++) {
        assert_result(LETHE_OK, shard_kind_parse(shard_kind_name(k), &kind));
        assert_int_equal(kind, k);
    }
    assert_result(LETHE_INVALID, tier_parse("Hot", &tier));
    assert_result(LETHE_INVALID, shard_kind_parse("", &kind));
}

static void paths_that_are_in_each_others_way(void **state)
{
    const char *fine[] = {"b", "a.b", "a/b", "a-b", "a/c/d"};
    assert_null(paths_clash(fine, ARRAY_LEN(fine)));
    static const char *const sorted[] = {"a/b", "a/c/d", "a-b", "a.b", "b"};
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        assert_string_equal(fine[i], sorted[i]);
    const char *twice[] = {"b", "a", "b"};
    assert_string_equal(paths_clash(twice, 3), "b");
    const char *folder[] = {"a.b", "a/b", "a"}; /* "a.b" must not come between */
    assert_string_equal(paths_clash(folder, 3), "a/b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_again),
        cmocka_unit_test(associated_data_is_as_documented),
        cmocka_unit_test(bad_manifests_are_refused),
        cmocka_unit_test(the_same_id_twice_is_refused),
        cmocka_unit_test(no_shards_are_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(words_have_names),
        cmocka_unit_test(paths_that_are_in_each_others_way),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
