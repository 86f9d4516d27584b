/* A provider's leases end, whoever does not want them to; its control plane comes and goes. */
#include "check.h"

#include <semaphore.h>

#include "provider_check.h"

#include "pool/provider_core.h"

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

/* A lease of all that there is: 126 blocks of 64 KiB, and their tags in a page. */
static struct lease_terms terms_of_all(const struct place *place, uint32_t number)
{
    struct lease_terms terms = terms_of(place, number);
    terms.bytes = 127 * POOL_BLOCK_DEFAULT;
    return terms;
}

/* ---- freeze, resume, take over (P-9) --------------------------------------------------------- */

static void a_lease_freezes_with_its_connection_and_is_resumed(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    uint8_t *room = calloc(1, POOL_BLOCK_DEFAULT);
    uint32_t channel;
    assert_result(LETHE_OK, grant(place, &terms));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    channel = must_attach(guest, &terms);
    assert_result(LETHE_OK, guest_write(guest, channel, 5, 1, 0x20));
    guest_leave(guest);
    place_until(place, seen_state(place, &terms) == LEASE_FROZEN);
    struct guest *rival = guest_come(place, PEER_OTHER);
    assert_result(LETHE_DENIED, guest_attach(rival, &terms, &place->signer, &channel));
    guest = guest_come(place, PEER_CONSUMER);
    channel = must_attach(guest, &terms);
    assert_int_equal(guest->attached.was, LEASE_FROZEN);
    assert_result(LETHE_OK, guest_read(guest, channel, 5, 1, room));
    assert_int_equal(room[0], 0x25);
    place_until(place, seen_state(place, &terms) == LEASE_ACTIVE);
    free(room);
    guest_leave(guest);
    guest_leave(rival);
    place_close(place);
}

static void who_attaches_again_takes_it_over(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    uint8_t *room = calloc(1, POOL_BLOCK_DEFAULT);
    assert_result(LETHE_OK, grant(place, &terms));
    struct guest *old = guest_come(place, PEER_CONSUMER), *new = guest_come(place, PEER_CONSUMER);
    uint32_t before = must_attach(old, &terms);
    uint32_t after = must_attach(new, &terms);
    place_until(place, old->overs == 1);
    assert_int_equal(old->over.channel, before);
    assert_int_equal(old->over.value, LEASE_CAUSE_NONE);
    assert_result(LETHE_CONFLICT, guest_write(old, before, 0, 1, 0x20));
    assert_result(LETHE_CONFLICT, guest_read(old, before, 0, 1, room));
    assert_result(LETHE_CONFLICT, guest_simple(old, WIRE_RELEASE, before));
    assert_result(LETHE_OK, guest_read(new, after, 0, 1, room));
    assert_true(lethe_is_zero(room, POOL_BLOCK_DEFAULT));
    assert_result(LETHE_OK, guest_simple(new, WIRE_RENEW, after));
    assert_int_equal(old->ended, 0); /* its other channels go on */
    free(room);
    guest_leave(old);
    guest_leave(new);
    place_close(place);
}

/* ---- a connection that a test writes to by hand ---------------------------------------------- */

struct raw {
    struct tls_context *context;
    struct tls_connection *tls;
};

static void raw_write(struct raw *raw, const void *bytes, size_t size_bytes)
{
    for (size_t done = 0; done < size_bytes;) {
        size_t written = 0;
        enum tls_want want;
        assert_result(LETHE_OK, tls_write(raw->tls, (const uint8_t *)bytes + done,
                                          size_bytes - done, &written, &want, NULL));
        done += written;
    }
}

static void raw_frame(struct raw *raw, const struct wire_head *given, const struct buffer *index,
                      uint32_t data_bytes)
{
    uint8_t bytes[WIRE_HEAD_BYTES];
    struct wire_head head = *given;
    head.index_bytes = index != NULL ? (uint32_t)index->size_bytes : 0;
    head.data_bytes = data_bytes;
    wire_head_write(&head, bytes);
    raw_write(raw, bytes, sizeof bytes);
    if (index != NULL)
        raw_write(raw, index->bytes, index->size_bytes);
}

