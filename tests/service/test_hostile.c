/* Every route of the service against everybody who may not, by every way there is
 * of not being somebody. E-1, K-12 */
#include "hostile.h"

#include <stdlib.h>

#include "service/routes.h"
#include "service/tokens.h"

#define HOUR_NS UINT64_C(3600000000000)

/* A clock that a test moves. */
static uint64_t later_ns;

static uint64_t wall_ns(void *context)
{
    (void)context;
    return clock_wall_ns(&clock_system) + later_ns;
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return clock_monotonic_ns(&clock_system);
}

static const struct clock_source moved_clock = {wall_ns, monotonic_ns, NULL};

static int setup(void **state)
{
    if (service_setup(state) != 0)
        return -1;
    struct check *check = *state;
    later_ns = 0;
    check->options.keeper.clock = &moved_clock;
    reopen(check);
    return 0;
}

/* ---- who may not ----------------------------------------------------------------------------- */

#define TOKEN_43 "lethe.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* *entry is made, and the token copied to `out`. */
static void make(struct check *check, struct token_entry *entry, char out[128])
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    strcpy(entry->path, "auth/token/create");
    assert_ok(tokens_create(check->service->tokens, entry, &token, &err), &err);
    memset(out, 0, 128);
    memcpy(out, lethe_secret_bytes_const(token), lethe_secret_size(token));
}

enum { EXPIRED, REVOKED, BOUND, SPENT, MADE_COUNT };
static void make_void(struct check *check, char out[MADE_COUNT][128])
{
    struct lethe_error err = {0};
    struct token_entry entries[MADE_COUNT] = {
        [EXPIRED] = {.ttl_s = 60, .policy_count = 1, .policies = {"root"}},
        [REVOKED] = {.policy_count = 1, .policies = {"root"}},
        [BOUND] = {.policy_count = 1,
                   .policies = {"root"},
                   .identity = "spiffe://example.org/tenant/acme/x"},
        [SPENT] = {.policy_count = 1, .policies = {"root"}, .uses_left = 1},
    };
    for (size_t i = 0; i < MADE_COUNT; i++)
        make(check, &entries[i], out[i]);
    assert_ok(tokens_revoke(check->service->tokens, entries[REVOKED].hash, true, "test", &err),
              &err);
    /* The controls: they were good. */
    assert_int_equal(200, call(check, "GET", "sys/mounts", out[EXPIRED], NULL));
    assert_int_equal(200, call(check, "GET", "sys/mounts", out[SPENT], NULL));
    later_ns = HOUR_NS;
}

#define LONG_PURPOSE                                                                               \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct shown {
    const char *what, *token;
    size_t token_bytes;
    bool is_proven; /* by itself, with no rights */
};

static void assert_refused(struct check *check, const struct shown *shown,
                           const struct attack *attack)
{
    bool is_same = check->status == 403 && strcmp(body_text(check), REFUSED) == 0 &&
                   strcmp(check->content_type, "application/json") == 0;
    if (!is_same)
        fail_msg("%s: %u %s?%s: %u %s", shown->what, attack->method, attack->path, attack->query,
                 check->status, body_text(check));
}

static void try_path(struct check *check, const struct shown *shown, unsigned method,
                     const char *path)
{
    static const struct {
        const char *query;
        struct bytes body;
    } requests[] = {{NULL, NOTHING},
                    {"list=true&x=%zz", BYTES("{\"a\":")},
                    {"purpose=" LONG_PURPOSE, BYTES("{\"bits\":[],\"ciphertext\":1}")}};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct attack one = {.method = method,
                                   .path = path,
                                   .query = requests[i].query,
                                   .token = shown->token,
                                   .token_bytes = shown->token_bytes,
                                   .body = requests[i].body};
        attack(check, &one);
        assert_refused(check, shown, &one);
    }
}

