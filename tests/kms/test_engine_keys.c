/* Configuring, trimming, deleting, exporting keys, and taking them out whole and in again: what is
 * refused changes nothing, and all that happens is on record (A-2, K-4, K-8). */
#include "check_files.h"

#include "engine_check.h"

#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/x509.h"

/* ---- configuring ----------------------------------------------------------------------------- */

struct setting { /* -1: stays */
    int64_t min_decryption, min_encryption, auto_rotate;
    int deletion, exportable, backup;
};

static lethe_result configure(struct room *room, const struct setting *setting)
{
    uint64_t numbers[3] = {(uint64_t)setting->min_decryption, (uint64_t)setting->min_encryption,
                           (uint64_t)setting->auto_rotate};
    bool flags[3] = {setting->deletion > 0, setting->exportable > 0, setting->backup > 0};
    const struct engine_config config = {
        .min_decryption_version = setting->min_decryption < 0 ? NULL : &numbers[0],
        .min_encryption_version = setting->min_encryption < 0 ? NULL : &numbers[1],
        .auto_rotate_s = setting->auto_rotate < 0 ? NULL : &numbers[2],
        .deletion_allowed = setting->deletion < 0 ? NULL : &flags[0],
        .exportable = setting->exportable < 0 ? NULL : &flags[1],
        .plaintext_backup = setting->backup < 0 ? NULL : &flags[2],
    };
    return engine_configure(room->engine, "k", &config, &err);
}

static void assert_same(const struct engine_key *a, const struct engine_key *b)
{
    assert_int_equal(a->latest_version, b->latest_version);
    assert_int_equal(a->min_available_version, b->min_available_version);
    assert_int_equal(a->min_decryption_version, b->min_decryption_version);
    assert_int_equal(a->min_encryption_version, b->min_encryption_version);
    assert_int_equal(a->auto_rotate_s, b->auto_rotate_s);
    assert_int_equal(a->deletion_allowed, b->deletion_allowed);
    assert_int_equal(a->exportable, b->exportable);
    assert_int_equal(a->plaintext_backup, b->plaintext_backup);
}

static void make_versions(struct room *room, uint64_t versions)
{
    const struct engine_create_options options = {.type = ENGINE_AES256_GCM96};
    bool existed;
    assert_ok(engine_create_key(room->engine, "k", &options, &existed, &err), &err);
    for (uint64_t i = 1; i < versions; i++)
        must_rotate(room, "k");
}

static void a_refused_setting_changes_nothing(void **state)
{
    static const struct setting bad[] = {
        {6, -1, -1, -1, -1, -1},        {-1, 6, -1, -1, -1, -1},        {3, 2, -1, -1, -1, -1},
        {4, -1, -1, -1, -1, -1},        {-1, 1, -1, -1, -1, -1},        {-1, -1, 1, -1, -1, -1},
        {-1, -1, 3599, -1, -1, -1},     {-1, -1, INT64_MAX, 1, -1, -1}, {-1, -1, -1, -1, 0, -1},
        {-1, -1, -1, -1, -1, 0},        {2, 3, 7200, 1, 0, 1},          {1, 1, 7200, 1, 1, 0},
        {INT64_MAX, -1, -1, 1, -1, -1}, {-1, INT64_MAX, -1, 1, -1, -1},
    };
    struct room *room = *state;
    make_versions(room, 5);
    assert_ok(configure(room, &(struct setting){2, 3, 3600, 0, 1, 1}), &err);
    struct engine_key before = must_get(room, "k");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID, configure(room, &bad[i]));
        struct engine_key after = must_get(room, "k");
        assert_same(&before, &after);
    }
    reopen(room);
    assert_int_equal(1, count_records(room->home, "key_configured", NULL));
}