/* The provider is on threads of its own: this may block. */
static struct raw raw_attach(struct place *place, const struct lease_terms *terms)
{
    struct raw raw = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct tls_options options = {.certificates_pem = peers[PEER_CONSUMER].certificate_pem,
                                  .key_pem = peers[PEER_CONSUMER].key_pem,
                                  .roots_pem = peers_authority.certificate_pem};
    CLEANUP(buffer_clear) struct buffer hello = {0}, token = {0};
    enum tls_want want = TLS_WANT_READ;
    to.sin_port = htons((uint16_t)atoi(strchr(place->address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_result(LETHE_OK, tls_client_create(&options, &raw.context, NULL));
    assert_result(LETHE_OK, tls_connect(raw.context, fd, NULL, &raw.tls, NULL));
    while (want != TLS_DONE)
        assert_result(LETHE_OK, tls_handshake(raw.tls, &want, NULL));
    wire_hello_write(&(struct wire_hello){WIRE_CONSUMER}, &hello);
    raw_frame(&raw, &(struct wire_head){.type = WIRE_HELLO, .request = 1}, &hello, 0);
    assert_result(LETHE_OK, token_sign(terms, &place->signer.signer, &token, NULL));
    raw_frame(&raw, &(struct wire_head){.type = WIRE_ATTACH, .request = 2}, &token, 0);
    return raw;
}

static void raw_close(struct raw *raw)
{
    tls_free(raw->tls);
    tls_context_free(raw->context);
}

/* The first channel of a connection is number 1. */
static void raw_begin_write(struct raw *raw, uint64_t block, uint32_t sent_bytes)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    static const uint8_t tag[WIRE_TAG_BYTES] = {1};
    static uint8_t bytes[POOL_BLOCK_DEFAULT];
    memset(bytes, 0xee, sizeof bytes);
    wire_write_entry_write(block, tag, &index);
    raw_frame(raw, &(struct wire_head){.type = WIRE_WRITE, .code = 1, .channel = 1, .request = 3},
              &index, POOL_BLOCK_DEFAULT);
    raw_write(raw, bytes, sent_bytes);
}

/* Within a WRITE the old connection is ended before the new one has the lease: what would still
 * come can change nothing. */
static void a_writer_in_the_middle_of_a_block_is_cut_off_by_a_takeover(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    uint8_t *room = calloc(1, POOL_BLOCK_DEFAULT);
    assert_result(LETHE_OK, grant(place, &terms));
    struct raw raw = raw_attach(place, &terms);
    raw_begin_write(&raw, 2, 40000);
    place_until(place, seen_state(place, &terms) == LEASE_ACTIVE);
    usleep(100000); /* the beginning of the block is there */
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    uint32_t channel = must_attach(guest, &terms);
    assert_result(LETHE_OK, guest_write(guest, channel, 2, 1, 0x30));
    assert_result(LETHE_OK, guest_read(guest, channel, 2, 1, room));
    assert_int_equal(room[0], 0x32);
    assert_memory_equal(room, room + 1, POOL_BLOCK_DEFAULT - 1);
    free(room);
    raw_close(&raw);
    guest_leave(guest);
    place_close(place);
}

/* Nor does it hold up the end of the lease. */
static void a_writer_in_the_middle_of_a_block_does_not_keep_the_memory(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    assert_result(LETHE_OK, grant(place, &terms));
    struct raw raw = raw_attach(place, &terms);
    raw_begin_write(&raw, 2, 40000);
    place_until(place, seen_state(place, &terms) == LEASE_ACTIVE);
    usleep(100000);
    assert_result(LETHE_OK, stop_lease(place, &terms, LEASE_CAUSE_FORCE_STOPPED, NULL));
    place_until(place, seen_state(place, &terms) == LEASE_RECLAIMED);
    place_until(place, place->control.report.free_bytes == place->options.memory_bytes);
    raw_close(&raw);
    place_close(place);
}

/* Who asks for much and reads nothing is cut off a second after the lease has ended. */
static void a_reader_that_takes_nothing_does_not_keep_the_memory(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    assert_result(LETHE_OK, grant(place, &terms));
    struct raw raw = raw_attach(place, &terms);
    for (uint64_t i = 0; i < 100; i++) {
        CLEANUP(buffer_clear) struct buffer index = {0};
        for (uint64_t block = 0; block < 8; block++)
            wire_read_entry_write(block, &index);
        raw_frame(&raw,
                  &(struct wire_head){.type = WIRE_READ, .code = 8, .channel = 1, .request = 3 + i},
                  &index, 0);
    }
    place_until(place, seen_state(place, &terms) == LEASE_ACTIVE);
    usleep(300000); /* sockets are full */
    assert_result(LETHE_OK, stop_lease(place, &terms, LEASE_CAUSE_FORCE_STOPPED, NULL));
    place_until(place, seen_state(place, &terms) == LEASE_WIPING);
    atomic_fetch_add(&place->ahead_ms, 5000);
    place_until(place, seen_state(place, &terms) == LEASE_RECLAIMED);
    raw_close(&raw);
    place_close(place);
}

/* ---- the ways to the end (P-5, P-6, P-10) ---------------------------------------------------- */

static void end_by_release(struct place *place, struct guest *guest, uint32_t channel,
                           const struct lease_terms *terms)
{
    assert_result(LETHE_OK, guest_simple(guest, WIRE_RELEASE, channel));
    assert_result(LETHE_NOT_FOUND, guest_simple(guest, WIRE_RENEW, channel));
}

static void end_by_expiry(struct place *place, struct guest *guest, uint32_t channel,
                          const struct lease_terms *terms)
{
    atomic_fetch_add(&place->ahead_ms, 60000);
    place_until(place, guest->overs == 1);
    assert_int_equal(guest->over.value, LEASE_CAUSE_EXPIRED);
    assert_result(LETHE_LOST, guest_simple(guest, WIRE_RENEW, channel));
}

static void end_by_force(struct place *place, struct guest *guest, uint32_t channel,
                         const struct lease_terms *terms)
{
    uint64_t value = 0;
    assert_result(LETHE_OK, stop_lease(place, terms, LEASE_CAUSE_FORCE_STOPPED, &value));
    assert_int_equal(value, 1);
    place_until(place, guest->overs == 1);
    assert_int_equal(guest->over.channel, channel);
    assert_int_equal(guest->over.value, LEASE_CAUSE_FORCE_STOPPED);
    assert_result(LETHE_LOST, guest_simple(guest, WIRE_RENEW, channel));
}

/* The connection is over, and it was told why, before the ban is answered. */
static void end_by_ban(struct place *place, struct guest *guest, uint32_t channel,
                       const struct lease_terms *terms)
{
    assert_result(LETHE_OK, ban(place, TERMS_CONSUMER, true));
    place_until(place, guest->ended == 1);
    assert_int_equal(guest->overs, 1);
    assert_int_equal(guest->over.value, LEASE_CAUSE_REVOKED);
}

static const struct {
    void (*end)(struct place *place, struct guest *guest, uint32_t channel,
                const struct lease_terms *terms);
    enum lease_cause cause;
} ways[] = {{end_by_release, LEASE_CAUSE_RELEASED},
            {end_by_expiry, LEASE_CAUSE_EXPIRED},
            {end_by_force, LEASE_CAUSE_FORCE_STOPPED},
            {end_by_ban, LEASE_CAUSE_REVOKED}};

static bool all_reads_as_zero(struct guest *guest, uint32_t channel)
{
    uint8_t *room = calloc(1, POOL_BLOCK_DEFAULT);
    bool is_zero = true;
    for (uint64_t block = 0; block < 127; block++) {
        assert_result(LETHE_OK, guest_read(guest, channel, block, 1, room));
        is_zero &= lethe_is_zero(room, POOL_BLOCK_DEFAULT);
        is_zero &= lethe_is_zero(guest->index, WIRE_TAG_BYTES);
    }
    free(room);
    return is_zero;
}

/* The next consumer gets all of the memory, so also what the first one had, and reads zeros. */
static void the_next_consumer_finds_nothing(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct place *place = place_open();
        struct lease_terms terms = terms_of_all(place, 1), next = terms_of_all(place, 2);
        struct guest *guest = guest_come(place, PEER_CONSUMER);
        assert_result(LETHE_OK, grant(place, &terms));
        uint32_t channel = must_attach(guest, &terms);
        for (uint64_t block = 0; block < 126; block += 42)
            assert_result(LETHE_OK, guest_write(guest, channel, block, 42, 0x77));
        assert_false(all_reads_as_zero(guest, channel)); /* the control */
        strcpy(next.consumer, PEER_OTHER_ID);
        strcpy(next.tenant, "other");
        assert_result(LETHE_NO_SPACE, grant(place, &next));
        ways[i].end(place, guest, channel, &terms);
        place_until(place, seen_state(place, &terms) == LEASE_RECLAIMED);
        assert_result(LETHE_OK, grant(place, &next));
        struct guest *other = guest_come(place, PEER_OTHER);
        assert_true(all_reads_as_zero(other, must_attach(other, &next)));
        guest_leave(other);
        guest_leave(guest);
        place_close(place);
    }
}

static void wipe_nothing(void *memory, size_t size_bytes)
{
}

/* The control of the wipe: without it all of that is found out, and nobody gets the memory. */
static sem_t may_wipe;

static void wipe_later(void *memory, size_t size_bytes)
{
    while (sem_wait(&may_wipe) != 0)
        continue;
    sem_post(&may_wipe); /* for the rest of it */
    lethe_wipe(memory, size_bytes);
}

/* P-6: RELEASE is answered when it is done; who asks meanwhile hears that somebody is there. */
static void while_it_wipes_it_answers(void **state)
{
    struct place *place = place_prepare();
    assert_int_equal(sem_init(&may_wipe, 0, 0), 0);
    place->options.wipe = wipe_later;
    place_start(place);
    place_until(place, atomic_load(&place->is_ready));
    struct lease_terms terms = terms_of(place, 1);
    assert_result(LETHE_OK, grant(place, &terms));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    uint32_t channel = must_attach(guest, &terms);
    const struct wire_head head = {.type = WIRE_RELEASE, .channel = channel};
    uint64_t release = guest_send(guest, &head, NULL, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_result(LETHE_NOT_FOUND, guest_simple(guest, WIRE_RENEW, channel));
    sem_post(&may_wipe);
    assert_result(LETHE_OK, guest_wait(guest, release));
    guest_leave(guest);
    place_close(place);
    sem_destroy(&may_wipe);
}

static void without_the_wipe_nobody_gets_the_memory(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct place *place = place_prepare();
        place->options.wipe = wipe_nothing;
        place_start(place);
        place_until(place, atomic_load(&place->is_ready));
        struct lease_terms terms = terms_of_all(place, 1), next = terms_of(place, 2);
        struct guest *guest = guest_come(place, PEER_CONSUMER);
        assert_result(LETHE_OK, grant(place, &terms));
        uint32_t channel = must_attach(guest, &terms);
        assert_result(LETHE_OK, guest_write(guest, channel, 0, 42, 0x77));
        if (ways[i].cause == LEASE_CAUSE_RELEASED)
            assert_result(LETHE_UNWIPED, guest_simple(guest, WIRE_RELEASE, channel));
        else
            ways[i].end(place, guest, channel, &terms);
        place_until(place, seen_state(place, &terms) == LEASE_UNWIPED);
        assert_true(place->control.report.unwiped_bytes >= terms.bytes);
        strcpy(next.consumer, PEER_OTHER_ID);
        strcpy(next.tenant, "other");
        assert_result(LETHE_NO_SPACE, grant(place, &next));
        guest_leave(guest);
        place_close(place);
    }
}

/* P-10: revoked while connected, while coming, and until it is forgiven. */
static void a_banned_identity_is_kept_out_until_it_is_forgiven(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    struct guest *others[3], *rival = guest_come(place, PEER_OTHER);
    uint32_t channel;
    assert_result(LETHE_OK, grant(place, &terms));
    for (size_t i = 0; i < 3; i++)
        others[i] = guest_come(place, PEER_CONSUMER);
    assert_result(LETHE_OK, ban(place, TERMS_CONSUMER, true));
    for (size_t i = 0; i < 3; i++) {
        place_until(place, others[i]->ended == 1);
        guest_leave(others[i]);
    }
    assert_result(LETHE_REVOKED, grant(place, &terms));
    struct guest *late = guest_come(place, PEER_CONSUMER);
    assert_int_equal(wire_result_of(late->reply.code), LETHE_REVOKED);
    place_until(place, late->ended == 1);
    guest_leave(late);
    assert_int_equal(rival->ended, 0);
    assert_result(LETHE_OK, ban(place, TERMS_CONSUMER, false));
    late = guest_come(place, PEER_CONSUMER);
    assert_int_equal(late->ended, 0);
    assert_result(LETHE_NOT_FOUND, guest_attach(late, &terms, &place->signer, &channel));
    guest_leave(late);
    guest_leave(rival);
    place_close(place);
}

static void stand_still(void *context)
{
    while (sem_wait(context) != 0)
        continue;
}

/* By a link that ends before the ban is answered; then the provider has joined by another one. */
static void ban_and_leave(struct place *place, const char *name)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct lethe_error err = {0};
    struct wire_order wanted = {.on = true};
    struct control_end *control = &place->control;
    strcpy(wanted.name, name);
    wire_order_write(WIRE_BAN, &wanted, &index);
    const struct wire_head head = {.type = WIRE_BAN, .request = link_next_request(control->link)};
    assert_ok(link_send(control->link, &head, &index, NULL, &err), &err);
    place_until(place, tenancy_is_banned(place->provider->tenancy, name));
    unsigned joins = control->joins;
    link_free(MOVE(control->link)); /* which the provider sees, though it reads nothing */
    place_until(place, control->joins > joins);
}

