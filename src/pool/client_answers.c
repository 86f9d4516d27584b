/* What a provider answered, or will not answer any more, by the type of the question. */
#include "base/error.h"
#include "pool/client_calls.h"

/* After these the lease is not there any more. */
static bool is_final(lethe_result code)
{
    static const lethe_result finals[] = {LETHE_LOST, LETHE_REVOKED, LETHE_NOT_FOUND, LETHE_DENIED};
    for (size_t i = 0; i < ARRAY_LEN(finals); i++)
        if (code == finals[i])
            return true;
    return false;
}

/* `why` NULL: it was answered as it should. */
struct answer {
    struct client_remote *remote;
    struct client_pending *pending;
    const struct link_frame *frame;
    const struct lethe_error *why;
    bool was_refused; /* by the provider, not by the network */
};

static void hello_answered(const struct answer *answer)
{
}

static void attach_answered(const struct answer *answer)
{
    if (answer->why == NULL)
        client_copy_attached(answer->pending->copy, answer->frame);
    else if (answer->was_refused)
        client_copy_refused(answer->pending->copy, answer->why);
}

static void lose_where_final(const struct answer *answer)
{
    if (answer->was_refused && is_final(answer->why->code))
        client_copy_lose(answer->pending->copy, answer->why);
}

static void read_answered(const struct answer *answer)
{
    struct client_pending *pending = answer->pending;
    struct lethe_pool_lease *lease = pending->frame->lease;
    lose_where_final(answer);
    if (answer->was_refused == false && answer->why == NULL)
        lease->progress_ms = client_now_ms(lease->worker);
    client_read_answered(pending->frame, pending->copy,
                         answer->why == NULL ? answer->frame->index.at : NULL, answer->why);
    client_lease_moved(lease);
}

static void write_answered(const struct answer *answer)
{
    struct client_pending *pending = answer->pending;
    struct lethe_pool_lease *lease = pending->frame->lease;
    lose_where_final(answer);
    if (answer->why == NULL)
        lease->progress_ms = client_now_ms(lease->worker);
    client_write_answered(pending->frame, pending->copy, answer->why);
    client_lease_moved(lease);
}

static void renew_answered(const struct answer *answer)
{
    struct client_copy *copy = answer->pending->copy;
    struct client_call *call = answer->pending->call;
    if (answer->why == NULL)
        client_copy_renewed(copy, answer->frame->head.value);
    lose_where_final(answer);
    if (call == NULL)
        return;
    if (answer->why != NULL)
        client_call_fail(call, copy->state == COPY_LOST ? &copy->why : answer->why);
    else
        call->left_ms = MIN(call->left_ms, answer->frame->head.value);
    client_call_answered(call);
}

static void release_answered(const struct answer *answer)
{
    struct client_call *call = answer->pending->call;
    if (call == NULL)
        return;
    if (answer->why != NULL && !answer->was_refused) { /* perhaps the control plane reaches it */
        client_job_start(answer->pending->copy, WIRE_DROP, call);
        return;
    }
    if (answer->why != NULL && !is_final(answer->why->code))
        client_call_fail(call, answer->why);
    client_call_answered(call);
}

static const struct {
    enum wire_type type;
    void (*answered)(const struct answer *answer);
    bool is_bulk; /* a refusal that is not final ends the connection: it would come again at once */
} kinds[] = {
    {WIRE_HELLO, hello_answered, false}, {WIRE_ATTACH, attach_answered, false},
    {WIRE_READ, read_answered, true},    {WIRE_WRITE, write_answered, true},
    {WIRE_RENEW, renew_answered, false}, {WIRE_RELEASE, release_answered, false},
};

static bool handle(const struct answer *answer)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].type == answer->pending->type) {
            if (answer->pending->copy != NULL)
                kinds[i].answered(answer);
            return kinds[i].is_bulk;
        }
    return false;
}

lethe_result client_take_answer(struct client_remote *remote, struct client_pending *pending,
                                const struct link_frame *frame, struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result code = wire_refusal_read(&frame->head, frame->index, &why);
    if (code == LETHE_MALFORMED && frame->head.code == 0)
        return code;
    struct answer answer = {.remote = remote, .pending = pending, .frame = frame};
    if (code != LETHE_OK) {
        answer.why = &why;
        answer.was_refused = true;
    }
    bool is_bulk = handle(&answer);
    if (!is_bulk || code == LETHE_OK || is_final(code))
        return LETHE_OK;
    return error_set(err, LETHE_UNAVAILABLE, "the provider refused: %.300s", why.text);
}

void client_unanswered(struct client_remote *remote, struct client_pending *pending,
                       const struct lethe_error *why)
{
    (void)handle(&(struct answer){.remote = remote, .pending = pending, .why = why});
}
