/* A day of a server of sessions, in a few seconds: tenants come, write, pause so that their blocks
 * go to a store, come back, rewind, end, cancel, or are never heard of again. In the evening
 * everything is as it was in the morning, and the log has the whole day.
 *
 *   simulate_day [SESSIONS] [SEED]    default 1500 sessions, seed 1
 *
 * All time is simulated: the cache's, and the log's. A session takes some 20 KiB of log. */
#include "kv_check.h"

#include <inttypes.h>
#include <unistd.h>

#define DAY_MS (UINT64_C(24) * 3600 * 1000)
#define TIMEOUT_MS (UINT64_C(20) * 60 * 1000)
#define GUESTS_MAX 256u
#define TENANTS 5u
#define BLOCKS 24u

static uint64_t sessions_wanted = 1500;
static uint64_t day_seed = 1;

static uint64_t draw(uint64_t below)
{
    day_seed = day_seed * 6364136223846793005u + 1442695040888963407u;
    return (day_seed >> 33) % below;
}

enum plan { PLAN_END, PLAN_CANCEL, PLAN_VANISH, PLANS };

struct guest {
    struct lethe_kv *session; /* NULL: nobody */
    uint64_t number;
    uint64_t next_ms;
    unsigned turns; /* that it will still take; then its plan */
    enum plan plan;
    uint8_t *seed;
    void *hidden;
};

struct day {
    struct kv_site kv;
    uint64_t now_ms;
    uint64_t arrived;
    uint64_t next_arrival_ms;
    struct guest guests[GUESTS_MAX];
    uint64_t ended[PLANS];
    uint64_t steps;
};

/* ---- guests ---------------------------------------------------------------------------------- */

static void arrive(struct day *day, struct guest *guest)
{
    char tenant[16], name[16];
    uint64_t number = ++day->arrived;
    snprintf(tenant, sizeof tenant, "tenant-%u", (unsigned)draw(TENANTS));
    snprintf(name, sizeof name, "s%" PRIu64, number);
    struct lethe_kv_session_options options = {
        .tenant = tenant, .session = name, .heartbeat_timeout_ms = TIMEOUT_MS};
    if (draw(3) == 0)
        options.window_tokens = 8 + draw(30);
    if (draw(4) == 0)
        options.budget_bytes = (8 + draw(4)) * BLOCK_BYTES;
    *guest = (struct guest){.number = number,
                            .next_ms = day->now_ms,
                            .turns = 1 + (unsigned)draw(12),
                            .plan = (enum plan)draw(PLANS)};
    guest->session = must_open_with(&day->kv, &options, day->now_ms);
    assert_ok(lethe_kv_seed(guest->session, 32, &guest->seed, &day->kv.err), &day->kv.err);
    assert_ok(lethe_kv_buffer(guest->session, number % 16 == 0 ? 8192 : 512, &guest->hidden,
                              &day->kv.err),
              &day->kv.err);
}

/* Some tokens, looked at, and perhaps some of them taken back. */
static void take_turn(struct day *day, struct guest *guest)
{
    struct kv_site *kv = &day->kv;
    uint64_t first, end, count = 1 + draw(20);
    assert_result(LETHE_OK, lethe_kv_heartbeat(guest->session, day->now_ms));
    assert_result(LETHE_OK, lethe_kv_range(guest->session, 0, &first, &end));
    must_append(kv, guest->session, guest->number, end, count);
    memset(guest->hidden, 0x5a, 512);
    memset(guest->seed, 0xa5, 32);
    assert_result(LETHE_OK, lethe_kv_range(guest->session, 0, &first, &end));
    uint64_t look = 1 + draw(ROWS_MAX);
    look = MIN(look, end - first);
    assert_gather(kv, guest->session, guest->number, first + draw(end - first - look + 1), look);
    if (draw(4) == 0)
        assert_ok(lethe_kv_truncate(guest->session, end - draw(MIN(end - first, 6)), &kv->err),
                  &kv->err);
    if (draw(40) == 0)
        assert_ok(lethe_kv_reset(guest->session, &kv->err), &kv->err);
    guest->turns--;
    guest->next_ms = day->now_ms + 1000 + draw(draw(5) == 0 ? 900000 : 60000);
}

