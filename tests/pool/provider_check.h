/* tests/pool/provider_check.h -- a provider on threads of its own, and on the test's loop a control
 * plane that says what the test wants, and consumers. */
#ifndef TESTS_POOL_PROVIDER_CHECK_H
#define TESTS_POOL_PROVIDER_CHECK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "peers.h"
#include "pool/link.h"
#include "pool/provider.h"

#define SEEN_MAX 128u

/* What the control plane has heard of leases: the newest of each. */
struct control_end {
    struct link *link;
    unsigned opened, ended, joins, reports, lists; /* a list: a report that is the last of all */
    unsigned replies;                              /* to orders */
    struct wire_join join;
    struct wire_report report;
    struct wire_change seen[SEEN_MAX];
    size_t seen_count;
    bool holds_reports; /* they are not answered */
    lethe_result refuses_join;
    const char *token_key; /* that JOIN is answered with; NULL: the signer's */
    struct wire_head held;
    struct wire_head reply; /* to the last order */
    struct lethe_error reply_why;
    struct lethe_error why;
};

struct place {
    struct loop *loop;
    struct terms_signer signer;
    struct tls_context *control_serves, *provider_serves, *provider_dials;
    int listener;
    char control_address[32];
    struct control_end control;
    struct provider_options options;
    struct provider *provider;
    pthread_t thread;
    lethe_result result;
    struct lethe_error err;
    atomic_bool is_over; /* provider_run() has ended */
    char address[WIRE_ADDRESS_MAX + 1];
    atomic_bool is_ready;
    atomic_uint_fast64_t ahead_ms; /* of the provider's clock */
    struct clock_source clock;
};

/* ---- waiting --------------------------------------------------------------------------------- */

static void control_take(struct place *place);

static inline void place_turn(struct place *place)
{
    control_take(place);
    assert_result(LETHE_OK, loop_turn(place->loop, 5, NULL));
}

