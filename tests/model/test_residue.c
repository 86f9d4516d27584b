/* What is left in memory of keys and plaintext. Every search has its positive control: it finds
 * what it looks for while that must be there. */
#include "model_fixture.h"

#include "../crypto/memory_search.h"
#include "model/opened.h"

#define PLAIN_BYTES ((size_t)20 << 20) /* so that there is progress to report in between */

/* Masked, so that the searches do not find what they were given. */
static struct needle data_key;
static struct needle stream_key;
static size_t data_keys_seen; /* while the key must be there */

static void learn_keys(const struct key_use *use, const struct lethe_secret *key)
{
    data_key = needle_of(lethe_secret_bytes_const(key), AEAD_KEY_BYTES);
    data_keys_seen = count_in_own_memory(&data_key);
}

static lethe_result learning_wrap(void *context, const struct key_use *use,
                                  const struct lethe_secret *key, struct buffer *wrapped,
                                  struct lethe_error *err)
{
    learn_keys(use, key);
    return test_wrap(context, use, key, wrapped, err);
}

static lethe_result learning_unwrap(void *context, const struct key_use *use, const char *wrapped,
                                    struct lethe_secret **key, struct lethe_error *err)
{
    TRY(test_unwrap(context, use, wrapped, key, err));
    learn_keys(use, *key);
    return LETHE_OK;
}

/* The key that Tink derives, as it will be in the first round keys of AES-256. */
static void derive_stream_key(struct fixture *f, const struct model *model)
{
    const struct shard *shard = &model_manifest(model)->shards[0];
    CLEANUP(buffer_clear) struct buffer aad = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    size_t size;
    CLEANUP(memory_free) uint8_t *cipher = get_file(AT(f, "model/shards/0000.tink"), &size);
    manifest_shard_aad(model_manifest(model), shard, &aad);
    const struct key_use use = {.key = shard->key, .aad = aad.bytes, .aad_bytes = aad.size_bytes};
    assert_ok(test_unwrap(f->keys, &use, shard->wrapped_key, &key, &f->err), &f->err);
    assert_ok(lethe_secret_create(AEAD_KEY_BYTES, &derived, &f->err), &f->err);
    const struct hkdf_input input = {.hash = HKDF_SHA256,
                                     .key = lethe_secret_bytes(key),
                                     .key_bytes = AEAD_KEY_BYTES,
                                     .salt = cipher + 1,
                                     .salt_bytes = AEAD_KEY_BYTES,
                                     .info = aad.bytes,
                                     .info_bytes = aad.size_bytes};
    assert_ok(hkdf(&input, lethe_secret_bytes(derived), AEAD_KEY_BYTES, &f->err), &f->err);
    stream_key = needle_of(lethe_secret_bytes(derived), AEAD_KEY_BYTES);
}

struct sight {
    unsigned reports;
    size_t data_keys;
    size_t stream_keys;
};

static void look(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct sight *sight = context;
    sight->reports++;
    sight->data_keys += count_in_own_memory(&data_key);
    sight->stream_keys += count_in_own_memory(&stream_key);
}

/* Plaintext that is nowhere in memory once this returns. */
static struct needle put_source_and_learn(struct fixture *f, size_t offset)
{
    uint8_t *bytes = pattern(PLAIN_BYTES, 5);
    put_file(AT(f, "a.bin"), bytes, PLAIN_BYTES);
    struct needle needle = needle_of(bytes + offset, 32);
    assert_true(count_in_own_memory(&needle) > 0);
    lethe_wipe(bytes, PLAIN_BYTES);
    free(bytes);
    assert_int_equal(count_in_own_memory(&needle), 0);
    return needle;
}

static struct needle put_source(struct fixture *f)
{
    return put_source_and_learn(f, PLAIN_BYTES - 4000);
}

