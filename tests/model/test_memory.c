/* Peak memory, apart from a destination of the caller's, does not grow with the size of a model. */
#include "model_fixture.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

#define MIB ((size_t)1 << 20)

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static lethe_result no_record(void *context, const struct reencrypt_summary *summary,
                              struct lethe_error *err)
{
    return LETHE_OK;
}

static void encrypt_anew(struct fixture *f)
{
    struct reencrypt_summary summary;
    const struct reencrypt_options options = {.path = AT(f, "model"),
                                              .threads = 2,
                                              .clock = &clock_system,
                                              .random = &random_system,
                                              .published = no_record};
    assert_ok(model_reencrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
}

/* Everything that goes through a whole model. */
static int work_on(const char *directory)
{
    struct fixture f = {.keys = test_keys_create(1)};
    snprintf(f.directory, sizeof f.directory, "%s", directory);
    must_encrypt(&f, AT(&f, "zeros.bin"), AT(&f, "model"));
    struct model *model = must_open(&f, AT(&f, "model"));
    assert_ok(model_verify_cipher(model, &two_threads, &f.err), &f.err);
    assert_ok(model_verify(model, &f.keys->source, &two_threads, &f.err), &f.err);
    assert_ok(model_decrypt(model, &f.keys->source, AT(&f, "out"), &two_threads, &f.err), &f.err);
    model_close(model);
    encrypt_anew(&f);
    return 0;
}

static long peak_kib(struct fixture *f, size_t size_bytes)
{
    int fd = open(AT(f, "zeros.bin"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    close(fd);
    char *arguments[] = {(char *)"test_memory", f->directory, NULL};
    pid_t child;
    int status;
    struct rusage usage;
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_ok(file_remove_tree(AT_FDCWD, AT(f, "model"), &f->err), &f->err);
    assert_ok(file_remove_tree(AT_FDCWD, AT(f, "out"), &f->err), &f->err);
    return usage.ru_maxrss;
}

static void peak_memory_does_not_grow_with_size(void **state)
{
    struct fixture *f = *state;
#ifdef SANITIZED
    print_message("a sanitizer keeps freed memory\n");
    skip();
#endif
    long small_kib = peak_kib(f, 130 * MIB); /* three ranges: both threads have work */
    long large_kib = peak_kib(f, 390 * MIB);
    if (large_kib > small_kib + 2048)
        fail_msg("%ld KiB for 130 MiB, but %ld KiB for 390 MiB", small_kib, large_kib);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return work_on(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(peak_memory_does_not_grow_with_size, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
