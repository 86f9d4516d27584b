/* a disk that is nearly full is kept for what is essential. */
#include "audit/space.h"
#include "batch_check.h"
#include "emit_check.h"

#include <sched.h>
#include <sys/mount.h>

#include "check_child.h"

struct disk {
    uint64_t free_bytes;
    uint64_t total_bytes;
    lethe_result result;
    unsigned looks;
};

static lethe_result look_at(void *context, int directory, uint64_t *free_bytes,
                            uint64_t *total_bytes, struct lethe_error *err)
{
    struct disk *disk = context;
    disk->looks++;
    *free_bytes = disk->free_bytes;
    *total_bytes = disk->total_bytes;
    return disk->result;
}

/* ---- the floor ------------------------------------------------------------------------------- */

static lethe_result check(struct disk disk, uint64_t floor_bytes, struct lethe_error *err)
{
    const struct audit_space space = {look_at, &disk};
    return space_check(&space, AT_FDCWD, floor_bytes, err);
}

static void the_floor_is_the_smaller_of_two(void **state)
{
    const uint64_t mib = 1 << 20, gib = 1 << 30;
    assert_result(LETHE_OK, check((struct disk){64 * mib, 100 * gib}, 0, NULL));
    assert_result(LETHE_NO_SPACE, check((struct disk){64 * mib - 1, 100 * gib}, 0, NULL));
    assert_result(LETHE_OK, check((struct disk){10 * mib, 1000 * mib}, 0, NULL));
    assert_result(LETHE_NO_SPACE, check((struct disk){10 * mib - 1, 1000 * mib}, 0, NULL));
    assert_result(LETHE_NO_SPACE, check((struct disk){9, 1000 * mib}, 10, NULL));
    assert_result(LETHE_OK, check((struct disk){10, 1000 * mib}, 10, NULL));
    assert_result(LETHE_OK, check((struct disk){0, gib}, AUDIT_NO_LIMIT, NULL));
}

static void what_says_nothing_is_taken_to_have_enough(void **state)
{
    assert_result(LETHE_OK, check((struct disk){0, 0}, 10, NULL));
    assert_result(LETHE_OK, check((struct disk){0, 100, LETHE_IO}, 10, NULL));
}

static void the_system_is_asked(void **state)
{
    uint64_t free_bytes = 0, total_bytes = 0;
    char *directory = temp_dir();
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_result(LETHE_OK, space_system.look(NULL, fd, &free_bytes, &total_bytes, NULL));
    assert_true(total_bytes > 0 && free_bytes <= total_bytes);
    assert_result(LETHE_IO, space_system.look(NULL, -1, &free_bytes, &total_bytes, NULL));
    assert_result(LETHE_NO_SPACE, space_check(&space_system, fd, AUDIT_NO_LIMIT - 1, NULL));
    close(fd);
    free(directory);
}

/* ---- in a log -------------------------------------------------------------------------------- */

static const struct audit_event *critical(void)
{
    static struct audit_event event;
    event = audit_integrity_violation("what", "why");
    return &event;
}

static struct node *node_with_disk(struct disk *disk)
{
    struct node *node = node_fresh("alpha");
    *disk = (struct disk){.free_bytes = 1000, .total_bytes = 1 << 30};
    node->options.space = (struct audit_space){look_at, disk};
    node->options.limits.free_floor_bytes = 1000;
    node->options.limits.flush_ms = 10;
    return node;
}

static void below_the_floor_only_essential_records_go_in(void **state)
{
    struct disk disk;
    struct node *node = node_with_disk(&disk);
    struct lethe_error err = {0};
    struct audit_log *log = must_open(node);
    const struct audit_event owed = audit_key_created("k", "aes256-gcm96", 1, "0123456789ab", 7);
    const struct audit_event both[] = {audit_session_started("beside it"), *critical()};
    must_commit(log, 1);
    disk.free_bytes = 999;
    assert_result(LETHE_NO_SPACE, commit_key_used(log, 2, &err));
    assert_non_null(strstr(err.text, "critical records"));
    assert_non_null(strstr(err.hint, "free_floor"));
    assert_true(lethe_result_is_retriable(LETHE_NO_SPACE));
    emit_many(log, 5);
    assert_ok(audit_commit(log, &someone, critical(), &err), &err);
    assert_ok(audit_commit(log, &someone, &owed, &err), &err);
    assert_result(LETHE_NO_SPACE, audit_commit_all(log, &someone, both, 2, &err));
    struct refusals refusals = {0};
    struct audit_batch *batch;
    assert_ok(audit_batch_create(log, NULL, NULL, &batch, &err), &err);
    assert_result(LETHE_OK, audit_push(batch, &someone, &both[0], 7));
    assert_result(LETHE_OK, audit_push(batch, &someone, &owed, 8));
    audit_batch_wait(batch);
    audit_batch_failed(batch, note_refusal, &refusals);
    assert_int_equal(refusals.count, 1);
    assert_int_equal(refusals.tags[0], 7);
    assert_result(LETHE_NO_SPACE, refusals.results[0]);
    audit_batch_free(batch);

    disk.free_bytes = 1000;
    must_commit(log, 3);
    emit_many(log, 1);
    must_close(log);
    assert_int_equal(count_in_log(node, "integrity_violation"), 2);
    assert_int_equal(count_in_log(node, "key_created"), 2);
    assert_int_equal(count_in_log(node, "key_used"), 2);
    assert_int_equal(count_in_log(node, "beside it"), 0);
    assert_int_equal(count_in_log(node, "a label"), 1);
    assert_int_equal(dropped_in_log(node, "nearly full"), 5);
    assert_int_equal(count_in_log(node, "events_dropped"), 1);
    node_free(node);
}

