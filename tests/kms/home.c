#include "home.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/verify.h"
#include "base/error.h"
#include "base/file.h"

void home_init(struct home *home, const char *directory)
{
    *home = (struct home){0};
    snprintf(home->store, sizeof home->store, "%s/store.db", directory);
    snprintf(home->audit, sizeof home->audit, "%s/audit", directory);
    snprintf(home->lock, sizeof home->lock, "%s/lock", directory);
    snprintf(home->root_file, sizeof home->root_file, "%s/root.key", directory);
    home->root = (struct root_spec){.kind = ROOT_FILE, .passphrase_fd = -1};
    snprintf(home->root.where, sizeof home->root.where, "%s", home->root_file);
    home->options = (struct keeper_options){
        .store_path = home->store,
        .audit_directory = home->audit,
        .lock_path = home->lock,
        .node = "node-1",
        .actor = "uid:7",
        .passphrase_fd = -1,
    };
}

void must_make_home(const struct home *home)
{
    struct lethe_error err = {0};
    assert_ok(keeper_create(&home->options, &home->root, &err), &err);
}

struct keeper *must_open_home(const struct home *home)
{
    struct lethe_error err = {0};
    struct keeper *keeper;
    assert_ok(keeper_open(&home->options, &keeper, &err), &err);
    return keeper;
}

void must_close_home(struct keeper *keeper)
{
    struct lethe_error err = {0};
    assert_ok(keeper_close(keeper, &err), &err);
}

lethe_result home_result(const struct home *home, struct lethe_error *err)
{
    struct keeper *keeper;
    lethe_result result = keeper_open(&home->options, &keeper, err);
    assert_true((result == LETHE_OK) == (keeper != NULL));
    return result == LETHE_OK ? keeper_close(keeper, err) : result;
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void remove_tree(const char *path)
{
    struct lethe_error err = {0};
    assert_ok(file_remove_tree(AT_FDCWD, path, &err), &err);
}

void remove_home(const struct home *home)
{
    char saved[160];
    const char *const paths[] = {home->store, home->audit, home->lock, home->root_file};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        snprintf(saved, sizeof saved, "%s.saved", paths[i]);
        remove_tree(paths[i]);
        remove_tree(saved);
    }
    remove_side_files(home->store);
}

/* One shell for all of them: there are thousands of such copies. */
static void copy(const struct home *home, enum part part, const char *from, const char *to)
{
    const struct {
        enum part part;
        const char *path;
    } rows[] = {{PART_STORE, home->store}, {PART_LOG, home->audit}, {PART_ROOT, home->root_file}};
    char command[1024] = "set -e";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t used = strlen(command);
        char target[160];
        if ((part & rows[i].part) == 0)
            continue;
        snprintf(target, sizeof target, "%s%s", rows[i].path, to);
        remove_tree(target);
        snprintf(command + used, sizeof command - used, "; cp -a -- '%s%s' '%s'", rows[i].path,
                 from, target);
    }
    assert_int_equal(0, system(command));
}

void save_home(const struct home *home)
{
    copy(home, PART_ALL, "", ".saved");
}

void put_back(const struct home *home, enum part part)
{
    if (part & PART_STORE)
        remove_side_files(home->store);
    copy(home, part, ".saved", "");
}

/* ---- the log --------------------------------------------------------------------------------- */

static size_t count_lines(const char *path, const char *wanted, const char *with)
{
    uint8_t *bytes;
    size_t size_bytes = read_file(path, &bytes);
    bytes[size_bytes] = '\0';
    size_t count = 0;
    char *rest = (char *)bytes;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        count += strstr(line, wanted) != NULL && (with == NULL || strstr(line, with) != NULL);
    free(bytes);
    return count;
}

/* A new day begins a new file. */
size_t count_records(const struct home *home, const char *event, const char *with)
{
    char path[160];
    char wanted[80];
    size_t count = 0;
    snprintf(wanted, sizeof wanted, "\"event\":\"%s\"", event);
    for (unsigned number = 1;; number++) {
        snprintf(path, sizeof path, "%s/%06u.jsonl", home->audit, number);
        if (access(path, F_OK) != 0)
            return count;
        count += count_lines(path, wanted, with);
    }
}

void assert_log_verifies(const struct home *home)
{
    struct lethe_error err = {0};
    struct keeper *keeper = must_open_home(home);
    struct audit_verify_options options = {.directory = home->audit};
    struct audit_verify_report report;
    assert_ok(keeper_log_key(keeper, &options.key, &err), &err);
    assert_ok(audit_verify(&options, &report, &err), &err);
    must_close_home(keeper);
}

/* ---- keys ------------------------------------------------------------------------------------ */

lethe_result wrap_one(struct keeper *keeper, const char *key, struct buffer *wrapped,
                      struct lethe_error *err)
{
    const struct key_source *keys = keeper_key_source(keeper);
    const struct key_use use = {
        .key = key, .shard = "0000", .purpose = "encrypt", .aad = "shard", .aad_bytes = 5};
    CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
    TRY(lethe_secret_create(32, &data_key, err));
    memset(lethe_secret_bytes(data_key), 0x5a, 32);
    TRY(keys->ensure(keys->context, key, err));
    return keys->wrap(keys->context, &use, data_key, wrapped, err);
}

lethe_result unwrap_one(struct keeper *keeper, const char *key, const char *wrapped,
                        struct lethe_error *err)
{
    const struct key_source *keys = keeper_key_source(keeper);
    const struct key_use use = {
        .key = key, .shard = "0000", .purpose = "load", .aad = "shard", .aad_bytes = 5};
    CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
    TRY(keys->unwrap(keys->context, &use, wrapped, &data_key, err));
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(0x5a, lethe_secret_bytes(data_key)[i]);
    return LETHE_OK;
}

/* ---- cmocka ---------------------------------------------------------------------------------- */

int home_setup(void **state)
{
    void *fixture;
    struct home *home = malloc(sizeof *home);
    assert_non_null(home);
    if (fixture_setup(&fixture) != 0)
        return -1;
    home_init(home, ((struct fixture *)fixture)->directory);
    free(fixture);
    *state = home;
    return 0;
}

int home_teardown(void **state)
{
    struct home *home = *state;
    *strrchr(home->store, '/') = '\0';
    remove_tree(home->store);
    free(home);
    return 0;
}
