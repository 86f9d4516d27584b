/* Sealing: what a seal says, that nothing else passes for one, and what is refused. */
#include "residency_check.h"

#include "../mem/child.h"
#include "crypto/tree.h"
#include "device/ops.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* ---- what it says ---------------------------------------------------------------------------- */

/* CI-001 CI-002 RP-005 */
static void sealed_verified_and_evicted(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal;
    uint64_t before = used_bytes(site);
    struct lethe_shard *shard = must_seal(site, "layer_0-7", 3 * MIB + 5);
    lethe_shard_get_seal(shard, &seal);
    assert_string_equal(seal.id, "layer_0-7");
    assert_string_equal(seal.device, "host:0");
    assert_int_equal(seal.sealed_at_s, 1795176000);
    assert_string_equal(lethe_shard_id(shard), "layer_0-7");
    assert_int_equal(lethe_shard_size(shard), 3 * MIB + 5);
    assert_int_equal(used_bytes(site), before + 3 * MIB + 5);
    assert_ok(lethe_seal_check(site->worker, &seal, &site->err), &site->err);

    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_SIGNATURE, &site->err), &site->err);
    must_evict(site, shard);
    assert_int_equal(used_bytes(site), before);

    assert_recorded(1, site, "\"event\":\"vram_allocated\"", "\"requested_bytes\":3145733",
                    "\"allocated_bytes\":3145733", "\"device\":\"host:0\"", "\"worker\":\"w0\"",
                    "\"tenant\":\"acme\"");
    assert_recorded(1, site, "\"event\":\"vram_sealed\"", "\"shard\":\"layer_0-7\"",
                    "\"bytes\":3145733", seal.digest, "\"mode\":\"fast\"");
    assert_recorded(1, site, "\"event\":\"seal_verified\"", "\"mode\":\"fast\"", "\"count\":1");
    assert_recorded(1, site, "\"event\":\"seal_verified\"", "\"mode\":\"full\"", "\"count\":1");
    assert_recorded(1, site, "\"event\":\"seal_verified\"", "\"mode\":\"signature\"");
    assert_recorded(1, site, "\"event\":\"vram_deallocated\"", "\"shard\":\"layer_0-7\"",
                    "\"freed_bytes\":3145733", "\"wiped\":true", "\"worker\":\"w0\"");
}

/* CI-004: fs-verity by default, and what the device holds, not what the caller had. */
static void the_digest_is_of_what_the_device_holds(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal;
    uint8_t digest[TREE_HASH_BYTES];
    char hex[65];
    uint8_t *bytes = weights_of(MIB + 3, 1);
    assert_ok(tree_digest(bytes, MIB + 3, 1, digest, &site->err), &site->err);
    hex_encode(digest, sizeof digest, hex);
    struct lethe_shard *shard = must_seal(site, "a", MIB + 3);
    lethe_shard_get_seal(shard, &seal);
    assert_string_equal(seal.digest, hex);
    must_evict(site, shard);
    free(bytes);
}

/* A device that keeps something else than it was given. */
static struct device_ops wrong_ops;
static lethe_result write_wrong(struct device_memory *memory, uint64_t offset, const void *bytes,
                                uint64_t size_bytes, struct lethe_error *err)
{
    TRY(device_ops_host.write(memory, offset, bytes, size_bytes, err));
    ((uint8_t *)device_memory_address(memory))[size_bytes / 2] ^= 0x10;
    return LETHE_OK;
}

