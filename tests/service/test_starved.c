/* No memory at any place of any call: an error, nothing half done, and the same call works when
 * there is memory again. Heap and guarded memory, of the thread that answers. LETHE_TEST_LONG: at
 * each place, else at a few. */
#include "changes.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "lethe/mem.h"
#include "mem/slab.h"

/* ---- memory ---------------------------------------------------------------------------------- */

static _Thread_local unsigned calls_left; /* until one fails; 0: none does */
static bool has_failed;

#define PLACES_BEHIND 3u

static bool fails_now(void)
{
    if (calls_left == 0 || --calls_left > 0)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

#define STARVES(type, name, parameters, arguments, failure)                                        \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails_now() ? failure : __real_##name arguments;                                    \
    }
STARVES(void *, malloc, (size_t size_bytes), (size_bytes), NULL)
STARVES(void *, calloc, (size_t count, size_t size_bytes), (count, size_bytes), NULL)
STARVES(void *, realloc, (void *memory, size_t size_bytes), (memory, size_bytes), NULL)
STARVES(void *, reallocarray, (void *array, size_t count, size_t size_bytes),
        (array, count, size_bytes), NULL)
STARVES(char *, strdup, (const char *text), (text), NULL)
STARVES(lethe_result, lethe_region_create,
        (size_t size_bytes, const struct lethe_region_options *options, struct lethe_region **out,
         struct lethe_error *err),
        (size_bytes, options, out, err),
        (*out = NULL, error_set(err, LETHE_NO_MEMORY, "no region")))
STARVES(lethe_result, slab_alloc, (size_t size_bytes, void **out, struct lethe_error *err),
        (size_bytes, out, err), (*out = NULL, error_set(err, LETHE_NO_MEMORY, "no slab")))

/* ---- calls ----------------------------------------------------------------------------------- */

static const struct change reads[] = {
    {"GET", "sys/health", NULL},
    {"GET", "sys/seal-status", NULL},
    {"GET", "metrics", NULL},
    {"LIST", "transit/keys", NULL},
    {"GET", "transit/keys/k", NULL},
    {"GET", "auth/token/lookup-self", NULL},
    {"POST", "auth/token/lookup-accessor", "{\"accessor\":\"$ACCESSOR\"}"},
    {"POST", "sys/capabilities-self", "{\"paths\":[\"transit/keys/k\"]}"},
    {"POST", "transit/sign/k", "{\"input\":\"YQ==\"}", .again = 400},
    {"POST", "transit/hmac/k", "{\"input\":\"YQ==\"}"},
    {"POST", "transit/random/32", "{}"},
    {"POST", "transit/datakey/plaintext/k", "{}"},
    {"LIST", "pki/certs", NULL},
    {"GET", "pki/cert/$SERIAL", NULL},
    {"GET", "pki/ca/pem", NULL},
    {"GET", "pki/crl/pem", NULL},
    {"GET", "sys/policies/acl/p", NULL, .as_operator = true},
    {"LIST", "lethe/identities", NULL, .as_operator = true},
    {"GET", "transit/backup/b", NULL, .as_operator = true},
    {"GET", "sys/internal/specs/openapi", NULL},
};

static void flush(struct wire *from, struct wire *to, bool *broken)
{
    bool left = true;
    struct lethe_error err = {0};
    /* An answer may be longer than a socket holds, or one call reads. */
    for (size_t before = SIZE_MAX; !*broken && (left || to->in.size_bytes != before);) {
        *broken = wire_flush(from, &left, &err) != LETHE_OK;
        before = to->in.size_bytes;
        assert_ok(wire_fill(to, &err), &err);
    }
}

/* With the Nth allocation of the keeper failing. The status; 0: the peer was let go. */
static unsigned call_starved(struct check *check, const struct change *change, unsigned nth)
{
    struct lethe_error err = {0};
    struct core_peer *peer = change->as_operator ? &check->admin : &check->door;
    struct wire *ours = change->as_operator ? &check->program : &check->client;
    bool broken = false;
    changes_send(check, change);
    flush(ours, &peer->wire, &broken);
    assert_false(broken);
    has_failed = false;
    calls_left = nth;
    lethe_result result = core_handle(check->service, peer, &err);
    calls_left = 0;
    broken = result != LETHE_OK;
    if (!broken)
        flush(&peer->wire, ours, &broken);
    check->status = 0;
    bool more = !broken;
    while (more)
        more = change->as_operator ? operator_answer_next(check) : answer_next(check);
    return check->status;
}

static void assert_sound(struct check *check, const struct change *change, unsigned nth)
{
    bool is_json = strcmp(check->content_type, "application/json") == 0;
    const char *body = check->body.bytes == NULL ? "" : body_text(check);
    size_t length = strlen(body);
    while (length > 0 && body[length - 1] == '\n')
        length--;
    if (check->status == 200 && is_json && (length == 0 || body[length - 1] != '}'))
        fail_msg("%s at %u: 200 and %s", change->path, nth, body);
}

