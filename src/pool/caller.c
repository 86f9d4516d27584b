#include "pool/caller.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "pool/link.h"

#define TIMEOUT_MS 30000u
#define NS_PER_MS 1000000u
#define DROP_MAX_MS 3600000u

struct caller {
    char *address, *control_id;
    struct tls_context *tls;
    enum wire_role role;
    uint64_t timeout_ms;
    struct loop *loop;
    struct link *link;         /* NULL: none */
    bool is_greeted;           /* HELLO was answered */
    struct lethe_error why;    /* the link ended */
    struct wire_head question; /* the last; 0: none */
    bool is_answered;
    uint64_t until_ns; /* an answer is waited for */
    /* While a lease is wiped: its id, NULL otherwise; when to ask whether anybody is there, and
     * that question, until it is answered; and the end of all patience. */
    const struct buffer *dropped;
    uint64_t look_ns, looks, last_ns;
    struct wire_head answer;
    struct buffer index, data;
};

/* ---- what the link says ----------------------------------------------------------------------
 */

static lethe_result has_opened(void *context, struct link *link, const struct spiffe_id *peer,
                               struct lethe_error *err)
{
    return link_hello(link, err);
}

static lethe_result place_data(void *context, struct link *link, const struct link_frame *frame,
                               struct iovec *pieces, size_t *count, struct lethe_error *err)
{
    struct caller *caller = context;
    buffer_clear(&caller->data);
    char *room = buffer_extend(&caller->data, frame->head.data_bytes);
    if (room == NULL)
        return buffer_result(&caller->data, err);
    pieces[0] = (struct iovec){room, frame->head.data_bytes};
    *count = 1;
    return LETHE_OK;
}

/* Patience begins anew. */
static void heard_of_it(struct caller *caller)
{
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    caller->looks = 0;
    caller->until_ns = MIN(now_ns + caller->timeout_ms * NS_PER_MS, caller->last_ns);
    caller->look_ns = now_ns + caller->timeout_ms * NS_PER_MS / 4;
}

static lethe_result has_answered(void *context, struct link *link, const struct link_frame *frame,
                                 lethe_result refused, struct lethe_error *err)
{
    struct caller *caller = context;
    if (frame->head.type == (WIRE_HELLO | WIRE_REPLY) && !caller->is_greeted) {
        caller->is_greeted = true;
        return wire_refusal_read(&frame->head, frame->index, err);
    }
    if (caller->looks != 0 && frame->head.request == caller->looks &&
        frame->head.type == (WIRE_TOKEN | WIRE_REPLY)) {
        heard_of_it(caller);
        return LETHE_OK;
    }
    if (caller->is_answered || frame->head.request != caller->question.request ||
        frame->head.type != (caller->question.type | WIRE_REPLY))
        return error_set(err, LETHE_MALFORMED, "%s came, which was not asked for",
                         wire_type_name(frame->head.type));
    if (refused != LETHE_OK)
        return error_set(err, refused, "no memory for the answer");
    caller->is_answered = true;
    caller->answer = frame->head;
    buffer_append(&caller->index, frame->index.at, cursor_left(&frame->index));
    return buffer_result(&caller->index, err);
}

static void has_ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct caller *caller = context;
    caller->why = *why;
    caller->link = NULL;
    link_free(link);
}

/* ---- a connection ----------------------------------------------------------------------------
 */

static void hang_up(struct caller *caller)
{
    link_free(MOVE(caller->link));
    caller->is_greeted = false;
}

static lethe_result dial(struct caller *caller, struct lethe_error *err)
{
    const struct link_options options = {
        .loop = caller->loop,
        .tls = caller->tls,
        .self = caller->role,
        .peer = WIRE_CONTROL,
        .events = {has_opened, place_data, has_answered, has_ended, caller},
    };
    caller->is_greeted = false;
    caller->looks = 0;
    caller->question = (struct wire_head){0}; /* it was another link's */
    return link_dial(&options, caller->address, caller->control_id, &caller->link, err);
}

static lethe_result too_late(const struct caller *caller, struct lethe_error *err)
{
    return error_set(err, LETHE_UNAVAILABLE, "no answer within %llu ms",
                     (unsigned long long)caller->timeout_ms);
}

/* DROP was asked on this link, and nothing else since. */
static bool may_look(const struct caller *caller)
{
    return caller->dropped != NULL && caller->question.type == WIRE_DROP && caller->looks == 0;
}

/* A control plane that waits for a lease to be wiped answers other questions meanwhile: a token of
 * that lease is asked for, and whatever comes is a sign of life. */
static lethe_result look(struct caller *caller, uint64_t now_ns, struct lethe_error *err)
{
    if (!may_look(caller) || now_ns < caller->look_ns)
        return LETHE_OK;
    const struct wire_head head = {.type = WIRE_TOKEN, .request = link_next_request(caller->link)};
    caller->looks = head.request;
    return link_send(caller->link, &head, caller->dropped, NULL, err);
}

