#include "small_control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "pool/link_core.h"
#include "terms.h"

#define LEASES 256u

struct caller_link {
    LIST_ENTRY(caller_link) next;
    struct small_control *control;
    struct link *link;
    int fd;
    struct spiffe_id peer;
};
struct placed {
    struct lease_terms terms;
    struct hostile *at;
};
struct small_control {
    pthread_mutex_t lock;
    pthread_t thread;
    struct loop *loop;
    struct loop_watch *watch;
    int fd;
    char address[32];
    struct tls_context *tls;
    struct hostile **providers;
    size_t count;
    struct terms_signer signer;
    LIST_HEAD(, caller_link) links;
    bool is_bunched;
    struct placed leases[LEASES];
    size_t lease_count;
    bool is_unplugged;
    lethe_result refusal;
    uint64_t life_ms;
    struct small_control_lie lie;
    enum small_control_way way;
    unsigned odd; /* answers that were not honest */
    struct small_control_counters counters;
};

/* ---- leases ---------------------------------------------------------------------------------- */

static struct placed *find(struct small_control *control, const struct lease_id *id)
{
    for (size_t i = 0; i < control->lease_count; i++)
        if (memcmp(&control->leases[i].terms.lease, id, sizeof *id) == 0)
            return &control->leases[i];
    return NULL;
}

static void new_token(struct small_control *control, struct lease_terms *terms, struct buffer *out)
{
    const struct small_control_lie *lie = &control->lie;
    terms->life_ms = control->life_ms != 0 ? control->life_ms : 3600000;
    REQUIRE(random_fill(&random_system, terms->nonce, sizeof terms->nonce) == LETHE_OK);
    struct lease_terms said = *terms;
    if (lie->terms != NULL)
        lie->terms(lie->context, &said);
    const struct audit_signer *signer = lie->signer != NULL ? lie->signer : &control->signer.signer;
    REQUIRE(token_sign(&said, signer, out, NULL) == LETHE_OK);
}

static struct placed *place(struct small_control *control, const struct wire_allocate *wanted,
                            struct hostile *at, const char *consumer)
{
    REQUIRE(control->lease_count < LEASES);
    struct placed *placed = &control->leases[control->lease_count++];
    placed->at = at;
    placed->terms = (struct lease_terms){.generation = control->lease_count,
                                         .bytes = wanted->bytes,
                                         .block_bytes = wanted->block_bytes,
                                         .ttl_ms = wanted->ttl_ms,
                                         .life_ms = 3600000,
                                         .issued_ms = clock_wall_ns(&clock_system) / 1000000,
                                         .tenant = "acme"};
    REQUIRE(random_fill(&random_system, &placed->terms.lease, sizeof placed->terms.lease) ==
            LETHE_OK);
    memcpy(placed->terms.boot_id, hostile_boot_id(at), BOOT_ID_BYTES);
    snprintf(placed->terms.consumer, sizeof placed->terms.consumer, "%s", consumer);
    snprintf(placed->terms.provider, sizeof placed->terms.provider, "%s", hostile_identity(at));
    hostile_grant(at, &placed->terms);
    return placed;
}

static lethe_result allocate(struct caller_link *caller, struct cursor index, struct buffer *out,
                             struct lethe_error *err)
{
    struct small_control *control = caller->control;
    struct wire_allocate wanted;
    TRY(wire_allocate_read(index, &wanted, err));
    if (wanted.copies > control->count)
        return error_set(err, LETHE_NO_SPACE, "not so many providers");
    struct wire_allocated *allocated = calloc(1, sizeof *allocated);
    allocated->count = wanted.copies;
    for (size_t i = 0; i < wanted.copies; i++) {
        CLEANUP(buffer_clear) struct buffer token = {0};
        struct placed *placed = place(
            control, &wanted, control->providers[control->is_bunched ? 0 : i], caller->peer.text);
        struct wire_placed *copy = &allocated->copies[i];
        new_token(control, &placed->terms, &token);
        copy->lease = placed->terms.lease;
        memcpy(copy->token, token.bytes, token.size_bytes);
        copy->token_bytes = token.size_bytes;
        snprintf(copy->provider, sizeof copy->provider, "%s", placed->terms.provider);
        snprintf(copy->address, sizeof copy->address, "%s", hostile_address(placed->at));
    }
    if (control->lie.placed != NULL)
        control->lie.placed(control->lie.context, allocated);
    wire_allocated_write(allocated, out);
    free(allocated);
    control->counters.allocated++;
    return LETHE_OK;
}

static lethe_result token(struct caller_link *caller, struct cursor index, struct buffer *out,
                          struct lethe_error *err)
{
    struct lease_id id;
    TRY(wire_lease_read(index, &id, err));
    struct placed *placed = find(caller->control, &id);
    if (placed == NULL || strcmp(placed->terms.consumer, caller->peer.text) != 0)
        return error_set(err, LETHE_NOT_FOUND, "no such lease");
    new_token(caller->control, &placed->terms, out);
    caller->control->counters.tokens++;
    return LETHE_OK;
}

