#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

extern char **environ;

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(fixture->directory, sizeof fixture->directory, "%s/lethe-store-XXXXXX", parent);
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof fixture->path, "%s/store.db", fixture->directory);
    *state = fixture;
    return 0;
}

static void each_file(const struct fixture *fixture, void (*visit)(void *context, const char *path),
                      void *context)
{
    DIR *directory = opendir(fixture->directory);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", fixture->directory, entry->d_name);
        if (entry->d_name[0] != '.')
            visit(context, path);
    }
    closedir(directory);
}

static void remove_one(void *context, const char *path)
{
    unlink(path);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    each_file(fixture, remove_one, NULL);
    int result = rmdir(fixture->directory);
    free(fixture);
    return result;
}

struct lethe_secret *test_key(uint8_t seed)
{
    struct lethe_error err = {0};
    struct lethe_secret *key;
    assert_ok(lethe_secret_create(STORE_KEY_BYTES, &key, &err), &err);
    memset(lethe_secret_bytes(key), seed, STORE_KEY_BYTES);
    return key;
}

struct store *must_create(const char *path)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    struct store *store;
    assert_ok(store_open(path, true, &store, &err), &err);
    assert_ok(store_format(store, key, &err), &err);
    return store;
}

struct store *must_open(const char *path)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    struct store *store;
    assert_ok(store_open(path, false, &store, &err), &err);
    assert_ok(store_unlock(store, key, &err), &err);
    return store;
}

lethe_result open_result(const char *path, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    CLEANUP(store_close) struct store *store = NULL;
    TRY(store_open(path, false, &store, err));
    return store_unlock(store, key, err);
}

void must_put(struct store *store, const char *path, const char *value)
{
    struct lethe_error err = {0};
    assert_ok(store_begin(store, &err), &err);
    assert_ok(store_put(store, path, value, strlen(value), STORE_ANY, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

void must_delete(struct store *store, const char *path)
{
    struct lethe_error err = {0};
    assert_ok(store_begin(store, &err), &err);
    assert_ok(store_delete(store, path, STORE_ANY, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

uint64_t must_read(struct store *store, const char *path, const char *value)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    uint64_t version;
    assert_ok(store_get(store, path, &secret, &version, &err), &err);
    assert_int_equal(strlen(value), lethe_secret_size(secret));
    assert_memory_equal(value, lethe_secret_bytes(secret), strlen(value));
    return version;
}

struct list_text {
    char text[1024];
    size_t length;
};

static lethe_result append_path(void *context, const char *path, uint64_t version,
                                struct lethe_error *err)
{
    struct list_text *list = context;
    int length = snprintf(list->text + list->length, sizeof list->text - list->length,
                          "%s%s@%" PRIu64, list->length == 0 ? "" : " ", path, version);
    list->length += (size_t)length;
    assert_true(list->length < sizeof list->text);
    return LETHE_OK;
}

const char *listing(struct store *store, const char *prefix)
{
    static struct list_text list;
    list = (struct list_text){0};
    struct lethe_error err = {0};
    assert_ok(store_list(store, prefix, append_path, &list, &err), &err);
    return list.text;
}

void tamper(const char *path, const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_int_equal(SQLITE_OK, sqlite3_close(db));
}

size_t read_file(const char *path, uint8_t **bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(0, fseek(file, 0, SEEK_END));
    size_t size_bytes = (size_t)ftell(file);
    rewind(file);
    *bytes = malloc(size_bytes + 1);
    assert_non_null(*bytes);
    assert_int_equal(size_bytes, fread(*bytes, 1, size_bytes, file));
    fclose(file);
    return size_bytes;
}

void write_file(const char *path, const void *bytes, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(size_bytes, write(fd, bytes, size_bytes));
    close(fd);
}

void remove_side_files(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

struct search {
    const void *needle;
    size_t size_bytes;
    size_t found;
};

static void search_one(void *context, const char *path)
{
    struct search *search = context;
    uint8_t *bytes;
    size_t size_bytes = read_file(path, &bytes);
    const uint8_t *at = bytes;
    while ((at = memmem(at, size_bytes - (size_t)(at - bytes), search->needle,
                        search->size_bytes)) != NULL) {
        search->found++;
        at++;
    }
    free(bytes);
}

size_t count_in_files(const struct fixture *fixture, const void *needle, size_t size_bytes)
{
    struct search search = {.needle = needle, .size_bytes = size_bytes};
    each_file(fixture, search_one, &search);
    return search.found;
}

int spawn_self(const char *const *arguments)
{
    char *argv[12] = {(char *)"/proc/self/exe"};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i + 2 < ARRAY_LEN(argv));
        argv[i + 1] = (char *)arguments[i];
    }
    pid_t pid;
    assert_int_equal(0, posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ));
    return pid;
}

int wait_for(int pid)
{
    int status;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return status;
}
