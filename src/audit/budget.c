#include "audit/budget.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define IDENTITY_BYTES ((uint64_t)64 << 20)
#define INTERVAL_S 3600u
#define NS_PER_S 1000000000ull

lethe_result budget_create(struct budget *budget, const struct audit_limits *limits,
                           struct lethe_error *err)
{
    uint64_t interval_s =
        limits->identity_interval_s == 0 ? INTERVAL_S : limits->identity_interval_s;
    *budget = (struct budget){
        .bytes = limits->identity_bytes == 0 ? IDENTITY_BYTES : limits->identity_bytes,
        .interval_ns = MIN(interval_s, UINT64_MAX / 4 / NS_PER_S) * NS_PER_S,
        .all = calloc(BUDGET_IDENTITIES + 1, sizeof *budget->all),
    };
    TAILQ_INIT(&budget->by_use);
    return budget->all != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "a table of budgets");
}

void budget_clear(struct budget *budget)
{
    free(budget->all);
    *budget = (struct budget){0};
}

static uint64_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strnlen(text, AUDIT_TEXT_MAX);
}

uint64_t budget_weight(const struct audit_who *who, const struct audit_event *event)
{
    uint64_t bytes = BUDGET_RECORD_BYTES;
    bytes += text_bytes(who->actor) + text_bytes(who->tenant) + text_bytes(who->session);
    for (size_t i = 0; i < audit_kind_row(event->kind)->field_count; i++)
        bytes += text_bytes(event->values[i].text);
    return bytes;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* FNV-1a. Names that collide on purpose cost at most a walk over the whole table. */
static uint32_t hash_of(const char *name, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    return hash;
}

static struct identity **chain_of(struct budget *budget, uint32_t hash)
{
    return &budget->of_hash[hash % BUDGET_IDENTITIES];
}

static struct identity *find(struct budget *budget, const char *name, size_t length, uint32_t hash)
{
    struct identity *identity = *chain_of(budget, hash);
    while (identity != NULL && (identity->hash != hash || identity->length != length ||
                                memcmp(identity->name, name, length) != 0))
        identity = identity->next_of_hash;
    return identity;
}

static void forget(struct budget *budget, struct identity *identity)
{
    struct identity **link = chain_of(budget, identity->hash);
    while (*link != identity)
        link = &(*link)->next_of_hash;
    *link = identity->next_of_hash;
    TAILQ_REMOVE(&budget->by_use, identity, by_use);
}

static struct identity *newcomers(const struct budget *budget)
{
    return &budget->all[BUDGET_IDENTITIES];
}

/* A place for a new identity; NULL when all are in use. */
static struct identity *take_place(struct budget *budget, uint64_t now_ns)
{
    if (budget->used < BUDGET_IDENTITIES)
        return &budget->all[budget->used++];
    struct identity *oldest = TAILQ_LAST(&budget->by_use, identities);
    if (oldest->full_at_ns > now_ns || oldest->dropped > 0)
        return NULL;
    forget(budget, oldest);
    return oldest;
}

static struct identity *add(struct budget *budget, const char *name, size_t length, uint64_t now_ns)
{
    struct identity *identity = take_place(budget, now_ns);
    if (identity == NULL)
        return newcomers(budget);
    uint32_t hash = hash_of(name, length);
    struct identity **chain = chain_of(budget, hash);
    identity->next_of_hash = *chain;
    identity->full_at_ns = 0;
    identity->hash = hash;
    identity->length = length;
    memcpy(identity->name, name, length);
    identity->name[length] = '\0';
    *chain = identity;
    TAILQ_INSERT_HEAD(&budget->by_use, identity, by_use);
    return identity;
}

/* Names that are alike as far as a record holds them are one. */
static struct identity *identity_of(struct budget *budget, const char *actor, uint64_t now_ns)
{
    const char *name = actor == NULL ? "" : actor;
    size_t length = strnlen(name, AUDIT_TEXT_MAX);
    struct identity *identity = find(budget, name, length, hash_of(name, length));
    if (identity == NULL)
        return add(budget, name, length, now_ns);
    if (identity != TAILQ_FIRST(&budget->by_use)) {
        TAILQ_REMOVE(&budget->by_use, identity, by_use);
        TAILQ_INSERT_HEAD(&budget->by_use, identity, by_use);
    }
    return identity;
}

/* ---- the buckets ----------------------------------------------------------------------------- */

/* When the bucket would be full again with these bytes taken out. */
static uint64_t full_again_ns(const struct budget *budget, const struct identity *identity,
                              uint64_t bytes, uint64_t now_ns)
{
    unsigned __int128 cost_ns = (unsigned __int128)bytes * budget->interval_ns / budget->bytes;
    uint64_t from_ns = MAX(identity->full_at_ns, now_ns);
    return from_ns + (uint64_t)MIN(cost_ns, (unsigned __int128)(UINT64_MAX - from_ns));
}

bool budget_take(struct budget *budget, const char *actor, uint64_t bytes, uint64_t now_ns)
{
    if (budget->bytes == AUDIT_NO_LIMIT)
        return true;
    struct identity *identity = identity_of(budget, actor, now_ns);
    uint64_t full_ns = full_again_ns(budget, identity, bytes, now_ns);
    if (full_ns - now_ns > budget->interval_ns)
        return false;
    identity->full_at_ns = full_ns;
    return true;
}

void budget_charge(struct budget *budget, const char *actor, uint64_t bytes, uint64_t now_ns)
{
    if (budget->bytes == AUDIT_NO_LIMIT)
        return;
    struct identity *identity = identity_of(budget, actor, now_ns);
    uint64_t full_ns = full_again_ns(budget, identity, bytes, now_ns);
    identity->full_at_ns = MIN(full_ns, now_ns + budget->interval_ns);
}

/* ---- what was dropped ------------------------------------------------------------------------ */

void budget_note_dropped(struct budget *budget, const char *actor, uint64_t now_ns)
{
    identity_of(budget, actor, now_ns)->dropped++;
    budget->dropped++;
}

const struct identity *budget_next_dropped(const struct budget *budget,
                                           const struct identity *identity)
{
    const struct identity *end = budget->all + BUDGET_IDENTITIES + 1;
    identity = identity == NULL ? budget->all : identity + 1;
    while (identity < end && identity->dropped == 0)
        identity++;
    return identity < end ? identity : NULL;
}

bool budget_is_newcomers(const struct budget *budget, const struct identity *identity)
{
    return identity == newcomers(budget);
}

void budget_reported(struct budget *budget, const struct identity *identity, uint64_t count)
{
    struct identity *reported = &budget->all[identity - budget->all];
    REQUIRE(count <= reported->dropped);
    reported->dropped -= count;
    budget->dropped -= count;
}
