#include "check.h"

#include "control_check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../net/certificates.h"
#include "base/error.h"
#include "kms/change.h"
#include "pool/control_rules.h"

/* ---- who there is ---------------------------------------------------------------------------- */

static struct identity_files authority, control_identity;

static void make_authority(void)
{
    if (authority.certificate != NULL)
        return;
    certificate_make(NULL, "authority", NULL, 30, &authority);
    certificate_make(&authority, "control", "URI:" CONTROL_ID, 30, &control_identity);
}

static struct tls_context *context_of(const struct identity_files *identity, bool serves)
{
    struct tls_context *context = NULL;
    struct lethe_error err = {0};
    const struct tls_options options = {.certificates_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .roots_pem = authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    assert_ok(serves ? tls_server_create(&options, &context, &err)
                     : tls_client_create(&options, &context, &err),
              &err);
    return context;
}

static struct tls_context *client_of(const char *id)
{
    char name[300];
    struct identity_files identity;
    snprintf(name, sizeof name, "URI:%s", id);
    certificate_make(&authority, "peer", name, 30, &identity);
    struct tls_context *context = context_of(&identity, false);
    certificate_free(&identity);
    return context;
}

static const char usual_data[] =
    "{\"pool\":{\"providers\":{"
    "\"" NODE_A "\":{\"tenants\":[\"acme\",\"widgets\"],\"max_bytes\":1073741824},"
    "\"" NODE_B "\":{\"tenants\":[\"acme\",\"widgets\"],\"max_bytes\":1073741824},"
    "\"" NODE_C "\":{\"tenants\":[\"acme\"],\"max_bytes\":1073741824}},"
    "\"consumers\":{\"" ANNA "\":{\"max_bytes\":1073741824},"
    "\"" BERT "\":{\"max_bytes\":8388608},\"" CARL "\":{\"max_bytes\":1073741824}},"
    "\"operators\":{\"" EVA "\":{\"may\":[\"status\",\"revoke\",\"restore\",\"force_stop\","
    "\"drain\",\"quota\"]},\"" ZOE "\":{\"may\":[\"quota\"]},\"" BERT
    "\":{\"may\":[\"status\"]}}}}";

static void write_text(const char *directory, const char *name, const void *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    write_file(path, bytes, size);
    assert_int_equal(0, chmod(path, 0600));
}

void check_write_files(const char *directory)
{
    make_authority();
    write_text(directory, "ca.pem", authority.certificate_pem, strlen(authority.certificate_pem));
    write_text(directory, "control.pem", control_identity.certificate_pem,
               strlen(control_identity.certificate_pem));
    write_text(directory, "control.key", lethe_secret_bytes_const(control_identity.key_pem),
               lethe_secret_size(control_identity.key_pem));
    write_text(directory, "data.json", usual_data, sizeof usual_data - 1);
}

/* ---- the control plane ----------------------------------------------------------------------- */

static struct lethe_policy *make_policy(const struct check *check)
{
    struct lethe_error err = {0};
    struct lethe_policy *policy;
    const char *data = check->data != NULL ? check->data : usual_data;
    const struct lethe_policy_module module = {"pool.rego", (const char *)builtin_pool_policy,
                                               builtin_pool_policy_bytes};
    const struct lethe_policy_options options = {
        .modules = &module, .module_count = 1, .data = data, .data_size_bytes = strlen(data)};
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    return policy;
}

static void note_address(void *context, const char *address)
{
    struct check *check = context;
    snprintf(check->address, sizeof check->address, "%s", address);
}

static void *run(void *context)
{
    struct check *check = context;
    check->result = control_run(check->control, &check->why);
    return NULL;
}

void check_start(struct check *check)
{
    struct lethe_error err = {0};
    pthread_t *thread = malloc(sizeof *thread);
    check->keeper = must_open_home(check->home);
    assert_ok(lethe_policy_holder_create(make_policy(check), &check->holder, &err), &err);
    struct tls_context *tls = context_of(&control_identity, true);
    /* The test waits for the address, which is known before the thread runs. */
    const struct control_options options = {.keeper = check->keeper,
                                            .listen = check->address[0] != '\0' ? check->address
                                                                                : "127.0.0.1:0",
                                            .tls = tls,
                                            .policy = check->holder,
                                            .limits = check->limits,
                                            .clock = check->clock,
                                            .context = check};
    assert_ok(control_create(&options, &check->control, &err), &err);
    tls_context_free(tls);
    note_address(check, control_address(check->control));
    assert_non_null(thread);
    assert_int_equal(0, pthread_create(thread, NULL, run, check));
    check->thread = thread;
}

void check_stop(struct check *check)
{
    pthread_t *thread = check->thread;
    control_stop(check->control);
    assert_int_equal(0, pthread_join(*thread, NULL));
    free(MOVE(check->thread));
    control_free(MOVE(check->control));
    lethe_policy_holder_free(MOVE(check->holder));
    must_close_home(MOVE(check->keeper));
}

void check_setup(struct check *check, void **state)
{
    struct control_limits limits = check->limits;
    const char *data = check->data;
    const struct clock_source *clock = check->clock;
    make_authority();
    *check = (struct check){.home = *state, .limits = limits, .data = data, .clock = clock};
    must_make_home(check->home);
    assert_result(LETHE_OK, loop_create(&check->loop, NULL));
    check_start(check);
}

void check_teardown(struct check *check)
{
    if (check->control != NULL)
        check_stop(check);
    loop_free(check->loop);
}

void check_turn(struct check *check)
{
    assert_result(LETHE_OK, loop_turn(check->loop, 5, NULL));
}

static lethe_result count_row(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    ++*(size_t *)context;
    return LETHE_OK;
}

size_t count_rows(const struct home *home, const char *prefix)
{
    size_t count = 0;
    struct keeper *keeper = must_open_home(home);
    assert_result(LETHE_OK, store_list(keeper_store(keeper), prefix, count_row, &count, NULL));
    must_close_home(keeper);
    return count;
}

/* ---- askers ---------------------------------------------------------------------------------- */

static lethe_result opened(void *context, struct link *link, const struct spiffe_id *peer,
                           struct lethe_error *err)
{
    struct asker *asker = context;
    assert_string_equal(CONTROL_ID, peer->text);
    struct wire_hello hello = {asker->role};
    const struct wire_head head = {.type = WIRE_HELLO, .request = link_next_request(link)};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_hello_write(&hello, &index);
    asker->link = link;
    return link_send(link, &head, &index, NULL, err);
}

static lethe_result place(void *context, struct link *link, const struct link_frame *frame,
                          struct iovec *pieces, size_t *count, struct lethe_error *err)
{
    struct asker *asker = context;
    buffer_truncate(&asker->data, 0);
    char *room = buffer_extend(&asker->data, frame->head.data_bytes);
    assert_non_null(room);
    pieces[0] = (struct iovec){room, frame->head.data_bytes};
    *count = 1;
    return LETHE_OK;
}

static lethe_result take(void *context, struct link *link, const struct link_frame *frame,
                         lethe_result refused, struct lethe_error *err)
{
    struct asker *asker = context;
    if (!wire_is_reply(&frame->head)) {
        assert_non_null(asker->on_request);
        return asker->on_request(asker, frame, err);
    }
    if (frame->head.type == (WIRE_HELLO | WIRE_REPLY)) {
        asker->welcome = wire_refusal_read(&frame->head, frame->index, &asker->why) == LETHE_OK;
        asker->turned_away = !asker->welcome;
        return LETHE_OK;
    }
    if (frame->head.request != asker->awaited)
        return LETHE_OK;
    asker->answered = true;
    asker->reply = frame->head;
    buffer_truncate(&asker->index, 0);
    buffer_append(&asker->index, frame->index.at, cursor_left(&frame->index));
    return LETHE_OK;
}

static void ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct asker *asker = context;
    asker->ended = true;
    if (!asker->turned_away)
        asker->why = *why;
    asker->link = NULL;
    link_free(link);
}