/* CI-004 */
static void what_the_device_got_wrong_is_seen(void **state)
{
    struct site *site = *state;
    struct device *device = site->worker->devices[0];
    struct lethe_shard *shard;
    uint8_t digest[TREE_HASH_BYTES];
    char hex[65];
    uint8_t *bytes = weights_of(MIB, 1);
    assert_ok(tree_digest(bytes, MIB, 1, digest, &site->err), &site->err);
    hex_encode(digest, sizeof digest, hex);
    const struct lethe_placement placement = {.id = "a", .expected_digest = hex};

    wrong_ops = device_ops_host;
    wrong_ops.write = write_wrong;
    device->ops = &wrong_ops;
    lethe_result result =
        lethe_shard_seal(site->worker, &placement, bytes, MIB, false, &shard, &site->err);
    device->ops = &device_ops_host;
    assert_result(LETHE_INTEGRITY, result);
    assert_non_null(strstr(site->err.text, hex));
    assert_null(shard);
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_READY);
    assert_int_equal(used_bytes(site), 0);
    assert_recorded(1, site, "\"event\":\"integrity_violation\"", "\"what\":\"a\"",
                    "\"severity\":\"critical\"");

    device->ops = &wrong_ops; /* refused all the same when that cannot be recorded */
    atomic_store(&site->log_fails, true);
    result = lethe_shard_seal(site->worker, &placement, bytes, MIB, false, &shard, &site->err);
    atomic_store(&site->log_fails, false);
    device->ops = &device_ops_host;
    assert_result(LETHE_INTEGRITY, result);
    assert_non_null(strstr(site->err.hint, "not on record"));

    assert_ok(lethe_shard_seal(site->worker, &placement, bytes, MIB, false, &shard, &site->err),
              &site->err);
    must_evict(site, shard);
    free(bytes);
}

/* Somebody writes between the two looks that sealing takes. */
static lethe_result tags_then_change(const struct device_memory *memory,
                                     const struct device_key *key, unsigned threads, uint8_t *tags,
                                     struct lethe_error *err)
{
    struct device_memory *changed = (struct device_memory *)(uintptr_t)memory;
    TRY(device_ops_host.tags(memory, key, threads, tags, err));
    TRY(device_ops_host.set_read_only(changed, false, err));
    ((uint8_t *)device_memory_address(changed))[3] ^= 4;
    return device_ops_host.set_read_only(changed, true, err);
}

/* CI-004 */
static void a_change_while_it_is_sealed_is_seen(void **state)
{
    struct site *site = *state;
    struct device *device = site->worker->devices[0];
    struct lethe_shard *shard;
    struct lethe_seal seal;
    uint8_t *bytes = weights_of(MIB, 1);
    shard = must_seal(site, "a", MIB);
    lethe_shard_get_seal(shard, &seal);
    must_evict(site, shard);
    const struct lethe_placement expecting = {.id = "a", .expected_digest = seal.digest};
    wrong_ops = device_ops_host;
    wrong_ops.tags = tags_then_change;
    device->ops = &wrong_ops;
    lethe_result expected =
        lethe_shard_seal(site->worker, &expecting, bytes, MIB, false, &shard, &site->err);
    lethe_result unexpected = try_seal(site, "a", MIB, &shard);
    device->ops = &device_ops_host;
    assert_result(LETHE_INTEGRITY, expected);
    assert_result(LETHE_OK, unexpected);
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err));
    free(bytes);
}

/* IV-004, and a digest that belongs to something else. */
static void an_expected_digest_must_be_met(void **state)
{
    struct site *site = *state;
    static const char *const malformed[] = {
        "",
        "0",
        "fsverity-sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000000000000000000000000000000000000000000",
        "00000000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000000000000000000000000000000000000000000g",
        "000000000000000000000000000000000000000000000000000000000000000A",
        " 00000000000000000000000000000000000000000000000000000000000000",
    };
    uint8_t bytes[100] = {1};
    struct lethe_shard *shard;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        const struct lethe_placement placement = {.id = "a", .expected_digest = malformed[i]};
        assert_result(LETHE_INVALID, lethe_shard_seal(site->worker, &placement, bytes, sizeof bytes,
                                                      false, &shard, &site->err));
    }
    const struct lethe_placement other = {
        .id = "a",
        .expected_digest = "0000000000000000000000000000000000000000000000000000000000000000"};
    assert_result(LETHE_INTEGRITY, lethe_shard_seal(site->worker, &other, bytes, sizeof bytes,
                                                    false, &shard, &site->err));
    assert_int_equal(used_bytes(site), 0);
}

/* ---- independent vectors --------------------------------------------------------------------- */

struct seal_vector {
    char profile[16], token[160], salt[160], id[300], digest[80], device[32], key[80],
        signature[80];
    unsigned long long size_bytes, sealed_at_s;
};

static bool next_vector(FILE *file, struct seal_vector *v)
{
    return fscanf(file, "%15s %159s %159s %299s %llu %79s %llu %31s %79s %79s", v->profile,
                  v->token, v->salt, v->id, &v->size_bytes, v->digest, &v->sealed_at_s, v->device,
                  v->key, v->signature) == 10;
}

