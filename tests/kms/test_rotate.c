/* Keys that are destroyed for good: another store key, another root key, and nothing old that opens
 * again; whoever has the home open goes on. K-3, K-9 */
#include "home.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "kms/root_record.h"

#include "../store/faults.h"

static struct lethe_error err;
static const char doomed[] = "default.a.hot";
static const char other[] = "default.b.hot";

/* ---- shorthand ------------------------------------------------------------------------------- */

/* A home with both keys, and a data key wrapped under each. */
struct wraps {
    struct buffer doomed;
    struct buffer other;
};

static void wraps_clear_at_scope_end(struct wraps *wraps)
{
    buffer_clear(&wraps->doomed);
    buffer_clear(&wraps->other);
}

static struct keeper *home_with_keys(const struct home *home, struct wraps *wraps)
{
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    assert_ok(wrap_one(keeper, doomed, &wraps->doomed, &err), &err);
    assert_ok(wrap_one(keeper, other, &wraps->other, &err), &err);
    return keeper;
}

static bool holds(const char *path, const void *needle, size_t size_bytes)
{
    uint8_t *bytes;
    if (access(path, F_OK) != 0)
        return false;
    size_t found_bytes = read_file(path, &bytes);
    bool found = memmem(bytes, found_bytes, needle, size_bytes) != NULL;
    free(bytes);
    return found;
}

static bool store_files_hold(const struct home *home, const void *needle, size_t size_bytes)
{
    char log[160];
    snprintf(log, sizeof log, "%s-wal", home->store);
    return holds(home->store, needle, size_bytes) || holds(log, needle, size_bytes);
}

struct blob {
    uint8_t bytes[4200];
    size_t size_bytes;
};

/* The first column of the first row of `sql`; empty when there is none. */
static struct blob blob_of(const struct home *home, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    struct blob blob = {.size_bytes = 0};
    assert_int_equal(SQLITE_OK, sqlite3_open(home->store, &db));
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    if (sqlite3_step(statement) == SQLITE_ROW) {
        blob.size_bytes = (size_t)sqlite3_column_bytes(statement, 0);
        assert_true(blob.size_bytes <= sizeof blob.bytes);
        memcpy(blob.bytes, sqlite3_column_blob(statement, 0), blob.size_bytes);
    }
    sqlite3_finalize(statement);
    assert_int_equal(SQLITE_OK, sqlite3_close(db));
    return blob;
}

static struct blob row_of(const struct home *home, const char *key)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT sealed FROM store_row WHERE path = 'keys/%s/1'", key);
    return blob_of(home, sql);
}

static struct root_record root_of(const struct home *home)
{
    struct root_record record;
    struct blob blob = blob_of(home, "SELECT value FROM store_meta WHERE name = 'root'");
    assert_ok(root_record_parse(blob.bytes, blob.size_bytes, &record, &err), &err);
    return record;
}

/* The root key as the file spells it. */
struct root_text {
    char hex[65];
};
static struct root_text root_text_of(const struct home *home)
{
    uint8_t *bytes;
    struct root_text text = {.hex = ""};
    size_t size_bytes = read_file(home->root_file, &bytes);
    memcpy(text.hex, bytes + size_bytes - 1 - 16 - 1 - 64, 64);
    free(bytes);
    return text;
}

static off_t size_of(const char *path)
{
    struct stat status;
    assert_int_equal(0, stat(path, &status));
    return status.st_size;
}

static void assert_gone(const struct home *home, const char *event, const char *outcome)
{
    char with[400];
    snprintf(with, sizeof with, "\"outcome\":\"%s", outcome);
    assert_int_equal(1, count_records(home, event, NULL));
    assert_int_equal(1, count_records(home, event, with));
}

/* ---- a root file ----------------------------------------------------------------------------- */