static lethe_result drop(struct caller_link *caller, struct cursor index, struct buffer *out,
                         struct lethe_error *err)
{
    struct lease_id id;
    TRY(wire_lease_read(index, &id, err));
    struct placed *placed = find(caller->control, &id);
    if (placed == NULL || !hostile_end(placed->at, &id, LEASE_CAUSE_RELEASED))
        return error_set(err, LETHE_NOT_FOUND, "no such lease");
    caller->control->counters.dropped++;
    return LETHE_OK;
}

/* ---- links ----------------------------------------------------------------------------------- */

static const struct {
    enum wire_type type;
    lethe_result (*answer)(struct caller_link *caller, struct cursor index, struct buffer *out,
                           struct lethe_error *err);
} kinds[] = {{WIRE_ALLOCATE, allocate}, {WIRE_TOKEN, token}, {WIRE_DROP, drop}};

static lethe_result answer(struct caller_link *caller, const struct link_frame *frame,
                           struct buffer *out, struct lethe_error *err)
{
    caller->control->counters.asked++;
    if (caller->control->refusal != LETHE_OK)
        return error_set(err, caller->control->refusal, "as the test wants it");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].type == (enum wire_type)frame->head.type)
            return kinds[i].answer(caller, frame->index, out, err);
    return error_set(err, LETHE_INVALID, "not here");
}

/* What an honest link never sends goes into its outbox behind its back. */
static lethe_result send_raw(struct caller_link *caller, struct wire_head head,
                             const struct buffer *index)
{
    struct link *link = caller->link;
    if (wire_is_reply(&head) && wire_answered_later(head.type) && link->in.unanswered_later > 0)
        link->in.unanswered_later--;
    loop_post(caller->control->loop, &link->turn);
    return outbox_add(&link->out, &head, index, NULL, NULL);
}

static lethe_result answer_oddly(struct caller_link *caller, struct wire_head head,
                                 struct buffer *index, struct lethe_error *err)
{
    unsigned odd = caller->control->odd++;
    switch (caller->control->way) {
    case ANSWER_NEVER:
        return LETHE_OK;
    case ANSWER_TWICE:
        (void)!send_raw(caller, head, index);
        break;
    case ANSWER_OTHER_NUMBER:
        head.request += odd % 2 == 0 ? 1 : UINT64_MAX / 2;
        break;
    case ANSWER_OTHER_TYPE:
        head.type = WIRE_TOKEN | WIRE_REPLY;
        break;
    case ANSWER_CUT:
        return error_set(err, LETHE_UNAVAILABLE, "as the test wants it");
    case ANSWER_SHORTER:
        index->size_bytes = odd * 7 % MAX(index->size_bytes, 1u);
        break;
    case ANSWER_LONGER:
        buffer_byte(index, 0);
        break;
    case ANSWER_NOISE:
        (void)!random_fill(&random_system, index->bytes, index->size_bytes);
        break;
    case ANSWER_ORDER:
        head.type = WIRE_MAINTAIN;
        break;
    case ANSWER_NOTICE:
        head = (struct wire_head){.type = WIRE_OVER, .channel = 1, .value = LEASE_CAUSE_REVOKED};
        index->size_bytes = 0;
        break;
    default:
        head.code = UINT16_MAX;
        index->size_bytes = 0;
    }
    return send_raw(caller, head, index);
}

static lethe_result opened(void *context, struct link *link, const struct spiffe_id *peer,
                           struct lethe_error *err)
{
    ((struct caller_link *)context)->peer = *peer;
    return LETHE_OK;
}

static lethe_result arrived(void *context, struct link *link, const struct link_frame *frame,
                            lethe_result refused, struct lethe_error *err)
{
    struct caller_link *caller = context;
    struct lethe_error why = {0};
    CLEANUP(buffer_clear) struct buffer index = {0};
    if (frame->head.type == WIRE_HELLO)
        return link_welcome(link, frame, WIRE_BY_CONSUMER, NULL, err);
    pthread_mutex_lock(&caller->control->lock);
    lethe_result result = answer(caller, frame, &index, &why);
    bool is_odd = caller->control->way != ANSWER_HONESTLY;
    const struct wire_head head = {.type = (uint8_t)(frame->head.type | WIRE_REPLY),
                                   .request = frame->head.request};
    lethe_result oddly = is_odd ? answer_oddly(caller, head, &index, err) : LETHE_OK;
    pthread_mutex_unlock(&caller->control->lock);
    if (is_odd)
        return oddly;
    if (result != LETHE_OK)
        return link_refuse(link, &frame->head, &why, err);
    return link_send(link, &head, &index, NULL, err);
}

