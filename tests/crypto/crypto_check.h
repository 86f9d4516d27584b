/* tests/crypto/crypto_check.h -- vectors in hex, repeatable bytes, and other people's tools. */
#ifndef TESTS_CRYPTO_CHECK_H
#define TESTS_CRYPTO_CHECK_H

#include <stdlib.h>

#include "check.h"

#include "base/text.h"
#include "crypto/crypto.h"

/* For cmocka_run_group_tests: OpenSSL wipes what it frees before anything else uses it. */
__attribute__((unused)) static int start_crypto(void **state)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) == LETHE_OK)
        return 0;
    fprintf(stderr, "crypto_start: %s\n", err.text);
    return -1;
}

struct vector {
    size_t size_bytes;
    uint8_t bytes[256];
};

__attribute__((unused)) static struct vector unhex(const char *hex)
{
    struct vector v = {.size_bytes = strlen(hex) / 2};
    assert_true(v.size_bytes <= sizeof v.bytes);
    assert_result(LETHE_OK, hex_decode(hex, strlen(hex), v.bytes, v.size_bytes));
    return v;
}

/* Compares as text, so that a failure shows both. */
__attribute__((unused)) static void assert_hex(const char *expected, const void *bytes,
                                               size_t size_bytes)
{
    char *got = malloc(2 * size_bytes + 1);
    assert_non_null(got);
    hex_encode(bytes, size_bytes, got);
    assert_string_equal(got, expected);
    free(got);
}

/* xorshift64*: the same bytes in every run, so that a failure can be repeated. */
static uint64_t random_state = 0x9e3779b97f4a7c15;

__attribute__((unused)) static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1d;
}

__attribute__((unused)) static void fill_random(void *out, size_t size_bytes)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(next_random() >> 56);
}

/* 0 to max. */
__attribute__((unused)) static size_t random_up_to(size_t max)
{
    return (size_t)(next_random() % (max + 1));
}

__attribute__((unused)) static struct lethe_secret *secret_of(const void *bytes, size_t size_bytes)
{
    struct lethe_error err = {0};
    struct lethe_secret *secret = NULL;
    assert_ok(lethe_secret_create(size_bytes, &secret, &err), &err);
    memcpy(lethe_secret_bytes(secret), bytes, size_bytes);
    return secret;
}

/* Runs a command line; gives its exit status and the first bytes of its output, NUL-terminated. */
__attribute__((unused)) static int run_tool(const char *command, char *output, size_t size_bytes)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, size_bytes - 1, pipe);
    output[got] = '\0';
    while (fgetc(pipe) != EOF)
        ; /* a tool that cannot write is killed by SIGPIPE */
    return pclose(pipe);
}

__attribute__((unused)) static bool have_tool(const char *name)
{
    char command[128], output[256];
    snprintf(command, sizeof command, "command -v %s", name);
    if (run_tool(command, output, sizeof output) == 0)
        return true;
    printf("%s is not installed\n", name);
    return false;
}

#endif