static void leave(struct day *day, struct guest *guest)
{
    day->ended[guest->plan]++;
    must_end(&day->kv, guest->session);
    guest->session = NULL;
}

static void act(struct day *day, struct guest *guest)
{
    if (guest->turns > 0)
        take_turn(day, guest);
    else if (guest->plan == PLAN_VANISH)
        guest->next_ms = UINT64_MAX; /* until the cache ends it */
    else {
        if (guest->plan == PLAN_CANCEL)
            lethe_kv_cancel(guest->session);
        leave(day, guest);
    }
}

/* Sessions that were given up. */
static void expire(struct day *day)
{
    size_t expired = lethe_kv_expire(day->kv.cache, day->now_ms);
    for (unsigned i = 0; i < GUESTS_MAX && expired > 0; i++) {
        uint64_t first, end;
        struct guest *guest = &day->guests[i];
        if (guest->session == NULL ||
            lethe_kv_range(guest->session, 0, &first, &end) != LETHE_CANCELLED)
            continue;
        assert_int_equal(guest->plan, PLAN_VANISH);
        leave(day, guest);
        expired--;
    }
    assert_int_equal(expired, 0);
}

/* ---- time ------------------------------------------------------------------------------------ */

static struct guest *nobody(struct day *day)
{
    for (unsigned i = 0; i < GUESTS_MAX; i++)
        if (day->guests[i].session == NULL)
            return &day->guests[i];
    return NULL;
}

static struct guest *next_guest(struct day *day)
{
    struct guest *next = NULL;
    for (unsigned i = 0; i < GUESTS_MAX; i++) {
        struct guest *guest = &day->guests[i];
        if (guest->session != NULL && (next == NULL || guest->next_ms < next->next_ms))
            next = guest;
    }
    return next;
}

/* The log's clock is the day's. */
static void move_to(struct day *day, uint64_t now_ms)
{
    struct site *site = day->kv.site;
    day->now_ms = MAX(day->now_ms, now_ms);
    site->now_s = 1795176000 + day->now_ms / 1000;
    uint64_t now_ns = UINT64_C(1795176000000000000) + day->now_ms * 1000000;
    __atomic_store_n(&site->node->now_ns, MAX(site->node->now_ns, now_ns), __ATOMIC_RELAXED);
    if (day->steps++ % 32 == 0)
        assert_ok(audit_sync(site->log, &site->err), &site->err);
}

/* The next thing that happens before `until_ms`; false when there is none. */
static bool step(struct day *day, uint64_t until_ms)
{
    struct guest *guest = next_guest(day), *room = nobody(day);
    uint64_t arrival_ms =
        day->arrived < sessions_wanted && room != NULL ? day->next_arrival_ms : UINT64_MAX;
    uint64_t next_ms = MIN(arrival_ms, guest != NULL ? guest->next_ms : UINT64_MAX);
    if (next_ms >= until_ms)
        return false;
    move_to(day, next_ms);
    expire(day);
    if (arrival_ms == next_ms) {
        arrive(day, room);
        day->next_arrival_ms = day->now_ms + draw(2 * DAY_MS / sessions_wanted);
    } else if (guest->session != NULL) {
        act(day, guest);
    }
    return true;
}

static void pass(struct day *day, uint64_t until_ms)
{
    while (step(day, until_ms))
        ;
    move_to(day, until_ms);
    expire(day);
    assert_ok(audit_sync(day->kv.site->log, &day->kv.err), &day->kv.err);
}

/* ---- evening --------------------------------------------------------------------------------- */

struct use {
    uint64_t resident_kib;
    size_t mappings;
};

static struct use use_now(void)
{
    struct use use = {0};
    char line[512];
    FILE *status = fopen("/proc/self/status", "re"), *maps = fopen("/proc/self/maps", "re");
    assert_true(status != NULL && maps != NULL);
    while (fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "VmRSS: %" SCNu64, &use.resident_kib);
    while (fgets(line, sizeof line, maps) != NULL)
        use.mappings++;
    fclose(status);
    fclose(maps);
    return use;
}

static void everyone_leaves(struct day *day)
{
    for (unsigned i = 0; i < GUESTS_MAX; i++)
        if (day->guests[i].session != NULL)
            leave(day, &day->guests[i]);
}

struct counted {
    uint64_t started, ended, unverified, dropped, timed_out;
};

