/* P-12, Z-7, Z-9: what remains of a consumer when it crashes, or forks: neither the key of its
 * lease, nor the versions of its blocks, nor plaintext, nor the key of its identity are in its core
 * file; a child has none of what the lease is made of, and cannot use it.
 *
 * Who crashes is this program, executed anew: it may dump core, and nothing limits it. The same
 * search finds each of them in its memory before it ends, and in the core file what it has copied
 * to ordinary memory. */
#include "pool_site.h"

#include <dirent.h>
#include <elf.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <openssl/core_names.h>

#include "check_child.h"
#include "crypto/memory_search.h"
#include "pool/client_calls.h"

#define BLOCK (64u * 1024)
#define BLOCKS 8u
#define BYTES ((size_t)BLOCKS * BLOCK)
#define TEXT_BYTES 32u
#define SCALAR_BYTES 32u

/* What is looked for. A scalar lies in memory in either order. */
#define REMAINS(X) X(KEY) X(VERSIONS) X(TEXT) X(SCALAR) X(SCALAR_TURNED)
enum remains {
#define REMAINS_ENUM(name) REMAINS_##name,
    REMAINS(REMAINS_ENUM)
#undef REMAINS_ENUM
        REMAINS_COUNT
};
static const char *const remains_names[REMAINS_COUNT] = {
#define REMAINS_NAME(name) #name,
    REMAINS(REMAINS_NAME)
#undef REMAINS_NAME
};

/* In a file between this process and the one that crashes; needles are masked. */
struct shared {
    struct needle needles[REMAINS_COUNT];
    size_t alive[REMAINS_COUNT]; /* found in its memory before it crashed */
    bool copies;                 /* it is to copy all of them to ordinary memory */
};

/* ---- a consumer, and what it has ------------------------------------------------------------- */

struct holder {
    struct lethe_pool *pool;
    struct lethe_pool_lease *lease;
    struct lethe_region *region;
    uint8_t *text; /* in guarded memory, as a caller's should be */
};

static bool fill(struct holder *holder)
{
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT,
                                                 .label = {.id = "caller"}};
    if (lethe_region_create(BYTES, &options, &holder->region, NULL) != LETHE_OK)
        return false;
    holder->text = lethe_region_bytes(holder->region);
    if (random_fill(&random_system, holder->text, TEXT_BYTES) != LETHE_OK)
        return false;
    for (size_t at = TEXT_BYTES; at < BYTES; at += TEXT_BYTES)
        memcpy(holder->text + at, holder->text, TEXT_BYTES);
    return true;
}

/* Blocks are written as often as chance says: together their versions are like no other bytes. */
static bool write_blocks(struct holder *holder, uint64_t versions[BLOCKS])
{
    uint8_t often[BLOCKS];
    if (random_fill(&random_system, often, sizeof often) != LETHE_OK)
        return false;
    for (unsigned block = 0; block < BLOCKS; block++) {
        versions[block] = 2 + often[block] % 32;
        for (unsigned i = 0; i < versions[block]; i++)
            if (lethe_pool_write(holder->lease, (uint64_t)block * BLOCK, holder->text, BLOCK,
                                 NULL) != LETHE_OK)
                return false;
    }
    return true;
}

static bool hold(struct holder *holder, struct needle needles[REMAINS_COUNT])
{
    const struct lethe_pool_lease_options wanted = {.bytes = BYTES, .block_bytes = BLOCK};
    uint64_t versions[BLOCKS];
    if (!fill(holder) ||
        lethe_pool_allocate(holder->pool, &wanted, &holder->lease, NULL) != LETHE_OK ||
        !write_blocks(holder, versions))
        return false;
    needles[REMAINS_KEY] =
        needle_of(lethe_secret_bytes_const(holder->lease->secret), AEAD_KEY_BYTES);
    needles[REMAINS_VERSIONS] = needle_of(versions, sizeof versions);
    needles[REMAINS_TEXT] = needle_of(holder->text, TEXT_BYTES);
    lethe_wipe(versions, sizeof versions);
    return true;
}

/* ---- one that crashes ------------------------------------------------------------------------ */

static struct shared *map_shared(const char *directory)
{
    char path[96];
    snprintf(path, sizeof path, "%s/shared", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && ftruncate(fd, sizeof(struct shared)) == 0);
    void *at = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(at != MAP_FAILED);
    close(fd);
    return at;
}

static void copy_all(const struct shared *shared)
{
    for (size_t i = 0; i < REMAINS_COUNT; i++) {
        const struct needle *needle = &shared->needles[i];
        uint8_t *copy = malloc(needle->size_bytes); /* it ends with the process */
        CHILD_REQUIRE(copy != NULL);
        for (size_t at = 0; at < needle->size_bytes; at++)
            ((volatile uint8_t *)copy)[at] = needle->masked[at] ^ NEEDLE_MASK;
    }
}

