/* Wiping: completeness, bounds, the check, and that the compiler lets it happen (Z-6). */
#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"

#ifdef INCLUDE_WIPE
#include "mem/wipe.c" /* this program tests another build of it than the library's */
#endif

static void wipes_exactly_what_it_is_given(void **state)
{
    uint8_t bytes[400];
    for (size_t start = 64; start < 64 + 20; start++) {
        for (size_t size = 0; size <= 200; size++) {
            memset(bytes, 0xA5, sizeof bytes);
            lethe_wipe(bytes + start, size);
            for (size_t i = 0; i < sizeof bytes; i++)
                assert_int_equal(bytes[i], i >= start && i < start + size ? 0 : 0xA5);
        }
    }
}

/* Large enough for stores past the cache on any CPU with up to 256 MiB of last-level cache. */
static void wipes_large_ranges_exactly(void **state)
{
    size_t size = ((size_t)96 << 20) + 4096;
    uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    for (size_t shift = 1; shift < 130; shift += 63) {
        memset(bytes, 0xA5, size);
        lethe_wipe(bytes + shift, size - 3 * shift);
        assert_int_equal(bytes[shift - 1], 0xA5);
        assert_int_equal(bytes[size - 2 * shift], 0xA5);
        assert_true(lethe_is_zero(bytes + shift, size - 3 * shift));
        assert_false(lethe_is_zero(bytes + shift - 1, size - 3 * shift));
        assert_false(lethe_is_zero(bytes + shift, size - 3 * shift + 1));
    }
    munmap(bytes, size);
}

static void check_sees_a_single_bit_anywhere(void **state)
{
    static _Alignas(64) uint8_t bytes[900];
    for (size_t start = 0; start < 70; start++) {
        for (size_t size = 0; size < 800; size += size < 140 ? 1 : 97) {
            assert_true(lethe_is_zero(bytes + start, size));
            for (size_t at = 0; at < size; at++) {
                bytes[start + at] = (uint8_t)(1u << at % 8);
                assert_false(lethe_is_zero(bytes + start, size));
                bytes[start + at] = 0;
            }
        }
    }
}

static void check_does_not_look_outside(void **state)
{
    static _Alignas(64) uint8_t bytes[400];
    memset(bytes, 0xFF, sizeof bytes);
    for (size_t start = 1; start < 70; start++) {
        for (size_t size = 0; size < 300; size++) {
            memset(bytes + start, 0, size);
            assert_true(lethe_is_zero(bytes + start, size));
            memset(bytes + start, 0xFF, size);
        }
    }
}

/* ---- Z-6: what the compiler leaves of it ----------------------------------------------------- */

enum { SECRET_BYTES = 512 };

static void use(uint8_t *secret)
{
    __asm__ volatile("" : : "r"(secret) : "memory");
}

/* Two functions that differ in one word. The first is what wiping must not be. */
__attribute__((noinline)) static void *forgets_in_vain(void *seed)
{
    uint8_t secret[SECRET_BYTES];
    pattern_fill(secret, sizeof secret, (uintptr_t)seed);
    use(secret);
    memset(secret, 0, sizeof secret);
    return NULL;
}

__attribute__((noinline)) static void *forgets_for_good(void *seed)
{
    uint8_t secret[SECRET_BYTES];
    pattern_fill(secret, sizeof secret, (uintptr_t)seed);
    use(secret);
    lethe_wipe(secret, sizeof secret);
    return NULL;
}

/* Runs it in a thread on a stack of ours, and looks through that stack afterwards. */
static size_t residue_on_stack(void *(*forget)(void *), uintptr_t seed)
{
    size_t stack_bytes = (size_t)256 << 10;
    void *stack =
        mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(stack, MAP_FAILED);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, stack_bytes), 0);
    assert_int_equal(pthread_create(&thread, &attributes, forget, (void *)seed), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    size_t found = pattern_count(stack, stack_bytes, seed);
    munmap(stack, stack_bytes);
    return found;
}

static bool is_optimised(void)
{
#ifdef __OPTIMIZE__
    return !HAS_SANITIZER;
#else
    return false;
#endif
}

/* Z-6 */
static void wiping_before_return_leaves_nothing_on_the_stack(void **state)
{
    if (!is_optimised()) {
        print_message("needs an optimised build without sanitizers, or there is nothing to lose\n");
        skip();
    }
    assert_int_equal(residue_on_stack(forgets_in_vain, 11), 1); /* it can be lost */
    assert_int_equal(residue_on_stack(forgets_for_good, 12), 0);
}