static void nothing_old_is_left(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    struct blob row = row_of(home, doomed);
    struct root_record root = root_of(home);
    struct root_text root_text = root_text_of(home);
    assert_true(store_files_hold(home, row.bytes, row.size_bytes)); /* the search finds */
    assert_true(store_files_hold(home, root.sealed, sizeof root.sealed));
    assert_true(holds(home->root_file, root_text.hex, 64));

    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_string_equal(KEY_ERASED, outcome.text);
    assert_true(outcome.new_root_key);
    assert_gone(home, "key_destroyed", "erased\"");
    assert_false(store_files_hold(home, row.bytes, row.size_bytes));
    assert_false(store_files_hold(home, root.sealed, sizeof root.sealed));
    assert_false(holds(home->root_file, root_text.hex, 64));
    assert_int_equal(112, size_of(home->root_file));
    assert_int_equal(1, root_of(home).generation);

    assert_result(LETHE_REVOKED, unwrap_one(keeper, doomed, wraps.doomed.bytes, &err));
    assert_ok(unwrap_one(keeper, other, wraps.other.bytes, &err), &err);
    must_close_home(keeper);
    keeper = must_open_home(home);
    assert_ok(unwrap_one(keeper, other, wraps.other.bytes, &err), &err);
    assert_result(LETHE_REVOKED, unwrap_one(keeper, doomed, wraps.doomed.bytes, &err));
    must_close_home(keeper);
    assert_log_verifies(home);
}

static void destroying_again_finishes_and_is_on_record(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_string_equal(KEY_ERASED, outcome.text);
    assert_gone(home, "key_destroyed", "erased\"");
    assert_gone(home, "root_rotated", "erased\"");
    must_close_home(keeper);
    assert_log_verifies(home);
}

static void a_rotation_keeps_every_key(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    for (uint64_t i = 1; i <= 3; i++) {
        struct root_text before = root_text_of(home);
        assert_ok(keeper_rotate_root(keeper, &outcome, &err), &err);
        assert_string_equal(KEY_ERASED, outcome.text);
        assert_false(holds(home->root_file, before.hex, 64));
        assert_int_equal(i, root_of(home).generation);
        assert_ok(unwrap_one(keeper, doomed, wraps.doomed.bytes, &err), &err);
        assert_ok(unwrap_one(keeper, other, wraps.other.bytes, &err), &err);
    }
    must_close_home(keeper);
    assert_int_equal(3, count_records(home, "root_rotated", "\"root\":\"file\""));
    keeper = must_open_home(home);
    assert_ok(unwrap_one(keeper, other, wraps.other.bytes, &err), &err);
    must_close_home(keeper);
    assert_log_verifies(home);
}

static void what_cannot_be_destroyed_changes_nothing(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    struct root_text before = root_text_of(home);
    assert_result(LETHE_INVALID, keeper_destroy_key(keeper, "node-1.log", &outcome, &err));
    assert_result(LETHE_NOT_FOUND, keeper_destroy_key(keeper, "default.x.hot", &outcome, &err));
    assert_result(LETHE_INVALID, keeper_destroy_key(keeper, "x.", &outcome, &err));
    must_close_home(keeper);
    assert_true(holds(home->root_file, before.hex, 64));
    assert_int_equal(95, size_of(home->root_file));
    assert_int_equal(0, root_of(home).generation);
}

/* ---- old things put back --------------------------------------------------------------------- */

/* What of the old state is put back, and what opening says. Nothing of it opens the key. */
static void nothing_old_comes_back(void **state)
{
    static const struct {
        int parts;
        lethe_result result;
        const char *text;
    } cases[] = {
        {PART_STORE, LETHE_INTEGRITY, "an old store was put back"},
        {PART_LOG, LETHE_INTEGRITY, "the log was cut"},
        {PART_ROOT, LETHE_INTEGRITY, "is an old copy"},
        {PART_STORE | PART_ROOT, LETHE_INTEGRITY, "an old store was put back"},
        {PART_STORE | PART_LOG, LETHE_INTEGRITY, "an old store was put back"},
        {PART_LOG | PART_ROOT, LETHE_INTEGRITY, "is an old copy"},
    };
    const struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    must_close_home(home_with_keys(home, &wraps));
    save_home(home);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_back(home, PART_ALL);
        struct keeper *keeper = must_open_home(home);
        assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
        must_close_home(keeper);
        assert_ok(home_result(home, &err), &err); /* control */
        put_back(home, (enum part)cases[i].parts);
        assert_result(cases[i].result, home_result(home, &err));
        if (strstr(err.text, cases[i].text) == NULL)
            fail_msg("case %zu: %s", i, err.text);
    }
}