/* argv: "crash", the site's directory, the control plane's address. */
static void crash(char **argv)
{
    struct holder holder = {0};
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    struct shared *shared = map_shared(argv[2]);
    struct pool_site site = {0};
    CHILD_REQUIRE(chdir(argv[2]) == 0 && setrlimit(RLIMIT_CORE, &unlimited) == 0);
    CHILD_REQUIRE(crypto_start(NULL) == LETHE_OK && prctl(PR_SET_DUMPABLE, 1) == 0);
    const struct lethe_pool_options options = {.control = argv[3],
                                               .control_id = SITE_CONTROL_ID,
                                               .ca_path = "ca.pem",
                                               .certificate_path = "node.pem",
                                               .key_path = "node.key"};
    CHILD_REQUIRE(lethe_pool_open(&options, &holder.pool, &site.err) == LETHE_OK);
    CHILD_REQUIRE(hold(&holder, shared->needles));
    /* parts of blocks: what stands around them is read, opened and sealed here */
    CHILD_REQUIRE(lethe_pool_write(holder.lease, 100, holder.text, 5000, NULL) == LETHE_OK);
    CHILD_REQUIRE(lethe_pool_read(holder.lease, BLOCK - 64, holder.text, 128, NULL) == LETHE_OK);
    /* the first block's version has gone up */
    const uint64_t first = versions_of(holder.lease->versions, 0);
    for (size_t at = 0; at < sizeof first; at++)
        shared->needles[REMAINS_VERSIONS].masked[at] = (uint8_t)(first >> 8 * at) ^ NEEDLE_MASK;
    for (size_t i = 0; i < REMAINS_COUNT; i++)
        shared->alive[i] = count_in_own_memory(&shared->needles[i]);
    if (shared->copies)
        copy_all(shared);
    abort();
}

static int start_crash(const struct pool_site *site)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        execl("/proc/self/exe", "consumer", "crash", site->directory,
              small_control_address(site->control), (char *)NULL);
        _exit(98);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* ---- core files ------------------------------------------------------------------------------ */

/* Why no core file is to be had here, or NULL. */
static const char *obstacle(void)
{
    char pattern[128] = "|";
    struct rlimit limit;
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    if (file != NULL && fgets(pattern, sizeof pattern, file) == NULL)
        pattern[0] = '|';
    if (file != NULL)
        fclose(file);
    if (HAS_SANITIZER)
        return "the sanitizer's shadow memory makes core files of terabytes";
    if (pattern[0] == '|' || pattern[0] == '/')
        return "core files do not go to the working directory (kernel.core_pattern)";
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    return limit.rlim_max == RLIM_INFINITY ? NULL : "core files are limited (ulimit -Hc)";
}

/* Where memory begins in it. In front stands what threads had in registers just then: that is out
 * of reach (docs/security.md, N7), and what was copied last may be there. */
static size_t memory_of(const uint8_t *core, size_t size_bytes)
{
    Elf64_Ehdr head;
    size_t begins = size_bytes;
    assert_true(size_bytes >= sizeof head);
    memcpy(&head, core, sizeof head);
    assert_memory_equal(head.e_ident, ELFMAG, SELFMAG);
    for (size_t i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr part;
        size_t at = head.e_phoff + i * sizeof part;
        assert_true(at + sizeof part <= size_bytes);
        memcpy(&part, core + at, sizeof part);
        if (part.p_type == PT_LOAD && part.p_filesz > 0)
            begins = MIN(begins, (size_t)part.p_offset);
    }
    assert_true(begins < size_bytes);
    return begins;
}

/* How often each is in the core file, which is removed. */
static bool look_into_core(const struct pool_site *site, const struct shared *shared,
                           size_t found[REMAINS_COUNT])
{
    const uint8_t *core = MAP_FAILED;
    size_t size_bytes = 0;
    DIR *entries = opendir(site->directory);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        struct stat status;
        if (strncmp(entry->d_name, "core", 4) != 0)
            continue;
        int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(fd, &status), 0);
        size_bytes = (size_t)status.st_size;
        core = mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
    if (core == MAP_FAILED)
        return false;
    size_t begins = memory_of(core, size_bytes);
    for (size_t i = 0; i < REMAINS_COUNT; i++)
        found[i] = count_in(&shared->needles[i], core + begins, size_bytes - begins);
    munmap((void *)(uintptr_t)core, size_bytes);
    return true;
}

