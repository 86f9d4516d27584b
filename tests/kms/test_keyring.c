/* Keys in the store: names, versions, how often they may be used. */
#include "../store/fixture.h"

#include <stdlib.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "kms/keyring.h"

static struct lethe_error err;

static void names_say_the_kind(void **state)
{
    static const struct {
        const char *name;
        int kind; /* -1: refused */
    } names[] = {
        {"default.m.hot", KEY_ENCRYPTION},
        {"a.signer", KEY_MANIFEST_SIGNER},
        {"node-1.log", KEY_LOG_SIGNER},
        {"a.signer.log", KEY_ENCRYPTION},
        {"a.log.signer", KEY_ENCRYPTION},
        {"A-b_9.x.y", KEY_ENCRYPTION},
        {"", -1},
        {".", -1},
        {"a", -1},
        {"a.b", -1},
        {"a.b.c.d", -1},
        {"a..c", -1},
        {".b.c", -1},
        {"a.b.", -1},
        {"a.b/c.d", -1},
        {"a b.c.d", -1},
        {"a.Signer", -1},
        {"a.b.c\n", -1},
        {"signer", -1},
        {".signer", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum key_kind kind;
        lethe_result result = key_name_check(names[i].name, &kind, &err);
        assert_result(names[i].kind < 0 ? LETHE_INVALID : LETHE_OK, result);
        if (result == LETHE_OK)
            assert_int_equal(names[i].kind, kind);
    }
}

static void name_parts_have_a_length(void **state)
{
    enum key_kind kind;
    char name[3 * 65 + 3];
    memset(name, 'x', sizeof name);
    name[64] = name[64 + 65] = '.';
    name[KEY_NAME_MAX] = '\0';
    assert_ok(key_name_check(name, &kind, &err), &err);
    name[KEY_NAME_MAX] = 'x';
    name[KEY_NAME_MAX + 1] = '\0';
    assert_result(LETHE_INVALID, key_name_check(name, &kind, &err));
    name[64] = 'x';
    name[65] = '.';
    name[KEY_NAME_MAX] = '\0';
    assert_result(LETHE_INVALID, key_name_check(name, &kind, &err));
}

static void must_add(struct store *store, const char *name)
{
    assert_ok(store_begin(store, &err), &err);
    assert_ok(keyring_create(store, name, 1700000000, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

/* K-1 */
static void keys_are_made_and_found(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    static const char *const names[] = {"default.m.hot", "default.signer", "node.log"};
    struct key_info info;
    assert_result(LETHE_NOT_FOUND, keyring_info(store, names[0], &info, &err));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
        must_add(store, names[i]);
        assert_ok(keyring_info(store, names[i], &info, &err), &err);
        assert_string_equal(names[i], info.name);
        assert_int_equal(i, info.kind);
        assert_int_equal(1, info.newest_version);
        assert_int_equal(1700000000, info.created_s);
        assert_int_equal(0, info.uses);
        assert_ok(keyring_material(store, names[i], 1, &material, &err), &err);
        assert_int_equal(32, lethe_secret_size(material));
        assert_false(lethe_is_zero(lethe_secret_bytes(material), 32));
        assert_result(LETHE_NOT_FOUND, keyring_material(store, names[i], 2, &material, &err));
    }
    assert_ok(store_begin(store, &err), &err);
    assert_result(LETHE_EXISTS, keyring_create(store, names[1], 1, &err));
    assert_result(LETHE_INVALID, keyring_create(store, "nonsense", 1, &err));
}

static void keys_differ(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    CLEANUP(lethe_secret_free) struct lethe_secret *a = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *b = NULL;
    must_add(store, "t.a.hot");
    must_add(store, "t.b.hot");
    assert_ok(keyring_material(store, "t.a.hot", 1, &a, &err), &err);
    assert_ok(keyring_material(store, "t.b.hot", 1, &b, &err), &err);
    assert_false(lethe_secret_equal(a, b));
}

static lethe_result count_key(void *context, const struct key_info *info, struct lethe_error *error)
{
    struct key_info *last = context;
    assert_true(strcmp(last->name, info->name) < 0);
    *last = *info;
    return strcmp(info->name, "t.b.hot") == 0 ? LETHE_CANCELLED : LETHE_OK;
}

static void lists_are_in_order_and_can_stop(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    static const char *const names[] = {"t.b.hot", "t.a.hot", "a.signer", "t.c.hot", "n.log"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        must_add(store, names[i]);
    must_put(store, "pin", "not a key");
    struct key_info last = {0};
    assert_result(LETHE_CANCELLED, keyring_list(store, count_key, &last, &err));
    assert_string_equal("t.b.hot", last.name);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void uses_are_reserved_ahead(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    struct key_info info;
    must_add(store, "t.a.hot");
    for (uint64_t i = 1; i <= 3; i++) {
        assert_ok(store_begin(store, &err), &err);
        assert_ok(keyring_reserve_many(store, "t.a.hot", 1, KEY_USES_RESERVED, &err), &err);
        assert_ok(store_commit(store, &err), &err);
        assert_ok(keyring_info(store, "t.a.hot", &info, &err), &err);
        assert_int_equal(i * KEY_USES_RESERVED, info.uses);
    }
}

/* The last reservation ends exactly at 2^32; there is none behind it. */
static void a_version_stops_before_nonces_meet(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    must_add(store, "t.a.hot");
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    assert_ok(store_get(store, "keys/t.a.hot/1", &row, NULL, &err), &err);
    uint64_t uses = KEY_USES_MAX - KEY_USES_RESERVED;
    memcpy(lethe_secret_bytes(row) + 9, &uses, sizeof uses); /* as after that many */
    assert_ok(store_begin(store, &err), &err);
    assert_ok(store_put(store, "keys/t.a.hot/1", lethe_secret_bytes(row), lethe_secret_size(row),
                        STORE_ANY, &err),
              &err);
    assert_ok(keyring_reserve_many(store, "t.a.hot", 1, KEY_USES_RESERVED, &err), &err);
    assert_result(LETHE_LIMIT, keyring_reserve_many(store, "t.a.hot", 1, KEY_USES_RESERVED, &err));
    assert_non_null(strstr(err.hint, "rotate"));
}

/* ---- rows that no keyring wrote -------------------------------------------------------------- */

static void strange_rows_are_refused(void **state)
{
    static const struct {
        const char *path;
        size_t size_bytes;
        uint8_t first, second, third;
    } rows[] = {
        {"keys/t.a.hot", 10, 2, 1, 1},   {"keys/t.a.hot", 10, 1, 9, 1},
        {"keys/t.a.hot", 10, 1, 5, 1},   {"keys/t.a.hot", 10, 1, 1, 0},
        {"keys/t.a.hot", 9, 1, 1, 1},    {"keys/t.a.hot", 11, 1, 1, 1},
        {"keys/t.a.hot", 10, 1, 1, 2},   {"keys/t.a.hot", 1, 1, 0, 0},
        {"keys/t.a.hot/1", 49, 3, 0, 0}, {"keys/t.a.hot/1", 48, 1, 0, 0},
        {"keys/t.a.hot/1", 50, 1, 0, 0}, {"keys/t.a.hot/1", 1, 1, 0, 0},
    };
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    must_add(store, "t.a.hot");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const uint8_t row[64] = {rows[i].first, rows[i].second, rows[i].third};
        struct key_info info;
        assert_ok(store_begin(store, &err), &err);
        assert_ok(store_put(store, rows[i].path, row, rows[i].size_bytes, STORE_ANY, &err), &err);
        assert_result(LETHE_INTEGRITY, keyring_info(store, "t.a.hot", &info, &err));
        store_rollback(store);
        assert_ok(keyring_info(store, "t.a.hot", &info, &err), &err);
    }
}

/* Rows as homes of before have them: each form is the one before with more behind it. */
static void older_rows_are_read(void **state)
{
    static const size_t sizes[] = {10, 19, 27};
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint8_t version_row[49] = {1, 100};
    version_row[9] = 5; /* uses */
    memset(version_row + 17, 7, 32);
    for (uint8_t form = 1; form <= 3; form++) {
        uint8_t row[27] = {form, 1, 1};
        struct key_info info;
        row[19] = 60;
        assert_ok(store_begin(store, &err), &err);
        assert_ok(store_put(store, "keys/t.a.hot", row, sizes[form - 1], STORE_ANY, &err), &err);
        assert_ok(store_put(store, "keys/t.a.hot/1", version_row, 49, STORE_ANY, &err), &err);
        assert_ok(store_commit(store, &err), &err);
        assert_ok(keyring_info(store, "t.a.hot", &info, &err), &err);
        assert_int_equal(ENGINE_AES256_GCM96, info.type);
        assert_int_equal(1, info.min_decryption);
        assert_int_equal(0, info.min_encryption | info.min_available);
        assert_int_equal(form == 3 ? 60 : 0, info.rotate_every_s);
        assert_int_equal(100, info.created_s);
        assert_false(info.exportable || info.deletion_allowed);
    }
}

/* HKDF-SHA-256 of 32 bytes of 7, by Python's hmac. */
#define DERIVED_HMAC "2c388ad8f2a46d8dd1d1bf2ba9c0c2696a2cb25536a8404f06ff5d4a0458f0ff"

static void an_older_version_has_a_derived_hmac_key(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint8_t version_row[49] = {1, 100};
    memset(version_row + 17, 7, 32);
    must_add(store, "t.a.hot");
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(key_version_clear) struct key_version read = {0};
        char text[65];
        if (i == 0) {
            assert_ok(store_begin(store, &err), &err);
            assert_ok(store_put(store, "keys/t.a.hot/1", version_row, 49, STORE_ANY, &err), &err);
            assert_ok(store_commit(store, &err), &err);
        }
        assert_ok(keyring_version(store, "t.a.hot", 1, &read, &err), &err);
        hex_encode(lethe_secret_bytes_const(read.hmac), 32, text);
        assert_string_equal(DERIVED_HMAC, text);
        assert_ok(store_begin(store, &err), &err); /* writing the row again changes nothing of it */
        assert_ok(keyring_reserve_many(store, "t.a.hot", 1, KEY_USES_RESERVED, &err), &err);
        assert_ok(store_commit(store, &err), &err);
    }
}

static void new_versions_have_hmac_keys_of_their_own(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    CLEANUP(key_version_clear) struct key_version a = {0};
    CLEANUP(key_version_clear) struct key_version b = {0};
    must_add(store, "t.a.hot");
    must_add(store, "t.b.hot");
    assert_ok(keyring_version(store, "t.a.hot", 1, &a, &err), &err);
    assert_ok(keyring_version(store, "t.b.hot", 1, &b, &err), &err);
    assert_memory_not_equal(lethe_secret_bytes_const(a.hmac), lethe_secret_bytes_const(b.hmac), 32);
    assert_memory_not_equal(lethe_secret_bytes_const(a.hmac), lethe_secret_bytes_const(a.material),
                            32);
}

/* What no key can be, in the newest form. */
static void impossible_settings_are_refused(void **state)
{
    static const struct {
        uint8_t available, decryption, encryption, flags;
        bool good;
    } rows[] = {
        {0, 1, 0, 0, true},  {0, 3, 3, 15, true},  {2, 2, 2, 0, true},  {0, 0, 0, 0, false},
        {0, 4, 0, 0, false}, {0, 1, 4, 0, false},  {0, 2, 1, 0, false}, {3, 2, 3, 0, false},
        {2, 3, 0, 0, false}, {0, 1, 0, 16, false},
    };
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    must_add(store, "t.a.hot");
    for (size_t i = 0; i < 3; i++) {
        assert_ok(store_begin(store, &err), &err);
        if (i < 2)
            assert_ok(keyring_rotate(store, "t.a.hot", 1, &err), &err);
        assert_ok(store_commit(store, &err), &err);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t row[52] = {4, 1, 3};
        struct key_info info;
        row[27] = rows[i].available;
        row[35] = rows[i].decryption;
        row[43] = rows[i].encryption;
        row[51] = rows[i].flags;
        assert_ok(store_begin(store, &err), &err);
        assert_ok(store_put(store, "keys/t.a.hot", row, sizeof row, STORE_ANY, &err), &err);
        assert_result(rows[i].good ? LETHE_OK : LETHE_INTEGRITY,
                      keyring_info(store, "t.a.hot", &info, &err));
        store_rollback(store);
    }
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_the_kind),
        cmocka_unit_test(name_parts_have_a_length),
        ON_FIXTURE(keys_are_made_and_found),
        ON_FIXTURE(keys_differ),
        ON_FIXTURE(lists_are_in_order_and_can_stop),
        ON_FIXTURE(uses_are_reserved_ahead),
        ON_FIXTURE(a_version_stops_before_nonces_meet),
        ON_FIXTURE(strange_rows_are_refused),
        ON_FIXTURE(older_rows_are_read),
        ON_FIXTURE(an_older_version_has_a_derived_hmac_key),
        ON_FIXTURE(new_versions_have_hmac_keys_of_their_own),
        ON_FIXTURE(impossible_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