/* While a worker still carries out a ban, others come by other links: none is forgotten. */
static void bans_that_come_by_several_links_end_all_connections(void **state)
{
    struct place *place = place_open();
    sem_t goes_on;
    struct loop_task stands_still = {.work = stand_still, .context = &goes_on};
    struct guest *first = guest_come(place, PEER_CONSUMER), *second = guest_come(place, PEER_OTHER);
    assert_int_equal(sem_init(&goes_on, 0, 0), 0);
    loop_post(place->provider->workers[1].loop, &stands_still);
    ban_and_leave(place, "spiffe://pool.test/nobody/1");
    ban_and_leave(place, TERMS_CONSUMER);
    ban_and_leave(place, PEER_OTHER_ID);
    ban_and_leave(place, "spiffe://pool.test/nobody/2");
    sem_post(&goes_on);
    place_until(place, first->ended == 1 && second->ended == 1);
    guest_leave(first);
    guest_leave(second);
    place_close(place);
    sem_destroy(&goes_on);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void orders_that_cannot_be_carried_out_are_refused(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1), other = terms;
    CLEANUP(buffer_clear) struct buffer index = {0};
    uint64_t value = 7;
    other.boot_id[3] ^= 1;
    assert_result(LETHE_INVALID, grant(place, &other));
    other = terms;
    other.bytes = (uint64_t)1 << 40;
    assert_result(LETHE_NO_SPACE, grant(place, &other));
    assert_result(LETHE_OK, stop_lease(place, &terms, LEASE_CAUSE_FORCE_STOPPED, &value));
    assert_int_equal(value, 0);
    wire_byte_write(1, &index);
    assert_result(LETHE_OK, order(place, WIRE_MAINTAIN, &index, NULL));
    assert_result(LETHE_UNAVAILABLE, grant(place, &terms));
    buffer_clear(&index);
    wire_byte_write(0, &index);
    assert_result(LETHE_OK, order(place, WIRE_MAINTAIN, &index, NULL));
    assert_result(LETHE_OK, grant(place, &terms));
    assert_result(LETHE_EXISTS, grant(place, &terms));
    place_close(place);
}