static uint64_t wait_ms(const struct caller *caller, uint64_t now_ns)
{
    uint64_t until_ns = caller->until_ns;
    if (may_look(caller))
        until_ns = MIN(until_ns, MAX(caller->look_ns, now_ns));
    return (until_ns - now_ns) / NS_PER_MS + 1;
}

/* Until *is_there, or the link has ended. A reply that comes too late must not be taken for the
 * next one's: the link goes with it. */
static lethe_result wait_for(struct caller *caller, const bool *is_there, struct lethe_error *err)
{
    while (!*is_there) {
        uint64_t now_ns = clock_monotonic_ns(&clock_system);
        if (caller->link == NULL)
            return error_set(err, caller->why.code, "%s", caller->why.text);
        if (now_ns >= caller->until_ns) {
            hang_up(caller);
            return too_late(caller, err);
        }
        TRY(look(caller, now_ns, err));
        TRY(loop_turn(caller->loop, wait_ms(caller, now_ns), err));
    }
    return LETHE_OK;
}

static lethe_result try_once(struct caller *caller, enum wire_type type, const struct buffer *index,
                             struct lethe_error *err)
{
    if (caller->link == NULL)
        TRY(dial(caller, err));
    TRY(wait_for(caller, &caller->is_greeted, err));
    if (caller->link == NULL)
        return error_set(err, caller->why.code, "%s", caller->why.text);
    caller->question =
        (struct wire_head){.type = (uint8_t)type, .request = link_next_request(caller->link)};
    caller->is_answered = false;
    TRY(link_send(caller->link, &caller->question, index, NULL, err));
    return wait_for(caller, &caller->is_answered, err);
}

/* ---- questions -------------------------------------------------------------------------------
 */

static void forget_answer(struct caller *caller)
{
    caller->question = (struct wire_head){0};
    buffer_clear(&caller->index);
    buffer_clear(&caller->data);
}

/* That the other side ended a connection which was kept shows when it is looked at, or used. */
static lethe_result exchange(struct caller *caller, enum wire_type type, const struct buffer *index,
                             struct lethe_error *err)
{
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    caller->until_ns = now_ns + caller->timeout_ms * NS_PER_MS;
    caller->look_ns = now_ns + caller->timeout_ms * NS_PER_MS / 4;
    caller->last_ns = now_ns + MAX(caller->timeout_ms, DROP_MAX_MS) * NS_PER_MS;
    TRY(loop_turn(caller->loop, 0, err));
    bool was_kept = caller->link != NULL;
    lethe_result result = try_once(caller, type, index, err);
    if (was_kept && result == LETHE_UNAVAILABLE && caller->link == NULL &&
        clock_monotonic_ns(&clock_system) < caller->until_ns)
        result = try_once(caller, type, index, err);
    return error_context(err, result, "the control plane at %s", caller->address);
}

/* Of a buffer that nothing was appended to, too. */
static struct cursor over(const struct buffer *buffer)
{
    return cursor_over(buffer->bytes != NULL ? buffer->bytes : "", buffer->size_bytes);
}

lethe_result caller_ask(struct caller *caller, enum wire_type type, const struct buffer *index,
                        struct caller_reply *out, struct lethe_error *err)
{
    forget_answer(caller);
    TRY(exchange(caller, type, index, err));
    *out = (struct caller_reply){
        .head = caller->answer,
        .index = over(&caller->index),
        .data = over(&caller->data),
    };
    return wire_refusal_read(&out->head, out->index, err);
}

lethe_result caller_drop(struct caller *caller, const struct lease_id *lease,
                         struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct caller_reply reply;
    wire_lease_write(lease, &index);
    TRY(buffer_result(&index, err));
    caller->dropped = &index;
    lethe_result result = caller_ask(caller, WIRE_DROP, &index, &reply, err);
    caller->dropped = NULL;
    return result;
}

/* ---- making ----------------------------------------------------------------------------------
 */

lethe_result caller_open(const struct caller_options *options, struct caller **out,
                         struct lethe_error *err)
{
    CLEANUP(caller_close) struct caller *caller = calloc(1, sizeof *caller);
    struct spiffe_id id;
    if (caller == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    TRY(spiffe_read(options->control_id, strlen(options->control_id), &id, err));
    caller->address = strdup(options->address);
    caller->control_id = strdup(id.text);
    if (caller->address == NULL || caller->control_id == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    caller->tls = tls_context_share(options->tls);
    caller->role = options->role;
    caller->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    TRY(loop_create(&caller->loop, err));
    *out = MOVE(caller);
    return LETHE_OK;
}

void caller_close(struct caller *caller)
{
    if (caller == NULL)
        return;
    hang_up(caller);
    forget_answer(caller);
    loop_free(caller->loop);
    tls_context_free(caller->tls);
    free(caller->address);
    free(caller->control_id);
    free(caller);
}
