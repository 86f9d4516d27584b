/* what is put into the ring comes out whole, in order, or was never put in. */
#include "audit/record.h"
#include "audit/ring.h"
#include "audit_check.h"

static void pack(struct packed *out, const char *actor, const char *label, uint64_t bytes)
{
    const struct audit_who who = {actor, "default", NULL};
    const struct audit_event event = audit_region_wiped("weights", label, bytes, 7, true);
    packed_make(out, &who, &event, bytes + 1);
}

static void what_goes_in_comes_out(void **state)
{
    struct ring ring;
    struct packed packed;
    struct emitted out;
    assert_result(LETHE_OK, ring_create(&ring, 0, NULL));
    pack(&packed, "uid:7", "a label", UINT64_MAX - 1);
    assert_true(ring_push(&ring, &packed));
    struct ring_place place = {ring.tail};
    ring_read(&ring, &place, &out);
    assert_int_equal(out.entry.time_ns, UINT64_MAX);
    assert_string_equal(out.entry.who.actor, "uid:7");
    assert_string_equal(out.entry.who.tenant, "default");
    assert_null(out.entry.who.session);
    assert_int_equal(out.event.kind, AUDIT_KIND_region_wiped);
    assert_string_equal(out.event.values[1].text, "a label");
    assert_true(out.event.values[2].number == UINT64_MAX - 1);
    assert_int_equal(out.event.values[4].number, 1);
    ring_release(&ring, &place, 1);
    assert_int_equal(ring_count(&ring), 0);
    assert_int_equal(ring.tail, ring.head);
    ring_clear(&ring);
}

static void an_absent_text_stays_absent(void **state)
{
    struct ring ring;
    struct packed packed;
    struct emitted out;
    const struct audit_event event = audit_events_dropped(3, "why", NULL);
    assert_result(LETHE_OK, ring_create(&ring, 0, NULL));
    packed_make(&packed, &someone, &event, 1);
    assert_true(ring_push(&ring, &packed));
    struct ring_place place = {ring.tail};
    ring_read(&ring, &place, &out);
    assert_null(out.event.values[2].text);
    assert_string_equal(out.entry.who.session, "");
    ring_clear(&ring);
}

/* Every field at its longest, and far longer: the record has a place, cut as the log cuts it. */
static void the_largest_record_fits(void **state)
{
    static char endless[100000];
    char cut[AUDIT_TEXT_MAX + 1];
    struct ring ring;
    struct packed packed;
    struct emitted out;
    memset(endless, 'x', sizeof endless - 1);
    record_text(endless, cut);
    assert_result(LETHE_OK, ring_create(&ring, 1, NULL));
    const struct audit_who who = {endless, endless, endless};
    const struct audit_event event =
        audit_key_denied(endless, 1, endless, endless, endless, endless, endless, endless);
    packed_make(&packed, &who, &event, 1);
    assert_true(packed.size_bytes <= sizeof packed.bytes);
    assert_true(ring_push(&ring, &packed));
    struct ring_place place = {ring.tail};
    ring_read(&ring, &place, &out);
    assert_string_equal(out.entry.who.session, cut);
    assert_string_equal(out.event.values[7].text, cut);
    ring_clear(&ring);
}

static size_t label_length(uint64_t n)
{
    return (size_t)(n * 2654435761u % 700);
}

static void must_read(const struct ring *ring, struct ring_place *place, uint64_t n)
{
    struct emitted out;
    ring_read(ring, place, &out);
    assert_int_equal(out.event.values[2].number, n);
    assert_int_equal(strlen(out.event.values[1].text), MIN(label_length(n), AUDIT_TEXT_MAX));
}

/* Around the end many times, with records of all sizes: a full ring takes nothing, and what it took
 * comes out in order. */
static void it_goes_around(void **state)
{
    struct ring ring;
    struct packed packed;
    char label[701];
    uint64_t pushed = 0, read = 0;
    unsigned full = 0;
    assert_result(LETHE_OK, ring_create(&ring, 20000, NULL));
    while (pushed < 20000) {
        memset(label, 'x', sizeof label);
        label[label_length(pushed)] = '\0';
        pack(&packed, "uid:1", label, pushed);
        if (ring_push(&ring, &packed)) {
            pushed++;
            continue;
        }
        full++;
        struct ring_place place = {ring.tail};
        uint64_t some = 1 + full % ring_count(&ring);
        for (uint64_t i = 0; i < some; i++)
            must_read(&ring, &place, read + i);
        ring_release(&ring, &place, some);
        read += some;
    }
    assert_true(full > 500);
    assert_true(ring.head - ring.tail <= ring.capacity_bytes);
    assert_int_equal(ring_count(&ring), pushed - read);
    ring_clear(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(an_absent_text_stays_absent),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(it_goes_around),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