static lethe_result count_record(void *context, const struct audit_record *record,
                                 struct lethe_error *err)
{
    struct counted *counted = context;
    const char *line = record->line;
#define SAYS(text) (memmem(line, record->length, text, sizeof(text) - 1) != NULL)
    counted->started += SAYS("\"event\":\"session_started\"");
    counted->ended += SAYS("\"event\":\"session_ended\"");
    counted->timed_out += SAYS("\"cause\":\"timed out\"");
    counted->unverified += SAYS("\"verified\":false");
    counted->dropped += SAYS("\"event\":\"events_dropped\"");
    return LETHE_OK;
}

static void assert_log_has_the_day(struct day *day)
{
    struct site *site = day->kv.site;
    struct counted counted = {0};
    struct audit_verify_report report;
    assert_ok(audit_close(MOVE(site->log), &site->err), &site->err);
    const struct audit_verify_options options = {.directory = site->node->options.directory,
                                                 .key = site->node->options.signer.key,
                                                 .visit = count_record,
                                                 .context = &counted};
    assert_ok(audit_verify(&options, &report, &site->err), &site->err);
    assert_int_equal(counted.started, day->arrived);
    assert_int_equal(counted.ended, day->arrived);
    assert_int_equal(counted.unverified, 0);
    assert_int_equal(counted.dropped, 0);
    assert_true(counted.timed_out > 0);
    print_message("%" PRIu64 " sessions: %" PRIu64 " ended, %" PRIu64 " cancelled, %" PRIu64
                  " vanished; %" PRIu64 " records\n",
                  day->arrived, day->ended[PLAN_END], day->ended[PLAN_CANCEL],
                  day->ended[PLAN_VANISH], report.records);
}

/* A busy day is more than one actor may have written by default. */
static void lift_the_logs_budget(struct site *site)
{
    assert_ok(audit_close(MOVE(site->log), &site->err), &site->err);
    site->node->options.limits.identity_bytes = AUDIT_NO_LIMIT;
    site->log = must_open(site->node);
    site->recorder.log = site->log;
}

/* Z-4, Z-8, Z-9, A-7 */
static void a_day_leaves_nothing(void **state)
{
    struct day *day = calloc(1, sizeof *day);
    assert_non_null(day);
    struct kv_site *kv = &day->kv;
    void *site;
    assert_int_equal(site_setup(&site), 0);
    kv->site = site;
    lift_the_logs_budget(kv->site);
    must_spilling_cache(kv, BLOCKS);

    pass(day, DAY_MS / 2);
    struct use noon = use_now();
    uint64_t arrived_by_noon = day->arrived;
    pass(day, DAY_MS);
    sessions_wanted = day->arrived; /* nobody comes any more */
    everyone_leaves(day);
    pass(day, DAY_MS + 1);
    struct use evening = use_now();

    struct lethe_kv_counters counters = counters_of(kv);
    assert_true(day->arrived > arrived_by_noon && day->ended[PLAN_VANISH] > 0);
    assert_true(counters.spills > 0 && counters.fetches > 0);
    assert_int_equal(counters.sessions, 0);
    assert_int_equal(counters.used_blocks, 0);
    assert_int_equal(counters.spilled_blocks, 0);
    assert_true(counters.evicted_blocks >= counters.spills);
    assert_true(counters.spills >= counters.fetches);
    assert_true(counters.wiped_bytes >= counters.evicted_blocks * BLOCK_BYTES / 2);
    print_message("noon %" PRIu64 " KiB, %zu mappings; evening %" PRIu64 " KiB, %zu mappings\n",
                  noon.resident_kib, noon.mappings, evening.resident_kib, evening.mappings);
    if (!HAS_SANITIZER) {
        assert_true(evening.resident_kib <= noon.resident_kib + 512);
        assert_true(evening.mappings <= noon.mappings);
    }
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    assert_int_equal(used_bytes(kv->site), 0);
    lethe_spill_memory_free(kv->memory);
    assert_log_has_the_day(day);
    assert_int_equal(site_teardown(&site), 0);
    free(day);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_day_leaves_nothing)};
    if (argc > 1)
        sessions_wanted = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        day_seed = strtoull(argv[2], NULL, 10);
    if (sessions_wanted == 0) {
        fprintf(stderr, "usage: simulate_day [SESSIONS] [SEED]\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
