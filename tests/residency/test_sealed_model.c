/* Shards straight from encrypted models: the manifest's content and no other, and no key left. */
#include "../model/model_fixture.h"

#include <pthread.h>

#include "crypto/memory_search.h"
#include "device/ops.h"
#include "model/handle.h"
#include "model/load_device.h"
#include "model/opened.h"
#include "residency/inside.h"

#define MIB ((size_t)1 << 20)
#define LARGE (9 * MIB + 12345) /* ten segments */

static struct needle data_key; /* the last one that was given out */
static size_t data_keys_seen;

static lethe_result learning_unwrap(void *context, const struct key_use *use, const char *wrapped,
                                    struct lethe_secret **key, struct lethe_error *err)
{
    TRY(test_unwrap(context, use, wrapped, key, err));
    data_key = needle_of(lethe_secret_bytes_const(*key), AEAD_KEY_BYTES);
    data_keys_seen = count_in_own_memory(&data_key);
    return LETHE_OK;
}

struct setup {
    struct fixture *files;
    struct key_source keys;
    struct lethe_model handle;
    struct lethe_worker *worker;
    struct lethe_error err;
};

static void put_sources(struct setup *s)
{
    struct fixture *f = s->files;
    assert_int_equal(mkdir(AT(f, "in"), 0700), 0);
    put_pattern(AT(f, "in/a"), LARGE, 1);
    put_pattern(AT(f, "in/b"), 777, 2);
    put_text(AT(f, "in/c"), "");
    (void)must_encrypt(f, AT(f, "in"), AT(f, "model"));
}

static void open_worker(struct setup *s, enum lethe_seal_profile profile)
{
    const struct lethe_worker_options options = {.name = "w",
                                                 .policy = LETHE_HOST_ALLOWED,
                                                 .profile = profile,
                                                 .threads = 2,
                                                 .optional = LETHE_LOCKED};
    assert_ok(lethe_worker_free(s->worker, &s->err), &s->err);
    s->worker = NULL;
    assert_ok(lethe_worker_create(&options, &s->worker, &s->err), &s->err);
}

static int setup(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(fixture_setup((void **)&s->files), 0);
    put_sources(s);
    s->keys = s->files->keys->source;
    s->keys.unwrap = learning_unwrap;
    s->handle =
        (struct lethe_model){.model = must_open(s->files, AT(s->files, "model")), .keys = &s->keys};
    open_worker(s, LETHE_SEAL);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct setup *s = *state;
    assert_ok(lethe_worker_free(s->worker, &s->err), &s->err);
    model_close(s->handle.model);
    int result = fixture_teardown((void **)&s->files);
    free(s);
    return result;
}

static lethe_result seal(struct setup *s, size_t index, const struct lethe_placement *placement,
                         struct lethe_shard **out)
{
    s->err = (struct lethe_error){0};
    return lethe_shard_seal_model(s->worker, &s->handle, index, placement, out, &s->err);
}

static const struct lethe_placement by_default = {0};

static void must_hold(struct setup *s, struct lethe_shard *shard, const char *source)
{
    size_t size_bytes;
    uint8_t *expected = get_file(AT(s->files, source), &size_bytes);
    assert_int_equal(lethe_shard_size(shard), size_bytes);
    assert_memory_equal(device_memory_address(shard->memory), expected, size_bytes);
    free(expected);
}

static void assert_nothing_left(struct setup *s)
{
    struct lethe_capacity capacity;
    assert_result(LETHE_OK, lethe_worker_capacity(s->worker, 0, &capacity));
    assert_int_equal(capacity.used_bytes, 0);
}