static void settings_that_fit_are_taken(void **state)
{
    static const struct setting good[] = {
        {2, 3, 3600, 1, 1, 1},      {-1, -1, -1, -1, -1, -1}, {3, -1, -1, -1, -1, -1},
        {0, 0, 0, 0, 1, 1},         {5, 5, -1, 1, -1, -1},    {1, 0, -1, -1, -1, -1},
        {-1, 5, 86400, -1, -1, -1},
    };
    static const uint64_t minimums[][2] = {{2, 3}, {2, 3}, {3, 3}, {1, 0}, {5, 5}, {1, 0}, {1, 5}};
    struct room *room = *state;
    make_versions(room, 5);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_ok(configure(room, &good[i]), &err);
        struct engine_key key = must_get(room, "k");
        assert_int_equal(minimums[i][0], key.min_decryption_version);
        assert_int_equal(minimums[i][1], key.min_encryption_version);
        assert_true(key.exportable && key.plaintext_backup);
    }
    struct engine_key key = must_get(room, "k");
    assert_int_equal(86400, key.auto_rotate_s);
    assert_true(key.deletion_allowed);
    const struct engine_config none = {0};
    assert_result(LETHE_NOT_FOUND, engine_configure(room->engine, "none", &none, &err));
    assert_result(LETHE_NOT_FOUND, engine_configure(room->engine, "node-1.log", &none, &err));
}

static void creation_checks_its_settings_too(void **state)
{
    struct room *room = *state;
    struct engine_create_options options = {.type = ENGINE_ED25519, .auto_rotate_s = 60};
    bool existed;
    assert_result(LETHE_INVALID, engine_create_key(room->engine, "k", &options, &existed, &err));
    options.auto_rotate_s = UINT64_MAX;
    assert_result(LETHE_INVALID, engine_create_key(room->engine, "k", &options, &existed, &err));
    options.auto_rotate_s = 3600;
    assert_ok(engine_create_key(room->engine, "k", &options, &existed, &err), &err);
    assert_int_equal(3600, must_get(room, "k").auto_rotate_s);
}

/* What a model's keys lie under is put out of use like any other, for whoever loads it too. */
static void a_minimum_holds_for_models_as_well(void **state)
{
    struct room *room = *state;
    const struct key_source *keys = keeper_key_source(room->keeper);
    const uint64_t two = 2;
    const struct engine_config config = {.min_decryption_version = &two};
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    CLEANUP(buffer_clear) struct buffer again = {0};
    must_make(room, "default.m.hot", ENGINE_AES256_GCM96);
    assert_ok(wrap_one(room->keeper, "default.m.hot", &wrapped, &err), &err);
    must_rotate(room, "default.m.hot");
    assert_ok(unwrap_one(room->keeper, "default.m.hot", wrapped.bytes, &err), &err);
    assert_ok(engine_configure(room->engine, "default.m.hot", &config, &err), &err);
    assert_result(LETHE_INVALID, unwrap_one(room->keeper, "default.m.hot", wrapped.bytes, &err));
    const struct key_rewrap item = {.use = {.key = "default.m.hot",
                                            .shard = "0000",
                                            .purpose = "rewrap",
                                            .aad = "shard",
                                            .aad_bytes = 5},
                                    .wrapped = wrapped.bytes,
                                    .rewrapped = &again};
    assert_result(LETHE_INVALID, keys->rewrap(keys->context, &item, 1, &err));
    assert_int_equal(0, again.size_bytes);
}

/* A client may give such a name to a key that wraps nothing. */
static void a_key_of_another_type_wraps_no_data_key(void **state)
{
    struct room *room = *state;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    must_make(room, "default.m.hot", ENGINE_ED25519);
    assert_result(LETHE_INVALID, wrap_one(room->keeper, "default.m.hot", &wrapped, &err));
    assert_int_equal(0, wrapped.size_bytes);
}

/* ---- trimming and deleting ------------------------------------------------------------------- */