void asker_open(struct check *check, struct asker *asker, const char *id, enum wire_role role)
{
    struct lethe_error err = {0};
    lethe_result (*on_request)(struct asker *, const struct link_frame *, struct lethe_error *) =
        asker->on_request;
    enum wire_role acts_as = asker->acts_as != WIRE_UNKNOWN ? asker->acts_as : role;
    *asker = (struct asker){.check = check, .role = role, .on_request = on_request};
    struct tls_context *tls = client_of(id);
    const struct link_options options = {
        .loop = check->loop,
        .tls = tls,
        .self = acts_as,
        .peer = WIRE_CONTROL,
        .events = {.opened = opened, .place = place, .frame = take, .ended = ended, asker}};
    assert_ok(link_dial(&options, check->address, CONTROL_ID, &asker->link, &err), &err);
    check_until(check, asker->welcome || asker->ended);
    tls_context_free(tls);
}

void asker_close(struct asker *asker)
{
    link_free(MOVE(asker->link));
    buffer_clear(&asker->index);
    buffer_clear(&asker->data);
}

uint64_t asker_send(struct asker *asker, enum wire_type type, const struct buffer *index)
{
    if (asker->link == NULL)
        return 0;
    const struct wire_head head = {.type = (uint8_t)type,
                                   .request = link_next_request(asker->link)};
    if (link_send(asker->link, &head, index, NULL, NULL) != LETHE_OK)
        return 0;
    asker->awaited = head.request;
    asker->answered = false;
    return head.request;
}