/* E-1 CI-004: the manifest's digest is the seal's, of what is in place. */
static void a_models_shards_are_sealed(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a, *b;
    struct lethe_seal seal_a;
    char digest[65];
    assert_ok(seal(s, 0, &by_default, &a), &s->err);
    assert_ok(seal(s, 1, &by_default, &b), &s->err);
    must_hold(s, a, "in/a");
    must_hold(s, b, "in/b");
    lethe_shard_get_seal(a, &seal_a);
    hex_encode(model_manifest(s->handle.model)->shards[0].digest, 32, digest);
    assert_string_equal(seal_a.digest, digest);
    assert_string_equal(seal_a.id, "0000");
    assert_string_equal(a->tenant, "acme");
    assert_ok(lethe_shard_verify(a, LETHE_VERIFY_FULL, &s->err), &s->err);
    assert_ok(lethe_shard_verify(a, LETHE_VERIFY_FAST, &s->err), &s->err);

    struct lethe_shard *again;
    assert_result(LETHE_EXISTS, seal(s, 0, &by_default, &again));
    const struct lethe_placement named = {.id = "copy", .tenant = "other"};
    assert_ok(seal(s, 0, &named, &again), &s->err);
    assert_string_equal(lethe_shard_id(again), "copy");
    assert_ok(lethe_shard_evict(a, &s->err), &s->err);
    assert_ok(lethe_shard_evict(b, &s->err), &s->err);
    assert_ok(lethe_shard_evict(again, &s->err), &s->err);
    assert_nothing_left(s);
}

/* Z-2: the data key is nowhere once the shard is sealed; it was somewhere while it was used. */
static void no_data_key_is_left(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    data_keys_seen = 0;
    assert_ok(seal(s, 0, &by_default, &a), &s->err);
    assert_true(data_keys_seen > 0);
    assert_int_equal(count_in_own_memory(&data_key), 0);
}

/* CI-004: in the contract's profile the seal has another kind of digest, and the manifest's is
 * checked all the same. */
static void the_contract_checks_the_manifest_too(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    struct lethe_seal seal_a;
    uint8_t digest[SHA256_BYTES];
    char hex[65];
    open_worker(s, LETHE_SEAL_CONTRACT);
    assert_ok(seal(s, 0, &by_default, &a), &s->err);
    size_t size_bytes;
    uint8_t *expected = get_file(AT(s->files, "in/a"), &size_bytes);
    sha256(expected, size_bytes, digest);
    hex_encode(digest, sizeof digest, hex);
    free(expected);
    lethe_shard_get_seal(a, &seal_a);
    assert_string_equal(seal_a.digest, hex);
    assert_ok(lethe_shard_evict(a, &s->err), &s->err);
    s->handle.model->manifest->shards[0].digest[31] ^= 1;
    assert_result(LETHE_INTEGRITY, seal(s, 0, &by_default, &a));
    s->handle.model->manifest->shards[0].digest[31] ^= 1;
    assert_nothing_left(s);
}

/* E-1: a manifest that promises something else. */
static void not_the_manifests_digest(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    s->handle.model->manifest->shards[0].digest[0] ^= 1;
    assert_result(LETHE_INTEGRITY, seal(s, 0, &by_default, &a));
    assert_null(a);
    s->handle.model->manifest->shards[0].digest[0] ^= 1;
    assert_nothing_left(s);
    const struct lethe_placement other = {
        .expected_digest = "0000000000000000000000000000000000000000000000000000000000000000"};
    assert_result(LETHE_INTEGRITY, seal(s, 0, &other, &a));
    assert_nothing_left(s);
    assert_ok(seal(s, 0, &by_default, &a), &s->err);
}

static void flip_in_file(struct setup *s, off_t at)
{
    int fd = open(AT(s->files, "model/shards/0000.tink"), O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x20;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Z-1: in the first, a middle and the last segment, in header and tag; nothing is left of the rest.
 */
static void changed_ciphertext_is_refused(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    const off_t size = (off_t)model_manifest(s->handle.model)->shards[0].cipher_size;
    const off_t places[] = {0, 5, 39, 40, (off_t)MIB - 1, (off_t)MIB, (off_t)(5 * MIB), size - 1};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        flip_in_file(s, places[i]);
        assert_result(LETHE_INTEGRITY, seal(s, 0, &by_default, &a));
        assert_null(a);
        assert_nothing_left(s);
        flip_in_file(s, places[i]);
    }
    assert_ok(seal(s, 0, &by_default, &a), &s->err);
}

static void what_the_keys_say_counts(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    static const lethe_result answers[] = {LETHE_DENIED, LETHE_REVOKED, LETHE_NOT_FOUND,
                                           LETHE_UNAVAILABLE};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        s->files->keys->answer = answers[i];
        assert_result(answers[i], seal(s, 0, &by_default, &a));
        assert_nothing_left(s);
    }
    s->files->keys->answer = LETHE_OK;
    assert_ok(seal(s, 0, &by_default, &a), &s->err);
}