static void trimming_destroys_what_is_below(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    struct engine_use third = {.name = "k", .version = 3};
    CLEANUP(guarded_clear) struct guarded first_text = {0};
    CLEANUP(guarded_clear) struct guarded third_text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    struct engine_version found;
    make_versions(room, 1);
    assert_ok(encrypt(room, &use, "content", &first_text), &err);
    for (size_t i = 0; i < 4; i++)
        must_rotate(room, "k");
    assert_ok(encrypt(room, &third, "content", &third_text), &err);

    assert_result(LETHE_INVALID, engine_trim(room->engine, "k", 2, &err)); /* no minimum is set */
    assert_ok(configure(room, &(struct setting){3, 4, -1, -1, -1, -1}), &err);
    assert_result(LETHE_INVALID, engine_trim(room->engine, "k", 0, &err));
    assert_result(LETHE_INVALID, engine_trim(room->engine, "k", 4, &err));
    assert_result(LETHE_NOT_FOUND, engine_trim(room->engine, "none", 1, &err));
    assert_int_equal(0, must_get(room, "k").min_available_version);
    assert_ok(engine_trim(room->engine, "k", 3, &err), &err);
    assert_int_equal(3, must_get(room, "k").min_available_version);
    assert_string_equal("keys/k@7 keys/k/3@2 keys/k/4@1 keys/k/5@1",
                        listing(keeper_store(room->keeper), "keys/k"));

    assert_result(LETHE_INVALID, engine_trim(room->engine, "k", 2, &err));
    assert_ok(engine_trim(room->engine, "k", 3, &err), &err); /* once more erases once more */
    assert_result(LETHE_INVALID, configure(room, &(struct setting){2, -1, -1, -1, -1, -1}));
    assert_result(LETHE_INVALID, configure(room, &(struct setting){-1, 0, -1, -1, -1, -1}));
    assert_result(LETHE_INVALID, decrypt(room, &use, &first_text, &opened));
    const struct engine_use renew = {.name = "k", .renew = true};
    assert_result(LETHE_INVALID, decrypt(room, &renew, &first_text, &opened));
    assert_ok(decrypt(room, &use, &third_text, &opened), &err);
    assert_result(LETHE_NOT_FOUND, engine_version(room->engine, "k", 2, &found, &err));
    assert_result(LETHE_NOT_FOUND, engine_version(room->engine, "k", 6, &found, &err));
    assert_result(LETHE_NOT_FOUND, engine_version(room->engine, "k", 0, &found, &err));
    must_rotate(room, "k");
    reopen(room);
    assert_int_equal(2, count_records(room->home, "key_trimmed", "\"first_kept_version\":3"));
}

static void a_key_is_deleted_only_when_that_was_allowed(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    struct engine_key key;
    make_versions(room, 3);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    assert_result(LETHE_INVALID, engine_delete(room->engine, "k", &err));
    assert_ok(encrypt(room, &use, "content", &text), &err);
    assert_ok(configure(room, &(struct setting){-1, -1, -1, 1, -1, -1}), &err);
    assert_ok(engine_delete(room->engine, "k", &err), &err);
    assert_result(LETHE_NOT_FOUND, engine_delete(room->engine, "k", &err));
    assert_result(LETHE_NOT_FOUND, engine_get(room->engine, "k", &key, &err));
    assert_result(LETHE_NOT_FOUND, decrypt(room, &use, &text, &opened));
    assert_string_equal("", listing(keeper_store(room->keeper), "keys/k"));
    make_versions(room, 3); /* the name may come back, with nothing of before */
    assert_result(LETHE_INTEGRITY, decrypt(room, &use, &text, &opened));
    /* Nor are the uses left that were reserved of the other key. */
    assert_ok(encrypt(room, &use, "content", &text), &err);
    struct engine_version found;
    assert_ok(engine_version(room->engine, "k", 3, &found, &err), &err);
    assert_int_equal(KEY_USES_RESERVED, found.uses);
    reopen(room);
    assert_int_equal(1, count_records(room->home, "key_deleted", "\"key\":\"k\""));
    assert_log_verifies(room->home);
}

/* ---- exporting ------------------------------------------------------------------------------- */

static lethe_result export(struct room *room, const char *name, enum engine_export_kind kind,
                           struct guarded *out)
{
    const struct engine_export what = {.name = name, .kind = kind};
    guarded_wipe(out);
    return engine_export(room->engine, &what, out, &err);
}