static struct lethe_seal seal_of(const struct seal_vector *v)
{
    struct lethe_seal seal = {.sealed_at_s = v->sealed_at_s};
    struct vector signature = unhex(v->signature);
    snprintf(seal.id, sizeof seal.id, "%.256s", v->id);
    snprintf(seal.digest, sizeof seal.digest, "%.64s", v->digest);
    snprintf(seal.device, sizeof seal.device, "%.23s", v->device);
    memcpy(seal.signature, signature.bytes, sizeof seal.signature);
    return seal;
}

static uint64_t vector_now_s;

static uint64_t vector_now_ns(void *context)
{
    return vector_now_s * 1000000000;
}

/* A worker with the vector's token takes the vector's seal, and makes the same one itself. */
static void check_vector(struct site *site, const struct seal_vector *v)
{
    struct vector token = unhex(v->token);
    struct vector salt = unhex(strcmp(v->salt, "-") == 0 ? "" : v->salt);
    struct lethe_secret *secret = secret_of(token.bytes, token.size_bytes);
    struct lethe_worker_options options = site_options(site);
    options.token = secret;
    options.hardware_id = salt.size_bytes > 0 ? salt.bytes : NULL;
    options.hardware_id_bytes = salt.size_bytes;
    options.profile = strcmp(v->profile, "contract") == 0 ? LETHE_SEAL_CONTRACT : LETHE_SEAL;
    options.wall_ns = vector_now_ns;
    vector_now_s = v->sealed_at_s;
    struct lethe_worker *worker = must_create(site, &options);
    lethe_secret_free(secret);
    assert_hex(v->key, lethe_secret_bytes(worker->seal_key), 32);

    struct lethe_seal seal = seal_of(v), made;
    assert_ok(lethe_seal_check(worker, &seal, &site->err), &site->err);
    if (strcmp(v->device, "host:0") == 0 && v->sealed_at_s < 18446744073) {
        struct lethe_shard *shard;
        uint8_t *bytes = malloc(v->size_bytes);
        for (size_t i = 0; i < v->size_bytes; i++)
            bytes[i] = (uint8_t)(7 * i + i / 256);
        assert_ok(lethe_shard_seal(worker, &(struct lethe_placement){.id = v->id}, bytes,
                                   v->size_bytes, false, &shard, &site->err),
                  &site->err);
        lethe_shard_get_seal(shard, &made);
        assert_string_equal(made.digest, v->digest);
        assert_memory_equal(made.signature, seal.signature, sizeof made.signature);
        free(bytes);
    }
    assert_ok(lethe_worker_free(worker, &site->err), &site->err);
}

/* CI-001 CI-004 CI-005: seals of both profiles that Python made. */
static void seals_of_another_implementation(void **state)
{
    FILE *file = fopen(TEST_VECTORS "/residency/seals.txt", "re");
    struct seal_vector vector;
    unsigned count = 0;
    assert_non_null(file);
    for (; next_vector(file, &vector); count++)
        check_vector(*state, &vector);
    fclose(file);
    assert_int_equal(count, 18);
}

/* ---- nothing else passes --------------------------------------------------------------------- */

static struct lethe_seal good_seal(struct site *site)
{
    struct lethe_seal seal;
    struct lethe_shard *shard = must_seal(site, "abc-9", 5000);
    lethe_shard_get_seal(shard, &seal);
    must_evict(site, shard);
    assert_ok(lethe_seal_check(site->worker, &seal, &site->err), &site->err);
    return seal;
}

/* CI-001 CI-003: each of the 256 bits of the signature, and all shorter beginnings of it. */
static void every_flipped_bit_of_a_signature_is_refused(void **state)
{
    struct site *site = *state;
    const struct lethe_seal good = good_seal(site);
    for (unsigned bit = 0; bit < 256; bit++) {
        struct lethe_seal seal = good;
        seal.signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_result(LETHE_INTEGRITY, lethe_seal_check(site->worker, &seal, &site->err));
    }
    for (size_t length = 0; length < sizeof good.signature; length++) {
        struct lethe_seal seal = good;
        memset(seal.signature + length, 0, sizeof seal.signature - length);
        assert_result(LETHE_INTEGRITY, lethe_seal_check(site->worker, &seal, &site->err));
    }
    struct lethe_seal ones = good;
    memset(ones.signature, 0xff, sizeof ones.signature);
    assert_result(LETHE_INTEGRITY, lethe_seal_check(site->worker, &ones, &site->err));
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_READY);
}

