/* The stores that are here, in memory and in a file: what they keep, what they refuse, and files
 * that are cut, changed, or find no room. */
#include "kv_check.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#include "check_child.h"

/* The one descriptor of this process that leads to a file without a name in /tmp. */
static int nameless_file(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int fd = -1;
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char target[256] = "";
        if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0 &&
            strncmp(target, "/tmp/", 5) == 0 && strstr(target, "(deleted)") != NULL)
            fd = atoi(entry->d_name);
    }
    closedir(directory);
    assert_true(fd >= 0);
    return fd;
}

static void a_file_that_is_cut_or_changed_is_noticed(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_spill_file *file;
    struct lethe_kv_options options = cache_options(1);
    size_t slot = lethe_kv_spill_bytes(&options);
    bool same;
    assert_ok(lethe_spill_file_create("/tmp", slot, 3 * slot, &file, &kv->err), &kv->err);
    const struct lethe_spill table = lethe_spill_file_table(file);
    must_cache_with(kv, 1, &table);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 18, 0, 12);
    assert_gather(kv, session, 18, 0, 12);
    assert_int_equal(ftruncate(nameless_file(), 0), 0);
    lethe_result result = gather_is(session, 18, 0, 0, 4, &same, &kv->err);
    assert_true(result == LETHE_LOST || result == LETHE_INTEGRITY); /* or what is now a hole */
    must_end(kv, session);

    session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 19, 0, 8);
    for (off_t at = 0; at < (off_t)(3 * slot); at += (off_t)slot)
        assert_int_equal(pwrite(nameless_file(), "x", 1, at + 5), 1);
    assert_result(LETHE_INTEGRITY, gather_is(session, 19, 0, 0, 4, &same, &kv->err));
    must_end(kv, session);

    session = must_open_kv(kv, "acme", "s1");
    assert_result(LETHE_NO_SPACE, append_tokens(session, 20, 0, 20, &kv->err));
    assert_non_null(strstr(kv->err.text, "are needed, 0 of 4656 are available"));
    must_end(kv, session);
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
    lethe_spill_file_free(file);
}

static void stores_refuse_what_they_cannot_keep(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_error *err = &kv->err;
    const struct lethe_spill_id one = {.block = 1}, two = {.block = 2};
    uint8_t bytes[64] = {1}, out[64];
    struct lethe_spill_file *file;
    struct lethe_spill_memory *memory;
    assert_result(LETHE_INVALID, lethe_spill_file_create("/tmp", 0, 0, &file, err));
    assert_result(LETHE_INVALID, lethe_spill_file_create("/tmp", 64, 63, &file, err));
    assert_result(LETHE_NOT_FOUND, lethe_spill_file_create("/nowhere", 64, 0, &file, err));
    assert_null(file);
    assert_ok(lethe_spill_file_create("/tmp", 64, 64, &file, err), err);
    assert_ok(lethe_spill_memory_create(64, &memory, err), err);
    const struct lethe_spill tables[] = {lethe_spill_file_table(file),
                                         lethe_spill_memory_table(memory)};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        const struct lethe_spill *table = &tables[i];
        void *context = table->context;
        assert_result(LETHE_NOT_FOUND, table->get(context, &one, out, 64, err));
        assert_ok(table->put(context, &one, bytes, 64, err), err);
        bytes[0]++;
        assert_ok(table->put(context, &one, bytes, 64, err), err); /* in place of the first */
        assert_result(LETHE_NO_SPACE, table->put(context, &two, bytes, 64, err));
        assert_ok(table->get(context, &one, out, 64, err), err);
        assert_memory_equal(out, bytes, 64);
        table->drop(context, &two);
        table->drop(context, &one);
        table->drop(context, &one);
        assert_result(LETHE_NOT_FOUND, table->get(context, &one, out, 64, err));
        assert_ok(table->put(context, &two, bytes, 64, err), err);
    }
    assert_result(LETHE_INVALID, tables[0].put(file, &one, bytes, 65, err));
    assert_int_equal(ftruncate(nameless_file(), 63), 0);
    assert_result(LETHE_NOT_FOUND, tables[0].get(file, &two, out, 64, err));
    lethe_spill_file_free(file);
    lethe_spill_memory_free(memory);
    lethe_spill_memory_free(NULL);
}

static bool disk_is_full;