static void arguments_that_are_no_shard(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    assert_result(LETHE_INVALID, seal(s, 3, &by_default, &a));
    assert_result(LETHE_INVALID, seal(s, SIZE_MAX, &by_default, &a));
    assert_result(LETHE_INVALID, seal(s, 2, &by_default, &a)); /* an empty file */
    assert_string_equal(s->err.text, "'0002' has no bytes: there is nothing to seal");
    assert_string_equal(s->err.hint, "leave it out");
    assert_result(LETHE_INVALID,
                  lethe_shard_seal_model(s->worker, NULL, 0, &by_default, &a, &s->err));
    s->worker->shard_limit_bytes = MIB;
    assert_result(LETHE_LIMIT, seal(s, 0, &by_default, &a)); /* IV-001: before any memory */
    assert_nothing_left(s);
}

/* ---- devices that take many segments at once ------------------------------------------------- */

/* VP-001: as accelerators do. */
static void segments_by_the_batch(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *a;
    struct device_ops batches = device_ops_host;
    for (size_t at_once = 2; at_once <= 16; at_once += 7) {
        batches.segments_at_once = at_once;
        s->worker->devices[0]->ops = &batches;
        assert_ok(seal(s, 0, &by_default, &a), &s->err);
        must_hold(s, a, "in/a");
        assert_ok(lethe_shard_evict(a, &s->err), &s->err);
        flip_in_file(s, (off_t)(5 * MIB + 7));
        assert_result(LETHE_INTEGRITY, seal(s, 0, &by_default, &a));
        assert_non_null(strstr(s->err.text, "segment 6 of 10"));
        flip_in_file(s, (off_t)(5 * MIB + 7));
        s->worker->devices[0]->ops = &device_ops_host;
    }
    assert_nothing_left(s);
}

/* ---- from several threads -------------------------------------------------------------------- */

struct loader {
    struct setup *s;
    char id[8];
    lethe_result result;
};

static void *load(void *context)
{
    struct loader *self = context;
    const struct lethe_placement placement = {.id = self->id};
    struct lethe_error err = {0};
    for (unsigned i = 0; i < 5 && self->result == LETHE_OK; i++) {
        struct lethe_shard *shard;
        self->result =
            lethe_shard_seal_model(self->s->worker, &self->s->handle, 0, &placement, &shard, &err);
        if (self->result == LETHE_OK)
            self->result = lethe_shard_evict(shard, &err);
    }
    return NULL;
}

static void loaded_by_many_threads(void **state)
{
    struct setup *s = *state;
    struct loader loaders[4];
    pthread_t threads[4];
    s->keys.unwrap = test_unwrap;
    for (unsigned i = 0; i < 4; i++) {
        loaders[i] = (struct loader){.s = s};
        snprintf(loaders[i].id, sizeof loaders[i].id, "t%u", i);
        assert_int_equal(pthread_create(&threads[i], NULL, load, &loaders[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_result(LETHE_OK, loaders[i].result);
    }
    assert_int_equal(s->files->keys->unwrapped, 20);
    assert_nothing_left(s);
}

/* W-4: members from a model and from bytes. */
static void a_group_from_a_model(void **state)
{
    struct setup *s = *state;
    struct lethe_group *group;
    uint8_t bytes[64] = {1};
    struct lethe_group_member members[] = {
        {.model = &s->handle, .shard_index = 0},
        {.model = &s->handle, .shard_index = 1},
        {.placement = {.id = "router"}, .bytes = bytes, .size_bytes = sizeof bytes}};
    assert_ok(lethe_group_seal(s->worker, "g", members, 3, &group, &s->err), &s->err);
    assert_ok(lethe_group_verify(group, LETHE_VERIFY_FULL, &s->err), &s->err);
    assert_ok(lethe_group_evict(group, &s->err), &s->err);
    members[1].shard_index = 9;
    assert_result(LETHE_INVALID, lethe_group_seal(s->worker, "g", members, 3, &group, &s->err));
    assert_nothing_left(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_models_shards_are_sealed),
        TEST(no_data_key_is_left),
        TEST(the_contract_checks_the_manifest_too),
        TEST(not_the_manifests_digest),
        TEST(changed_ciphertext_is_refused),
        TEST(what_the_keys_say_counts),
        TEST(arguments_that_are_no_shard),
        TEST(segments_by_the_batch),
        TEST(loaded_by_many_threads),
        TEST(a_group_from_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
