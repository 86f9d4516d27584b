/* A provider under a control plane that is who it says, and malicious or broken: whatever it sends,
 * leases that the protocol lets live go on, what is refused changes nothing, and nothing grows.
 *
 * docs/pool-protocol.md: a control plane is believed to place, count and end leases; not to keep
 * the rules. */
#include "check.h"

#include "pool/link_core.h"
#include "pool/provider_core.h"
#include "pool/tenancy_core.h"
#include "provider_check.h"

static int start(void **state)
{
    if (start_crypto(state) != 0)
        return -1;
    peers_make();
    return 0;
}

static int finish(void **state)
{
    peers_free();
    return 0;
}

/* ---- a provider with a consumer whose lease is to live --------------------------------------- */

struct scene {
    struct place *place;
    struct guest *guest;
    struct lease_terms terms;
    uint32_t channel;
    uint64_t free_bytes; /* with that lease alone */
    uint8_t *room;
};

static uint64_t free_bytes(const struct place *place)
{
    struct pool_arena_counters now;
    tenancy_counters(place->provider->tenancy, &now);
    return now.free_bytes;
}

static struct scene scene_open(void)
{
    struct scene scene = {.place = place_open(), .room = calloc(8, POOL_BLOCK_DEFAULT)};
    scene.terms = terms_of(scene.place, 1);
    assert_result(LETHE_OK, grant(scene.place, &scene.terms));
    scene.guest = guest_come(scene.place, PEER_CONSUMER);
    scene.channel = must_attach(scene.guest, &scene.terms);
    assert_result(LETHE_OK, guest_write(scene.guest, scene.channel, 0, 8, 0x40));
    scene.free_bytes = free_bytes(scene.place);
    return scene;
}

/* The lease that was there is served on, and nothing else has come to be. */
static void must_be_as_before(struct scene *scene)
{
    assert_int_equal(scene->guest->ended, 0);
    assert_int_equal(scene->guest->overs, 0);
    assert_result(LETHE_OK, guest_read(scene->guest, scene->channel, 0, 8, scene->room));
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(scene->room[i * POOL_BLOCK_DEFAULT + 7], 0x40 + i);
    assert_result(LETHE_OK, guest_simple(scene->guest, WIRE_RENEW, scene->channel));
    assert_int_equal(free_bytes(scene->place), scene->free_bytes);
    assert_int_equal(tenancy_leases(scene->place->provider->tenancy), 1);
}

static void scene_close(struct scene *scene)
{
    free(scene->room);
    guest_leave(scene->guest);
    place_close(scene->place);
}

/* What an honest link never sends: put into its outbox behind its back. */
static void send_raw(struct place *place, struct wire_head head, const struct buffer *index)
{
    struct link *link = place->control.link;
    assert_result(LETHE_OK, outbox_add(&link->out, &head, index, NULL, NULL));
    loop_post(place->loop, &link->turn);
}

/* The provider ends the connection, comes again, and is joined. */
static void must_come_again(struct place *place, const char *what)
{
    unsigned ended = place->control.ended, lists = place->control.lists;
    for (unsigned turns = 0; place->control.ended == ended; turns++) {
        if (turns > 400)
            fail_msg("the connection goes on: %s", what);
        place_turn(place);
    }
    place_until(place, place->control.lists > lists);
}

/* ---- frames that nobody may send, and orders without their form ------------------------------ */