static void caller_link_free(struct caller_link *caller)
{
    LIST_REMOVE(caller, next);
    link_free(caller->link);
    fd_close(caller->fd);
    free(caller);
}

static void ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct caller_link *caller = context;
    struct small_control *control = caller->control;
    pthread_mutex_lock(&control->lock);
    caller_link_free(caller);
    pthread_mutex_unlock(&control->lock);
}

static void take(struct small_control *control, int fd)
{
    struct caller_link *caller = calloc(1, sizeof *caller);
    caller->control = control;
    caller->fd = dup(fd);
    const struct link_options options = {
        .loop = control->loop,
        .tls = control->tls,
        .self = WIRE_CONTROL,
        .peer = WIRE_UNKNOWN,
        .events = {.opened = opened, .frame = arrived, .ended = ended, .context = caller}};
    REQUIRE(link_accept(&options, fd, &caller->link, NULL) == LETHE_OK);
    LIST_INSERT_HEAD(&control->links, caller, next);
}

static void somebody_dials(void *context, unsigned events)
{
    struct small_control *control = context;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    pthread_mutex_lock(&control->lock);
    if (control->is_unplugged)
        close(fd);
    else
        take(control, fd);
    pthread_mutex_unlock(&control->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void *run(void *context)
{
    REQUIRE(loop_run(((struct small_control *)context)->loop, NULL) == LETHE_OK);
    return NULL;
}

struct small_control *small_control_start(struct tls_context *tls, struct hostile **providers,
                                          size_t count)
{
    struct small_control *control = calloc(1, sizeof *control);
    REQUIRE(control != NULL);
    pthread_mutex_init(&control->lock, NULL);
    LIST_INIT(&control->links);
    control->tls = tls;
    control->providers = providers;
    control->count = count;
    terms_signer_make("control", &control->signer);
    for (size_t i = 0; i < count; i++)
        hostile_trust(providers[i], &control->signer.signer.key);
    control->fd = hostile_listen(control->address);
    REQUIRE(loop_create(&control->loop, NULL) == LETHE_OK);
    REQUIRE(loop_watch(control->loop, control->fd, LOOP_READ, somebody_dials, control,
                       &control->watch, NULL) == LETHE_OK);
    REQUIRE(pthread_create(&control->thread, NULL, run, control) == 0);
    return control;
}

void small_control_stop(struct small_control *control)
{
    loop_stop(control->loop);
    pthread_join(control->thread, NULL);
    while (!LIST_EMPTY(&control->links))
        caller_link_free(LIST_FIRST(&control->links));
    loop_watch_free(control->watch);
    loop_free(control->loop);
    fd_close(control->fd);
    terms_signer_free(&control->signer);
    pthread_mutex_destroy(&control->lock);
    free(control);
}

const char *small_control_address(const struct small_control *control)
{
    return control->address;
}

void small_control_unplug(struct small_control *control, bool unplugged)
{
    struct caller_link *caller;
    pthread_mutex_lock(&control->lock);
    control->is_unplugged = unplugged;
    LIST_FOREACH(caller, &control->links, next)
    if (unplugged)
        (void)shutdown(caller->fd, SHUT_RDWR);
    pthread_mutex_unlock(&control->lock);
}

void small_control_refuse(struct small_control *control, lethe_result result)
{
    pthread_mutex_lock(&control->lock);
    control->refusal = result;
    pthread_mutex_unlock(&control->lock);
}

const char *small_control_way_name(enum small_control_way way)
{
    static const char *const names[] = {
#define SMALL_CONTROL_WAY_NAME(name) [ANSWER_##name] = #name,
        SMALL_CONTROL_WAYS(SMALL_CONTROL_WAY_NAME)
#undef SMALL_CONTROL_WAY_NAME
    };
    return names[way];
}

void small_control_answer(struct small_control *control, enum small_control_way way)
{
    pthread_mutex_lock(&control->lock);
    control->way = way;
    pthread_mutex_unlock(&control->lock);
}

void small_control_lie(struct small_control *control, const struct small_control_lie *lie)
{
    pthread_mutex_lock(&control->lock);
    control->lie = lie != NULL ? *lie : (struct small_control_lie){0};
    pthread_mutex_unlock(&control->lock);
}

void small_control_bunch(struct small_control *control, bool bunched)
{
    pthread_mutex_lock(&control->lock);
    control->is_bunched = bunched;
    pthread_mutex_unlock(&control->lock);
}

void small_control_life(struct small_control *control, uint64_t life_ms)
{
    pthread_mutex_lock(&control->lock);
    control->life_ms = life_ms;
    pthread_mutex_unlock(&control->lock);
}

void small_control_count(struct small_control *control, struct small_control_counters *out)
{
    pthread_mutex_lock(&control->lock);
    *out = control->counters;
    pthread_mutex_unlock(&control->lock);
}