static void take_scalar(const struct pool_site *site, struct shared *shared)
{
    uint8_t bytes[SCALAR_BYTES], turned[SCALAR_BYTES];
    BIGNUM *scalar = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(site->consumer.key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar),
                     1);
    assert_int_equal(BN_bn2binpad(scalar, bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        turned[i] = bytes[sizeof bytes - 1 - i];
    shared->needles[REMAINS_SCALAR] = needle_of(bytes, sizeof bytes);
    shared->needles[REMAINS_SCALAR_TURNED] = needle_of(turned, sizeof turned);
    BN_clear_free(scalar);
}

static void a_core_file_has_nothing_of_a_lease(void **state)
{
    struct pool_site *site = *state;
    struct shared *shared = map_shared(site->directory);
    if (obstacle() != NULL) {
        print_message("%s\n", obstacle());
        skip();
    }
    for (unsigned copies = 0; copies < 2; copies++) {
        size_t found[REMAINS_COUNT] = {0};
        take_scalar(site, shared);
        shared->copies = copies == 1;
        assert_killed_by(SIGABRT, start_crash(site));
        assert_true(look_into_core(site, shared, found));
        for (size_t i = 0; i < REMAINS_COUNT; i++) {
            size_t alive = shared->alive[i];
            if (i >= REMAINS_SCALAR) /* in one order or the other */
                alive = shared->alive[REMAINS_SCALAR] + shared->alive[REMAINS_SCALAR_TURNED];
            if (alive == 0 || found[i] != copies)
                fail_msg("%s: %zu times in memory, and %zu times in the core file instead of %u",
                         remains_names[i], alive, found[i], copies);
        }
    }
    munmap(shared, sizeof *shared);
}

/* ---- forked children ------------------------------------------------------------------------- */

struct family {
    struct holder holder;
    struct needle needles[REMAINS_COUNT];
    uint8_t *ordinary; /* memory that a child has, too */
    struct needle plain;
};

/* Everything is refused, whatever it is asked, and to end it ends nothing. */
static void use_what_is_the_parents(struct family *family)
{
    struct lethe_pool_lease *lease = family->holder.lease, *another = NULL;
    struct lethe_pool_queue *queue = NULL;
    const struct lethe_pool_lease_options wanted = {.bytes = BLOCK};
    uint8_t room[64] = {0};
    uint64_t left_ms;
    CHILD_REQUIRE(lethe_pool_read(lease, 0, room, sizeof room, NULL) == LETHE_INVALID);
    CHILD_REQUIRE(lethe_is_zero(room, sizeof room));
    CHILD_REQUIRE(lethe_pool_write(lease, 0, room, sizeof room, NULL) == LETHE_INVALID);
    CHILD_REQUIRE(lethe_pool_renew(lease, &left_ms, NULL) == LETHE_INVALID);
    CHILD_REQUIRE(lethe_pool_release(lease, NULL) == LETHE_INVALID);
    CHILD_REQUIRE(lethe_pool_allocate(family->holder.pool, &wanted, &another, NULL) ==
                  LETHE_INVALID);
    CHILD_REQUIRE(lethe_pool_queue_create(family->holder.pool, &queue, NULL) == LETHE_INVALID);
    lethe_pool_lease_close(lease);
    lethe_pool_close(family->holder.pool);
}

static void be_a_child(void *context)
{
    struct family *family = context;
    CHILD_REQUIRE(count_in_own_memory(&family->plain) >= 1); /* the control */
    for (size_t i = 0; i <= REMAINS_TEXT; i++)
        CHILD_REQUIRE(count_in_own_memory(&family->needles[i]) == 0);
    use_what_is_the_parents(family);
    if (!HAS_SANITIZER) /* to which what the parent's threads have is a leak */
        exit(0);        /* with all that runs at exit */
}

/* Not by the C library's fork(), of which others hear. */
static void be_a_bare_child(struct family *family)
{
    fflush(NULL);
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    assert_true(pid >= 0);
    if (pid == 0) {
        use_what_is_the_parents(family);
        for (unsigned block = 0; block < BLOCKS; block++)
            CHILD_REQUIRE(versions_of(family->holder.lease->versions, block) == 0);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
    assert_exited(0, status);
}

static void the_parent_goes_on(struct pool_site *site, struct family *family)
{
    uint8_t *back = calloc(1, BYTES);
    struct hostile_counters counters;
    assert_non_null(back);
    for (size_t i = 0; i <= REMAINS_TEXT; i++)
        assert_true(count_in_own_memory(&family->needles[i]) >= 1);
    assert_ok(lethe_pool_read(family->holder.lease, 0, back, BYTES, &site->err), &site->err);
    assert_memory_equal(back, family->holder.text, BYTES);
    hostile_count(site->providers[0], &counters);
    assert_int_equal(counters.attached, 1); /* no connection has broken */
    assert_int_equal(counters.released, 0);
    lethe_wipe(back, BYTES);
    free(back);
}

static void a_child_has_no_key_and_cannot_use_the_lease(void **state)
{
    struct pool_site *site = *state;
    struct family family = {.holder = {.pool = site->pool}};
    family.ordinary = malloc(TEXT_BYTES);
    assert_result(LETHE_OK, random_fill(&random_system, family.ordinary, TEXT_BYTES));
    family.plain = needle_of(family.ordinary, TEXT_BYTES);
    assert_true(hold(&family.holder, family.needles));
    the_parent_goes_on(site, &family);
    assert_exited(0, child_status(be_a_child, &family));
    the_parent_goes_on(site, &family);
    be_a_bare_child(&family);
    the_parent_goes_on(site, &family);
    site_release(site, family.holder.lease);
    for (size_t i = 0; i <= REMAINS_VERSIONS; i++)
        assert_int_equal(count_in_own_memory(&family.needles[i]), 0);
    lethe_region_free(family.holder.region);
    free(family.ordinary);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(a_core_file_has_nothing_of_a_lease),
        SITE_TEST(a_child_has_no_key_and_cannot_use_the_lease),
    };
    if (argc == 4 && strcmp(argv[1], "crash") == 0)
        crash(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
