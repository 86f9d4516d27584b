/* What doors are told: whether the keeper is sealed, whom to believe, and their own certificate. */
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "service/authority.h"
#include "service/cert_auths.h"
#include "service/core_core.h"

void settings_ready(struct core *core, struct core_peer *peer)
{
    struct wire_frame frame = {.kind = WIRE_READY, .code = core->service->keeper == NULL ? 1 : 0};
    wire_put(&peer->wire, &frame);
}

static lethe_result digest_view(struct service *service, uint8_t out[32], struct lethe_error *err)
{
    struct authority_view view;
    CLEANUP(buffer_clear) struct buffer both = {0};
    TRY(authority_view(service->authority, AUTHORITY_IDENTITIES, &view, err));
    buffer_prefixed(&both, view.roots, view.roots_bytes);
    buffer_prefixed(&both, view.crls, view.crls_bytes);
    TRY(cert_auth_roots(service, &both, err));
    TRY(buffer_result(&both, err));
    sha256(both.bytes, both.size_bytes, out);
    return LETHE_OK;
}

/* When the chain's first certificate begins to be good, and when two thirds of its life are over;
 * 0: there is none. */
static void note_life(const struct buffer *chain_pem, struct peer_state *state)
{
    CLEANUP(buffer_clear) struct buffer chain = {0};
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    uint32_t size_bytes;
    state->from_s = state->renew_s = 0;
    if (chain_pem->size_bytes == 0 ||
        x509_pem_read(X509_PEM_CERTIFICATE, chain_pem->bytes, chain_pem->size_bytes, &chain,
                      NULL) != LETHE_OK)
        return;
    struct cursor cursor = cursor_over(chain.bytes, chain.size_bytes);
    const uint8_t *der;
    if (cursor_le32(&cursor, &size_bytes) != LETHE_OK ||
        cursor_bytes(&cursor, size_bytes, &der) != LETHE_OK ||
        x509_read(der, size_bytes, &leaf, NULL) != LETHE_OK ||
        leaf.not_after_s <= leaf.not_before_s)
        return;
    state->from_s = leaf.not_before_s;
    state->renew_s = leaf.not_before_s + (leaf.not_after_s - leaf.not_before_s) / 3 * 2;
}

static struct wire_part part_of(const struct buffer *buffer)
{
    return (struct wire_part){(const uint8_t *)buffer->bytes, buffer->size_bytes};
}

/* Entries for logging in have authorities of their own. */
static lethe_result add_entries(struct service *service, struct buffer *pem,
                                struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer roots = {0};
    const uint8_t *der;
    uint32_t size_bytes;
    TRY(cert_auth_roots(service, &roots, err));
    struct cursor cursor = cursor_over(roots.bytes, roots.size_bytes);
    while (cursor_le32(&cursor, &size_bytes) == LETHE_OK &&
           cursor_bytes(&cursor, size_bytes, &der) == LETHE_OK)
        x509_pem_append(X509_PEM_CERTIFICATE, der, size_bytes, pem);
    return buffer_result(pem, err);
}

static lethe_result tell(struct core *core, struct peer_state *state, struct lethe_error *err)
{
    static const char *const no_names[] = {NULL};
    struct authority *authority = core->service->authority;
    CLEANUP(buffer_clear) struct buffer chain = {0}, roots = {0}, crls = {0};
    TRY(authority_door(authority, state->request.bytes, state->request.size_bytes,
                       core->door_names == NULL ? no_names : core->door_names, &chain, &roots,
                       &crls, err));
    TRY(add_entries(core->service, &roots, err));
    TRY(digest_view(core->service, state->told, err));
    struct wire_frame frame = {.kind = WIRE_SETTINGS,
                               .parts = {part_of(&chain), part_of(&roots), part_of(&crls)}};
    note_life(&chain, state);
    wire_put(&state->peer->wire, &frame);
    return LETHE_OK;
}

/* A door that cannot be given a certificate waits for the next change, or the next second. */
void settings_tell(struct core *core, struct peer_state *state)
{
    if (core->service->authority == NULL || !state->has_said_hello)
        return;
    if (tell(core, state, NULL) != LETHE_OK)
        core->settings_stale = true;
}

static bool is_told(struct core *core, const struct peer_state *state)
{
    uint8_t now[32];
    uint64_t now_s = core_now_s(core);
    bool is_due = state->renew_s != 0 && (now_s >= state->renew_s || now_s < state->from_s);
    return !is_due && digest_view(core->service, now, NULL) == LETHE_OK &&
           memcmp(now, state->told, sizeof now) == 0;
}

void settings_tell_all(struct core *core, bool only_if_changed)
{
    core->settings_stale = false;
    if (core->service->authority == NULL)
        return;
    for (size_t i = 0; i < CORE_PEERS_MAX; i++) {
        struct peer_state *state = &core->peers[i];
        if (state->peer != NULL && state->has_said_hello &&
            !(only_if_changed && is_told(core, state)))
            settings_tell(core, state);
    }
}