/* ---- the control plane goes and comes (P-7, P-14) -------------------------------------------- */

static void without_its_control_plane_it_goes_on_and_tells_everything_later(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1), released = terms_of(place, 2);
    assert_result(LETHE_OK, grant(place, &terms));
    assert_result(LETHE_OK, grant(place, &released));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    uint32_t channel = must_attach(guest, &terms), second = must_attach(guest, &released);
    place_until(place, seen_state(place, &released) == LEASE_ACTIVE);
    link_free(MOVE(place->control.link));
    int listener = place->listener;
    place->listener = -1; /* it is away */
    assert_result(LETHE_OK, guest_write(guest, channel, 0, 8, 0x11));
    assert_result(LETHE_OK, guest_simple(guest, WIRE_RENEW, channel));
    assert_result(LETHE_OK, guest_simple(guest, WIRE_RELEASE, second));
    struct guest *more = guest_come(place, PEER_OTHER);
    assert_int_equal(more->ended, 0);
    assert_int_equal(place->control.joins, 1);
    unsigned lists = place->control.lists;
    place->listener = listener;
    place_until(place, place->control.joins == 2 && place->control.lists > lists);
    assert_int_equal(place->control.join.leases, 2);
    assert_int_equal(seen_state(place, &terms), LEASE_ACTIVE);
    assert_int_equal(seen_state(place, &released), LEASE_RECLAIMED);
    place_until(place, place->control.reports > lists + 1);
    assert_int_equal(place->control.report.count, 0); /* what was acknowledged is not told again */
    guest_leave(more);
    guest_leave(guest);
    place_close(place);
}

