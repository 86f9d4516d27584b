/* Z-7: every protection is there, is missed when it is not, and says what to do about it. */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>

#include <lethe/mem.h>

#include "child.h"
#include "fakes.h"
#include "mem/slab.h"

static const unsigned always = LETHE_LOCKED | LETHE_UNDUMPABLE | LETHE_FORK_BLIND;

static lethe_result create(enum lethe_class class_, unsigned optional, struct lethe_region **region,
                           struct lethe_error *err)
{
    struct lethe_region_options options = {.class_ = class_, .optional = optional};
    return lethe_region_create((size_t)64 << 10, &options, region, err);
}

/* ---- what is there --------------------------------------------------------------------------- */

static void every_class_has_the_three_protections(void **state)
{
    for (int class_ = LETHE_CLASS_KEY; class_ <= LETHE_CLASS_CONTENT; class_++) {
        struct lethe_error err = {0};
        struct lethe_region *region;
        assert_ok(create((enum lethe_class)class_, 0, &region, &err), &err);
        assert_int_equal(lethe_region_protections(region) & always, always);
        assert_int_not_equal(lethe_region_locked_by(region), LETHE_LOCKED_BY_NOTHING);
        lethe_region_free(region);
    }
}

static void locked_memory_is_counted_by_the_kernel(void **state)
{
    struct lethe_error err = {0};
    struct lethe_mem_budget before, during, after;
    struct lethe_region *region;
    assert_ok(lethe_mem_budget(&before, &err), &err);
    assert_ok(create(LETHE_CLASS_CONTENT, 0, &region, &err), &err);
    if (lethe_region_locked_by(region) != LETHE_LOCKED_BY_MLOCK) {
        lethe_region_free(region);
        print_message("the memory-lock limit is too small here\n");
        skip();
    }
    assert_ok(lethe_mem_budget(&during, &err), &err);
    lethe_region_free(region);
    assert_ok(lethe_mem_budget(&after, &err), &err);
    assert_int_equal(during.lock_used_bytes - before.lock_used_bytes, 64 << 10);
    assert_int_equal(after.lock_used_bytes, before.lock_used_bytes);
}

static ssize_t read_own_memory(const void *address, uint8_t *byte)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(memory >= 0);
    ssize_t got = pread(memory, byte, 1, (off_t)(uintptr_t)address);
    close(memory);
    return got;
}

/* Not even the kernel reads a key region for anybody; any other it does: the control. */
static void key_regions_cannot_be_read_through_proc(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *key, *content;
    uint8_t byte = 0;
    assert_ok(create(LETHE_CLASS_KEY, 0, &key, &err), &err);
    assert_ok(create(LETHE_CLASS_CONTENT, 0, &content, &err), &err);
    lethe_region_open(key);
    *(uint8_t *)lethe_region_bytes(key) = 7;
    *(uint8_t *)lethe_region_bytes(content) = 7;
    ssize_t content_read = read_own_memory(lethe_region_bytes(content), &byte);
    ssize_t key_read = read_own_memory(lethe_region_bytes(key), &byte);
    lethe_region_close(key);
    bool is_secret = (lethe_region_protections(key) & LETHE_SECRET) != 0;
    enum lethe_locked_by locked_by = lethe_region_locked_by(key);
    assert_int_equal(lethe_region_protections(content) & LETHE_SECRET, 0);
    lethe_region_free(key);
    lethe_region_free(content);
    assert_int_equal(content_read, 1);
    assert_int_equal(byte, 7);
    if (!is_secret) {
        print_message("this kernel has no memfd_secret\n");
        skip();
    }
    assert_int_equal(key_read, -1);
    assert_int_equal(locked_by, LETHE_LOCKED_BY_SECRET_MEMORY);
}

/* ---- what a host lacks ----------------------------------------------------------------------- */

