/* P-11: what happens to leases is on record, each end with what became of the memory. */
#include "check.h"

#include "../audit/emit_check.h"
#include "tenancy_check.h"

static char first, second;

struct recorded {
    struct node *node;
    struct audit_log *log;
    struct lethe_log public;
    struct tenancy_place *place;
};

static struct recorded open_recorded(void)
{
    struct recorded recorded = {.node = node_fresh("provider")};
    recorded.log = must_open(recorded.node);
    return recorded;
}

/* `recorded` stays where it is. */
static void begin(struct recorded *recorded, void (*wipe)(void *memory, size_t size_bytes))
{
    struct tenancy_options options = place_options(NULL);
    recorded->public = (struct lethe_log){.log = recorded->log, .actor = "uid:0"};
    options.log = &recorded->public;
    options.arena.wipe = wipe;
    recorded->place = place_open(&options);
}

/* Everything is on record when the tenancy is gone. */
static void finish(struct recorded *recorded)
{
    place_close(recorded->place);
    must_close(recorded->log);
}

static unsigned count(const struct recorded *recorded, const char *event, const char *state,
                      const char *cause)
{
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(recorded->node), "000001.jsonl");
    char event_text[64], state_text[64], cause_text[64];
    const char *line;
    size_t length;
    unsigned found = 0;
    snprintf(event_text, sizeof event_text, "\"event\":\"%s\"", event);
    snprintf(state_text, sizeof state_text, "\"state\":\"%s\"", state);
    snprintf(cause_text, sizeof cause_text, "\"cause\":\"%s\"", cause);
    for (size_t n = 0; (length = nth_line(&lines, n, &line)) > 0; n++) {
        char copy[2048] = "";
        memcpy(copy, line, MIN(length, sizeof copy - 1));
        found += strstr(copy, event_text) != NULL && strstr(copy, state_text) != NULL &&
                 strstr(copy, cause_text) != NULL &&
                 strstr(copy, "\"consumer\":\"" TERMS_CONSUMER "\"") != NULL &&
                 strstr(copy, "\"tenant\":\"acme\"") != NULL &&
                 strstr(copy, "\"bytes\":524288") != NULL;
    }
    return found;
}

static void a_life_is_on_record(void **state)
{
    struct recorded recorded = open_recorded();
    begin(&recorded, NULL);
    struct tenancy_place *place = recorded.place;
    struct lease_terms terms = must_grant(place, 1);
    tenancy_detach(place->tenancy, must_attach(place, &terms, &first));
    struct attachment *attachment = must_attach(place, &terms, &second);
    assert_result(LETHE_OK, tenancy_release(place->tenancy, attachment, place->now_ms, hear_done,
                                            place, NULL));
    tenancy_detach(place->tenancy, attachment);
    finish(&recorded);
    assert_int_equal(count(&recorded, "lease_attached", "active", "none"), 1);
    assert_int_equal(count(&recorded, "lease_frozen", "frozen", "none"), 1);
    assert_int_equal(count(&recorded, "lease_resumed", "active", "none"), 1);
    assert_int_equal(count(&recorded, "lease_released", "reclaimed", "released"), 1);
    assert_int_equal(count(&recorded, "lease_expired", "reclaimed", "expired"), 0);
    node_free(recorded.node);
}

/* Who shows a token that is not his own is on record, on his own account. */
static void tokens_of_others_are_on_record(void **state)
{
    struct recorded recorded = open_recorded();
    begin(&recorded, NULL);
    struct lease_terms terms = must_grant(recorded.place, 1);
    struct tenancy_attached attached;
    assert_result(LETHE_DENIED,
                  attach_as(recorded.place, &terms, OTHER_CONSUMER, &first, &attached));
    finish(&recorded);
    assert_int_equal(count_in_log(recorded.node, "\"event\":\"invalid_token_used\""), 1);
    assert_int_equal(count_in_log(recorded.node, "\"actor\":\"" OTHER_CONSUMER "\""), 1);
    assert_int_equal(count_in_log(recorded.node, "the token is somebody else's"), 1);
    node_free(recorded.node);
}