lethe_result __real_file_write_at(int fd, const char *path, uint64_t offset, const void *bytes,
                                  size_t size_bytes, struct lethe_error *err);
lethe_result __wrap_file_write_at(int fd, const char *path, uint64_t offset, const void *bytes,
                                  size_t size_bytes, struct lethe_error *err);
lethe_result __wrap_file_write_at(int fd, const char *path, uint64_t offset, const void *bytes,
                                  size_t size_bytes, struct lethe_error *err)
{
    size_t room_bytes = disk_is_full ? size_bytes / 2 : size_bytes;
    TRY(__real_file_write_at(fd, path, offset, bytes, room_bytes, err));
    return disk_is_full ? error_set(err, LETHE_NO_SPACE, "the disk is full") : LETHE_OK;
}

/* RP-002: a put that fails for want of room leaves no half, and its slot to the next. */
static void a_full_disk_takes_no_slot(void **state)
{
    struct kv_site *kv = *state;
    const struct lethe_spill_id one = {.block = 1}, two = {.block = 2};
    uint8_t bytes[4096] = {1}, out[4096];
    struct lethe_spill_file *file;
    assert_ok(lethe_spill_file_create("/tmp", sizeof bytes, sizeof bytes, &file, &kv->err),
              &kv->err);
    const struct lethe_spill table = lethe_spill_file_table(file);
    disk_is_full = true;
    lethe_result result = table.put(file, &one, bytes, sizeof bytes, &kv->err);
    disk_is_full = false;
    assert_result(LETHE_NO_SPACE, result);
    assert_result(LETHE_NOT_FOUND, table.get(file, &one, out, sizeof out, &kv->err));
    assert_ok(table.put(file, &two, bytes, sizeof bytes, &kv->err), &kv->err);
    lethe_spill_file_free(file);
}

static void limit_files(rlim_t size_bytes)
{
    const struct rlimit limit = {.rlim_cur = size_bytes, .rlim_max = RLIM_INFINITY};
    CHILD_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void spill_under_a_limit(void *context)
{
    const struct lethe_spill_id one = {.block = 1}, two = {.block = 2};
    uint8_t bytes[4096] = {1}, out[4096];
    struct lethe_spill_file *file, *none;
    struct lethe_error err = {0};
    CHILD_REQUIRE(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    CHILD_REQUIRE(lethe_spill_file_create("/tmp", sizeof bytes, 0, &file, &err) == LETHE_OK);
    const struct lethe_spill table = lethe_spill_file_table(file);
    limit_files(sizeof bytes + 1000);
    CHILD_REQUIRE(table.put(file, &one, bytes, sizeof bytes, &err) == LETHE_OK);
    CHILD_REQUIRE(table.put(file, &two, bytes, sizeof bytes, &err) == LETHE_NO_SPACE);
    CHILD_REQUIRE(strstr(err.text, "4096 bytes are needed, 1000 of 5096 are available") != NULL);
    CHILD_REQUIRE(table.get(file, &two, out, sizeof out, &err) == LETHE_NOT_FOUND);
    CHILD_REQUIRE(table.get(file, &one, out, sizeof out, &err) == LETHE_OK);
    limit_files(sizeof bytes - 1);
    CHILD_REQUIRE(lethe_spill_file_create("/tmp", 4096, 0, &none, &err) == LETHE_NO_SPACE);
    CHILD_REQUIRE(none == NULL);
    limit_files(2 * sizeof bytes);
    CHILD_REQUIRE(table.put(file, &two, bytes, sizeof bytes, &err) == LETHE_OK);
    lethe_spill_file_free(file);
}

static void write_beyond_the_limit(void *context)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CHILD_REQUIRE(fd >= 0 && signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    limit_files(1000);
    CHILD_REQUIRE(pwrite(fd, "x", 1, 1000) == 1);
}

/* RP-002: a limit on the size of files is an answer, and no signal; the second child is the
 * control.
 */
static void a_limit_on_files_is_no_space(void **state)
{
    (void)state;
    assert_exited(0, child_status(spill_under_a_limit, NULL));
    assert_killed_by(SIGXFSZ, child_status(write_beyond_the_limit, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(a_file_that_is_cut_or_changed_is_noticed),
        kv_test(stores_refuse_what_they_cannot_keep),
        kv_test(a_full_disk_takes_no_slot),
        kv_test(a_limit_on_files_is_no_space),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