/* Nothing is written again and again about what is not written. */
static void a_flood_does_not_use_up_the_rest(void **state)
{
    struct disk disk;
    struct node *node = node_with_disk(&disk);
    struct lethe_error err = {0};
    struct audit_log *log = must_open(node);
    disk.free_bytes = 1;
    for (unsigned i = 0; i < 50; i++) {
        emit_many(log, 100);
        node->now_ns += 11 * 1000000;
        assert_ok(audit_tick(log, &err), &err);
    }
    assert_int_equal(records_of(log), 0);
    must_close(log); /* says it once, from the rest */
    assert_int_equal(dropped_in_log(node, "nearly full"), 5000);
    must_verify(node, 1);
    node_free(node);
}

static void the_disk_is_looked_at_once_a_group(void **state)
{
    struct disk disk;
    struct node *node = node_with_disk(&disk);
    struct lethe_error err = {0};
    struct audit_log *log = must_open(node);
    emit_many(log, 300);
    assert_int_equal(disk.looks, 0);
    must_commit(log, 1);
    assert_int_equal(disk.looks, 1);
    assert_ok(audit_sync(log, &err), &err);
    assert_int_equal(disk.looks, 1);
    must_close(log);
    node_free(node);
}

/* ---- a real one ------------------------------------------------------------------------------ */

static void fill_to(const char *directory, size_t bytes)
{
    static const char zeros[4096];
    char *path = path_join(directory, "ballast");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (size_t written = 0; written < bytes; written += sizeof zeros)
        CHILD_REQUIRE(write(fd, zeros, sizeof zeros) == sizeof zeros);
    close(fd);
    free(path);
}

/* A small file system of the child's own: 4 MiB, of which 1 MiB is to stay. */
static void live_on_a_small_disk(void *context)
{
    const char *mount_point = context;
    struct lethe_error err = {0};
    struct audit_verify_report report;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", mount_point, "tmpfs", 0, "size=4m,mode=0700") != 0)
        _exit(77);
    char *path = path_join(mount_point, "audit");
    struct node *node = node_create("alpha", path);
    node->options.limits.free_floor_bytes = 1 << 20;
    struct audit_log *log = NULL;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    CHILD_REQUIRE(commit_key_used(log, 1, &err) == LETHE_OK);
    fill_to(mount_point, (5 << 19) + (1 << 18)); /* 2.75 MiB */
    uint64_t records = 1;
    while (records < 4000 && commit_key_used(log, records, &err) == LETHE_OK)
        records++;
    CHILD_REQUIRE(err.code == LETHE_NO_SPACE && strstr(err.text, "critical") != NULL);
    for (unsigned i = 0; i < 200; i++, records++)
        CHILD_REQUIRE(audit_commit(log, &someone, critical(), &err) == LETHE_OK);
    CHILD_REQUIRE(commit_key_used(log, 1, &err) == LETHE_NO_SPACE);
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_OK);
    CHILD_REQUIRE(verify_log(node, path, &report, &err) == LETHE_OK);
    CHILD_REQUIRE(report.records == records);
}

static void a_small_disk_keeps_room_for_critical_records(void **state)
{
    char *mount_point = temp_dir();
    int status = child_status(live_on_a_small_disk, mount_point);
    free(mount_point);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("a small file system cannot be mounted here\n");
        skip();
    }
    assert_exited(0, status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_floor_is_the_smaller_of_two),
        cmocka_unit_test(what_says_nothing_is_taken_to_have_enough),
        cmocka_unit_test(the_system_is_asked),
        cmocka_unit_test(below_the_floor_only_essential_records_go_in),
        cmocka_unit_test(a_flood_does_not_use_up_the_rest),
        cmocka_unit_test(the_disk_is_looked_at_once_a_group),
        cmocka_unit_test(a_small_disk_keeps_room_for_critical_records),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
