/* The keeper: what is used is on record first, and neither store nor log can be put back alone. */
#include "home.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "kms/home_lock.h"

static struct lethe_error err;
static const char key[] = "default.m.hot";

/* ---- making ---------------------------------------------------------------------------------- */

static void a_home_is_made_once(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    assert_int_equal(1, count_records(home, "home_created", "\"root\":\"file\""));
    assert_result(LETHE_EXISTS, keeper_create(&home->options, &home->root, &err));
    assert_ok(home_result(home, &err), &err); /* the second try touched nothing */
    assert_log_verifies(home);
}

static void a_home_that_cannot_be_made_leaves_nothing(void **state)
{
    const struct home *home = *state;
    const char *const made[] = {home->store, home->audit, home->lock, home->root_file};
    struct home broken = *home;
    broken.options.node = "not a node";
    assert_result(LETHE_INVALID, keeper_create(&broken.options, &home->root, &err));
    broken = *home;
    broken.options.audit_directory = "/proc/nowhere/audit";
    assert_true(keeper_create(&broken.options, &home->root, &err) != LETHE_OK);
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        assert_int_equal(-1, access(made[i], F_OK));

    write_file(home->root_file, "mine", 4); /* somebody's file is not taken, and not removed */
    assert_result(LETHE_EXISTS, keeper_create(&home->options, &home->root, &err));
    assert_int_equal(0, access(home->root_file, F_OK));
    assert_int_equal(-1, access(home->store, F_OK));
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define MANY 700u /* more than a group of the log holds */

struct many {
    struct key_unwrap items[MANY];
    char shards[MANY][8];
    struct lethe_secret *keys[MANY];
};

/* K-5: one record says how many; all are wrapped, or none. */
static void many_keys_are_wrapped_together(void **state)
{
    const struct home *home = *state;
    static struct buffer wrapped[MANY];
    static struct key_wrap items[MANY];
    CLEANUP(lethe_secret_free) struct lethe_secret *plain = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    assert_ok(lethe_secret_create(32, &plain, &err), &err);
    memset(lethe_secret_bytes(plain), 0x5a, 32);
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    const struct key_source *keys = keeper_key_source(keeper);
    assert_ok(keys->ensure(keys->context, key, &err), &err);
    for (size_t i = 0; i < MANY; i++)
        items[i] = (struct key_wrap){
            {.key = key, .shard = "0", .purpose = "encrypt", .aad = "shard", .aad_bytes = 5},
            plain,
            &wrapped[i]};
    items[MANY - 1].use.key = "default.none.hot";
    assert_result(LETHE_NOT_FOUND, keys->wrap_all(keys->context, items, MANY, &err));
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(wrapped[i].size_bytes, 0);
    items[MANY - 1].use.key = key;
    assert_ok(keys->wrap_all(keys->context, items, MANY, &err), &err);
    assert_int_equal(1, count_records(home, "key_used", "\"count\":700"));
    assert_ok(keys->unwrap(keys->context, &items[0].use, wrapped[MANY - 1].bytes, &opened, &err),
              &err);
    assert_true(lethe_secret_equal(opened, plain));
    for (size_t i = 0; i < MANY; i++)
        buffer_clear(&wrapped[i]);
    must_close_home(keeper);
}

static lethe_result unwrap_many(struct keeper *keeper, struct many *many)
{
    const struct key_source *keys = keeper_key_source(keeper);
    return keys->unwrap_all(keys->context, many->items, MANY, &err);
}

static void assert_none_is_open(const struct many *many)
{
    for (size_t i = 0; i < MANY; i++)
        assert_null(many->keys[i]);
}

/* K-5: all on record, or none given. */
static void many_keys_are_released_together(void **state)
{
    const struct home *home = *state;
    struct key_info info;
    CLEANUP(buffer_clear) struct buffer old = {0};
    CLEANUP(buffer_clear) struct buffer new = {0};
    struct many *many = calloc(1, sizeof *many);
    assert_non_null(many);
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    assert_ok(wrap_one(keeper, key, &old, &err), &err);
    assert_ok(keeper_rotate_key(keeper, key, &info, &err), &err);
    assert_ok(wrap_one(keeper, key, &new, &err), &err);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(many->shards[i], sizeof many->shards[i], "%04zu", i);
        many->items[i] = (struct key_unwrap){.use = {.key = key,
                                                     .shard = many->shards[i],
                                                     .purpose = "load",
                                                     .aad = "shard",
                                                     .aad_bytes = 5},
                                             .wrapped = i % 3 == 0 ? old.bytes : new.bytes,
                                             .data_key = &many->keys[i]};
    }
    many->items[MANY - 1].use.aad_bytes = 4; /* of another shard */
    assert_result(LETHE_INTEGRITY, unwrap_many(keeper, many));
    assert_non_null(strstr(err.text, "0699"));
    assert_none_is_open(many);
    many->items[MANY - 1].use.aad_bytes = 5;
    many->items[5].use.key = "default.signer";
    assert_result(LETHE_INVALID, unwrap_many(keeper, many));
    assert_none_is_open(many);
    many->items[5].use.key = key;
    assert_int_equal(0, count_records(home, "key_released", NULL));

    assert_ok(unwrap_many(keeper, many), &err);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(32, lethe_secret_size(many->keys[i]));
        assert_int_equal(0x5a, lethe_secret_bytes_const(many->keys[i])[31]);
        lethe_secret_free(MOVE(many->keys[i]));
    }
    assert_int_equal(MANY, count_records(home, "key_released", "\"purpose\":\"load\""));
    assert_int_equal(1, count_records(home, "key_released", "\"shards\":\"0699\""));

    assert_ok(keeper_revoke_key(keeper, key, "test", &info, &err), &err);
    assert_result(LETHE_REVOKED, unwrap_many(keeper, many));
    assert_none_is_open(many);
    must_close_home(keeper);
    assert_log_verifies(home);
    free(many);
}