static void broken_frames_end_the_link_and_nothing_else(void **state)
{
    static const struct {
        const char *name;
        struct wire_head head;
    } cases[] = {
        {"unknown type", {.type = 77, .request = 1000}},
        {"type 0", {.type = 0, .request = 1000}},
        {"flag", {.type = WIRE_MAINTAIN, .flags = 1, .request = 1000}},
        {"a consumer's frame", {.type = WIRE_RELEASE, .channel = 1, .request = 1000}},
        {"a provider's frame", {.type = WIRE_REPORT, .request = 1000}},
        {"a provider's notice", {.type = WIRE_OVER, .channel = 1}},
        {"an operator's frame", {.type = WIRE_REVOKE, .request = 1000}},
        {"HELLO", {.type = WIRE_HELLO, .request = 1000}},
        {"an order as a notice", {.type = WIRE_STOP}},
        {"a number that was used", {.type = WIRE_STOP, .request = 1}},
        {"a count", {.type = WIRE_STOP, .code = 3, .request = 1000}},
        {"a channel", {.type = WIRE_STOP, .channel = 1, .request = 1000}},
        {"a reply from the future", {.type = WIRE_REPORT | WIRE_REPLY, .request = UINT64_MAX}},
        {"a reply to number 0", {.type = WIRE_REPORT | WIRE_REPLY, .request = 0}},
        {"JOIN is answered again", {.type = WIRE_JOIN | WIRE_REPLY, .request = 2}},
        {"HELLO is answered again", {.type = WIRE_HELLO | WIRE_REPLY, .request = 1}},
        {"the list is answered again", {.type = WIRE_REPORT | WIRE_REPLY, .request = 3}},
        {"a reply to its own order", {.type = WIRE_STOP | WIRE_REPLY, .request = 1}},
        {"an order without index", {.type = WIRE_GRANT, .request = 1000}},
    };
    struct scene scene = scene_open();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        send_raw(scene.place, cases[i].head, NULL);
        must_come_again(scene.place, cases[i].name);
        must_be_as_before(&scene);
    }
    scene_close(&scene);
}

/* The index of an order that could be carried out, changed. */
static void send_index(struct place *place, enum wire_type type, const struct buffer *index)
{
    send_raw(place,
             (struct wire_head){.type = (uint8_t)type,
                                .request = link_next_request(place->control.link)},
             index);
}

/* P-10 aside: an order with a byte too many, or too few, is no order. */
static void orders_without_their_form_are_not_half_carried_out(void **state)
{
    struct scene scene = scene_open();
    const struct wire_order banned = {.name = TERMS_CONSUMER, .on = true};
    struct lease_terms more = terms_of(scene.place, 2);
    struct buffer orders[4] = {0};
    static const enum wire_type types[] = {WIRE_GRANT, WIRE_STOP, WIRE_BAN, WIRE_MAINTAIN};
    lease_terms_write(&more, &orders[0]);
    wire_stop_write(&(struct wire_stop){scene.terms.lease, LEASE_CAUSE_FORCE_STOPPED}, &orders[1]);
    wire_order_write(WIRE_BAN, &banned, &orders[2]);
    wire_byte_write(1, &orders[3]);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const struct buffer shorter = {.bytes = orders[i].bytes,
                                       .size_bytes = orders[i].size_bytes - 1};
        send_index(scene.place, types[i], &shorter);
        must_come_again(scene.place, "too short");
        must_be_as_before(&scene);
        buffer_byte(&orders[i], 0);
        send_index(scene.place, types[i], &orders[i]);
        must_come_again(scene.place, "too long");
        must_be_as_before(&scene);
        buffer_clear(&orders[i]);
    }
    assert_false(tenancy_is_banned(scene.place->provider->tenancy, TERMS_CONSUMER));
    /* the control: in their form they are carried out */
    assert_result(LETHE_OK, grant(scene.place, &more));
    assert_result(LETHE_OK, ban(scene.place, TERMS_CONSUMER, true));
    place_until(scene.place, scene.guest->ended == 1);
    scene_close(&scene);
}

/* ---- numbers and names ----------------------------------------------------------------------- */

struct terms_case {
    const char *name;
    void (*change)(struct lease_terms *terms);
    lethe_result result; /* LETHE_MALFORMED: the link ends */
};
#define TERMS_CASE(name, ...)                                                                      \
    static void make_##name(struct lease_terms *terms)                                             \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
TERMS_CASE(no_bytes, terms->bytes = 0)
TERMS_CASE(part_of_a_block, terms->bytes--)
TERMS_CASE(all_bytes, terms->bytes = UINT64_MAX)
TERMS_CASE(all_blocks, terms->bytes = UINT64_MAX & ~(uint64_t)(POOL_BLOCK_DEFAULT - 1))
TERMS_CASE(too_many_bytes, terms->bytes = (uint64_t)UINT32_MAX * POOL_BLOCK_MIN;
           terms->block_bytes = POOL_BLOCK_MIN)