/* Each row takes one thing away, and says which protection is missed then, and with what advice. */
static const struct lack {
    const char *name;
    unsigned missed;
    enum lethe_class class_;
    int advice; /* fails, or claims to work */
    int (*madvise)(void *address, size_t size_bytes, int advice);
    int (*mlock)(const void *address, size_t size_bytes);
    bool no_memfd_secret;
    const struct fake_file *files;
    const char *text;
    const char *hint;
} lacks[] = {
    {.name = "lock refused",
     .missed = LETHE_LOCKED,
     .class_ = LETHE_CLASS_CONTENT,
     .mlock = mlock_fails,
     .files = swap_on_disk,
     .text = "cannot be kept out of swap: Cannot allocate memory",
     .hint = "swap off"},
    {.name = "lock pretended",
     .missed = LETHE_LOCKED,
     .class_ = LETHE_CLASS_WEIGHTS,
     .mlock = mlock_pretends,
     .files = swap_on_disk,
     .text = "the kernel took the request, and did nothing",
     .hint = "swap off"},
    {.name = "no core exclusion",
     .missed = LETHE_UNDUMPABLE,
     .class_ = LETHE_CLASS_CONTENT,
     .advice = MADV_DONTDUMP,
     .madvise = madvise_fails,
     .text = "cannot be left out of core files: Invalid argument",
     .hint = "Linux 3.4"},
    {.name = "core exclusion pretended",
     .missed = LETHE_UNDUMPABLE,
     .class_ = LETHE_CLASS_CONTENT,
     .advice = MADV_DONTDUMP,
     .madvise = madvise_pretends,
     .text = "did nothing",
     .hint = "Linux 3.4"},
    {.name = "no wipe on fork",
     .missed = LETHE_FORK_BLIND,
     .class_ = LETHE_CLASS_CONTENT,
     .advice = MADV_WIPEONFORK,
     .madvise = madvise_fails,
     .text = "cannot be hidden from forked children: Invalid argument",
     .hint = "Linux 4.14"},
    {.name = "wipe on fork pretended",
     .missed = LETHE_FORK_BLIND,
     .class_ = LETHE_CLASS_OPTIMIZER,
     .advice = MADV_WIPEONFORK,
     .madvise = madvise_pretends,
     .text = "did nothing",
     .hint = "Linux 4.14"},
    {.name = "wipe on fork pretended, key without secret memory",
     .missed = LETHE_FORK_BLIND,
     .class_ = LETHE_CLASS_KEY,
     .advice = MADV_WIPEONFORK,
     .madvise = madvise_pretends,
     .no_memfd_secret = true,
     .text = "did nothing",
     .hint = "Linux 4.14"},
};

static void take_away(const struct lack *lack)
{
    failing_advice = lack->advice;
    if (lack->madvise != NULL)
        host.madvise = lack->madvise;
    if (lack->mlock != NULL)
        host.mlock = lack->mlock;
    if (lack->no_memfd_secret)
        host.memfd_secret = memfd_secret_fails;
    if (lack->files != NULL)
        fake_read(lack->files);
}

static void a_missing_protection_is_an_error(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++) {
        struct lethe_error err = {0};
        struct lethe_region *region = (struct lethe_region *)&err;
        take_away(&lacks[i]);
        lethe_result result = create(lacks[i].class_, 0, &region, &err);
        fakes_remove(state);
        if (result != LETHE_UNPROTECTED || region != NULL ||
            strstr(err.text, lacks[i].text) == NULL || strstr(err.hint, lacks[i].hint) == NULL)
            fail_msg("%s: %s: %s (%s)", lacks[i].name, lethe_result_name(result), err.text,
                     err.hint);
    }
}

static void an_optional_protection_may_be_missing_and_is_told(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++) {
        struct lethe_error err = {0};
        struct lethe_region *region;
        take_away(&lacks[i]);
        lethe_result result = create(lacks[i].class_, lacks[i].missed, &region, &err);
        fakes_remove(state);
        if (result != LETHE_OK)
            fail_msg("%s: %s", lacks[i].name, err.text);
        assert_int_equal(lethe_region_protections(region) & always, always & ~lacks[i].missed);
        lethe_region_free(region);
    }
}