/* ---- using keys ------------------------------------------------------------------------------ */

/* K-5 */
static void every_use_is_on_record(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    assert_ok(wrap_one(keeper, key, &wrapped, &err), &err);
    assert_int_equal(1, count_records(home, "key_created", key));
    assert_int_equal(1, count_records(home, "key_used", "\"purpose\":\"encrypt\""));
    assert_int_equal(0, count_records(home, "key_released", NULL));

    assert_ok(unwrap_one(keeper, key, wrapped.bytes, &err), &err);
    assert_int_equal(1, count_records(home, "key_released", "\"requester\":\"uid:7\""));
    assert_int_equal(1, count_records(home, "key_released", "\"shards\":\"0000\""));
    assert_int_equal(1, count_records(home, "key_released", "\"purpose\":\"load\""));
    must_close_home(keeper);

    keeper = must_open_home(home);
    assert_ok(unwrap_one(keeper, key, wrapped.bytes, &err), &err);
    must_close_home(keeper);
    assert_log_verifies(home);
}

static void refusals_are_on_record(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    assert_ok(wrap_one(keeper, key, &wrapped, &err), &err);
    assert_ok(keeper_key_source(keeper)->ensure(keeper, "default.other.hot", &err), &err);

    assert_result(LETHE_INTEGRITY, unwrap_one(keeper, "default.other.hot", wrapped.bytes, &err));
    assert_result(LETHE_NOT_FOUND, unwrap_one(keeper, "default.none.hot", wrapped.bytes, &err));
    wrapped.bytes[strlen("vault:v")] = '2';
    assert_result(LETHE_NOT_FOUND, unwrap_one(keeper, key, wrapped.bytes, &err));
    wrapped.bytes[0] = 'V';
    assert_result(LETHE_MALFORMED, unwrap_one(keeper, key, wrapped.bytes, &err));
    assert_int_equal(4, count_records(home, "key_denied", NULL));
    assert_int_equal(0, count_records(home, "key_released", NULL));
    assert_result(LETHE_INVALID, unwrap_one(keeper, "default.signer", wrapped.bytes, &err));
    must_close_home(keeper);
}

/* Without a log there is no key. */
static void no_record_no_key(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    assert_ok(wrap_one(keeper, key, &wrapped, &err), &err);
    assert_ok(file_remove_tree(AT_FDCWD, home->audit, &err), &err);
    assert_true(unwrap_one(keeper, key, wrapped.bytes, &err) != LETHE_OK);
    CLEANUP(buffer_clear) struct buffer more = {0};
    assert_true(wrap_one(keeper, key, &more, &err) != LETHE_OK);
    assert_int_equal(0, more.size_bytes);
    assert_true(keeper_close(keeper, &err) != LETHE_OK);
    assert_result(LETHE_INTEGRITY, home_result(home, &err));
    assert_non_null(strstr(err.text, "missing"));
}