/* The machine code of one function of this program; empty when there is no objdump. */
static size_t disassemble(const char *function, char *out, size_t out_bytes)
{
    char command[200];
    snprintf(command, sizeof command,
             "objdump --no-show-raw-insn --disassemble=%s /proc/%d/exe 2>/dev/null", function,
             (int)getpid());
    FILE *listing = popen(command, "r");
    assert_non_null(listing);
    size_t length = fread(out, 1, out_bytes - 1, listing);
    out[length] = '\0';
    pclose(listing);
    return length;
}

static bool has_code(const char *function, const char *instruction)
{
    static char listing[64 << 10];
    disassemble(function, listing, sizeof listing);
    return strstr(listing, instruction) != NULL;
}

/* Z-6 */
static void wipe_is_in_the_machine_code(void **state)
{
    if (!is_optimised()) {
        print_message("needs an optimised build without sanitizers\n");
        skip();
    }
    if (!has_code("main", "ret")) {
        print_message("needs objdump, from the package binutils\n");
        skip();
    }
    assert_false(has_code("forgets_in_vain", "memset")); /* the compiler took it out */
    assert_false(has_code("forgets_in_vain", "rep stos"));
#ifdef INCLUDE_WIPE
    /* Even where the compiler sees the whole of it. */
    assert_true(has_code("forgets_for_good", "memset") ||
                has_code("forgets_for_good", "rep stos") ||
                has_code("forgets_for_good", "lethe_wipe") ||
                has_code("forgets_for_good", "wipe_through_cache"));
#else
    assert_true(has_code("forgets_for_good", "<lethe_wipe>"));
#endif
#if defined __x86_64__ && !defined WIPE_PORTABLE
    assert_true(has_code("lethe_wipe", "sfence"));
    assert_true(has_code("lethe_wipe", "movnt"));
    assert_true(has_code("lethe_wipe", "clflush"));
#endif
    assert_true(has_code("lethe_wipe", "memset"));
}

/* ---- cache flush ----------------------------------------------------------------------------- */

#ifdef __x86_64__
#include <x86intrin.h>

/* The quickest of many first reads of a line that was just wiped, in clock ticks. */
static uint64_t first_read_ticks(volatile uint8_t *line)
{
    uint64_t quickest = UINT64_MAX;
    for (int i = 0; i < 2000; i++) {
        unsigned aux;
        lethe_wipe((void *)line, 64);
        _mm_mfence();
        uint64_t started = __rdtscp(&aux);
        (void)*line;
        uint64_t ticks = __rdtscp(&aux) - started;
        quickest = ticks < quickest ? ticks : quickest;
    }
    return quickest;
}

/* Z-6: with flushing on, what was wiped is no longer in any cache: reading it takes longer. */
static void flushed_lines_come_from_memory(void **state)
{
    static _Alignas(64) uint8_t lines[192];
    struct lethe_error err = {0};
    uint64_t cached = first_read_ticks(lines + 64);
    lethe_result result = lethe_wipe_flush_caches(true, &err);
#ifdef WIPE_PORTABLE
    assert_int_equal(result, LETHE_UNPROTECTED);
    (void)cached;
#else
    assert_int_equal(result, LETHE_OK);
    uint64_t flushed = first_read_ticks(lines + 64);
    assert_ok(lethe_wipe_flush_caches(false, &err), &err);
    uint64_t cached_again = first_read_ticks(lines + 64);
    if (flushed <= 2 * cached || flushed <= 2 * cached_again)
        fail_msg("%lu ticks cached, %lu flushed, %lu cached again", (unsigned long)cached,
                 (unsigned long)flushed, (unsigned long)cached_again);
#endif
}
#else
static void flushed_lines_come_from_memory(void **state)
{
    assert_result(LETHE_UNPROTECTED, lethe_wipe_flush_caches(true, NULL));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wipes_exactly_what_it_is_given),
        cmocka_unit_test(wipes_large_ranges_exactly),
        cmocka_unit_test(check_sees_a_single_bit_anywhere),
        cmocka_unit_test(check_does_not_look_outside),
        cmocka_unit_test(wiping_before_return_leaves_nothing_on_the_stack),
        cmocka_unit_test(wipe_is_in_the_machine_code),
        cmocka_unit_test(flushed_lines_come_from_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
