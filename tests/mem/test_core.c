/* Z-7, Z-9: a process that holds secrets dies with a core file; what is in it? */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <lethe/mem.h>

#include "child.h"

enum { SEED_PLAIN = 71, SEED_CONTENT, SEED_WEIGHTS, SEED_OPTIMIZER, SEED_KEY, SEED_SECRET };

static const struct {
    enum lethe_class class_;
    uint64_t seed;
} kept[] = {
    {LETHE_CLASS_CONTENT, SEED_CONTENT},
    {LETHE_CLASS_WEIGHTS, SEED_WEIGHTS},
    {LETHE_CLASS_OPTIMIZER, SEED_OPTIMIZER},
    {LETHE_CLASS_KEY, SEED_KEY},
};

static void hold_secrets_and_crash(void *directory)
{
    child_require(chdir(directory) == 0);
    child_require(prctl(PR_SET_DUMPABLE, 1) == 0);
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = core.rlim_max;
    child_require(setrlimit(RLIMIT_CORE, &core) == 0);
    uint8_t *plain = malloc(4096);
    child_require(plain != NULL);
    pattern_fill(plain, 4096, SEED_PLAIN);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct lethe_region_options options = {.class_ = kept[i].class_};
        struct lethe_region *region;
        child_require(lethe_region_create(8192, &options, &region, NULL) == LETHE_OK);
        lethe_region_open(region);
        pattern_fill(lethe_region_bytes(region), 8192, kept[i].seed);
    }
    struct lethe_secret *secret;
    child_require(lethe_secret_create(64, &secret, NULL) == LETHE_OK);
    pattern_fill(lethe_secret_bytes(secret), 64, SEED_SECRET);
    abort();
}

/* Why no core file is to be had here, or NULL. */
static const char *obstacle(void)
{
    if (HAS_SANITIZER)
        return "the sanitizer's shadow memory makes core files of terabytes";
    char pattern[128] = "";
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    if (file == NULL || fgets(pattern, sizeof pattern, file) == NULL)
        pattern[0] = '|';
    if (file != NULL)
        fclose(file);
    if (pattern[0] == '|' || pattern[0] == '/')
        return "core files do not go to the working directory (kernel.core_pattern)";
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max != RLIM_INFINITY)
        return "core files are limited (ulimit -Hc)";
    return NULL;
}

/* Maps the only file in the directory, and removes it. */
static const void *take_core(const char *directory, size_t *size_bytes)
{
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    const void *core = MAP_FAILED;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC);
        struct stat status;
        assert_int_equal(fstat(fd, &status), 0);
        *size_bytes = (size_t)status.st_size;
        core = mmap(NULL, *size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        unlinkat(dirfd(entries), entry->d_name, 0);
        close(fd);
    }
    closedir(entries);
    return core;
}

static void a_core_file_holds_no_guarded_memory(void **state)
{
    if (obstacle() != NULL) {
        print_message("%s\n", obstacle());
        skip();
    }
    char directory[] = "/tmp/lethe-core-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct child child = run_child(hold_secrets_and_crash, directory);
    size_t size_bytes = 0;
    const void *core = take_core(directory, &size_bytes);
    rmdir(directory);
    if (child.signal != SIGABRT)
        fail_msg("exit %d, signal %d: %s", child.exit_code, child.signal, child.said);
    assert_ptr_not_equal(core, MAP_FAILED);
    assert_true(pattern_count(core, size_bytes, SEED_PLAIN) >= 1); /* it would have been found */
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        assert_int_equal(pattern_count(core, size_bytes, kept[i].seed), 0);
    assert_int_equal(pattern_count(core, size_bytes, SEED_SECRET), 0);
    munmap((void *)(uintptr_t)core, size_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_core_file_holds_no_guarded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