#define place_until(place, condition)                                                              \
    do {                                                                                           \
        for (unsigned turns = 0; !(condition); turns++) {                                          \
            if (turns > 4000)                                                                      \
                fail_msg("never: %s (control: %s)", #condition, (place)->control.why.text);        \
            place_turn(place);                                                                     \
        }                                                                                          \
    } while (0)

/* ---- the control plane ----------------------------------------------------------------------- */

static inline void control_see(struct control_end *control, const struct wire_change *change)
{
    for (size_t i = 0; i < control->seen_count; i++) {
        if (memcmp(&control->seen[i].lease, &change->lease, sizeof change->lease) != 0)
            continue;
        control->seen[i] = *change;
        return;
    }
    assert_true(control->seen_count < SEEN_MAX);
    control->seen[control->seen_count++] = *change;
}

static inline lethe_result control_joined(struct place *place, struct link *link,
                                          const struct link_frame *frame, struct lethe_error *err)
{
    struct control_end *control = &place->control;
    CLEANUP(buffer_clear) struct buffer key = {0}, index = {0};
    struct wire_joined joined = {.report_ms = 100};
    struct lethe_error why = {0};
    assert_result(LETHE_OK, wire_join_read(frame->index, &control->join, NULL));
    control->joins++;
    if (control->refuses_join != LETHE_OK) {
        error_set(&why, control->refuses_join, "not you");
        return link_refuse(link, &frame->head, &why, err);
    }
    audit_key_text(&place->signer.signer.key, &key);
    buffer_byte(&key, '\0');
    snprintf(joined.token_key, sizeof joined.token_key, "%s",
             control->token_key != NULL ? control->token_key : key.bytes);
    wire_joined_write(&joined, &index);
    return link_reply(link, &frame->head, 0, &index, err);
}

static inline lethe_result control_frame_of(void *context, struct link *link,
                                            const struct link_frame *frame, lethe_result refused,
                                            struct lethe_error *err)
{
    struct place *place = context;
    struct control_end *control = &place->control;
    if ((frame->head.type & WIRE_REPLY) != 0) {
        control->replies++;
        control->reply = frame->head;
        control->reply_why = (struct lethe_error){0};
        (void)!wire_refusal_read(&frame->head, frame->index, &control->reply_why);
        return LETHE_OK;
    }
    switch (frame->head.type) {
    case WIRE_HELLO:
        return link_welcome(link, frame, WIRE_BY_PROVIDER, NULL, err);
    case WIRE_JOIN:
        return control_joined(place, link, frame, err);
    case WIRE_REPORT:
        assert_result(LETHE_OK, wire_report_read(frame->index, &control->report, NULL));
        control->reports++;
        control->lists += control->report.last;
        for (size_t i = 0; i < control->report.count; i++)
            control_see(control, &control->report.changes[i]);
        control->held = frame->head;
        return control->holds_reports ? LETHE_OK : link_reply(link, &frame->head, 0, NULL, err);
    default:
        fail_msg("type %d", frame->head.type);
        return LETHE_FAILED;
    }
}

static inline lethe_result control_opened_of(void *context, struct link *link,
                                             const struct spiffe_id *peer, struct lethe_error *err)
{
    struct place *place = context;
    place->control.opened++;
    return LETHE_OK;
}

static inline void control_ended_of(void *context, struct link *link, const struct lethe_error *why)
{
    struct place *place = context;
    place->control.ended++;
    place->control.why = *why;
    if (place->control.link == link)
        place->control.link = NULL;
    link_free(link);
}

/* Takes the provider's connection, if there is one. */
static void control_take(struct place *place)
{
    struct lethe_error err = {0};
    if (place->control.link != NULL || place->listener < 0)
        return;
    int fd = accept4(place->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    const struct link_options options = {
        .loop = place->loop,
        .tls = place->control_serves,
        .self = WIRE_CONTROL,
        .peer = WIRE_UNKNOWN,
        .events = {control_opened_of, NULL, control_frame_of, control_ended_of, place}};
    assert_ok(link_accept(&options, fd, &place->control.link, &err), &err);
}

/* Sends an order and waits for the answer; *value may be NULL. */
static inline lethe_result order(struct place *place, enum wire_type type,
                                 const struct buffer *index, uint64_t *value)
{
    struct lethe_error err = {0};
    struct control_end *control = &place->control;
    const struct wire_head head = {.type = (uint8_t)type,
                                   .request = link_next_request(control->link)};
    control->reply = (struct wire_head){0}; /* an earlier link had the same numbers */
    assert_ok(link_send(control->link, &head, index, NULL, &err), &err);
    place_until(place, control->link == NULL || (control->reply.request == head.request &&
                                                 control->reply.type == (type | WIRE_REPLY)));
    assert_non_null(control->link);
    if (value != NULL)
        *value = control->reply.value;
    return wire_result_of(control->reply.code);
}

/* Terms of a lease of that number: 8 blocks of 64 KiB. */
static inline struct lease_terms terms_of(const struct place *place, uint32_t number)
{
    struct lease_terms terms = terms_make();
    memcpy(terms.lease.bytes, &number, sizeof number);
    memcpy(terms.boot_id, place->control.join.boot_id, sizeof terms.boot_id);
    terms.generation = number;
    terms.bytes = 8 * POOL_BLOCK_DEFAULT;
    return terms;
}

static inline lethe_result grant(struct place *place, const struct lease_terms *terms)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    lease_terms_write(terms, &index);
    return order(place, WIRE_GRANT, &index, NULL);
}

static inline lethe_result stop_lease(struct place *place, const struct lease_terms *terms,
                                      enum lease_cause cause, uint64_t *value)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_stop_write(&(struct wire_stop){.lease = terms->lease, .cause = cause}, &index);
    return order(place, WIRE_STOP, &index, value);
}

static inline lethe_result ban(struct place *place, const char *name, bool on)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_order wanted = {.on = on};
    strcpy(wanted.name, name);
    wire_order_write(WIRE_BAN, &wanted, &index);
    return order(place, WIRE_BAN, &index, NULL);
}

/* 0: nothing was heard of it. */
static inline int seen_state(const struct place *place, const struct lease_terms *terms)
{
    for (size_t i = 0; i < place->control.seen_count; i++)
        if (memcmp(&place->control.seen[i].lease, &terms->lease, sizeof terms->lease) == 0)
            return (int)place->control.seen[i].state;
    return 0;
}

/* ---- the provider ---------------------------------------------------------------------------- */

static inline uint64_t shifted_ns(void *context)
{
    struct place *place = context;
    return clock_monotonic_ns(&clock_system) + atomic_load(&place->ahead_ms) * 1000000;
}

static inline void on_ready(void *context, const char *address)
{
    struct place *place = context;
    strcpy(place->address, address);
    atomic_store(&place->is_ready, true);
}

static inline void *run_provider(void *context)
{
    struct place *place = context;
    place->result = provider_run(place->provider, &place->err);
    atomic_store(&place->is_over, true);
    return NULL;
}