static void exported_keys_are_the_keys(void **state)
{
    struct room *room = *state;
    CLEANUP(guarded_clear) struct guarded out = {0};
    CLEANUP(guarded_clear) struct guarded text = {0};
    const struct engine_use use = {.name = "a"};
    uint8_t key[64], sealed[64], plain[7];
    size_t size_bytes;
    must_make(room, "a", ENGINE_AES256_GCM96);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    assert_ok(export(room, "a", ENGINE_EXPORT_ENCRYPTION, &out), &err);
    assert_result(LETHE_OK, base64_decode((const char *)out.bytes, out.size_bytes, key, sizeof key,
                                          &size_bytes));
    assert_int_equal(32, size_bytes);
    CLEANUP(aead_key_free) struct aead_key *aead = NULL;
    assert_ok(aead_key_create(key, 32, AEAD_BACKEND_BEST, &aead, &err), &err);
    assert_result(LETHE_OK, base64_decode((const char *)text.bytes + 9, text.size_bytes - 9, sealed,
                                          sizeof sealed, &size_bytes));
    const struct aead_message message = {
        .nonce = sealed, .in = sealed + 12, .out = plain, .size_bytes = 7};
    assert_result(LETHE_OK, aead_open(aead, &message, sealed + 19));
    assert_memory_equal("content", plain, 7);
    assert_ok(export(room, "a", ENGINE_EXPORT_HMAC, &out), &err);
    assert_int_equal(44, out.size_bytes);
    reopen(room);
    assert_int_equal(2, count_records(room->home, "key_released", "\"purpose\":\"export\""));
}

static void exported_signers_sign_the_same(void **state)
{
    struct room *room = *state;
    static const enum engine_type curves[] = {ENGINE_ECDSA_P256, ENGINE_ECDSA_P384};
    CLEANUP(memory_free) char *path = temp_path("key");
    char command[1200];
    CLEANUP(guarded_clear) struct guarded out = {0};
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        const char *name = engine_type_name(curves[i]);
        CLEANUP(buffer_clear) struct buffer expected = {0};
        must_make(room, name, curves[i]);
        assert_ok(export(room, name, ENGINE_EXPORT_SIGNING, &out), &err);
        assert_int_equal(0, strncmp("-----BEGIN EC PRIVATE KEY-----\n", text_of(&out), 31));
        put_file(path, out.bytes, out.size_bytes);
        snprintf(command, sizeof command, "openssl pkey -pubout -in %s -out %s.pub", path, path);
        assert_int_equal(0, system(command));
        snprintf(command, sizeof command, "%s.pub", path);
        CLEANUP(buffer_clear) struct buffer got = get_file(command);
        assert_ok(engine_public(room->engine, name, 1, &expected, &err), &err);
        assert_string_equal(expected.bytes, got.bytes);
    }
    uint8_t both[64], public_key[32];
    size_t size_bytes;
    CLEANUP(buffer_clear) struct buffer public_text = {0};
    must_make(room, "e", ENGINE_ED25519);
    assert_ok(export(room, "e", ENGINE_EXPORT_SIGNING, &out), &err);
    assert_result(LETHE_OK, base64_decode((const char *)out.bytes, out.size_bytes, both,
                                          sizeof both, &size_bytes));
    assert_int_equal(64, size_bytes);
    assert_ok(engine_public(room->engine, "e", 1, &public_text, &err), &err);
    assert_result(LETHE_OK, base64_decode(public_text.bytes, public_text.size_bytes, public_key,
                                          sizeof public_key, &size_bytes));
    assert_memory_equal(public_key, both + 32, 32);
}

static void what_may_not_leave_does_not(void **state)
{
    struct room *room = *state;
    CLEANUP(guarded_clear) struct guarded out = {0};
    make_versions(room, 1); /* not exportable */
    assert_result(LETHE_INVALID, export(room, "k", ENGINE_EXPORT_ENCRYPTION, &out));
    assert_result(LETHE_INVALID, export(room, "k", ENGINE_EXPORT_HMAC, &out));
    assert_result(LETHE_INVALID, engine_backup(room->engine, "k", &out, &err));
    assert_ok(configure(room, &(struct setting){-1, -1, -1, -1, 1, -1}), &err);
    assert_result(LETHE_INVALID, export(room, "k", ENGINE_EXPORT_SIGNING, &out));
    assert_result(LETHE_INVALID, engine_backup(room->engine, "k", &out, &err));
    assert_result(LETHE_NOT_FOUND, export(room, "node-1.log", ENGINE_EXPORT_SIGNING, &out));
    assert_result(LETHE_NOT_FOUND, engine_backup(room->engine, "node-1.log", &out, &err));
    must_make(room, "s", ENGINE_ED25519);
    assert_result(LETHE_INVALID, export(room, "s", ENGINE_EXPORT_ENCRYPTION, &out));
    assert_int_equal(0, out.size_bytes);
    reopen(room);
    assert_int_equal(0, count_records(room->home, "key_released", NULL));
}