static void a_provider_that_starts_again_starts_empty(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1);
    uint8_t boot_id[BOOT_ID_BYTES];
    uint32_t channel;
    memcpy(boot_id, place->control.join.boot_id, sizeof boot_id);
    assert_result(LETHE_OK, grant(place, &terms));
    place_stop(place);
    assert_int_equal(place->result, LETHE_OK);
    place_until(place, place->control.link == NULL);
    atomic_store(&place->is_ready, false);
    atomic_store(&place->is_over, false);
    place_start(place);
    place_until(place, atomic_load(&place->is_ready));
    assert_memory_not_equal(place->control.join.boot_id, boot_id, sizeof boot_id);
    assert_int_equal(place->control.join.leases, 0);
    assert_int_equal(place->control.report.free_bytes, place->options.memory_bytes);
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    assert_result(LETHE_LOST, guest_attach(guest, &terms, &place->signer, &channel));
    guest_leave(guest);
    place_close(place);
}

/* A clean stop ends every lease, says so to consumers, and to the control plane that it is wiped.
 */
static void who_stops_it_leaves_nothing_untold(void **state)
{
    struct place *place = place_open();
    struct lease_terms terms = terms_of(place, 1), frozen = terms_of(place, 2);
    assert_result(LETHE_OK, grant(place, &terms));
    assert_result(LETHE_OK, grant(place, &frozen));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    must_attach(guest, &terms);
    place_stop(place);
    assert_int_equal(place->result, LETHE_OK);
    place_until(place, guest->ended == 1);
    assert_int_equal(guest->overs, 1);
    assert_int_equal(guest->over.value, LEASE_CAUSE_DRAINED);
    assert_int_equal(seen_state(place, &terms), LEASE_RECLAIMED);
    assert_int_equal(seen_state(place, &frozen), LEASE_RECLAIMED);
    guest_leave(guest);
    place_close(place);
}