lethe_result asker_answer(struct asker *asker, struct lethe_error *err)
{
    check_until(asker->check, asker->answered || asker->ended);
    if (!asker->answered)
        return error_set(err, asker->turned_away ? asker->why.code : LETHE_UNAVAILABLE,
                         "ended: %.400s", asker->why.text);
    return wire_refusal_read(&asker->reply,
                             cursor_over(asker->index.bytes, asker->index.size_bytes), err);
}

lethe_result asker_ask(struct asker *asker, enum wire_type type, const struct buffer *index,
                       struct lethe_error *err)
{
    if (asker_send(asker, type, index) == 0)
        return error_set(err, asker->turned_away ? asker->why.code : LETHE_UNAVAILABLE,
                         "ended: %.400s", asker->why.text);
    return asker_answer(asker, err);
}

lethe_result ask_allocate(struct asker *asker, uint64_t bytes, uint8_t copies,
                          struct wire_allocated *out, struct lethe_error *err)
{
    const struct wire_allocate wanted = {bytes, BLOCK, 60000, copies};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_allocate_write(&wanted, &index);
    TRY(asker_ask(asker, WIRE_ALLOCATE, &index, err));
    return wire_allocated_read(cursor_over(asker->index.bytes, asker->index.size_bytes), out, err);
}

lethe_result ask_lease(struct asker *asker, enum wire_type type, const struct lease_id *lease,
                       struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_lease_write(lease, &index);
    return asker_ask(asker, type, &index, err);
}

lethe_result ask_order(struct asker *asker, enum wire_type type, const char *name, uint64_t bytes,
                       bool on, struct lethe_error *err)
{
    struct wire_order order = {.reason = "test", .bytes = bytes, .on = on};
    CLEANUP(buffer_clear) struct buffer index = {0};
    snprintf(order.name, sizeof order.name, "%s", name);
    wire_order_write(type, &order, &index);
    return asker_ask(asker, type, &index, err);
}

lethe_result ask_stop(struct asker *asker, const struct lease_id *lease, struct lethe_error *err)
{
    struct wire_order order = {.lease = *lease, .has_lease = true, .reason = "test"};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_order_write(WIRE_FORCE_STOP, &order, &index);
    return asker_ask(asker, WIRE_FORCE_STOP, &index, err);
}