/* ---- backup and restore ---------------------------------------------------------------------- */

static void back_up(struct room *room, const char *name, struct guarded *out)
{
    guarded_wipe(out);
    assert_ok(engine_backup(room->engine, name, out, &err), &err);
}

static lethe_result restore(struct room *room, const char *name, const struct guarded *backup,
                            bool force)
{
    const struct engine_restore what = {
        .name = name, .backup = {backup->bytes, backup->size_bytes}, .force = force};
    return engine_restore(room->engine, &what, &err);
}

static void a_key_comes_back_as_it_was(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"}, copy = {.name = "copy"};
    CLEANUP(guarded_clear) struct guarded backup = {0};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    must_make(room, "k", ENGINE_CHACHA20_POLY1305);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    must_rotate(room, "k");
    must_rotate(room, "k");
    assert_ok(configure(room, &(struct setting){2, 3, 7200, 1, -1, -1}), &err);
    assert_ok(engine_trim(room->engine, "k", 2, &err), &err);
    struct engine_use second = {.name = "k", .version = 3};
    assert_ok(encrypt(room, &second, "content", &text), &err);
    struct engine_key before = must_get(room, "k");
    back_up(room, "k", &backup);

    assert_result(LETHE_EXISTS, restore(room, NULL, &backup, false));
    assert_ok(engine_delete(room->engine, "k", &err), &err);
    assert_ok(restore(room, NULL, &backup, false), &err);
    struct engine_key after = must_get(room, "k");
    assert_same(&before, &after);
    assert_ok(decrypt(room, &use, &text, &opened), &err);
    assert_ok(restore(room, "copy", &backup, false), &err);
    assert_ok(decrypt(room, &copy, &text, &opened), &err);
    assert_result(LETHE_INVALID, restore(room, "node-1.log", &backup, true));
    assert_result(LETHE_INVALID, restore(room, "acme.signer", &backup, true));
    assert_result(LETHE_INVALID, restore(room, "a/b", &backup, true));
    reopen(room);
    assert_int_equal(2, count_records(room->home, "key_restored", "\"replaced\":false"));
    assert_int_equal(1, count_records(room->home, "key_released", "\"purpose\":\"backup\""));
}

static void force_replaces_and_keeps_what_is_for_ever(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    CLEANUP(guarded_clear) struct guarded backup = {0};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    struct key_info info;
    struct key_outcome outcome;
    struct engine_version found;
    must_make(room, "k", ENGINE_AES256_GCM96);
    back_up(room, "k", &backup);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    must_rotate(room, "k");
    assert_ok(restore(room, NULL, &backup, true), &err);
    assert_int_equal(1, must_get(room, "k").latest_version);
    assert_ok(decrypt(room, &use, &text, &opened), &err);
    assert_ok(engine_version(room->engine, "k", 1, &found, &err), &err);
    assert_int_equal(KEY_USES_RESERVED, found.uses); /* counted since the backup, and still */

    assert_ok(keeper_revoke_key(room->keeper, "k", "test", &info, &err), &err);
    assert_ok(restore(room, NULL, &backup, true), &err);
    assert_result(LETHE_REVOKED, decrypt(room, &use, &text, &opened));
    assert_ok(keeper_destroy_key(room->keeper, "k", &outcome, &err), &err);
    assert_result(LETHE_REVOKED, restore(room, NULL, &backup, true));
}

/* Neither restored nor named. */
static void refuse(struct room *room, lethe_result expected, const char *text, size_t length)
{
    char name[ENGINE_NAME_MAX + 1];
    const struct engine_restore what = {.name = "new", .backup = {text, length}, .force = true};
    assert_result(expected, engine_restore(room->engine, &what, &err));
    assert_result(expected, engine_backup_name(room->engine, what.backup, name, &err));
    assert_string_equal("", name);
}

