/* Waiting for a provider to have wiped.
 *
 * That may take longer than an answer may: who waits asks now and then for something that any
 * provider answers at once, if only by a refusal. One that does not is given up by
 * client_remote_tick(). */
#include "base/error.h"
#include "pool/client_calls.h"

static struct client_pending *awaited(const struct client_remote *remote)
{
    struct client_pending *pending;
    STAILQ_FOREACH(pending, &remote->later, next)
    if (pending->call != NULL)
        break;
    return pending;
}

/* The wiping goes on. */
static void give_up_waiting(struct client_remote *remote, struct client_pending *pending)
{
    struct lethe_error why = {0};
    struct client_call *call = pending->call;
    error_set(&why, LETHE_UNAVAILABLE, "%s has not said in time that the lease is wiped",
              remote->provider);
    pending->call = NULL;
    client_call_fail(call, &why);
    client_call_answered(call);
}

void client_remote_look(struct client_remote *remote)
{
    uint64_t now_ms = client_now_ms(remote->worker);
    struct client_pending *pending = awaited(remote);
    if (pending == NULL || !remote->is_open)
        return;
    if (now_ms > pending->since_ms + CLIENT_RELEASE_MAX_MS)
        give_up_waiting(remote, pending);
    else if (STAILQ_EMPTY(&remote->pendings) &&
             now_ms > remote->answered_ms + remote->worker->pool->timeout_ms / 4)
        (void)client_send(remote,
                          &(struct client_request){.type = WIRE_RENEW, .channel = pending->channel},
                          NULL);
}