/* Of a text field, NUL included: changed, it says something else, or nothing acceptable. */
static void flip_field(struct site *site, const struct lethe_seal *good, size_t offset,
                       size_t size_bytes)
{
    for (size_t bit = 0; bit < 8 * size_bytes; bit++) {
        struct lethe_seal seal = *good;
        ((uint8_t *)&seal)[offset + bit / 8] ^= (uint8_t)(1u << (bit % 8));
        lethe_result result = lethe_seal_check(site->worker, &seal, &site->err);
        assert_true(result == LETHE_INTEGRITY || result == LETHE_INVALID);
    }
}

/* CI-002 */
static void every_flipped_bit_of_what_a_seal_says_is_refused(void **state)
{
    struct site *site = *state;
    const struct lethe_seal good = good_seal(site);
    flip_field(site, &good, offsetof(struct lethe_seal, id), strlen(good.id) + 1);
    flip_field(site, &good, offsetof(struct lethe_seal, digest), sizeof good.digest);
    flip_field(site, &good, offsetof(struct lethe_seal, sealed_at_s), sizeof good.sealed_at_s);
    flip_field(site, &good, offsetof(struct lethe_seal, device), strlen(good.device) + 1);
}

/* CI-002: what is moved over a field's border is another text. */
static void fields_do_not_run_into_each_other(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal = good_seal(site);
    char digest[65];
    snprintf(digest, sizeof digest, "%s", seal.digest);
    snprintf(seal.id, sizeof seal.id, "abc-9|%s", digest);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
    snprintf(seal.id, sizeof seal.id, "abc-9%c", digest[0]);
    snprintf(seal.digest, sizeof seal.digest, "%s", digest + 1);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
}

/* IV-003 IV-005: fields that do not end, that are empty, that hold something else. */
static void a_seal_with_unsound_fields_is_refused(void **state)
{
    struct site *site = *state;
    const struct lethe_seal good = good_seal(site);
    struct lethe_seal seal = good;
    memset(seal.id, 'a', sizeof seal.id);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
    seal = good;
    memset(seal.digest, '0', sizeof seal.digest);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
    seal = good;
    memset(seal.device, '0', sizeof seal.device);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));

    static const char *const devices[] = {"",        "host",   "host:",   "host:x",
                                          "host:01", "tpu:0",  "cuda:-1", "cuda:4294967296",
                                          "host:0 ", "host:0|"};
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        seal = good;
        snprintf(seal.device, sizeof seal.device, "%s", devices[i]);
        assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
    }
    memset(&seal, 0, sizeof seal);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
    memset(&seal, 0xff, sizeof seal);
    assert_result(LETHE_INVALID, lethe_seal_check(site->worker, &seal, &site->err));
}

/* CI-001: another worker's, another shard's, another profile's. */
static void a_seal_is_one_workers_only(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal = good_seal(site);
    struct lethe_worker_options options = site_options(site);
    options.name = "w1";
    struct lethe_worker *other = must_create(site, &options);
    assert_result(LETHE_INTEGRITY, lethe_seal_check(other, &seal, &site->err));
    assert_ok(lethe_worker_free(other, &site->err), &site->err);

    struct lethe_seal another;
    uint8_t *bytes = weights_of(5000, 2);
    struct lethe_shard *shard;
    assert_ok(lethe_shard_seal(site->worker, &(struct lethe_placement){.id = "abc-9"}, bytes, 5000,
                               true, &shard, &site->err),
              &site->err);
    lethe_shard_get_seal(shard, &another);
    assert_string_not_equal(another.digest, seal.digest);
    memcpy(seal.digest, another.digest, sizeof seal.digest); /* the digest of another shard */
    assert_result(LETHE_INTEGRITY, lethe_seal_check(site->worker, &seal, &site->err));
    must_evict(site, shard);
    free(bytes);
}