static void a_changed_backup_does_not_open(void **state)
{
    struct room *room = *state;
    CLEANUP(guarded_clear) struct guarded backup = {0};
    uint8_t bytes[2048];
    size_t size_bytes;
    char text[4096];
    must_make(room, "k", ENGINE_ECDSA_P384);
    back_up(room, "k", &backup);
    assert_result(LETHE_OK, base64_decode((const char *)backup.bytes, backup.size_bytes, bytes,
                                          sizeof bytes, &size_bytes));
    for (size_t i = 0; i < size_bytes; i++) {
        bytes[i] ^= 1;
        base64_write(bytes, size_bytes, text);
        refuse(room, LETHE_INTEGRITY, text, BASE64_LENGTH(size_bytes));
        bytes[i] ^= 1;
        base64_write(bytes, i, text);
        refuse(room, LETHE_INTEGRITY, text, BASE64_LENGTH(i));
    }
    refuse(room, LETHE_MALFORMED, "AAA", 3);
    struct engine_key key;
    assert_result(LETHE_NOT_FOUND, engine_get(room->engine, "new", &key, &err));
    char name[ENGINE_NAME_MAX + 1];
    const struct engine_bytes whole = {backup.bytes, backup.size_bytes};
    assert_ok(restore(room, "new", &backup, false), &err); /* the positive control */
    assert_ok(engine_backup_name(room->engine, whole, name, &err), &err);
    assert_string_equal("k", name);
}

static void a_backup_of_another_service_does_not_open(void **state)
{
    struct room *room = *state;
    void *other_state;
    CLEANUP(guarded_clear) struct guarded backup = {0};
    assert_int_equal(0, room_setup(&other_state));
    struct room *other = other_state;
    must_make(room, "k", ENGINE_ED25519);
    back_up(room, "k", &backup);
    assert_result(LETHE_INTEGRITY, restore(other, NULL, &backup, true)); /* has no backup key yet */
    CLEANUP(guarded_clear) struct guarded own = {0};
    must_make(other, "x", ENGINE_ED25519);
    back_up(other, "x", &own);
    assert_result(LETHE_INTEGRITY, restore(other, NULL, &backup, true));
    assert_int_equal(0, room_teardown(&other_state));
}

/* ---- rotating by itself ---------------------------------------------------------------------- */

static uint64_t offset_s;
static uint64_t later(void *context)
{
    return clock_wall_ns(&clock_system) + offset_s * 1000000000u;
}
static uint64_t monotonic(void *context)
{
    return clock_monotonic_ns(&clock_system);
}
static const struct clock_source moved = {.wall_ns = later, .monotonic_ns = monotonic};

/* K-7 */
static void keys_that_are_due_are_rotated(void **state)
{
    struct room *room = *state;
    uint64_t rotated;
    offset_s = 0;
    room->home->options.clock = &moved;
    reopen(room);
    must_make(room, "other", ENGINE_ED25519);
    make_versions(room, 1);
    assert_ok(configure(room, &(struct setting){-1, -1, 3600, -1, -1, -1}), &err);
    assert_ok(engine_rotate_due(room->engine, &rotated, &err), &err);
    assert_int_equal(0, rotated);
    offset_s = 3601;
    assert_ok(engine_rotate_due(room->engine, &rotated, &err), &err);
    assert_int_equal(1, rotated);
    assert_int_equal(2, must_get(room, "k").latest_version);
    assert_int_equal(1, must_get(room, "other").latest_version);
    assert_ok(engine_rotate_due(room->engine, &rotated, &err), &err);
    assert_int_equal(0, rotated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(a_refused_setting_changes_nothing),
        IN_ROOM(settings_that_fit_are_taken),
        IN_ROOM(creation_checks_its_settings_too),
        IN_ROOM(a_minimum_holds_for_models_as_well),
        IN_ROOM(a_key_of_another_type_wraps_no_data_key),
        IN_ROOM(trimming_destroys_what_is_below),
        IN_ROOM(a_key_is_deleted_only_when_that_was_allowed),
        IN_ROOM(exported_keys_are_the_keys),
        IN_ROOM(exported_signers_sign_the_same),
        IN_ROOM(what_may_not_leave_does_not),
        IN_ROOM(a_key_comes_back_as_it_was),
        IN_ROOM(force_replaces_and_keeps_what_is_for_ever),
        IN_ROOM(a_changed_backup_does_not_open),
        IN_ROOM(a_backup_of_another_service_does_not_open),
        IN_ROOM(keys_that_are_due_are_rotated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