/* Whether all places are behind us. */
static bool starve_once(struct check **check, struct home *home, const struct change *change,
                        unsigned nth)
{
    uint64_t before = changes_shape(*check);
    unsigned status = call_starved(*check, change, nth);
    if (!has_failed) {
        bool is_well = change->again == 400 ? status != 0 : status / 100 == 2;
        if (!is_well)
            fail_msg("%s behind %u failures: %u %s", change->path, nth, status,
                     status == 0 ? "" : body_text(*check));
        return true;
    }
    if (status != 0)
        assert_sound(*check, change, nth);
    bool is_done = changes_shape(*check) != before;
    if (is_done || status == 0) {
        check_free(*check);
        if (is_done)
            put_back(home, PART_ALL);
        *check = changes_open_for(home, change);
    }
    return false;
}

/* Behind its answer a call may tell the doors much: a few places of that are enough. Of the places
 * before, few stand for many, and other ones for each call: `which`. */
static unsigned starve(struct home *home, const struct change *change, size_t which)
{
    bool every = getenv("LETHE_TEST_LONG") != NULL;
    put_back(home, PART_ALL);
    struct check *check = changes_open_for(home, change);
    unsigned places = 0;
    unsigned answered = 0;
    unsigned nth = every ? 1 : 1 + (unsigned)(which % 3);
    bool is_clean = false;
    while (answered < PLACES_BEHIND && !is_clean) {
        is_clean = starve_once(&check, home, change, nth);
        places++;
        answered += check->status / 100 == 2;
        nth += every ? 1 : nth;
    }
    if (!is_clean)
        assert_true(starve_once(&check, home, change, UINT_MAX));
    check_free(check);
    assert_log_verifies(home);
    return places;
}

static void without_memory_a_call_fails_and_works_later(void **state)
{
    struct home *home = *state;
    unsigned places = 0;
    changes_make_home(home);
    save_home(home);
    for (size_t i = 0; i < change_count; i++)
        places += starve(home, &changes[i], i);
    for (size_t i = 0; i < ARRAY_LEN(reads); i++)
        places += starve(home, &reads[i], i);
    remove_home(home);
    changes_make_new_home(home);
    save_home(home);
    places += starve(home, &changes[change_count], 0);
    print_message("%u places\n", places);
    assert_true(places > change_count);
}

/* ---- what others have changed ---------------------------------------------------------------- */

static const struct change removal = {"DELETE", "sys/policies/acl/p", .as_operator = true};
static const struct change other = {"GET", "auth/token/lookup-self"};
static const struct change use = {"GET", "sys/mounts", .by_token = "$TOKEN"};

/* In a child. */
static int remove_there(const char *directory)
{
    struct home home;
    home_init(&home, directory);
    struct check *check = changes_open(&home);
    assert_int_equal(204, changes_call(check, &removal));
    check_free(check);
    return 0;
}

/* What another process changed could not be read once: it is not forgotten. */
static void a_policy_removed_elsewhere_allows_nothing_more(void **state)
{
    struct home *home = *state;
    char directory[128];
    unsigned unread = 0;
    changes_make_home(home);
    save_home(home);
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    for (unsigned nth = 1; nth < 60; nth += 3) {
        put_back(home, PART_ALL);
        struct check *check = changes_open(home);
        assert_int_equal(200, changes_call(check, &use));
        assert_int_equal(0, wait_for(spawn_self((const char *const[]){"remove", directory, NULL})));
        unread += call_starved(check, &use, nth) == 503;
        assert_int_not_equal(200, check->status);
        assert_int_equal(200, changes_call(check, &other)); /* the others' tokens are still known */
        assert_int_equal(403, changes_call(check, &use));
        check_free(check);
    }
    assert_int_not_equal(0, unread);
}

/* Fails so often. */
static unsigned refreshes_fail;
lethe_result __real_policies_refresh(struct policies *policies, struct lethe_error *err);
lethe_result __wrap_policies_refresh(struct policies *policies, struct lethe_error *err);
lethe_result __wrap_policies_refresh(struct policies *policies, struct lethe_error *err)
{
    if (refreshes_fail == 0)
        return __real_policies_refresh(policies, err);
    refreshes_fail--;
    return error_set(err, LETHE_NO_MEMORY, "as the test wants");
}

/* The store was seen to have changed, and then the rows could not be read: they stay due, though
 * the store has not changed since. */
static void rows_that_could_not_be_read_stay_due(void **state)
{
    struct home *home = *state;
    char directory[128];
    changes_make_home(home);
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    struct check *check = changes_open(home);
    assert_int_equal(200, changes_call(check, &use));
    assert_int_equal(0, wait_for(spawn_self((const char *const[]){"remove", directory, NULL})));
    refreshes_fail = 2;
    assert_int_equal(503, changes_call(check, &use));
    assert_int_equal(503, changes_call(check, &use));
    assert_int_equal(0, refreshes_fail);
    assert_int_equal(403, changes_call(check, &use));
    assert_int_equal(200, changes_call(check, &other));
    check_free(check);
}

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 3 && strcmp(argv[1], "remove") == 0)
        return remove_there(argv[2]);
    const struct CMUnitTest tests[] = {
        ON_HOME(rows_that_could_not_be_read_stay_due),
        ON_HOME(a_policy_removed_elsewhere_allows_nothing_more),
        ON_HOME(without_memory_a_call_fails_and_works_later),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