static struct lethe_worker *worker_with(struct site *site, uint8_t token_byte, const char *salt,
                                        enum lethe_seal_profile profile)
{
    uint8_t token[16];
    memset(token, token_byte, sizeof token);
    struct lethe_secret *secret = secret_of(token, sizeof token);
    struct lethe_worker_options options = site_options(site);
    options.token = secret;
    options.hardware_id = salt;
    options.hardware_id_bytes = salt != NULL ? strlen(salt) : 0;
    options.profile = profile;
    struct lethe_worker *worker = must_create(site, &options);
    lethe_secret_free(secret);
    return worker;
}

/* CI-005: the token's, the hardware's, the profile's key, and again the same from the same. */
static void the_key_is_of_token_hardware_and_profile(void **state)
{
    struct site *site = *state;
    struct lethe_worker *workers[] = {
        worker_with(site, 1, NULL, LETHE_SEAL), worker_with(site, 2, NULL, LETHE_SEAL),
        worker_with(site, 1, "gpu", LETHE_SEAL), worker_with(site, 1, NULL, LETHE_SEAL_CONTRACT),
        worker_with(site, 1, NULL, LETHE_SEAL)};
    for (size_t i = 0; i < ARRAY_LEN(workers); i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(lethe_secret_equal(workers[i]->seal_key, workers[j]->seal_key),
                             i == 4 && j == 0);
    for (size_t i = 0; i < ARRAY_LEN(workers); i++)
        assert_ok(lethe_worker_free(workers[i], &site->err), &site->err);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static lethe_result seal_as(struct site *site, const char *id)
{
    struct lethe_shard *shard;
    lethe_result result = try_seal(site, id, 64, &shard);
    if (result == LETHE_OK)
        must_evict(site, shard);
    else
        assert_null(shard);
    return result;
}

/* IV-003 */
static void ids(void **state)
{
    struct site *site = *state;
    char longest[258];
    memset(longest, 'Z', sizeof longest);
    longest[257] = '\0';
    assert_result(LETHE_INVALID, seal_as(site, longest));
    longest[256] = '\0';
    assert_result(LETHE_OK, seal_as(site, longest));
    static const char *const refused[] = {"",         " ",   "a b", "a/b", "../a",     "a|b", "a\n",
                                          "\xc3\xa4", "a.b", "a;b", "%s",  "\x1b[31m", "a:b"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_result(LETHE_INVALID, seal_as(site, refused[i]));
        if (strlen(refused[i]) > 2)
            assert_null(strstr(site->err.text, refused[i])); /* never echoed */
    }
    assert_result(LETHE_INVALID, seal_as(site, NULL));
    assert_result(LETHE_OK, seal_as(site, "azAZ09_-"));
}

static void an_id_is_there_once(void **state)
{
    struct site *site = *state;
    struct lethe_shard *second;
    struct lethe_shard *shard = must_seal(site, "a", 64);
    assert_result(LETHE_EXISTS, try_seal(site, "a", 64, &second));
    assert_null(second);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_DEFAULT, &site->err), &site->err);
    must_evict(site, shard);
    must_evict(site, must_seal(site, "a", 64));
}

/* IV-001 RP-003 */
static void sizes(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard;
    uint8_t byte = 1;
    assert_int_equal(LETHE_SHARD_LIMIT_BYTES, 100000000000);
    const struct lethe_placement placement = {.id = "a"};
    assert_result(LETHE_INVALID,
                  lethe_shard_seal(site->worker, &placement, &byte, 0, false, &shard, &site->err));
    assert_result(LETHE_INVALID,
                  lethe_shard_seal(site->worker, &placement, NULL, 1, true, &shard, &site->err));
    /* Refused before a byte of it is looked at, or wiped. */
    assert_result(LETHE_LIMIT, lethe_shard_seal(site->worker, &placement, &byte, 100000000001,
                                                false, &shard, &site->err));
    assert_non_null(strstr(site->err.text, "100000000001"));
    assert_non_null(strstr(site->err.text, "100000000000"));
    assert_result(LETHE_LIMIT, lethe_shard_seal(site->worker, &placement, &byte, SIZE_MAX, false,
                                                &shard, &site->err));
    assert_false(lethe_result_is_retriable(LETHE_LIMIT));
    assert_recorded(2, site, "\"event\":\"resource_limit_violation\"", "\"limit\":100000000000");

    struct lethe_worker_options options = site_options(site);
    options.shard_limit_bytes = 4096;
    struct lethe_worker *small = must_create(site, &options);
    uint8_t *bytes = weights_of(4097, 1);
    assert_result(LETHE_LIMIT,
                  lethe_shard_seal(small, &placement, bytes, 4097, false, &shard, &site->err));
    assert_ok(lethe_shard_seal(small, &placement, bytes, 4096, false, &shard, &site->err),
              &site->err);
    assert_ok(lethe_worker_free(small, &site->err), &site->err);
    free(bytes);
}