/* The limit, shown: all three copied before, root file too, open as they did. */
static void a_copy_of_everything_is_a_copy_of_the_key(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    must_close_home(keeper);
    save_home(home);
    keeper = must_open_home(home);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    must_close_home(keeper);
    put_back(home, PART_ALL);
    keeper = must_open_home(home);
    assert_ok(unwrap_one(keeper, doomed, wraps.doomed.bytes, &err), &err);
    must_close_home(keeper);
}

static void copy_file(const char *from, const char *to)
{
    uint8_t *bytes;
    size_t size_bytes = read_file(from, &bytes);
    write_file(to, bytes, size_bytes);
    free(bytes);
}

/* A write-ahead log of before, with and without its index, beside the store of now. */
static void an_old_write_ahead_log_brings_nothing_back(void **state)
{
    const struct home *home = *state;
    static const char *const sides[] = {"-wal", "-shm"};
    char side[2][160];
    char saved[2][400];
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    for (size_t i = 0; i < 2; i++) {
        snprintf(side[i], sizeof side[i], "%s%s", home->store, sides[i]);
        snprintf(saved[i], sizeof saved[i], "%s.saved", side[i]);
        copy_file(side[i], saved[i]);
    }
    assert_true(size_of(saved[0]) > 0); /* there are old pages in it */
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    must_close_home(keeper);
    char now[170];
    snprintf(now, sizeof now, "%s.now", home->store);
    copy_file(home->store, now);
    for (size_t with_index = 0; with_index < 2; with_index++) {
        copy_file(now, home->store);
        remove_side_files(home->store);
        for (size_t i = 0; i <= with_index; i++)
            copy_file(saved[i], side[i]);
        lethe_result result = home_result(home, &err);
        assert_true(result == LETHE_OK || result == LETHE_INTEGRITY);
        if (result != LETHE_OK)
            continue;
        keeper = must_open_home(home);
        assert_result(LETHE_REVOKED, unwrap_one(keeper, doomed, wraps.doomed.bytes, &err));
        must_close_home(keeper);
    }
}

/* ---- other roots ----------------------------------------------------------------------------- */

/* A fresh descriptor that gives the passphrase. */
static int passphrase_fd(void)
{
    static const char text[] = "correct horse\n";
    int ends[2];
    assert_int_equal(0, pipe(ends));
    assert_int_equal(strlen(text), write(ends[1], text, strlen(text)));
    close(ends[1]);
    return ends[0];
}

static struct keeper *open_with_passphrase(struct home *home)
{
    struct keeper *keeper;
    CLEANUP(fd_close) int fd = passphrase_fd();
    home->options.passphrase_fd = fd;
    assert_ok(keeper_open(&home->options, &keeper, &err), &err);
    return keeper;
}

static void a_passphrase_is_asked_for_once_and_stays(void **state)
{
    struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    CLEANUP(fd_close) int fd = passphrase_fd();
    home->root = (struct root_spec){.kind = ROOT_PASSPHRASE, .passphrase_fd = fd};
    assert_ok(keeper_create(&home->options, &home->root, &err), &err);
    struct keeper *keeper = open_with_passphrase(home);
    struct keeper *beside = open_with_passphrase(home);
    assert_ok(wrap_one(keeper, doomed, &wraps.doomed, &err), &err);
    assert_ok(wrap_one(keeper, other, &wraps.other, &err), &err);
    struct blob row = row_of(home, doomed);
    struct root_record root = root_of(home);
    assert_true(store_files_hold(home, root.sealed, sizeof root.sealed));

    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_string_equal("erased except from copies: the passphrase still opens older copies of "
                        "store.db",
                        outcome.text);
    assert_false(outcome.new_root_key);
    assert_gone(home, "key_destroyed", "erased except from copies: the passphrase");
    assert_false(store_files_hold(home, row.bytes, row.size_bytes));
    assert_false(store_files_hold(home, root.sealed, sizeof root.sealed));
    assert_ok(unwrap_one(beside, other, wraps.other.bytes, &err), &err); /* nobody was asked */
    assert_result(LETHE_REVOKED, unwrap_one(beside, doomed, wraps.doomed.bytes, &err));
    must_close_home(beside);
    must_close_home(keeper);
    keeper = open_with_passphrase(home);
    assert_ok(unwrap_one(keeper, other, wraps.other.bytes, &err), &err);
    must_close_home(keeper);
}