const char *ask_status(struct asker *asker)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_byte_write(0, &index);
    assert_ok(asker_ask(asker, WIRE_STATUS, &index, &err), &err);
    return asker->data.bytes;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

void node_init(struct node *node, const char *id, uint64_t capacity_bytes)
{
    *node = (struct node){.id = id,
                          .boot_id = {1, 2, 3},
                          .capacity_bytes = capacity_bytes,
                          .free_bytes = capacity_bytes,
                          .wipes_at_once = true};
    node->leases = calloc(NODE_LEASES_MAX, sizeof *node->leases);
    assert_non_null(node->leases);
    memcpy(node->boot_id + 3, id + strlen(id) - 1, 1);
}

void node_clear(struct node *node)
{
    asker_close(&node->asker);
    free(MOVE(node->leases));
}

struct node_lease *node_find(struct node *node, const struct lease_id *lease)
{
    for (size_t i = 0; i < node->lease_count; i++)
        if (memcmp(&node->leases[i].terms.lease, lease, sizeof *lease) == 0)
            return &node->leases[i];
    return NULL;
}

static bool runs(const struct node_lease *lease)
{
    return lease->state != LEASE_WIPING && !lease_is_final(lease->state);
}

size_t node_running(const struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->lease_count; i++)
        count += runs(&node->leases[i]);
    return count;
}

static bool is_banned(const struct node *node, const char *id)
{
    for (size_t i = 0; i < node->banned_count; i++)
        if (strcmp(node->banned[i], id) == 0)
            return true;
    return false;
}

static void end_lease(struct node *node, struct node_lease *lease, enum lease_cause cause)
{
    if (!runs(lease))
        return;
    lease->state = node->wipes_at_once ? LEASE_RECLAIMED : LEASE_WIPING;
    lease->cause = cause;
    lease->told = false;
    node->free_bytes += lease->terms.bytes;
}

static lethe_result reply(struct node *node, const struct link_frame *frame, uint64_t value,
                          struct lethe_error *err)
{
    return link_reply(node->asker.link, &frame->head, value, NULL, err);
}

static lethe_result on_grant(struct node *node, const struct link_frame *frame,
                             struct lethe_error *err)
{
    struct lethe_error why = {0};
    struct cursor cursor = frame->index;
    struct node_lease lease = {.state = LEASE_GRANTED};
    assert_ok(lease_terms_read(&cursor, &lease.terms, err), err);
    assert_string_equal(node->id, lease.terms.provider);
    assert_memory_equal(node->boot_id, lease.terms.boot_id, BOOT_ID_BYTES);
    bool fits = lease.terms.bytes <= node->free_bytes && node->lease_count < NODE_LEASES_MAX;
    if (!fits || node->refuses || is_banned(node, lease.terms.consumer)) {
        node->refusals++;
        error_set(&why, fits ? LETHE_DENIED : LETHE_NO_SPACE, "no room");
        return link_refuse(node->asker.link, &frame->head, &why, err);
    }
    node->grants++;
    node->free_bytes -= lease.terms.bytes;
    node->leases[node->lease_count++] = lease;
    return reply(node, frame, node->free_bytes, err);
}

static lethe_result on_stop(struct node *node, const struct link_frame *frame,
                            struct lethe_error *err)
{
    struct wire_stop stop;
    TRY(wire_stop_read(frame->index, &stop, err));
    struct node_lease *lease = node_find(node, &stop.lease);
    node->stops++;
    if (lease != NULL)
        end_lease(node, lease, stop.cause);
    return reply(node, frame, lease != NULL, err);
}