TERMS_CASE(no_block, terms->block_bytes = 0)
TERMS_CASE(small_block, terms->block_bytes = POOL_BLOCK_MIN / 2)
TERMS_CASE(big_block, terms->block_bytes = 2 * POOL_BLOCK_MAX; terms->bytes = 2 * POOL_BLOCK_MAX)
TERMS_CASE(odd_block, terms->block_bytes = 3 << 14; terms->bytes = 3 << 14)
TERMS_CASE(no_generation, terms->generation = 0)
TERMS_CASE(no_time, terms->ttl_ms = 0)
TERMS_CASE(little_time, terms->ttl_ms = POOL_TTL_MIN_MS - 1)
TERMS_CASE(much_time, terms->ttl_ms = POOL_TTL_MAX_MS + 1)
TERMS_CASE(all_time, terms->ttl_ms = UINT64_MAX)
TERMS_CASE(no_life, terms->life_ms = 0)
TERMS_CASE(all_life, terms->life_ms = UINT64_MAX)
TERMS_CASE(no_lease, memset(&terms->lease, 0, sizeof terms->lease))
TERMS_CASE(other_provider, strcpy(terms->provider, "spiffe://pool.test/machine/two"))
TERMS_CASE(other_boot, terms->boot_id[15] ^= 0x80)
TERMS_CASE(other_tenant, strcpy(terms->tenant, "widgets"))
TERMS_CASE(no_consumer, strcpy(terms->consumer, "anna"))
TERMS_CASE(same_lease, terms->lease.bytes[0] = 1)

static void grants_past_every_edge_are_refused(void **state)
{
#define MALFORMED(name)                                                                            \
    {                                                                                              \
#name, make_##name, LETHE_MALFORMED                                                        \
    }
    static const struct terms_case cases[] = {
        MALFORMED(no_bytes),
        MALFORMED(part_of_a_block),
        MALFORMED(all_bytes),
        MALFORMED(all_blocks),
        {"too_many_bytes", make_too_many_bytes, LETHE_NO_SPACE},
        MALFORMED(no_block),
        MALFORMED(small_block),
        MALFORMED(big_block),
        MALFORMED(odd_block),
        MALFORMED(no_generation),
        MALFORMED(no_time),
        MALFORMED(little_time),
        MALFORMED(much_time),
        MALFORMED(all_time),
        MALFORMED(no_life),
        MALFORMED(all_life),
        MALFORMED(no_lease),
        {"other_provider", make_other_provider, LETHE_INVALID},
        {"other_boot", make_other_boot, LETHE_INVALID},
        MALFORMED(other_tenant),
        MALFORMED(no_consumer),
        {"same_lease", make_same_lease, LETHE_EXISTS},
    };
    struct scene scene = scene_open();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buffer_clear) struct buffer index = {0};
        struct lease_terms terms = terms_of(scene.place, 2);
        cases[i].change(&terms);
        lease_terms_write(&terms, &index);
        if (cases[i].result == LETHE_MALFORMED) {
            send_index(scene.place, WIRE_GRANT, &index);
            must_come_again(scene.place, cases[i].name);
        } else {
            assert_int_equal(order(scene.place, WIRE_GRANT, &index, NULL), cases[i].result);
        }
        must_be_as_before(&scene);
    }
    scene_close(&scene);
}

/* A token of any moment opens the lease, and takes no time from it. */
static void when_a_token_was_made_may_be_any_number(void **state)
{
    static const uint64_t moments[] = {0, 1, UINT64_MAX, UINT64_MAX - 1795176000000, INT64_MAX};
    struct scene scene = scene_open();
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        struct lease_terms terms = scene.terms;
        terms.issued_ms = moments[i];
        terms.life_ms = POOL_TTL_MAX_MS;
        scene.channel = must_attach(scene.guest, &terms);
        place_until(scene.place, scene.guest->overs == 1);
        scene.guest->overs = 0;
        must_be_as_before(&scene);
        assert_true(scene.guest->reply.value > 50000 && scene.guest->reply.value <= 60000);
    }
    scene_close(&scene);
}