static void signatures_verify_with_the_exported_key(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    const struct key_source *keys = keeper_key_source(keeper);
    const struct sign_public *borrowed;
    struct signature signature;
    assert_result(LETHE_NOT_FOUND, keys->signer(keys->context, "default", NULL, &borrowed, &err));
    assert_ok(keys->sign(keys->context, "default", "manifest", 8, &signature, &err), &err);
    assert_int_equal(1, count_records(home, "key_created", "default.signer"));
    assert_int_equal(1, count_records(home, "key_used", "\"purpose\":\"signing\""));
    assert_ok(keys->signer(keys->context, "default", NULL, &borrowed, &err), &err);
    assert_ok(sign_verify(borrowed, "manifest", 8, &signature, &err), &err);

    CLEANUP(buffer_clear) struct buffer pem = {0};
    CLEANUP(sign_public_free) struct sign_public *exported = NULL;
    assert_ok(keeper_export_public(keeper, "default.signer", &pem, &err), &err);
    assert_ok(sign_public_from_pem(pem.bytes, pem.size_bytes, &exported, &err), &err);
    assert_ok(sign_verify(exported, "manifest", 8, &signature, &err), &err);
    assert_result(LETHE_INTEGRITY, sign_verify(exported, "Manifest", 8, &signature, &err));
    must_close_home(keeper);
}

static void the_log_key_is_exported_as_a_verifier_key(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer same = {0};
    struct audit_key log_key;
    assert_ok(keeper_export_public(keeper, "node-1.log", &text, &err), &err);
    assert_ok(keeper_log_key(keeper, &log_key, &err), &err);
    audit_key_text(&log_key, &same);
    assert_string_equal(same.bytes, text.bytes);
    assert_int_equal(0, strncmp(text.bytes, "lethe/node-1+", 13));
    assert_result(LETHE_NOT_FOUND, keeper_export_public(keeper, "node-2.log", &text, &err));
    assert_result(LETHE_NOT_FOUND, keeper_export_public(keeper, key, &text, &err));
    assert_ok(keeper_create_key(keeper, key, &err), &err);
    assert_result(LETHE_INVALID, keeper_export_public(keeper, key, &text, &err));
    assert_result(LETHE_INVALID, keeper_export_public(keeper, "nonsense.", &text, &err));
    must_close_home(keeper);
}

static lethe_result append_name(void *context, const struct key_info *info,
                                struct lethe_error *error)
{
    buffer_format(context, "%s %s %llu;", info->name, engine_type_name(info->type),
                  (unsigned long long)info->newest_version);
    return LETHE_OK;
}

static void keys_are_listed(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    CLEANUP(buffer_clear) struct buffer names = {0};
    struct signature signature;
    assert_ok(wrap_one(keeper, key, &wrapped, &err), &err);
    assert_ok(keeper_key_source(keeper)->sign(keeper, "default", "x", 1, &signature, &err), &err);
    assert_ok(keeper_list(keeper, append_name, &names, &err), &err);
    assert_string_equal("default.m.hot aes256-gcm96 1;default.signer ecdsa-p256 1;"
                        "node-1.log ed25519 1;",
                        names.bytes);
    must_close_home(keeper);
}

/* ---- old parts put back ---------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum part part;
    lethe_result result;
    const char *says;
} old_parts[] = {
    {"nothing", 0, LETHE_OK, ""}, /* control */
    {"old store", PART_STORE, LETHE_INTEGRITY, "an old store was put back"},
    {"old log", PART_LOG, LETHE_INTEGRITY, "the log was cut"},
    {"both", PART_BOTH, LETHE_OK, ""}, /* cannot be seen from here: audit verify --since can */
};

static void an_old_part_is_found(void **state)
{
    const struct home *home = *state;
    for (size_t i = 0; i < ARRAY_LEN(old_parts); i++) {
        must_make_home(home);
        save_home(home);
        struct keeper *keeper = must_open_home(home);
        assert_ok(keeper_key_source(keeper)->ensure(keeper, key, &err), &err);
        must_close_home(keeper);
        put_back(home, old_parts[i].part);
        lethe_result result = home_result(home, &err);
        if (result != old_parts[i].result ||
            (result != LETHE_OK && strstr(err.text, old_parts[i].says) == NULL))
            fail_msg("%s: %s: %s", old_parts[i].name, lethe_result_name(result), err.text);
        if (old_parts[i].part == PART_STORE)
            assert_int_equal(1, count_records(home, "integrity_violation", "store"));
        remove_home(home);
    }
}