static void ends_that_were_ordered_are_committed(void **state)
{
    struct recorded recorded = open_recorded();
    begin(&recorded, NULL);
    struct tenancy_place *place = recorded.place;
    for (uint32_t i = 1; i <= 10; i++)
        must_grant(place, i);
    struct lease_terms third = terms_of(3);
    tenancy_stop(place->tenancy, &third.lease, LEASE_CAUSE_FORCE_STOPPED, place->now_ms);
    assert_result(LETHE_OK, tenancy_ban(place->tenancy, TERMS_CONSUMER, true, place->now_ms, NULL));
    /* durable without anybody's syncing */
    while (count(&recorded, "lease_revoked", "reclaimed", "revoked") < 9 ||
           count(&recorded, "lease_revoked", "reclaimed", "force_stopped") < 1)
        usleep(1000);
    finish(&recorded);
    node_free(recorded.node);
}

static void expiry_and_draining_are_on_record(void **state)
{
    struct recorded recorded = open_recorded();
    begin(&recorded, NULL);
    struct tenancy_place *place = recorded.place;
    must_grant(place, 1);
    place->now_ms += 60000;
    tenancy_expire(place->tenancy, place->now_ms);
    must_grant(place, 2);
    must_grant(place, 3);
    finish(&recorded); /* ends what there is */
    assert_int_equal(count(&recorded, "lease_expired", "reclaimed", "expired"), 1);
    assert_int_equal(count(&recorded, "lease_released", "reclaimed", "drained"), 2);
    node_free(recorded.node);
}

static void wipe_in_vain(void *memory, size_t size_bytes)
{
    *(uint8_t *)memory = 1;
}

static void what_could_not_be_wiped_is_on_record_as_that(void **state)
{
    struct recorded recorded = open_recorded();
    begin(&recorded, wipe_in_vain);
    struct tenancy_place *place = recorded.place;
    struct lease_terms terms = must_grant(place, 1);
    tenancy_stop(place->tenancy, &terms.lease, LEASE_CAUSE_REVOKED, place->now_ms);
    assert_int_equal(state_in_the_end(place, 1), LEASE_UNWIPED);
    finish(&recorded);
    assert_int_equal(count(&recorded, "lease_revoked", "unwiped", "revoked"), 1);
    node_free(recorded.node);
}

/* ---- a log that takes nothing ---------------------------------------------------------------- */

static atomic_bool disk_is_full;

static lethe_result look_at_space(void *context, int directory, uint64_t *free_bytes,
                                  uint64_t *total_bytes, struct lethe_error *err)
{
    *free_bytes = atomic_load(&disk_is_full) ? 0 : (uint64_t)1 << 30;
    *total_bytes = (uint64_t)1 << 40;
    return atomic_load(&disk_is_full) ? LETHE_IO : LETHE_OK;
}

static lethe_result sign_unless_full(void *context, const void *bytes, size_t size_bytes,
                                     uint8_t signature[64], struct lethe_error *err)
{
    if (atomic_load(&disk_is_full)) {
        if (err != NULL)
            *err = (struct lethe_error){.code = LETHE_IO, .text = "no"};
        return LETHE_IO;
    }
    return node_sign(context, bytes, size_bytes, signature, err);
}

/* The lease ends and is wiped whatever the log does; it is not forgotten before it is on record. */
static void what_cannot_be_recorded_is_recorded_later(void **state)
{
    struct recorded recorded = {.node = node_fresh("provider")};
    static struct wire_report report;
    recorded.node->options.signer.sign = sign_unless_full;
    recorded.node->options.space.look = look_at_space;
    recorded.log = must_open(recorded.node);
    begin(&recorded, NULL);
    struct tenancy_place *place = recorded.place;
    struct lease_terms terms = must_grant(place, 1);
    atomic_store(&disk_is_full, true);
    tenancy_stop(place->tenancy, &terms.lease, LEASE_CAUSE_FORCE_STOPPED, place->now_ms);
    assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
    tenancy_report(place->tenancy, true, place->now_ms, &report);
    tenancy_reported(place->tenancy, &report);
    assert_int_equal(tenancy_leases(place->tenancy), 1);
    atomic_store(&disk_is_full, false);
    while (tenancy_leases(place->tenancy) == 1)
        usleep(1000);
    assert_int_equal(count(&recorded, "lease_revoked", "reclaimed", "force_stopped"), 1);
    finish(&recorded);
    node_free(recorded.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_is_on_record),
        cmocka_unit_test(tokens_of_others_are_on_record),
        cmocka_unit_test(ends_that_were_ordered_are_committed),
        cmocka_unit_test(expiry_and_draining_are_on_record),
        cmocka_unit_test(what_could_not_be_wiped_is_on_record_as_that),
        cmocka_unit_test(what_cannot_be_recorded_is_recorded_later),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