/* ---- storms ---------------------------------------------------------------------------------- */

/* On the provider's own thread. */
struct look {
    struct place *place;
    size_t queued_bytes;
    atomic_bool is_done;
};

static void look_at_the_link(void *context)
{
    struct look *look = context;
    const struct link *link = look->place->provider->control.link;
    look->queued_bytes = link != NULL ? link->out.queued_bytes : 0;
    atomic_store(&look->is_done, true);
}

static size_t queued_at_the_provider(struct place *place)
{
    struct look look = {.place = place};
    struct loop_task task = {.work = look_at_the_link, .context = &look};
    loop_post(provider_loop(place->provider), &task);
    while (!atomic_load(&look.is_done))
        place_turn(place);
    return look.queued_bytes;
}

static void send_stop(struct place *place, uint32_t number)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_stop order = {.cause = LEASE_CAUSE_FORCE_STOPPED};
    memset(&order.lease, 0xdd, sizeof order.lease);
    memcpy(&order.lease, &number, sizeof number);
    wire_stop_write(&order, &index);
    send_index(place, WIRE_STOP, &index);
}

/* All are answered, and who stores something here does not notice. */
static void a_storm_of_orders_is_answered_and_served_through(void **state)
{
    const unsigned waves = 20, each = HAS_SANITIZER ? 500 : 2500;
    struct scene scene = scene_open();
    unsigned before = scene.place->control.replies;
    for (unsigned i = 0; i < waves; i++) {
        for (unsigned j = 0; j < each; j++)
            send_stop(scene.place, i * each + j + 1);
        must_be_as_before(&scene);
    }
    place_until(scene.place, scene.place->control.replies == before + waves * each);
    assert_int_equal(scene.place->control.reply.value, 0);
    assert_int_equal(scene.place->control.reply.code, 0);
    assert_int_equal(scene.place->control.ended, 0);
    must_be_as_before(&scene);
    scene_close(&scene);
}

/* Who takes no answers is not read from: what waits stays small. */
static void a_storm_whose_answers_are_not_taken_costs_little(void **state)
{
    const unsigned orders = 200000;
    struct scene scene = scene_open();
    struct link *link = scene.place->control.link;
    size_t most = 0;
    unsigned before = scene.place->control.replies;
    link_pause(link, true);
    for (unsigned i = 1; i <= orders; i++) {
        send_stop(scene.place, i);
        if (i % 10000 == 0) {
            must_be_as_before(&scene);
            most = MAX(most, queued_at_the_provider(scene.place));
        }
    }
    assert_true(most > 0);
    assert_true(most <= LINK_REPLIES_WAITING + 4096);
    link_pause(link, false);
    place_until(scene.place, scene.place->control.replies == before + orders);
    must_be_as_before(&scene);
    scene_close(&scene);
}

/* As many leases as there is room for, and not one more; ended all the same. */
static void grants_for_all_the_memory_and_more(void **state)
{
    struct scene scene = scene_open();
    struct lease_terms terms = terms_of(scene.place, 1);
    uint32_t number = 1;
    lethe_result result;
    do {
        terms = terms_of(scene.place, ++number);
        result = grant(scene.place, &terms);
    } while (result == LETHE_OK);
    assert_int_equal(result, LETHE_NO_SPACE);
    assert_true(number > 8);
    for (uint32_t i = 2; i < number; i++) {
        terms = terms_of(scene.place, i);
        uint64_t value;
        assert_result(LETHE_OK, stop_lease(scene.place, &terms, LEASE_CAUSE_PROVIDER_LOST, &value));
        assert_int_equal(value, 1);
    }
    place_until(scene.place, tenancy_leases(scene.place->provider->tenancy) == 1);
    must_be_as_before(&scene);
    scene_close(&scene);
}