static lethe_result on_ban(struct node *node, const struct link_frame *frame,
                           struct lethe_error *err)
{
    struct wire_order order;
    TRY(wire_order_read(WIRE_BAN, frame->index, &order, err));
    if (!order.on) {
        node->unbanned_count++;
        for (size_t i = 0; i < node->banned_count; i++)
            if (strcmp(node->banned[i], order.name) == 0)
                node->banned[i][0] = '\0';
        return reply(node, frame, 0, err);
    }
    assert_true(node->banned_count < ARRAY_LEN(node->banned));
    strcpy(node->banned[node->banned_count++], order.name);
    for (size_t i = 0; i < node->lease_count; i++)
        if (strcmp(node->leases[i].terms.consumer, order.name) == 0)
            end_lease(node, &node->leases[i], LEASE_CAUSE_REVOKED);
    return reply(node, frame, 0, err);
}

static lethe_result on_request(struct asker *asker, const struct link_frame *frame,
                               struct lethe_error *err)
{
    struct node *node = (struct node *)asker; /* its first member */
    uint8_t draining;
    if (node->mute)
        return LETHE_OK;
    switch (frame->head.type) {
    case WIRE_GRANT:
        return on_grant(node, frame, err);
    case WIRE_STOP:
        return on_stop(node, frame, err);
    case WIRE_BAN:
        return on_ban(node, frame, err);
    default:
        assert_int_equal(WIRE_MAINTAIN, frame->head.type);
        TRY(wire_byte_read(frame->index, 1, &draining, err));
        node->draining = draining != 0;
        return reply(node, frame, 0, err);
    }
}

static lethe_result send_report(struct node *node, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    node->report.free_bytes = node->free_bytes;
    node->report.used_bytes = node->capacity_bytes - node->free_bytes;
    wire_report_write(&node->report, &index);
    return asker_ask(&node->asker, WIRE_REPORT, &index, err);
}

static void add_change(struct wire_report *report, const struct node_lease *lease)
{
    report->changes[report->count++] =
        (struct wire_change){lease->terms.lease, lease->terms.generation, lease->state,
                             lease->cause, lease_is_final(lease->state) ? 0 : lease->terms.ttl_ms};
}

/* Of all, or of those that were not told. Those that ended and were told are gone. */
static lethe_result report_leases(struct node *node, bool all, struct lethe_error *err)
{
    size_t places[WIRE_CHANGES_MAX];
    for (size_t at = 0;;) {
        node->report.count = 0;
        for (; at < node->lease_count && node->report.count < WIRE_CHANGES_MAX; at++) {
            if (node->leases[at].told && (!all || lease_is_final(node->leases[at].state)))
                continue;
            places[node->report.count] = at;
            add_change(&node->report, &node->leases[at]);
        }
        node->report.last = at == node->lease_count;
        struct wire_report sent = node->report;
        TRY(send_report(node, err));
        for (size_t i = 0; i < sent.count; i++) {
            struct node_lease *lease = &node->leases[places[i]];
            lease->told = lease->state == sent.changes[i].state;
        }
        if (sent.last)
            return LETHE_OK;
    }
}

lethe_result node_join(struct check *check, struct node *node, struct lethe_error *err)
{
    struct wire_join join = {.capacity_bytes = node->capacity_bytes,
                             .address = "127.0.0.1:7311",
                             .leases = (uint32_t)node->lease_count};
    CLEANUP(buffer_clear) struct buffer index = {0};
    asker_close(&node->asker);
    node->asker.on_request = on_request;
    node->banned_count = 0;
    asker_open(check, &node->asker, node->id, WIRE_PROVIDER);
    memcpy(join.boot_id, node->boot_id, sizeof join.boot_id);
    wire_join_write(&join, &index);
    TRY(asker_ask(&node->asker, WIRE_JOIN, &index, err));
    return report_leases(node, true, err);
}

lethe_result node_report(struct node *node, struct lethe_error *err)
{
    return report_leases(node, false, err);
}

lethe_result node_report_one(struct node *node, const struct wire_change *change,
                             struct lethe_error *err)
{
    node->report.count = 1;
    node->report.changes[0] = *change;
    return send_report(node, err);
}
