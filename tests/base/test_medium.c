/* Which places are believed to forget what is overwritten: only those that are known to. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/medium.h"

/* ---- the decision ---------------------------------------------------------------------------- */

static struct medium disk(uint64_t file_system)
{
    return (struct medium){
        .file_system = file_system, .extents_known = true, .extent_flags = FIEMAP_EXTENT_LAST};
}

static void what_overwrites_is_believed(void **state)
{
    static const uint64_t good[] = {EXT4_SUPER_MAGIC, 0x58465342};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct medium medium = disk(good[i]);
        assert_null(medium_keeps(&medium));
    }
    struct medium memory = {.file_system = TMPFS_MAGIC, .data_journaled = true, .flash = true};
    assert_null(medium_keeps(&memory)); /* it has neither extents nor a disk */
}

static void what_writes_elsewhere_is_not(void **state)
{
    static const uint64_t bad[] = {BTRFS_SUPER_MAGIC,
                                   F2FS_SUPER_MAGIC,
                                   NILFS_SUPER_MAGIC,
                                   OVERLAYFS_SUPER_MAGIC,
                                   NFS_SUPER_MAGIC,
                                   FUSE_SUPER_MAGIC,
                                   MSDOS_SUPER_MAGIC,
                                   0x2fc12fc1,
                                   0xca451a4e,
                                   0xff534d42,
                                   0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct medium medium = disk(bad[i]);
        assert_non_null(medium_keeps(&medium));
    }
}

static void whatever_speaks_against_it_counts(void **state)
{
    static const uint32_t flags[] = {FIEMAP_EXTENT_SHARED, FIEMAP_EXTENT_DATA_INLINE,
                                     FIEMAP_EXTENT_UNKNOWN, FIEMAP_EXTENT_DELALLOC,
                                     FIEMAP_EXTENT_ENCODED};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        struct medium medium = disk(EXT4_SUPER_MAGIC);
        medium.extent_flags |= flags[i];
        assert_non_null(medium_keeps(&medium));
    }
    struct medium unknown = disk(EXT4_SUPER_MAGIC);
    unknown.extents_known = false;
    assert_non_null(medium_keeps(&unknown));
    struct medium journaled = disk(EXT4_SUPER_MAGIC);
    journaled.data_journaled = true;
    assert_non_null(strstr(medium_keeps(&journaled), "journal"));
    struct medium flash = disk(EXT4_SUPER_MAGIC);
    flash.flash = true;
    assert_non_null(strstr(medium_keeps(&flash), "flash"));
}

/* ---- looking --------------------------------------------------------------------------------- */

static struct medium medium_of_path(const char *path)
{
    struct medium medium;
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(5, write(fd, "hello", 5));
    medium_of(fd, &medium);
    return medium;
}

static void memory_is_seen_as_such(void **state)
{
    char path[] = "/dev/shm/lethe-medium-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        skip();
    struct medium medium;
    medium_of(fd, &medium);
    close(fd);
    unlink(path);
    assert_int_equal(TMPFS_MAGIC, medium.file_system);
    assert_null(medium_keeps(&medium));
}

/* Where nothing can be seen, nothing is believed. */
static void a_bad_descriptor_is_taken_for_the_worst(void **state)
{
    struct medium medium;
    medium_of(-1, &medium);
    assert_non_null(medium_keeps(&medium));
}

/* In a child with mounts of its own: an overlay over a tmpfs keeps the file that it covers. Exits
 * with 77 where that cannot be had. */
static int on_an_overlay(void)
{
    static const char *const made[] = {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/merged"};
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, NULL) != 0)
        return 77;
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        assert_int_equal(0, mkdir(made[i], 0700));
    struct medium below = medium_of_path("/tmp/lower/root.key");
    if (mount("overlay", "/tmp/merged", "overlay", 0,
              "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") != 0)
        return 77;
    struct medium above = medium_of_path("/tmp/merged/root.key");
    assert_null(medium_keeps(&below)); /* the control */
    assert_non_null(strstr(medium_keeps(&above), "overlay"));
    return 0;
}

static void an_overlay_is_seen_as_such(void **state)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(on_an_overlay());
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: no overlay can be mounted here\n");
        skip();
    }
    assert_int_equal(0, WEXITSTATUS(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_overwrites_is_believed),
        cmocka_unit_test(what_writes_elsewhere_is_not),
        cmocka_unit_test(whatever_speaks_against_it_counts),
        cmocka_unit_test(memory_is_seen_as_such),
        cmocka_unit_test(a_bad_descriptor_is_taken_for_the_worst),
        cmocka_unit_test(an_overlay_is_seen_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