static void name_of(uint32_t number, char out[64])
{
    snprintf(out, 64, "spiffe://pool.test/nobody/%" PRIu32, number);
}

/* P-10, when the list is full: who is revoked then loses everything all the same, and the answer
 * says that it will not be remembered. */
static void a_list_of_revoked_that_is_too_long_is_refused(void **state)
{
    struct scene scene = scene_open();
    struct place *place = scene.place;
    struct guest *other = guest_come(place, PEER_OTHER);
    char name[64];
    for (uint32_t i = 0; i < TENANCY_BANS_MAX; i++) {
        name_of(i, name);
        assert_result(LETHE_OK, tenancy_ban(place->provider->tenancy, name, true, 0, NULL));
    }
    must_be_as_before(&scene);
    assert_result(LETHE_LIMIT, ban(place, TERMS_CONSUMER, true));
    place_until(place, scene.guest->ended == 1);
    place_until(place, tenancy_leases(place->provider->tenancy) == 0);
    assert_int_equal(other->ended, 0);
    assert_result(LETHE_OK, ban(place, name, true)); /* it is there already */
    assert_result(LETHE_OK, ban(place, name, false));
    assert_result(LETHE_OK, ban(place, TERMS_CONSUMER, true));
    assert_result(LETHE_LIMIT, ban(place, name, true));
    guest_leave(other);
    scene_close(&scene);
}

/* Each is carried out on every loop before the next is read. */
static void a_storm_of_bans_is_answered(void **state)
{
    const unsigned bans = HAS_SANITIZER ? 200 : 2000;
    struct scene scene = scene_open();
    unsigned before = scene.place->control.replies;
    for (unsigned i = 0; i < bans; i++) {
        CLEANUP(buffer_clear) struct buffer index = {0};
        struct wire_order wanted = {.on = i % 2 == 0};
        name_of(i / 2, wanted.name);
        wire_order_write(WIRE_BAN, &wanted, &index);
        send_index(scene.place, WIRE_BAN, &index);
    }
    must_be_as_before(&scene);
    place_until(scene.place, scene.place->control.replies == before + bans);
    assert_int_equal(scene.place->control.reply.code, 0);
    must_be_as_before(&scene);
    scene_close(&scene);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static const char *const broken_keys[] = {
    "",
    "control",
    "lethe/control+12345678+",
    "lethe/control+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "lethe/control+zzzzzzzz+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "++",
    "\x1b[31m+\x1b[0m",
};

static void a_first_key_that_is_none_ends_the_provider(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(broken_keys); i++) {
        struct place *place = place_prepare();
        place->control.token_key = broken_keys[i];
        place_start(place);
        place_until(place, atomic_load(&place->is_over));
        assert_int_not_equal(place->result, LETHE_OK);
        assert_non_null(strstr(place->err.text, PEER_CONTROL_ID));
        assert_null(strchr(place->err.text, '\x1b'));
        assert_false(atomic_load(&place->is_ready));
        place_close(place);
    }
}

static void leave(struct place *place)
{
    link_end(place->control.link, LETHE_UNAVAILABLE, "for the test");
    place_until(place, place->control.link == NULL);
}

/* Later, it keeps the key that it had, goes on, and tries again. */
static void a_later_key_that_is_none_is_not_taken(void **state)
{
    struct scene scene = scene_open();
    struct control_end *control = &scene.place->control;
    for (size_t i = 0; i < ARRAY_LEN(broken_keys); i++) {
        control->token_key = broken_keys[i];
        leave(scene.place);
        unsigned joins = control->joins, ended = control->ended;
        place_until(scene.place, control->joins > joins && control->ended > ended);
        must_be_as_before(&scene);
        scene.channel = must_attach(scene.guest, &scene.terms);
        place_until(scene.place, scene.guest->overs == 1);
        scene.guest->overs = 0;
        control->token_key = NULL;
        unsigned lists = control->lists;
        place_until(scene.place, control->lists > lists);
    }
    must_be_as_before(&scene);
    scene_close(&scene);
}