static const struct fake_file no_proc[] = {
    {"/proc/self/smaps", NULL}, {"/proc/self/status", NULL}, {"/proc/swaps", NULL}, {0}};

static void what_cannot_be_checked_does_not_count(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    fake_read(no_proc);
    assert_result(LETHE_UNPROTECTED, create(LETHE_CLASS_CONTENT, 0, &region, &err));
    assert_non_null(strstr(err.text, "/proc/self/smaps"));
    assert_ok(create(LETHE_CLASS_CONTENT, always, &region, &err), &err);
    assert_int_equal(lethe_region_protections(region), 0);
    lethe_region_free(region);
}

/* Mappings below, above, and none: what would hold there holds for no byte of ours. */
static void mappings_elsewhere_do_not_count(void **state)
{
    static const struct fake_file elsewhere[][2] = {
        {{"/proc/self/smaps", "1000-2000 rw-p 00000000 00:00 0 \nVmFlags: rd wr lo dd wf \n"}},
        {{"/proc/self/smaps",
          "7fffffff0000-7fffffffe000 rw-p 00000000 00:00 0 \nVmFlags: rd wr lo dd wf \n"}},
        {{"/proc/self/smaps", "VmFlags: rd wr lo dd wf \n"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        struct lethe_region *region;
        fake_read(elsewhere[i]);
        assert_result(LETHE_UNPROTECTED, create(LETHE_CLASS_CONTENT, 0, &region, NULL));
    }
}

/* "Quietly": secret memory is a bonus, but the three others stay conditions. */
static void keys_do_without_secret_memory_where_there_is_none(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    host.memfd_secret = memfd_secret_fails;
    assert_ok(create(LETHE_CLASS_KEY, 0, &region, &err), &err);
    assert_int_equal(lethe_region_protections(region), always);
    lethe_region_open(region);
    memset(lethe_region_bytes(region), 1, lethe_region_size(region));
    lethe_region_close(region);
    lethe_region_free(region);
}

static void *mmap_refuses_descriptors(void *address, size_t size_bytes, int access, int flags,
                                      int fd, off_t offset)
{
    if (fd < 0)
        return real_host.mmap(address, size_bytes, access, flags, fd, offset);
    errno = EAGAIN;
    return MAP_FAILED;
}

static void keys_do_without_secret_memory_when_the_limit_is_too_small(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    host.mmap = mmap_refuses_descriptors;
    assert_ok(create(LETHE_CLASS_KEY, 0, &region, &err), &err);
    assert_int_equal(lethe_region_protections(region), always);
    lethe_region_free(region);
}

static void *mmap_fails(void *address, size_t size_bytes, int access, int flags, int fd,
                        off_t offset)
{
    errno = ENOMEM;
    return MAP_FAILED;
}

static int mprotect_fails(void *address, size_t size_bytes, int access)
{
    errno = ENOMEM;
    return -1;
}

static void memory_that_cannot_be_had_is_said_so(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    host.mmap = mmap_fails;
    assert_result(LETHE_NO_MEMORY, create(LETHE_CLASS_CONTENT, 0, &region, &err));
    fakes_remove(state);
    host.mprotect = mprotect_fails;
    assert_result(LETHE_NO_MEMORY, create(LETHE_CLASS_CONTENT, 0, &region, &err));
}

/* ---- locked by the absence of swap ----------------------------------------------------------- */

static void without_swap_memory_counts_as_locked(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    host.mlock = mlock_fails;
    fake_read(no_swap);
    assert_ok(create(LETHE_CLASS_CONTENT, 0, &region, &err), &err);
    assert_true(lethe_region_protections(region) & LETHE_LOCKED);
    assert_int_equal(lethe_region_locked_by(region), LETHE_LOCKED_BY_NO_SWAP);
    assert_ok(lethe_mem_recheck(&err), &err);

    fake_read(swap_on_disk); /* somebody runs swapon */
    assert_result(LETHE_UNPROTECTED, lethe_mem_recheck(&err));
    assert_non_null(strstr(err.text, "swap was turned on"));
    lethe_region_free(region);
    assert_ok(lethe_mem_recheck(&err), &err); /* nothing relies on it any more */
}

#define CRYPT_SWAPS SWAP_HEADING "/dev/dm-3    partition\t999420\t0\t-2\n"

static const struct {
    const char *name;
    bool is_safe;
    struct fake_file files[4];
} swaps[] = {
    {"no swap", true, {{"/proc/swaps", SWAP_HEADING}}},
    {"unreadable", false, {{"/proc/swaps", NULL}}},
    {"empty", false, {{"/proc/swaps", ""}}},
    {"partition", false, {{"/proc/swaps", SWAP_HEADING "/dev/sda2 partition 1 0 -2\n"}}},
    {"file", false, {{"/proc/swaps", SWAP_HEADING "/swap file 1 0 -2\n"}}},
    {"key drawn at boot",
     true,
     {{"/proc/swaps", CRYPT_SWAPS},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-PLAIN-cryptswap\n"},
      {"/etc/crypttab", "# comment\ncryptswap /dev/sda2 /dev/urandom swap,cipher=aes\n"}}},
    {"key in a file",
     false,
     {{"/proc/swaps", CRYPT_SWAPS},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-PLAIN-cryptswap\n"},
      {"/etc/crypttab", "cryptswap /dev/sda2 /etc/swap.key swap\n"}}},
    {"another volume's key",
     false,
     {{"/proc/swaps", CRYPT_SWAPS},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-PLAIN-cryptswap\n"},
      {"/etc/crypttab", "other /dev/sda2 /dev/urandom swap\n"}}},
    {"commented out",
     false,
     {{"/proc/swaps", CRYPT_SWAPS},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-PLAIN-cryptswap\n"},
      {"/etc/crypttab", "#cryptswap /dev/sda2 /dev/urandom swap\n"}}},
    {"no crypttab",
     false,
     {{"/proc/swaps", CRYPT_SWAPS},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-PLAIN-cryptswap\n"},
      {"/etc/crypttab", NULL}}},
    {"LUKS",
     false,
     {{"/proc/swaps", CRYPT_SWAPS},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-LUKS2-0123-cryptswap\n"},
      {"/etc/crypttab", "cryptswap /dev/sda2 /dev/urandom luks\n"}}},
    {"logical volume",
     false,
     {{"/proc/swaps", CRYPT_SWAPS}, {"/sys/block/dm-3/dm/uuid", "LVM-abc\n"}}},
    {"one of two",
     false,
     {{"/proc/swaps", CRYPT_SWAPS "/dev/sdb1 partition 1 0 -3\n"},
      {"/sys/block/dm-3/dm/uuid", "CRYPT-PLAIN-cryptswap\n"},
      {"/etc/crypttab", "cryptswap /dev/sda2 /dev/urandom swap\n"}}},
};

static void only_swap_whose_key_is_forgotten_is_safe(void **state)
{
    host.mlock = mlock_fails;
    for (size_t i = 0; i < ARRAY_LEN(swaps); i++) {
        struct lethe_region *region;
        fake_read(swaps[i].files);
        lethe_result result = create(LETHE_CLASS_CONTENT, 0, &region, NULL);
        if (result != (swaps[i].is_safe ? LETHE_OK : LETHE_UNPROTECTED))
            fail_msg("%s: %s", swaps[i].name, lethe_result_name(result));
        lethe_region_free(region);
    }
}

/* ---- an ordinary user with an ordinary limit ------------------------------------------------- */

/* Drops to an ordinary user who may lock 64 KiB. */
static void become_ordinary(void)
{
    struct rlimit limit = {64 << 10, 64 << 10};
    child_require(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (getuid() != 0)
        return;
    child_require(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
}

static void create_too_much_as_ordinary_user(void *swap)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_WEIGHTS};
    become_ordinary();
    fake_read(swap);
    lethe_result result = lethe_region_create((size_t)8 << 20, &options, &region, &err);
    if (swap == no_swap) {
        child_require(result == LETHE_OK);
        child_require(lethe_region_locked_by(region) == LETHE_LOCKED_BY_NO_SWAP);
        return;
    }
    child_require(result == LETHE_UNPROTECTED);
    child_require(strstr(err.text, "8192 KiB of memory cannot be kept out of swap") != NULL);
    child_require(strstr(err.hint, "from 64 KiB to 8 MiB (ulimit -l 8192,") != NULL);
}

static void a_small_lock_limit_is_said_with_the_remedy(void **state)
{
    assert_child_succeeds(create_too_much_as_ordinary_user, (void *)(uintptr_t)swap_on_disk);
    assert_child_succeeds(create_too_much_as_ordinary_user, (void *)(uintptr_t)no_swap);
}

static void create_little_as_ordinary_user(void *unused)
{
    struct lethe_region *region, *key;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    become_ordinary();
    fake_read(swap_on_disk);
    child_require(lethe_region_create(16 << 10, &options, &region, NULL) == LETHE_OK);
    child_require(lethe_region_locked_by(region) == LETHE_LOCKED_BY_MLOCK);
    options.class_ = LETHE_CLASS_KEY;
    child_require(lethe_region_create(4096, &options, &key, NULL) == LETHE_OK);
    child_require((lethe_region_protections(key) & always) == always);
    lethe_region_free(key);
    lethe_region_free(region);
}

static void what_the_limit_allows_is_locked_in_earnest(void **state)
{
    assert_child_succeeds(create_little_as_ordinary_user, NULL);
}

/* The slab asks for the same as regions do. */
static void create_secrets_as_ordinary_user(void *unused)
{
    struct lethe_error err = {0};
    struct lethe_secret *secret;
    become_ordinary();
    fake_read(swap_on_disk);
    child_require(lethe_secret_create(32, &secret, &err) == LETHE_UNPROTECTED);
    child_require(secret == NULL);
    child_require(strstr(err.text, "an arena for secrets: 112 KiB of memory cannot") != NULL);
    child_require(strstr(err.hint, "memory-lock limit") != NULL);
    fake_read(no_swap);
    child_require(lethe_secret_create(32, &secret, &err) == LETHE_OK);
    lethe_secret_free(secret);
}

static void secrets_are_refused_like_regions(void **state)
{
    assert_child_succeeds(create_secrets_as_ordinary_user, NULL);
}

#define test_with_fakes(f) cmocka_unit_test_setup_teardown(f, fakes_install, fakes_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_has_the_three_protections),
        cmocka_unit_test(locked_memory_is_counted_by_the_kernel),
        cmocka_unit_test(key_regions_cannot_be_read_through_proc),
        test_with_fakes(a_missing_protection_is_an_error),
        test_with_fakes(an_optional_protection_may_be_missing_and_is_told),
        test_with_fakes(what_cannot_be_checked_does_not_count),
        test_with_fakes(mappings_elsewhere_do_not_count),
        test_with_fakes(keys_do_without_secret_memory_where_there_is_none),
        test_with_fakes(keys_do_without_secret_memory_when_the_limit_is_too_small),
        test_with_fakes(memory_that_cannot_be_had_is_said_so),
        test_with_fakes(without_swap_memory_counts_as_locked),
        test_with_fakes(only_swap_whose_key_is_forgotten_is_safe),
        test_with_fakes(a_small_lock_limit_is_said_with_the_remedy),
        test_with_fakes(what_the_limit_allows_is_locked_in_earnest),
        test_with_fakes(secrets_are_refused_like_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