/* The same key signs both, but it is not the log that the store remembers. */
static void another_log_of_the_same_key_is_found(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    save_home(home);
    struct keeper *keeper = must_open_home(home);
    assert_ok(keeper_key_source(keeper)->ensure(keeper, key, &err), &err);
    must_close_home(keeper);
    char other[160];
    snprintf(other, sizeof other, "%s.other", home->audit);
    assert_int_equal(0, rename(home->audit, other));
    char newest[160];
    snprintf(newest, sizeof newest, "%s.newest", home->store);
    assert_int_equal(0, rename(home->store, newest));

    put_back(home, PART_BOTH); /* from there, a history of the same length */
    keeper = must_open_home(home);
    assert_ok(keeper_key_source(keeper)->ensure(keeper, "default.n.hot", &err), &err);
    must_close_home(keeper);
    assert_int_equal(0, rename(newest, home->store));
    assert_result(LETHE_INTEGRITY, home_result(home, &err));
    assert_non_null(strstr(err.text, "replaced"));

    assert_ok(file_remove_tree(AT_FDCWD, home->audit, &err), &err);
    assert_int_equal(0, rename(other, home->audit));
    assert_ok(home_result(home, &err), &err); /* control: the right one is fine */
}

static void an_open_keeper_sees_it_at_the_next_change(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *first = must_open_home(home);
    struct keeper *second = must_open_home(home);
    assert_ok(keeper_key_source(first)->ensure(first, key, &err), &err);
    assert_ok(keeper_key_source(second)->ensure(second, key, &err), &err); /* sees it */
    assert_ok(keeper_key_source(second)->ensure(second, "default.n.hot", &err), &err);
    assert_ok(keeper_key_source(first)->ensure(first, "default.o.hot", &err), &err);
    assert_int_equal(4, count_records(home, "key_created", NULL) +
                            count_records(home, "home_created", NULL));
    must_close_home(first);
    must_close_home(second);
    assert_log_verifies(home);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_others_can_read_is_refused(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    const char *const paths[] = {home->store, home->root_file};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(0, chmod(paths[i], 0644));
        assert_result(LETHE_UNPROTECTED, home_result(home, &err));
        assert_int_equal(0, chmod(paths[i], 0600));
    }
    assert_int_equal(0, chmod(home->audit, 0755));
    assert_result(LETHE_UNPROTECTED, home_result(home, &err));
    assert_int_equal(0, chmod(home->audit, 0700));
    assert_ok(home_result(home, &err), &err);
}

static void another_root_is_refused(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct home other;
    char directory[128];
    snprintf(directory, sizeof directory, "%s", home->store);
    snprintf(strrchr(directory, '/'), 8, "/other");
    assert_int_equal(0, mkdir(directory, 0700));
    home_init(&other, directory);
    must_make_home(&other);
    assert_int_equal(0, rename(other.root_file, home->root_file));
    assert_result(LETHE_DENIED, home_result(home, &err));
    assert_int_equal(0, unlink(home->root_file));
    assert_result(LETHE_UNAVAILABLE, home_result(home, &err));
    assert_true(err.hint[0] != '\0');
}

/* Each byte of the store file, as the keeper sees it: with the record of the root, which the
 * store's head does not cover. */
static void every_byte_of_the_store_file(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    uint8_t *bytes;
    size_t size_bytes = read_file(home->store, &bytes);
    size_t refused = 0;
    size_t tried = 0;
    for (size_t at = 0; at < size_bytes; at++) {
        bool long_run = getenv("LETHE_TEST_LONG") != NULL;
        if (!long_run && at % (bytes[at] == 0 ? 64 : 3) != 0)
            continue;
        bytes[at] ^= (uint8_t)(1u << (at % 8));
        write_file(home->store, bytes, size_bytes);
        bytes[at] ^= (uint8_t)(1u << (at % 8));
        lethe_result result = home_result(home, &err);
        if (result != LETHE_OK && result != LETHE_INTEGRITY)
            fail_msg("byte %zu: %s: %s", at, lethe_result_name(result), err.text);
        refused += result != LETHE_OK;
        tried++;
        remove_side_files(home->store);
    }
    print_message("%zu bytes, %zu changed: refused %zu\n", size_bytes, tried, refused);
    assert_true(refused > 200);
    free(bytes);
}

int main(void)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ON_HOME(a_home_is_made_once),
        ON_HOME(a_home_that_cannot_be_made_leaves_nothing),
        ON_HOME(every_use_is_on_record),
        ON_HOME(many_keys_are_wrapped_together),
        ON_HOME(many_keys_are_released_together),
        ON_HOME(refusals_are_on_record),
        ON_HOME(no_record_no_key),
        ON_HOME(signatures_verify_with_the_exported_key),
        ON_HOME(the_log_key_is_exported_as_a_verifier_key),
        ON_HOME(keys_are_listed),
        ON_HOME(an_old_part_is_found),
        ON_HOME(another_log_of_the_same_key_is_found),
        ON_HOME(an_open_keeper_sees_it_at_the_next_change),
        ON_HOME(what_others_can_read_is_refused),
        ON_HOME(another_root_is_refused),
        ON_HOME(every_byte_of_the_store_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
