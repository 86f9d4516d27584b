/* What time brings about: providers that are silent are given up, and of what was lost nothing is
 * kept longer than it could still come back. */
#include <string.h>

#include "pool/control_core.h"

static void sweep_lease(struct control *control, struct pool_lease *lease, uint64_t now_ms)
{
    const struct pool_provider *provider = lease->provider;
    if (!lease->durable || lease->ending)
        return;
    bool is_older = memcmp(lease->boot_id, provider->row.boot_id, sizeof lease->boot_id) != 0;
    if (lease->state == LEASE_LOST) {
        /* Without a token it could not be renewed for so long. */
        if (now_ms - lease->lost_ms > control->limits.life_ms + lease->ttl_ms)
            lease_forget(control, lease);
    } else if (is_older || provider->row.lost) {
        lease_lose(control, lease, !is_older);
    }
}

/* It must be heard of, and answer what it is asked: reports alone would keep everybody waiting. */
static void sweep_link(struct control *control, struct pool_provider *provider, uint64_t now_ms)
{
    const struct control_peer *peer = provider->link;
    uint64_t since_ms;
    if (!provider_is_here(provider))
        return;
    if (now_ms - provider->heard_ms > control->limits.unreachable_ms)
        link_end(peer->link, LETHE_UNAVAILABLE, "the provider is silent");
    else if (peer_owes_since(peer, &since_ms) && now_ms - since_ms > control->limits.answer_ms)
        link_end(peer->link, LETHE_UNAVAILABLE, "the provider does not answer what it is asked");
}

static void sweep_provider(struct control *control, struct pool_provider *provider, uint64_t now_ms)
{
    struct pool_lease *next;
    sweep_link(control, provider, now_ms);
    bool is_silent = !provider_is_here(provider) && !provider->row.lost &&
                     now_ms - provider->heard_ms > control->limits.lost_after_ms;
    if (is_silent)
        provider_lose(control, provider, "it is silent");
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        sweep_lease(control, lease, now_ms);
    }
}

void control_sweep(struct control *control)
{
    uint64_t now_ms = loop_now_ms(control->loop);
    for (size_t i = 0; i < registry_provider_count(control->registry); i++)
        sweep_provider(control, registry_provider(control->registry, i), now_ms);
}