/* ---- what it cannot begin with --------------------------------------------------------------- */

static void addresses_that_cannot_be_used_are_refused(void **state)
{
    struct place *place = place_prepare();
    struct lethe_error err = {0};
    place->options.listen = "0.0.0.0:0";
    assert_result(LETHE_DENIED, provider_create(&place->options, &place->provider, &err));
    assert_non_null(strstr(err.hint, "--allow-public"));
    place->options.listen = "somewhere:0";
    assert_result(LETHE_INVALID, provider_create(&place->options, &place->provider, &err));
    place->options.listen = place->control_address;
    assert_result(LETHE_UNAVAILABLE, provider_create(&place->options, &place->provider, &err));
    place->options.listen = "127.0.0.1:0";
    place->options.control_id = "control";
    assert_result(LETHE_INVALID, provider_create(&place->options, &place->provider, &err));
    place->options.control_id = PEER_CONTROL_ID;
    place->options.control_address = "127.0.0.1";
    assert_result(LETHE_INVALID, provider_create(&place->options, &place->provider, &err));
    place->options.control_address = place->control_address;
    place->options.memory_bytes = 4097;
    assert_result(LETHE_INVALID, provider_create(&place->options, &place->provider, &err));
    place_close(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_freezes_with_its_connection_and_is_resumed),
        cmocka_unit_test(who_attaches_again_takes_it_over),
        cmocka_unit_test(a_writer_in_the_middle_of_a_block_is_cut_off_by_a_takeover),
        cmocka_unit_test(a_writer_in_the_middle_of_a_block_does_not_keep_the_memory),
        cmocka_unit_test(a_reader_that_takes_nothing_does_not_keep_the_memory),
        cmocka_unit_test(the_next_consumer_finds_nothing),
        cmocka_unit_test(while_it_wipes_it_answers),
        cmocka_unit_test(without_the_wipe_nobody_gets_the_memory),
        cmocka_unit_test(a_banned_identity_is_kept_out_until_it_is_forgiven),
        cmocka_unit_test(bans_that_come_by_several_links_end_all_connections),
        cmocka_unit_test(orders_that_cannot_be_carried_out_are_refused),
        cmocka_unit_test(without_its_control_plane_it_goes_on_and_tells_everything_later),
        cmocka_unit_test(a_provider_that_starts_again_starts_empty),
        cmocka_unit_test(who_stops_it_leaves_nothing_untold),
        cmocka_unit_test(addresses_that_cannot_be_used_are_refused),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
