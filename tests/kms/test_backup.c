/* A whole home, out and in again: nothing of it can be changed, cut or read without the passphrase,
 * and an older one than the log is refused (K-1, K-4). */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_check.h"

#include "base/file.h"
#include "kms/backup.h"

#define PASSPHRASE "correct horse battery"

static struct lethe_secret *secret_of(const char *text)
{
    struct lethe_secret *secret = NULL;
    assert_ok(lethe_secret_create(strlen(text), &secret, &err), &err);
    memcpy(lethe_secret_bytes(secret), text, strlen(text));
    return secret;
}

static int memory_file(void)
{
    int fd = memfd_create("backup", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static struct backup_info must_back_up(struct room *room, int fd)
{
    struct backup_info info;
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = secret_of(PASSPHRASE);
    const struct backup_options options = {.passphrase = passphrase, .log2_n = 1};
    assert_ok(backup_write(room->keeper, &options, fd, &info, &err), &err);
    return info;
}

static lethe_result check(int fd, const char *passphrase)
{
    struct backup_info info;
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(passphrase);
    return backup_check(fd, secret, &info, &err);
}

static lethe_result restore(struct room *room, int fd, uint64_t least_epoch)
{
    struct backup_info info;
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(PASSPHRASE);
    lethe_result result = backup_restore(room->keeper, fd, secret, least_epoch, &info, &err);
    engine_forget(room->engine, NULL);
    return result;
}

static struct room *another_room(void)
{
    void *state;
    assert_int_equal(0, room_setup(&state));
    return state;
}

static void leave(struct room *room)
{
    void *state = room;
    assert_int_equal(0, room_teardown(&state));
}

/* More than one chunk. */
static void put_document(struct room *room)
{
    static uint8_t bytes[200000];
    struct store *store = keeper_store(room->keeper);
    assert_ok(store_begin(store, &err), &err);
    assert_ok(document_put(store, "large", bytes, sizeof bytes, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

static size_t size_of(int fd)
{
    struct stat status;
    assert_int_equal(0, fstat(fd, &status));
    return (size_t)status.st_size;
}

/* ---- there and back -------------------------------------------------------------------------- */

static void everything_comes_back_in_another_home(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    const struct engine_use use = {.name = "k"}, model = {.name = "acme.m.hot"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded of_model = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    CLEANUP(guarded_clear) struct guarded key_backup = {0};
    must_make(room, "k", ENGINE_CHACHA20_POLY1305);
    must_make(room, "acme.m.hot", ENGINE_AES256_GCM96);
    must_rotate(room, "k");
    put_document(room);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    assert_ok(encrypt(room, &model, "model", &of_model), &err);
    assert_ok(engine_backup(room->engine, "k", &key_backup, &err), &err);
    struct backup_info made = must_back_up(room, fd);
    assert_ok(check(fd, PASSPHRASE), &err);

    struct room *other = another_room();
    assert_ok(restore(other, fd, made.epoch), &err);
    assert_ok(decrypt(other, &use, &text, &opened), &err);
    assert_string_equal("content", text_of(&opened));
    assert_ok(decrypt(other, &model, &of_model, &opened), &err);
    assert_int_equal(2, must_get(other, "k").latest_version);
    const struct engine_restore copy = {.name = "copy",
                                        .backup = {key_backup.bytes, key_backup.size_bytes}};
    assert_ok(engine_restore(other->engine, &copy, &err), &err);
    CLEANUP(buffer_clear) struct buffer document = {0};
    assert_ok(document_get(keeper_store(other->keeper), "large", &document, &err), &err);
    assert_int_equal(200000, document.size_bytes);
    reopen(other);
    assert_int_equal(1, count_records(other->home, "home_restored", "\"log\":\"lethe/node-1\""));
    assert_log_verifies(other->home);
    leave(other);
    reopen(room);
    assert_int_equal(1, count_records(room->home, "home_backed_up", NULL));
}

/* Two logs under one key would be one log that says two things. */
static void the_key_of_the_log_stays(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    CLEANUP(buffer_clear) struct buffer mine = {0};
    CLEANUP(buffer_clear) struct buffer theirs = {0};
    must_make(room, "k", ENGINE_AES256_GCM96);
    struct backup_info made = must_back_up(room, fd);
    struct room *other = another_room();
    assert_ok(restore(other, fd, 0), &err);
    assert_ok(keeper_export_public(room->keeper, "node-1.log", &mine, &err), &err);
    assert_ok(keeper_export_public(other->keeper, "node-1.log", &theirs, &err), &err);
    assert_string_not_equal(mine.bytes, theirs.bytes);
    CLEANUP(buffer_clear) struct buffer named = {0};
    audit_key_text(&made.log_key, &named);
    assert_string_equal(mine.bytes, named.bytes);
    leave(other);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void an_older_backup_than_the_log_is_refused(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    must_make(room, "k", ENGINE_AES256_GCM96);
    struct backup_info made = must_back_up(room, fd);
    struct room *other = another_room();
    assert_result(LETHE_DENIED, restore(other, fd, made.epoch + 1));
    struct engine_key key;
    assert_result(LETHE_NOT_FOUND, engine_get(other->engine, "k", &key, &err));
    assert_ok(restore(other, fd, made.epoch), &err);
    leave(other);
}

static void a_home_with_keys_takes_none(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    must_make(room, "k", ENGINE_AES256_GCM96);
    must_back_up(room, fd);
    assert_result(LETHE_EXISTS, restore(room, fd, 0));
    struct room *other = another_room();
    must_make(other, "x", ENGINE_AES256_GCM96);
    assert_result(LETHE_EXISTS, restore(other, fd, 0));
    leave(other);
}

static void a_passphrase_is_needed_and_not_short(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    struct backup_info info;
    CLEANUP(lethe_secret_free) struct lethe_secret *brief = secret_of("1234567");
    const struct backup_options options = {.passphrase = brief, .log2_n = 1};
    assert_result(LETHE_INVALID, backup_write(room->keeper, &options, fd, &info, &err));
    assert_int_equal(0, size_of(fd));
    must_back_up(room, fd);
    assert_result(LETHE_INTEGRITY, check(fd, "correct horse batterz"));
    assert_ok(check(fd, PASSPHRASE), &err);
}

static void any_changed_byte_is_refused(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    must_make(room, "k", ENGINE_AES256_GCM96);
    must_back_up(room, fd);
    size_t size_bytes = size_of(fd);
    assert_true(size_bytes < 2000); /* each of them */
    for (size_t i = 0; i < size_bytes; i++) {
        uint8_t byte;
        assert_int_equal(1, pread(fd, &byte, 1, (off_t)i));
        byte ^= 1;
        assert_int_equal(1, pwrite(fd, &byte, 1, (off_t)i));
        lethe_result result = check(fd, PASSPHRASE);
        assert_result(i < 15 ? LETHE_MALFORMED : LETHE_INTEGRITY, result);
        byte ^= 1;
        assert_int_equal(1, pwrite(fd, &byte, 1, (off_t)i));
    }
    assert_ok(check(fd, PASSPHRASE), &err);
}

static void what_is_cut_or_longer_is_refused(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    put_document(room);
    must_back_up(room, fd);
    off_t size = (off_t)size_of(fd);
    assert_int_equal(1, pwrite(fd, "", 1, size));
    assert_result(LETHE_INTEGRITY, check(fd, PASSPHRASE));
    assert_int_equal(0, ftruncate(fd, size));
    assert_ok(check(fd, PASSPHRASE), &err);
    /* At the end of every chunk, too. */
    for (off_t at = 34; at < size;) {
        uint32_t chunk;
        assert_int_equal(4, pread(fd, &chunk, 4, at));
        CLEANUP(fd_close) int cut = memory_file();
        for (off_t done = 0; done < at; done++) {
            uint8_t byte;
            assert_int_equal(1, pread(fd, &byte, 1, done));
            assert_int_equal(1, pwrite(cut, &byte, 1, done));
            if (done > 40 && at > 70000)
                break; /* one of the long ones is enough to copy */
        }
        assert_int_equal(0, ftruncate(cut, at));
        assert_result(LETHE_INTEGRITY, check(cut, PASSPHRASE));
        at += 4 + (off_t)chunk + 16;
    }
    for (off_t at = 0; at < 34; at++) {
        assert_int_equal(0, ftruncate(fd, at));
        assert_result(LETHE_MALFORMED, check(fd, PASSPHRASE));
    }
}

/* The chunks of one size change places. */
static void chunks_stay_in_order(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    uint32_t sizes[2];
    put_document(room);
    must_back_up(room, fd);
    assert_int_equal(4, pread(fd, &sizes[0], 4, 34));
    off_t second = 34 + 4 + (off_t)sizes[0] + 16;
    assert_int_equal(4, pread(fd, &sizes[1], 4, second));
    size_t whole[2] = {sizes[0] + 20, sizes[1] + 20};
    uint8_t *a = malloc(whole[0]), *b = malloc(whole[1]);
    assert_int_equal(whole[0], pread(fd, a, whole[0], 34));
    assert_int_equal(whole[1], pread(fd, b, whole[1], second));
    assert_int_equal(whole[1], pwrite(fd, b, whole[1], 34));
    assert_int_equal(whole[0], pwrite(fd, a, whole[0], 34 + (off_t)whole[1]));
    assert_result(LETHE_INTEGRITY, check(fd, PASSPHRASE));
    free(a);
    free(b);
}

/* What is refused half-way leaves a home that can still be filled. */
static void a_failed_restore_leaves_nothing(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    put_document(room);
    must_back_up(room, fd);
    off_t last = (off_t)size_of(fd) - 1;
    uint8_t byte;
    assert_int_equal(1, pread(fd, &byte, 1, last));
    byte ^= 0x80;
    assert_int_equal(1, pwrite(fd, &byte, 1, last));
    struct room *other = another_room();
    assert_result(LETHE_INTEGRITY, restore(other, fd, 0));
    assert_string_equal("", listing(keeper_store(other->keeper), "large/"));
    byte ^= 0x80;
    assert_int_equal(1, pwrite(fd, &byte, 1, last));
    assert_ok(restore(other, fd, 0), &err);
    leave(other);
}

static void no_key_is_in_the_file(void **state)
{
    struct room *room = *state;
    CLEANUP(fd_close) int fd = memory_file();
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    static uint8_t bytes[8192];
    must_make(room, "k", ENGINE_AES256_GCM96);
    must_back_up(room, fd);
    assert_ok(keyring_material(keeper_store(room->keeper), "k", 1, &material, &err), &err);
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    assert_true(size > 0 && (size_t)size < sizeof bytes);
    assert_null(memmem(bytes, (size_t)size, lethe_secret_bytes_const(material), 32));
    assert_null(memmem(bytes, (size_t)size, "keys/", 5)); /* nor a name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(everything_comes_back_in_another_home),   IN_ROOM(the_key_of_the_log_stays),
        IN_ROOM(an_older_backup_than_the_log_is_refused), IN_ROOM(a_home_with_keys_takes_none),
        IN_ROOM(a_passphrase_is_needed_and_not_short),    IN_ROOM(any_changed_byte_is_refused),
        IN_ROOM(what_is_cut_or_longer_is_refused),        IN_ROOM(chunks_stay_in_order),
        IN_ROOM(a_failed_restore_leaves_nothing),         IN_ROOM(no_key_is_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