/* Everything but the provider; options may still be changed. */
static inline struct place *place_prepare(void)
{
    struct place *place = calloc(1, sizeof *place);
    REQUIRE(place != NULL);
    assert_result(LETHE_OK, loop_create(&place->loop, NULL));
    terms_signer_make("lethe/control", &place->signer);
    place->control_serves = peer_context(PEER_CONTROL, true);
    place->provider_serves = peer_context(PEER_PROVIDER, true);
    place->provider_dials = peer_context(PEER_PROVIDER, false);
    place->listener = peers_listen(place->control_address);
    place->clock = (struct clock_source){NULL, shifted_ns, place};
    place->options = (struct provider_options){.id = TERMS_PROVIDER,
                                               .memory_bytes = (uint64_t)8 << 20,
                                               .listen = "127.0.0.1:0",
                                               .control_address = place->control_address,
                                               .control_id = PEER_CONTROL_ID,
                                               .serve = place->provider_serves,
                                               .dial = place->provider_dials,
                                               .loops = 2,
                                               .boottime = &place->clock,
                                               .ready = on_ready,
                                               .context = place};
    return place;
}

static inline void place_start(struct place *place)
{
    struct lethe_error err = {0};
    assert_ok(provider_create(&place->options, &place->provider, &err), &err);
    assert_int_equal(pthread_create(&place->thread, NULL, run_provider, place), 0);
}

static inline struct place *place_open(void)
{
    struct place *place = place_prepare();
    place_start(place);
    place_until(place, atomic_load(&place->is_ready));
    return place;
}

/* Ends the provider, and waits until it has; what it gave is in `result`. */
static inline void place_stop(struct place *place)
{
    if (place->provider == NULL)
        return;
    provider_stop(place->provider);
    place_until(place, atomic_load(&place->is_over));
    pthread_join(place->thread, NULL);
    provider_free(MOVE(place->provider));
}

static inline void place_close(struct place *place)
{
    place_stop(place);
    link_free(place->control.link);
    loop_free(place->loop);
    tls_context_free(place->control_serves);
    tls_context_free(place->provider_serves);
    tls_context_free(place->provider_dials);
    terms_signer_free(&place->signer);
    if (place->listener >= 0)
        close(place->listener);
    free(place);
}

/* ---- consumers ------------------------------------------------------------------------------- */

struct guest {
    struct place *place;
    struct link *link;
    struct tls_context *tls;
    unsigned opened, ended, overs;
    struct lethe_error why;
    struct wire_head reply, over;
    uint8_t index[WIRE_BLOCKS_MAX * WIRE_TAG_BYTES];
    struct lethe_error refusal;
    uint8_t *room; /* for replies' data */
    struct wire_attached attached;
    uint8_t boot_id[BOOT_ID_BYTES];
};

static inline lethe_result guest_opened(void *context, struct link *link,
                                        const struct spiffe_id *peer, struct lethe_error *err)
{
    struct guest *guest = context;
    guest->opened++;
    guest->link = link;
    return link_hello(link, err);
}

static inline lethe_result guest_place(void *context, struct link *link,
                                       const struct link_frame *frame, struct iovec *pieces,
                                       size_t *count, struct lethe_error *err)
{
    struct guest *guest = context;
    if (guest->room == NULL)
        return LETHE_INVALID;
    pieces[0] = (struct iovec){guest->room, frame->head.data_bytes};
    *count = 1;
    return LETHE_OK;
}

static inline lethe_result guest_frame(void *context, struct link *link,
                                       const struct link_frame *frame, lethe_result refused,
                                       struct lethe_error *err)
{
    struct guest *guest = context;
    if (frame->head.type == WIRE_OVER) {
        guest->overs++;
        guest->over = frame->head;
        return LETHE_OK;
    }
    guest->reply = frame->head;
    guest->refusal = (struct lethe_error){0};
    (void)!wire_refusal_read(&frame->head, frame->index, &guest->refusal);
    if (frame->head.type == (WIRE_ATTACH | WIRE_REPLY) && frame->head.code == 0)
        assert_result(LETHE_OK, wire_attached_read(frame->index, &guest->attached, NULL));
    if (frame->head.type == (WIRE_HELLO | WIRE_REPLY) && frame->head.code == 0)
        assert_result(LETHE_OK, wire_boot_read(frame->index, guest->boot_id, NULL));
    if (frame->head.type == (WIRE_READ | WIRE_REPLY) && frame->head.index_bytes > 0)
        memcpy(guest->index, frame->index.at, MIN(sizeof guest->index, frame->head.index_bytes));
    return LETHE_OK;
}

static inline void guest_ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct guest *guest = context;
    guest->ended++;
    guest->why = *why;
    guest->link = NULL;
    link_free(link);
}