static void a_credential_stays(void **state)
{
    struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    char directory[128];
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    assert_ok(root_parse("credential:root-key", &home->root, &err), &err);
    char path[160];
    snprintf(path, sizeof path, "%s/root-key", directory);
    write_file(path, "0123456789abcdef0123456789abcdef", 32);
    struct keeper *keeper = home_with_keys(home, &wraps);
    struct keeper *beside = must_open_home(home);
    struct root_record root = root_of(home);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_string_equal("erased except from copies: the credential still opens older copies of "
                        "store.db",
                        outcome.text);
    assert_false(store_files_hold(home, root.sealed, sizeof root.sealed));
    assert_ok(unwrap_one(beside, other, wraps.other.bytes, &err), &err);
    must_close_home(beside);
    must_close_home(keeper);
    assert_ok(home_result(home, &err), &err);
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* In a child that cannot write what its owner may only read, as an ordinary user cannot. */
static int destroy_without_writing(const char *directory)
{
    struct home home;
    struct key_outcome outcome;
    home_init(&home, directory);
    if (geteuid() == 0)
        assert_ok(sandbox_drop_capability(CAP_DAC_OVERRIDE, &err), &err);
    struct keeper *keeper = must_open_home(&home);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_non_null(strstr(outcome.text, "erased except from copies: the root file cannot be"));
    assert_false(outcome.new_root_key);
    must_close_home(keeper);
    return 0;
}

static void a_root_file_that_cannot_be_written_stays(void **state)
{
    struct home *home = *state;
    char directory[128];
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    must_close_home(home_with_keys(home, &wraps));
    struct root_record root = root_of(home);
    struct root_text text = root_text_of(home);
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    assert_int_equal(0, chmod(home->root_file, 0400));
    assert_int_equal(0, wait_for(spawn_self((const char *const[]){"readonly", directory, NULL})));
    assert_true(holds(home->root_file, text.hex, 64));
    assert_false(store_files_hold(home, root.sealed, sizeof root.sealed));
    assert_ok(home_result(home, &err), &err);

    struct key_outcome outcome; /* and once it can be written, all of it is done */
    assert_int_equal(0, chmod(home->root_file, 0600));
    struct keeper *keeper = must_open_home(home);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_string_equal(KEY_ERASED, outcome.text);
    assert_false(holds(home->root_file, text.hex, 64));
    must_close_home(keeper);
}

static void another_homes_root_is_still_named_as_such(void **state)
{
    const struct home *home = *state;
    char directory[128];
    struct home second;
    must_make_home(home);
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    strcat(directory, "/second");
    assert_int_equal(0, mkdir(directory, 0700));
    home_init(&second, directory);
    must_make_home(&second);
    copy_file(second.root_file, home->root_file);
    assert_result(LETHE_DENIED, home_result(home, &err));
    assert_non_null(strstr(err.text, "another home"));
}

/* ---- several at the home --------------------------------------------------------------------- */

static void who_has_it_open_goes_on(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    struct key_info info;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    CLEANUP(buffer_clear) struct buffer again = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    struct keeper *beside = must_open_home(home);
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_result(LETHE_REVOKED, keeper_check_usable(beside, doomed, 1, &err));
    assert_ok(keeper_check_usable(beside, other, 1, &err), &err);
    assert_ok(keeper_rotate_root(keeper, &outcome, &err), &err);
    assert_ok(keeper_rotate_root(keeper, &outcome, &err), &err); /* two at once, unseen */
    assert_ok(keeper_rotate_key(beside, other, &info, &err), &err);
    assert_ok(wrap_one(beside, other, &again, &err), &err);
    assert_ok(keeper_rotate_root(beside, &outcome, &err), &err);
    assert_ok(unwrap_one(keeper, other, again.bytes, &err), &err);
    must_close_home(keeper);
    must_close_home(beside);
    assert_log_verifies(home);
}

/* Its root is out of reach (a disk that was taken out): a clear error, and on again afterwards. */
static void who_cannot_read_the_root_is_told(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    char elsewhere[140];
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    struct keeper *keeper = home_with_keys(home, &wraps);
    struct keeper *beside = must_open_home(home);
    snprintf(elsewhere, sizeof elsewhere, "%s.away", home->root_file);
    assert_ok(keeper_rotate_root(keeper, &outcome, &err), &err);
    assert_int_equal(0, rename(home->root_file, elsewhere));
    assert_result(LETHE_UNAVAILABLE, keeper_check_usable(beside, other, 1, &err));
    assert_non_null(strstr(err.text, "the store has got another key"));
    assert_result(LETHE_UNAVAILABLE, keeper_rotate_root(keeper, &outcome, &err));
    assert_int_equal(0, rename(elsewhere, home->root_file));
    assert_ok(keeper_check_usable(beside, other, 1, &err), &err);
    must_close_home(keeper);
    must_close_home(beside);
}

/* A reader of an older state keeps the log from being cut. */
static void what_is_held_up_can_be_finished(void **state)
{
    const struct home *home = *state;
    struct key_outcome outcome;
    sqlite3 *reader;
    CLEANUP(wraps_clear) struct wraps wraps = {0};
    if (getenv("LETHE_TEST_LONG") == NULL) {
        print_message("skipped: it waits for ten seconds (LETHE_TEST_LONG)\n");
        skip();
    }
    struct keeper *keeper = home_with_keys(home, &wraps);
    struct root_record root = root_of(home);
    assert_int_equal(SQLITE_OK, sqlite3_open(home->store, &reader));
    assert_int_equal(
        SQLITE_OK, sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM store_row", NULL, NULL, NULL));
    assert_result(LETHE_BUSY, keeper_destroy_key(keeper, doomed, &outcome, &err));
    assert_result(LETHE_REVOKED, unwrap_one(keeper, doomed, wraps.doomed.bytes, &err));
    assert_gone(home, "key_destroyed", "erased except from copies: what was there before");
    assert_true(store_files_hold(home, root.sealed, sizeof root.sealed));
    assert_int_equal(SQLITE_OK, sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL));
    assert_int_equal(SQLITE_OK, sqlite3_close(reader));
    assert_ok(keeper_destroy_key(keeper, doomed, &outcome, &err), &err);
    assert_string_equal(KEY_ERASED, outcome.text);
    assert_false(store_files_hold(home, root.sealed, sizeof root.sealed));
    must_close_home(keeper);
}

/* ---- killed, failed -------------------------------------------------------------------------- */

static lethe_result destroy_one(const struct home *home)
{
    struct keeper *keeper;
    struct key_outcome outcome;
    TRY(keeper_open(&home->options, &keeper, &err));
    lethe_result result = keeper_destroy_key(keeper, doomed, &outcome, &err);
    lethe_result closed = keeper_close(keeper, NULL);
    return result != LETHE_OK ? result : closed;
}

static int destroy_until_killed(const char *directory, const char *step)
{
    struct home home;
    home_init(&home, directory);
    faults_arm(FAULT_KILL, atol(step));
    lethe_result result = destroy_one(&home);
    return result == LETHE_OK && faults_disarm() < atol(step) ? 0 : 1;
}

struct seen {
    size_t alive;     /* the key is as it was                             */
    size_t destroyed; /* it is destroyed, and the record claims the least */
    size_t erased;    /* and the record says that all of it is erased     */
};

/* What a destroy that ended anywhere has left: a home that opens, a root file with one line, and a
 * record that claims no more than is so. */
static void look_at(const struct home *home, const struct wraps *wraps,
                    const struct root_text *old_root, const struct root_record *old_record,
                    struct seen *seen)
{
    struct keeper *keeper = must_open_home(home);
    assert_ok(unwrap_one(keeper, other, wraps->other.bytes, &err), &err);
    lethe_result result = unwrap_one(keeper, doomed, wraps->doomed.bytes, &err);
    must_close_home(keeper);
    uint64_t generation = root_of(home).generation;
    size_t records = count_records(home, "key_destroyed", NULL);
    size_t erased = count_records(home, "key_destroyed", "\"outcome\":\"erased\"");
    assert_int_equal(generation == 0 ? 95 : 112, size_of(home->root_file));
    assert_int_equal(generation, records);
    if (result == LETHE_OK) {
        assert_int_equal(0, records);
        assert_true(holds(home->root_file, old_root->hex, 64));
        seen->alive++;
        return;
    }
    assert_result(LETHE_REVOKED, result);
    assert_int_equal(1, records);
    assert_false(holds(home->root_file, old_root->hex, 64));
    if (erased > 0)
        assert_false(store_files_hold(home, old_record->sealed, sizeof old_record->sealed));
    seen->destroyed += erased == 0;
    seen->erased += erased;
}

struct sweep {
    struct wraps wraps;
    struct root_text root;
    struct root_record record;
    struct seen seen;
};

static void sweep_clear_at_scope_end(struct sweep *sweep)
{
    buffer_clear(&sweep->wraps.doomed);
    buffer_clear(&sweep->wraps.other);
}

static void sweep_begin(const struct home *home, struct sweep *sweep)
{
    must_close_home(home_with_keys(home, &sweep->wraps));
    sweep->root = root_text_of(home);
    sweep->record = root_of(home);
    save_home(home);
}

static void sweep_look(const struct home *home, struct sweep *sweep)
{
    look_at(home, &sweep->wraps, &sweep->root, &sweep->record, &sweep->seen);
}

static void killed_at_every_step(void **state)
{
    const struct home *home = *state;
    CLEANUP(sweep_clear) struct sweep sweep = {0};
    char directory[128];
    bool finished = false;
    long step = 1, stride = (long)table_stride(3);
    sweep_begin(home, &sweep);
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    for (; !finished; step += stride) {
        char text[24];
        put_back(home, PART_ALL);
        snprintf(text, sizeof text, "%ld", step);
        int status = wait_for(spawn_self((const char *const[]){"destroy", directory, text, NULL}));
        finished = WIFEXITED(status);
        assert_true(finished ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
        sweep_look(home, &sweep);
    }
    const struct seen *seen = &sweep.seen;
    print_message("killed at %zu steps: %zu times alive, %zu destroyed, %zu erased on record\n",
                  seen->alive + seen->destroyed + seen->erased - 1, seen->alive, seen->destroyed,
                  seen->erased);
    size_t wanted = 5 / (size_t)stride;
    assert_true(seen->alive > wanted && seen->destroyed > wanted && seen->erased > wanted);
}

/* Every place in the long run; otherwise one in three, beginning with the first. */
static unsigned sampled_stride(void)
{
    return getenv("LETHE_TEST_LONG") != NULL ? 1 : 3;
}

static void fail_at_every_step(const struct home *home, enum fault fault)
{
    CLEANUP(sweep_clear) struct sweep sweep = {0};
    bool reached = true;
    long step = 1, stride = (long)(sampled_stride() * table_stride(3));
    sweep_begin(home, &sweep);
    for (; reached; step += stride) {
        put_back(home, PART_ALL);
        faults_arm(fault, step);
        lethe_result result = destroy_one(home);
        reached = faults_disarm() >= step;
        if (result != LETHE_OK && result != LETHE_IO && result != LETHE_NO_SPACE)
            fail_msg("step %ld: %s: %s", step, lethe_result_name(result), err.text);
        sweep_look(home, &sweep);
        if (step % 4 == 0) /* and life goes on */
            assert_ok(destroy_one(home), &err);
    }
    print_message("failed at %zu steps: %zu times alive, %zu destroyed, %zu erased on record\n",
                  sweep.seen.alive + sweep.seen.destroyed + sweep.seen.erased - 1, sweep.seen.alive,
                  sweep.seen.destroyed, sweep.seen.erased);
    assert_true(sweep.seen.alive * (size_t)stride > 9 && sweep.seen.erased > 0);
}

static void out_of_space_at_every_step(void **state)
{
    fail_at_every_step(*state, FAULT_FULL);
}

static void failed_at_every_step(void **state)
{
    fail_at_every_step(*state, FAULT_BAD);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct {
    unsigned left; /* until one fails; 0: none does */
    bool failed;
} memory;

static bool memory_fails_now(void)
{
    if (memory.left == 0 || --memory.left > 0)
        return false;
    memory.failed = true;
    return true;
}

/* OpenSSL alone calls malloc, and what it does without memory is its own. */
#define FAILING(name, parameters, arguments)                                                       \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        return memory_fails_now() ? NULL : __real_##name arguments;                                \
    }
FAILING(calloc, (size_t count, size_t size_bytes), (count, size_bytes))
FAILING(realloc, (void *old, size_t size_bytes), (old, size_bytes))
FAILING(reallocarray, (void *old, size_t count, size_t size_bytes), (old, count, size_bytes))
FAILING(strdup, (const char *text), (text))

/* Each allocation of the change itself, in a keeper that was opened before and that goes on. */
static void out_of_memory_at_every_allocation(void **state)
{
    const struct home *home = *state;
    CLEANUP(sweep_clear) struct sweep sweep = {0};
    unsigned place = 1, stride = sampled_stride();
    size_t errors = 0;
    sweep_begin(home, &sweep);
    for (bool failed = true; failed; place += stride) {
        struct key_outcome outcome;
        put_back(home, PART_ALL);
        struct keeper *keeper = must_open_home(home);
        memory.left = place;
        memory.failed = false;
        lethe_result result = keeper_destroy_key(keeper, doomed, &outcome, &err);
        failed = memory.failed;
        memory.left = 0;
        if (result != LETHE_OK && result != LETHE_NO_MEMORY)
            fail_msg("allocation %u: %s: %s", place, lethe_result_name(result), err.text);
        errors += result != LETHE_OK;
        assert_ok(unwrap_one(keeper, other, sweep.wraps.other.bytes, &err), &err);
        must_close_home(keeper);
        sweep_look(home, &sweep);
    }
    print_message("%zu allocations were an error: %zu times alive, %zu destroyed, %zu erased on "
                  "record\n",
                  errors, sweep.seen.alive, sweep.seen.destroyed, sweep.seen.erased);
    assert_true(errors * stride > 60);
}

int main(int argc, char **argv)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 4 && strcmp(argv[1], "destroy") == 0)
        return destroy_until_killed(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "readonly") == 0)
        return destroy_without_writing(argv[2]);
    const struct CMUnitTest tests[] = {
        ON_HOME(nothing_old_is_left),
        ON_HOME(destroying_again_finishes_and_is_on_record),
        ON_HOME(a_rotation_keeps_every_key),
        ON_HOME(what_cannot_be_destroyed_changes_nothing),
        ON_HOME(nothing_old_comes_back),
        ON_HOME(a_copy_of_everything_is_a_copy_of_the_key),
        ON_HOME(an_old_write_ahead_log_brings_nothing_back),
        ON_HOME(a_passphrase_is_asked_for_once_and_stays),
        ON_HOME(a_credential_stays),
        ON_HOME(a_root_file_that_cannot_be_written_stays),
        ON_HOME(another_homes_root_is_still_named_as_such),
        ON_HOME(who_has_it_open_goes_on),
        ON_HOME(who_cannot_read_the_root_is_told),
        ON_HOME(what_is_held_up_can_be_finished),
        ON_HOME(killed_at_every_step),
        ON_HOME(out_of_space_at_every_step),
        ON_HOME(failed_at_every_step),
        ON_HOME(out_of_memory_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