/* Z-2 */
static void a_key_is_gone_before_its_shard_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct needle plain = put_source(f);
    f->keys->source.wrap = learning_wrap;
    f->keys->source.unwrap = learning_unwrap;
    must_encrypt(f, AT(f, "a.bin"), AT(f, "model"));
    assert_true(data_keys_seen > 0);
    assert_int_equal(count_in_own_memory(&data_key), 0);
    assert_int_equal(count_in_own_memory(&plain), 0);

    struct model *model = must_open(f, AT(f, "model"));
    derive_stream_key(f, model);
    assert_int_equal(count_in_own_memory(&stream_key), 0);
    struct sight sight = {0};
    const struct model_progress progress = {.report = look, .context = &sight};
    const struct model_work work = {.threads = 1, .progress = &progress};
    uint8_t *loaded = malloc(PLAIN_BYTES);
    assert_ok(model_load_shard(model, 0, &f->keys->source, loaded, &work, &f->err), &f->err);
    assert_true(data_keys_seen > 0 && sight.reports > 1);
    assert_int_equal(sight.data_keys, 0);            /* while the shard was being decrypted */
    assert_true(sight.stream_keys >= sight.reports); /* which took its own key */
    assert_int_equal(count_in_own_memory(&data_key), 0);
    assert_int_equal(count_in_own_memory(&stream_key), 0);
    assert_int_equal(count_in_own_memory(&plain), 1); /* where the caller wanted it */
    lethe_wipe(loaded, PLAIN_BYTES);
    free(loaded);
    model_close(model);
}

/* E-1 */
static void no_plaintext_stays_behind(void **state)
{
    struct fixture *f = *state;
    struct needle plain = put_source(f);
    must_encrypt(f, AT(f, "a.bin"), AT(f, "model"));
    struct model *model = must_open(f, AT(f, "model"));
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    assert_int_equal(count_in_own_memory(&plain), 0);
    assert_ok(model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err), &f->err);
    assert_int_equal(count_in_own_memory(&plain), 0);
    model_close(model);
}

static struct needle carried; /* at the first report: in a block that goes on in the next segment */
static size_t carried_seen;

static void look_once(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    if (carried_seen == 0)
        carried_seen = count_in_own_memory(&carried);
}

static lethe_result no_record(void *context, const struct reencrypt_summary *summary,
                              struct lethe_error *err)
{
    return LETHE_OK;
}

/* E-1, Z-2: the data keys of both, and the plaintext in between. */
static void nothing_stays_behind_when_a_model_is_encrypted_anew(void **state)
{
    struct fixture *f = *state;
    size_t ninth_segment_end = 9 * (((size_t)1 << 20) - 16) - 40;
    struct reencrypt_summary summary;
    carried = put_source_and_learn(f, ninth_segment_end - 100);
    must_encrypt(f, AT(f, "a.bin"), AT(f, "model"));
    const struct model_progress progress = {.report = look_once};
    const struct reencrypt_options options = {.path = AT(f, "model"),
                                              .threads = 1,
                                              .clock = &fixed_clock,
                                              .random = &random_system,
                                              .progress = &progress,
                                              .published = no_record};
    f->keys->source.wrap = learning_wrap;
    f->keys->source.unwrap = learning_unwrap;
    assert_ok(model_reencrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    assert_true(carried_seen > 0 && data_keys_seen > 0);
    assert_int_equal(count_in_own_memory(&carried), 0);
    assert_int_equal(count_in_own_memory(&data_key), 0);
}

/* The text of an exported keyset is as secret as the key. */
static void an_exported_keyset_is_wiped(void **state)
{
    struct fixture *f = *state;
    struct lethe_secret *key;
    struct lethe_secret *text;
    assert_ok(lethe_secret_create(AEAD_KEY_BYTES, &key, &f->err), &f->err);
    assert_result(LETHE_OK, random_fill(&random_system, lethe_secret_bytes(key), AEAD_KEY_BYTES));
    assert_ok(tink_keyset_json(&tink_shard_parameters, key, &text, &f->err), &f->err);
    struct needle raw = needle_of(lethe_secret_bytes(key), AEAD_KEY_BYTES);
    const char *value = strstr((const char *)lethe_secret_bytes(text), "\"value\":\"");
    struct needle encoded = needle_of(value + 30, 32); /* within the base64 of the key */
    assert_int_equal(count_in_own_memory(&raw), 1);
    assert_int_equal(count_in_own_memory(&encoded), 1);
    lethe_secret_free(text);
    lethe_secret_free(key);
    assert_int_equal(count_in_own_memory(&raw), 0);
    assert_int_equal(count_in_own_memory(&encoded), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_gone_before_its_shard_is_loaded),
        TEST(no_plaintext_stays_behind),
        TEST(nothing_stays_behind_when_a_model_is_encrypted_anew),
        TEST(an_exported_keyset_is_wiped),
    };
    return cmocka_run_group_tests_name("residue", tests, NULL, NULL);
}