/* Another key opens nothing that was signed by the last one; what is attached goes on. */
static void a_key_that_changes_changes_what_opens(void **state)
{
    struct scene scene = scene_open();
    struct control_end *control = &scene.place->control;
    CLEANUP(buffer_clear) struct buffer key = {0};
    struct terms_signer other;
    uint32_t channel;
    terms_signer_make("lethe/other", &other);
    audit_key_text(&other.signer.key, &key);
    buffer_byte(&key, '\0');
    for (unsigned i = 0; i < 4; i++) {
        const struct terms_signer *now = i % 2 == 0 ? &other : &scene.place->signer;
        const struct terms_signer *before = i % 2 == 0 ? &scene.place->signer : &other;
        control->token_key = i % 2 == 0 ? key.bytes : NULL;
        unsigned lists = control->lists;
        leave(scene.place);
        place_until(scene.place, control->lists > lists);
        must_be_as_before(&scene);
        assert_result(LETHE_DENIED, guest_attach(scene.guest, &scene.terms, before, &channel));
        must_be_as_before(&scene);
        assert_result(LETHE_OK, guest_attach(scene.guest, &scene.terms, now, &channel));
        place_until(scene.place, scene.guest->overs == 1);
        scene.guest->overs = 0;
        scene.channel = channel;
    }
    must_be_as_before(&scene);
    terms_signer_free(&other);
    scene_close(&scene);
}

/* ---- silence --------------------------------------------------------------------------------- */

/* Reports are never answered: leases come and go, and nobody else notices. */
static void reports_that_are_never_answered_stop_nothing(void **state)
{
    struct scene scene = scene_open();
    struct place *place = scene.place;
    place->control.holds_reports = true;
    for (uint32_t i = 2; i < 50; i++) {
        struct lease_terms terms = terms_of(place, i);
        uint32_t channel;
        assert_result(LETHE_OK, grant(place, &terms));
        assert_result(LETHE_OK, guest_attach(scene.guest, &terms, &place->signer, &channel));
        assert_result(LETHE_OK, guest_simple(scene.guest, WIRE_RELEASE, channel));
    }
    place_until(place, free_bytes(place) == scene.free_bytes);
    assert_int_equal(tenancy_leases(place->provider->tenancy), 49); /* none is forgotten unheard */
    unsigned lists = place->control.lists;
    place->control.holds_reports = false;
    leave(place);
    place_until(place, place->control.lists > lists);
    place_until(place, tenancy_leases(place->provider->tenancy) == 1);
    must_be_as_before(&scene);
    scene_close(&scene);
}

/* A provider that is never answered serves nobody, and can be stopped. */
static void who_is_never_answered_waits_and_can_be_stopped(void **state)
{
    struct place *place = place_prepare();
    place->control.holds_reports = true;
    place_start(place);
    place_until(place, place->control.reports == 1);
    for (unsigned i = 0; i < 20; i++)
        place_turn(place);
    assert_false(atomic_load(&place->is_ready));
    assert_int_equal(place->control.reports, 1);
    place_stop(place);
    assert_int_equal(place->result, LETHE_OK);
    place_close(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_frames_end_the_link_and_nothing_else),
        cmocka_unit_test(orders_without_their_form_are_not_half_carried_out),
        cmocka_unit_test(grants_past_every_edge_are_refused),
        cmocka_unit_test(when_a_token_was_made_may_be_any_number),
        cmocka_unit_test(a_storm_of_orders_is_answered_and_served_through),
        cmocka_unit_test(a_storm_whose_answers_are_not_taken_costs_little),
        cmocka_unit_test(grants_for_all_the_memory_and_more),
        cmocka_unit_test(a_list_of_revoked_that_is_too_long_is_refused),
        cmocka_unit_test(a_storm_of_bans_is_answered),
        cmocka_unit_test(a_first_key_that_is_none_ends_the_provider),
        cmocka_unit_test(a_later_key_that_is_none_is_not_taken),
        cmocka_unit_test(a_key_that_changes_changes_what_opens),
        cmocka_unit_test(reports_that_are_never_answered_stop_nothing),
        cmocka_unit_test(who_is_never_answered_waits_and_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