/* By some method. */
static bool is_open(const char *pattern)
{
    const struct route *const *table = route_tables;
    for (; *table != NULL; table++)
        for (const struct route *route = *table; route->pattern != NULL; route++)
            if (strcmp(route->pattern, pattern) == 0 && (route->flags & ROUTE_OPEN) != 0)
                return true;
    return false;
}

static void try_all(struct check *check, const struct shown *shown)
{
    static const unsigned methods[] = {CALL_GET, CALL_POST, CALL_DELETE, CALL_LIST};
    static const char *const others[] = {"no/such/path", "", "transit", "transit/keys/" MADE "/x",
                                         "lethe/policies/data/x"};
    static const char *const names[] = {MADE, "none"};
    char path[256];
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        bool is_answered =
            is_open(route->pattern) || ((route->flags & ROUTE_SELF) != 0 && shown->is_proven);
        for (size_t name = 0; name < ARRAY_LEN(names) && !is_answered; name++) {
            path_of(route, names[name], path);
            for (size_t i = 0; i < ARRAY_LEN(methods); i++)
                try_path(check, shown, methods[i], path);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        try_path(check, shown, CALL_POST, others[i]);
}

/* What is there and what is not, what is well asked and what is not, a method that there is and one
 * that there is not: one answer, byte for byte. */
static void who_may_not_learns_nothing(void **state)
{
    struct check *check = *state;
    char tokens[MADE_COUNT][128], other[3][160];
    CLEANUP(memory_free) char *large = malloc(LARGE_BYTES);
    assert_non_null(large);
    memset(large, 'A', LARGE_BYTES);
    make_all(check);
    make_void(check, tokens);
    size_t length = strlen(check->root);
    snprintf(other[0], sizeof other[0], "%.*s", (int)length - 1, check->root);
    snprintf(other[1], sizeof other[1], "%s\n", check->root);
    snprintf(other[2], sizeof other[2], "LETHE%s", check->root + 5);
    const struct shown shown[] = {
        {"none", NULL, 0, false},
        {"empty", "\0", 0, false},
        {"20,000 bytes", large, 20000, false},
        {"a NUL", "\0\0\0", 3, false},
        {"not ASCII", "l\xc3\xa9the.\xff\xfe", 0, false},
        {"unknown", TOKEN_43, 0, false},
        {"one too short", other[0], 0, false},
        {"one with a newline", other[1], 0, false},
        {"one with a NUL behind", check->root, length + 1, false},
        {"one in capitals", other[2], 0, false},
        {"expired", tokens[EXPIRED], 0, false},
        {"revoked", tokens[REVOKED], 0, false},
        {"bound", tokens[BOUND], 0, false},
        {"spent", tokens[SPENT], 0, false},
        {"without rights", check->other, 0, true},
    };
    const struct shown largest = {"1 MiB", large, LARGE_BYTES, false};
    uint64_t before = state_of(check);
    try_path(check, &largest, CALL_GET, "transit/keys/" MADE);
    try_path(check, &largest, CALL_GET, "transit/keys/none");
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        try_all(check, &shown[i]);
    assert_true(before == state_of(check));
    assert_int_equal(200, call(check, "GET", "transit/keys/" MADE, check->root, NULL));
}

/* Nobody may have the door take its keeper for broken. */
static void health_has_statuses_of_answers_only(void **state)
{
    static const char *const codes[] = {"0",   "-1",  "99",   "100",   "101",
                                        "199", "600", "1000", "65736", "9223372036854775807"};
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char path[64];
        snprintf(path, sizeof path, "sys/health?activecode=%s", codes[i]);
        assert_int_equal(400, call(check, "GET", path, NULL, NULL));
    }
    assert_int_equal(299, call(check, "GET", "sys/health?activecode=299", NULL, NULL));
}

#define ON_MOVED(test) cmocka_unit_test_setup_teardown(test, setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MOVED(who_may_not_learns_nothing),
        ON_SERVICE(health_has_statuses_of_answers_only),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