/* IV-002 */
static void devices_tenants_and_classes(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard;
    uint8_t bytes[64] = {1};
    const struct lethe_placement refused[] = {
        {.id = "a", .device = 1},
        {.id = "a", .device = SIZE_MAX},
        {.id = "a", .tenant = "a b"},
        {.id = "a", .class_ = (enum lethe_class)99},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_result(LETHE_INVALID, lethe_shard_seal(site->worker, &refused[i], bytes,
                                                      sizeof bytes, false, &shard, &site->err));
    assert_int_equal(used_bytes(site), 0);
    const struct lethe_placement optimizer = {.id = "a", .class_ = LETHE_CLASS_OPTIMIZER};
    assert_ok(
        lethe_shard_seal(site->worker, &optimizer, bytes, sizeof bytes, false, &shard, &site->err),
        &site->err);
    must_evict(site, shard);
}

/* The caller's copy goes whatever comes of it, and only when he says so. */
static void the_source_is_wiped(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard;
    uint8_t bytes[64];
    static const struct lethe_placement placements[] = {{.id = "a"}, {.id = "a b"}, {.id = "a"}};
    for (size_t i = 0; i < ARRAY_LEN(placements); i++) {
        memset(bytes, 7, sizeof bytes);
        (void)!lethe_shard_seal(site->worker, &placements[i], bytes, sizeof bytes, true, &shard,
                                &site->err);
        assert_true(lethe_is_zero(bytes, sizeof bytes));
    }
    memset(bytes, 7, sizeof bytes);
    assert_result(LETHE_EXISTS, lethe_shard_seal(site->worker, &placements[0], bytes, sizeof bytes,
                                                 false, &shard, &site->err));
    assert_int_equal(bytes[63], 7);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void write_to(void *context)
{
    *(volatile uint8_t *)context = 1;
}

/* MS-002: what is sealed cannot be written by accident. */
static void sealed_memory_is_read_only(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", MIB);
    assert_int_equal(run_child(write_to, device_memory_address(shard->memory)).signal, SIGSEGV);
    must_evict(site, shard);
}

/* MS-001 CI-006: no address and no key in any record or error of all that was done here. */
static void no_pointer_and_no_key_is_on_record(void **state)
{
    struct site *site = *state;
    char address[24], key[65];
    struct lethe_shard *shard = must_seal(site, "a", MIB);
    snprintf(address, sizeof address, "%lx", (unsigned long)device_memory_address(shard->memory));
    hex_encode(lethe_secret_bytes(site->worker->seal_key), 32, key);
    flip_byte(shard, 77);
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err));
    assert_null(strstr(site->err.text, address));
    must_evict(site, shard);
    assert_recorded(0, site, address);
    assert_recorded(0, site, key);
    assert_recorded(1, site, "\"event\":\"seal_verification_failed\""); /* there is a log */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(sealed_verified_and_evicted),
        TEST(the_digest_is_of_what_the_device_holds),
        TEST(what_the_device_got_wrong_is_seen),
        TEST(a_change_while_it_is_sealed_is_seen),
        TEST(an_expected_digest_must_be_met),
        TEST(seals_of_another_implementation),
        TEST(every_flipped_bit_of_a_signature_is_refused),
        TEST(every_flipped_bit_of_what_a_seal_says_is_refused),
        TEST(fields_do_not_run_into_each_other),
        TEST(a_seal_with_unsound_fields_is_refused),
        TEST(a_seal_is_one_workers_only),
        TEST(the_key_is_of_token_hardware_and_profile),
        TEST(ids),
        TEST(an_id_is_there_once),
        TEST(sizes),
        TEST(devices_tenants_and_classes),
        TEST(the_source_is_wiped),
        TEST(sealed_memory_is_read_only),
        TEST(no_pointer_and_no_key_is_on_record),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
