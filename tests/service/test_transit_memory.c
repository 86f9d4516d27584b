/* What the calls that come most often do with memory: they themselves take none from the heap, and
 * leave nothing of a plaintext in what they use again (K-6). */
#include "transit_check.h"

#include <stdlib.h>

#include "mem/slab.h"
#include "service/routes_transit.h"

#define SECRET "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCBzZWNyZXQ="
#define ROUNDS 20u

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
static unsigned taken;
static _Thread_local bool inside; /* a handler; the log writes in a thread of its own */

void *__wrap_malloc(size_t size)
{
    taken += inside ? 1 : 0;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    taken += inside ? 1 : 0;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    taken += inside ? 1 : 0;
    return __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    taken += inside ? 1 : 0;
    return __real_reallocarray(memory, count, size);
}

#define WATCHED(name)                                                                              \
    call_handler __real_##name, __wrap_##name;                                                     \
    lethe_result __wrap_##name(struct call *call, struct lethe_error *err)                         \
    {                                                                                              \
        inside = true;                                                                             \
        lethe_result result = __real_##name(call, err);                                            \
        inside = false;                                                                            \
        return result;                                                                             \
    }
WATCHED(transit_create)
WATCHED(transit_encrypt)
WATCHED(transit_decrypt)
WATCHED(transit_rewrap)
WATCHED(transit_sign)
WATCHED(transit_hmac)

static unsigned taken_by(struct check *check, const char *path, const char *body)
{
    must(check, "POST", path, body); /* the first time, a key is read and memory is made */
    taken = 0;
    for (unsigned i = 0; i < ROUNDS; i++)
        must(check, "POST", path, body);
    return taken;
}

static void hot_calls_take_nothing_from_the_heap(void **state)
{
    struct check *check = *state;
    char body[4096];
    check->service->options.emit_uses = true;
    taken = 0;
    must(check, "POST", "transit/keys/k", NULL);
    assert_int_not_equal(0, taken); /* it is seen when something is taken */
    must(check, "POST", "transit/keys/signer", "{\"type\":\"ed25519\"}");
    assert_int_equal(0, taken_by(check, "transit/encrypt/k", "{\"plaintext\":\"" SECRET "\"}"));
    strcpy(body, with_text(check, ""));
    assert_int_equal(0, taken_by(check, "transit/decrypt/k", body));
    assert_int_equal(0, taken_by(check, "transit/rewrap/k", body));
    assert_int_equal(0, taken_by(check, "transit/sign/signer", "{\"input\":\"" SECRET "\"}"));
    assert_int_equal(0, taken_by(check, "transit/hmac/k", "{\"input\":\"" SECRET "\"}"));
}

static void assert_scratch_is_empty(void)
{
    const struct guarded *scratch = transit_scratch();
    assert_int_equal(0, scratch->size_bytes);
    assert_true(scratch->bytes == NULL || lethe_is_zero(scratch->bytes, scratch->capacity_bytes));
}

static void nothing_is_left_in_what_is_used_again(void **state)
{
    static const char *const bodies[] = {
        "{\"plaintext\":\"" SECRET "\"}", "{\"plaintext\":\"" SECRET "\",\"key_version\":9}",
        "{\"plaintext\":\"" SECRET "!\"}",
        "{\"plaintext\":\"" SECRET "\",\"associated_data\":\"!\"}",
        "{\"batch_input\":[{\"plaintext\":\"" SECRET "\"},{\"plaintext\":\"" SECRET "!\"}]}"};
    static const char *const paths[] = {
        "transit/encrypt/k", "transit/encrypt/absent", "transit/datakey/plaintext/k",
        "transit/hash",      "transit/sign/k",         "transit/random"};
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    for (size_t path = 0; path < ARRAY_LEN(paths); path++) {
        for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
            (void)ask(check, "POST", paths[path], bodies[i]);
            assert_scratch_is_empty();
        }
    }
    assert_true(transit_scratch()->capacity_bytes > 0);
}

static void a_large_call_leaves_no_large_memory(void **state)
{
    enum { LENGTH = 4 << 20 };
    struct check *check = *state;
    char *body = malloc(LENGTH + 64);
    assert_non_null(body);
    must(check, "POST", "transit/keys/k", NULL);
    strcpy(body, "{\"plaintext\":\"");
    size_t at = strlen(body);
    memset(body + at, 'A', LENGTH);
    strcpy(body + at + LENGTH, "\"}");
    must(check, "POST", "transit/encrypt/k", body);
    free(body);
    assert_true(transit_scratch()->capacity_bytes < (2u << 20));
    assert_scratch_is_empty();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ON_SERVICE(hot_calls_take_nothing_from_the_heap),
        ON_SERVICE(nothing_is_left_in_what_is_used_again),
        ON_SERVICE(a_large_call_leaves_no_large_memory),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
