/* Nonces that were given out: single use, for one identity, for a minute. */
#include <string.h>

#include "base/error.h"
#include "service/attested_core.h"

static bool is_live(const struct challenge *challenge, uint64_t now_s)
{
    /* A clock that was set back must not make a nonce live longer. */
    return challenge->until_s > now_s && challenge->until_s <= now_s + CHALLENGE_S;
}

/* A free slot, or one of its own; NULL: all are somebody else's. */
static struct challenge *slot_for(struct attested *attested, const char *identity, uint64_t now_s)
{
    struct challenge *unused = NULL, *oldest = NULL;
    size_t own = 0;
    for (size_t i = 0; i < CHALLENGES_MAX; i++) {
        struct challenge *at = &attested->challenges[i];
        if (!is_live(at, now_s)) {
            unused = at;
        } else if (strcmp(at->identity, identity) == 0) {
            own++;
            if (oldest == NULL || at->order < oldest->order)
                oldest = at;
        }
    }
    return own >= CHALLENGES_OF_ONE_MAX || unused == NULL ? oldest : unused;
}

lethe_result challenges_draw(struct attested *attested, const char *identity, uint64_t now_s,
                             uint8_t out[CHALLENGE_BYTES], struct lethe_error *err)
{
    struct challenge *slot = slot_for(attested, identity, now_s);
    if (slot == NULL)
        return error_set(err, LETHE_BUSY, "%u challenges wait for an answer: try again in a minute",
                         CHALLENGES_MAX);
    *slot = (struct challenge){0};
    if (attested_random(attested, slot->nonce, sizeof slot->nonce) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness");
    slot->until_s = now_s + CHALLENGE_S;
    slot->order = attested->challenge_order++;
    strncpy(slot->identity, identity, sizeof slot->identity - 1);
    memcpy(out, slot->nonce, CHALLENGE_BYTES);
    return LETHE_OK;
}

static struct challenge *find(struct attested *attested, const uint8_t nonce[CHALLENGE_BYTES])
{
    for (size_t i = 0; i < CHALLENGES_MAX; i++) {
        struct challenge *at = &attested->challenges[i];
        if (at->until_s != 0 && memcmp(at->nonce, nonce, CHALLENGE_BYTES) == 0)
            return at;
    }
    return NULL;
}

size_t challenges_pending(const struct attested *attested, uint64_t now_s)
{
    size_t count = 0;
    for (size_t i = 0; i < CHALLENGES_MAX; i++)
        count += is_live(&attested->challenges[i], now_s);
    return count;
}

static lethe_result refuse(const char *code, const char **reason, struct lethe_error *err)
{
    *reason = code;
    return error_set(err, LETHE_DENIED, "%s: ask for a challenge, and answer it within %u seconds",
                     code, CHALLENGE_S);
}

lethe_result challenges_use(struct attested *attested, const char *identity,
                            const uint8_t nonce[CHALLENGE_BYTES], uint64_t now_s,
                            const char **reason, struct lethe_error *err)
{
    struct challenge *found = find(attested, nonce);
    if (found == NULL)
        return refuse("nonce_unknown", reason, err);
    if (strcmp(found->identity, identity) != 0)
        return refuse("nonce_foreign", reason, err);
    bool live = is_live(found, now_s);
    *found = (struct challenge){0};
    return live ? LETHE_OK : refuse("nonce_expired", reason, err);
}