/* Dials as that peer, and waits until it is greeted, or not. */
static inline struct guest *guest_come(struct place *place, enum peer peer)
{
    struct guest *guest = calloc(1, sizeof *guest);
    struct lethe_error err = {0};
    REQUIRE(guest != NULL);
    guest->place = place;
    guest->tls = peer_context(peer, false);
    const struct link_options options = {
        .loop = place->loop,
        .tls = guest->tls,
        .self = WIRE_CONSUMER,
        .peer = WIRE_PROVIDER,
        .events = {guest_opened, guest_place, guest_frame, guest_ended, guest}};
    assert_ok(link_dial(&options, place->address, TERMS_PROVIDER, &guest->link, &err), &err);
    place_until(place, guest->ended > 0 || guest->reply.request == 1);
    return guest;
}

static inline void guest_leave(struct guest *guest)
{
    link_free(guest->link);
    tls_context_free(guest->tls);
    free(guest);
}

static inline uint64_t guest_send(struct guest *guest, const struct wire_head *given,
                                  const struct buffer *index, const struct iovec *data)
{
    struct lethe_error err = {0};
    struct wire_head head = *given;
    const struct link_data named = {data, 1, NULL, NULL};
    head.request = link_next_request(guest->link);
    assert_ok(link_send(guest->link, &head, index, data != NULL ? &named : NULL, &err), &err);
    return head.request;
}

/* The answer's result; the end of the connection is LETHE_CANCELLED. */
static inline lethe_result guest_wait(struct guest *guest, uint64_t request)
{
    place_until(guest->place, guest->ended > 0 || guest->reply.request == request);
    return guest->ended > 0 ? LETHE_CANCELLED : wire_result_of(guest->reply.code);
}

static inline lethe_result guest_attach(struct guest *guest, const struct lease_terms *terms,
                                        const struct terms_signer *by, uint32_t *channel)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lethe_error err = {0};
    assert_ok(token_sign(terms, &by->signer, &token, &err), &err);
    const struct wire_head head = {.type = WIRE_ATTACH};
    lethe_result result = guest_wait(guest, guest_send(guest, &head, &token, NULL));
    *channel = result == LETHE_OK ? guest->reply.channel : 0;
    return result;
}

static inline uint32_t must_attach(struct guest *guest, const struct lease_terms *terms)
{
    uint32_t channel;
    assert_result(LETHE_OK, guest_attach(guest, terms, &guest->place->signer, &channel));
    assert_int_not_equal(channel, 0);
    return channel;
}

/* `blocks` blocks from `first` on, each byte the block's number and `mark`. */
static inline uint64_t guest_send_write(struct guest *guest, uint32_t channel, uint64_t first,
                                        uint16_t blocks, uint32_t block_bytes, uint8_t *bytes)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    uint8_t tag[WIRE_TAG_BYTES];
    for (uint16_t i = 0; i < blocks; i++) {
        memset(tag, (int)(first + i) ^ 0x3c, sizeof tag);
        wire_write_entry_write(first + i, tag, &index);
    }
    const struct wire_head head = {.type = WIRE_WRITE, .code = blocks, .channel = channel};
    const struct iovec data = {bytes, (size_t)blocks * block_bytes};
    return guest_send(guest, &head, &index, &data);
}

static inline lethe_result guest_write(struct guest *guest, uint32_t channel, uint64_t first,
                                       uint16_t blocks, uint8_t mark)
{
    size_t size_bytes = (size_t)blocks * POOL_BLOCK_DEFAULT;
    CLEANUP(memory_free) uint8_t *bytes = malloc(size_bytes);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(mark + first + i / POOL_BLOCK_DEFAULT);
    return guest_wait(guest,
                      guest_send_write(guest, channel, first, blocks, POOL_BLOCK_DEFAULT, bytes));
}

static inline uint64_t guest_send_read(struct guest *guest, uint32_t channel, uint64_t first,
                                       uint16_t blocks)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    for (uint16_t i = 0; i < blocks; i++)
        wire_read_entry_write(first + i, &index);
    const struct wire_head head = {.type = WIRE_READ, .code = blocks, .channel = channel};
    return guest_send(guest, &head, &index, NULL);
}

/* Into `out`. */
static inline lethe_result guest_read(struct guest *guest, uint32_t channel, uint64_t first,
                                      uint16_t blocks, uint8_t *out)
{
    guest->room = out;
    lethe_result result = guest_wait(guest, guest_send_read(guest, channel, first, blocks));
    guest->room = NULL;
    return result;
}

static inline lethe_result guest_simple(struct guest *guest, enum wire_type type, uint32_t channel)
{
    const struct wire_head head = {.type = (uint8_t)type, .channel = channel};
    return guest_wait(guest, guest_send(guest, &head, NULL, NULL));
}

#endif
