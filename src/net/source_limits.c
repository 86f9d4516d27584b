#include "net/source_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/error.h"

#define PENALTY_LEVELS 16u
#define FORGIVEN_MS (10u * 60 * 1000) /* without a new penalty: the next is the first again */
#define MINUTE_MS 60000u

/* A bucket holds one second's worth. Thousandths, so that slow rates fill it too. */
struct bucket {
    uint64_t thousandths;
    uint64_t filled_ms;
};

struct limits_source {
    struct source_key key;
    LIST_ENTRY(limits_source) in_slot;
    TAILQ_ENTRY(limits_source) in_spare; /* while it has no connection */
    bool is_known;
    uint64_t connections;
    struct bucket handshakes, requests;
    uint64_t penalty_until_ms;
    uint64_t penalised_ms; /* the last time */
    unsigned penalty_level;
    uint64_t minute_ms; /* when the one began in which failures are counted */
    unsigned failures;
};
LIST_HEAD(slot, limits_source);
TAILQ_HEAD(spare, limits_source);

struct limits {
    struct limits_options options;
    uint64_t hash_key[3]; /* random, so that nobody can fill one slot */
    size_t slot_count;    /* a power of two */
    struct slot *slots;
    struct limits_source *sources;
    struct spare spare; /* the longest unheard first */
};

/* ---- sources --------------------------------------------------------------------------------- */

static void key_of_v4(const void *address, struct source_key *key)
{
    memset(key->bytes, 0, 10);
    memset(key->bytes + 10, 0xFF, 2);
    memcpy(key->bytes + 12, address, 4);
}

static void key_of_v6(const struct in6_addr *address, struct source_key *key)
{
    *key = (struct source_key){0};
    if (IN6_IS_ADDR_V4MAPPED(address))
        key_of_v4(address->s6_addr + 12, key);
    else if (IN6_IS_ADDR_LOOPBACK(address))
        key->bytes[15] = 1; /* its /64 would be that of "unix" */
    else
        memcpy(key->bytes, address->s6_addr, 8);
}

void source_of_address(const struct sockaddr_storage *address, struct source_key *key,
                       char text[SOURCE_TEXT_SIZE])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    *key = (struct source_key){0};
    strcpy(text, "unix");
    if (address->ss_family == AF_INET) {
        key_of_v4(&v4->sin_addr, key);
        inet_ntop(AF_INET, &v4->sin_addr, text, SOURCE_TEXT_SIZE);
    } else if (address->ss_family == AF_INET6) {
        key_of_v6(&v6->sin6_addr, key);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, SOURCE_TEXT_SIZE);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, text, SOURCE_TEXT_SIZE);
    }
}

bool source_of_text(const char *text, struct source_key *key)
{
    struct in6_addr v6;
    struct in_addr v4;
    *key = (struct source_key){0};
    if (inet_pton(AF_INET, text, &v4) == 1)
        key_of_v4(&v4, key);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        key_of_v6(&v6, key);
    else
        return strcmp(text, "unix") == 0;
    return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Multiply-shift over two words with secret odd keys. */
static struct slot *slot_of(const struct limits *limits, const struct source_key *key)
{
    uint64_t words[2];
    memcpy(words, key->bytes, sizeof words);
    uint64_t mixed = (words[0] + limits->hash_key[0]) * limits->hash_key[1];
    mixed = (mixed ^ mixed >> 29 ^ words[1]) * limits->hash_key[2];
    return &limits->slots[(mixed >> 32) & (limits->slot_count - 1)];
}

static lethe_result fill(struct limits *limits, struct lethe_error *err)
{
    size_t count = limits->options.sources_max;
    limits->slot_count = 1;
    while (limits->slot_count < count)
        limits->slot_count *= 2;
    limits->slots = calloc(limits->slot_count, sizeof *limits->slots);
    limits->sources = calloc(count, sizeof *limits->sources);
    if (limits->slots == NULL || limits->sources == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the table of sources");
    if (random_fill(&random_system, limits->hash_key, sizeof limits->hash_key) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness to give");
    for (size_t i = 0; i < ARRAY_LEN(limits->hash_key); i++)
        limits->hash_key[i] |= 1;
    for (size_t i = 0; i < count; i++)
        TAILQ_INSERT_TAIL(&limits->spare, &limits->sources[i], in_spare);
    return LETHE_OK;
}

lethe_result limits_create(const struct limits_options *options, struct limits **out,
                           struct lethe_error *err)
{
    REQUIRE(options->sources_max > 0);
    CLEANUP(limits_free) struct limits *limits = calloc(1, sizeof *limits);
    if (limits == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the table of sources");
    limits->options = *options;
    TAILQ_INIT(&limits->spare);
    TRY(fill(limits, err));
    *out = MOVE(limits);
    return LETHE_OK;
}

void limits_free(struct limits *limits)
{
    if (limits == NULL)
        return;
    free(limits->slots);
    free(limits->sources);
    free(limits);
}

static struct limits_source *find(const struct limits *limits, const struct source_key *key)
{
    struct limits_source *source;
    LIST_FOREACH(source, slot_of(limits, key), in_slot)
    if (memcmp(source->key.bytes, key->bytes, sizeof key->bytes) == 0)
        return source;
    return NULL;
}

/* The longest unheard; before those that serve a penalty, anybody else. */
static struct limits_source *choose_spare(struct limits *limits, uint64_t now_ms)
{
    struct limits_source *source;
    unsigned looked = 0;
    TAILQ_FOREACH(source, &limits->spare, in_spare)
    {
        if (source->penalty_until_ms <= now_ms)
            return source;
        if (++looked == 64) /* so many penalties at once: the oldest goes */
            break;
    }
    return TAILQ_FIRST(&limits->spare);
}

static struct limits_source *make(struct limits *limits, const struct source_key *key,
                                  uint64_t now_ms)
{
    struct limits_source *source = choose_spare(limits, now_ms);
    if (source == NULL)
        return NULL;
    TAILQ_REMOVE(&limits->spare, source, in_spare);
    if (source->is_known)
        LIST_REMOVE(source, in_slot);
    *source = (struct limits_source){.key = *key, .is_known = true};
    source->handshakes.thousandths = limits->options.handshakes_per_second * 1000;
    source->requests.thousandths = limits->options.requests_per_second * 1000;
    source->handshakes.filled_ms = source->requests.filled_ms = now_ms;
    LIST_INSERT_HEAD(slot_of(limits, key), source, in_slot);
    TAILQ_INSERT_TAIL(&limits->spare, source, in_spare);
    return source;
}

/* ---- the limits ------------------------------------------------------------------------------ */

/* One unit a thousandth of a second for each unit a second. */
static bool take_token(struct bucket *bucket, uint64_t per_second, uint64_t now_ms)
{
    uint64_t passed_ms = MIN(now_ms - bucket->filled_ms, (uint64_t)1000);
    bucket->filled_ms = now_ms;
    bucket->thousandths = MIN(bucket->thousandths + passed_ms * per_second, per_second * 1000);
    if (bucket->thousandths < 1000)
        return false;
    bucket->thousandths -= 1000;
    return true;
}

static const char *refusal(const struct limits *limits, struct limits_source *source,
                           uint64_t now_ms)
{
    if (source->connections >= limits->options.connections_per_source)
        return "the source has too many connections";
    if (!take_token(&source->handshakes, limits->options.handshakes_per_second, now_ms))
        return "the source makes connections too fast";
    return NULL;
}

struct limits_source *limits_enter(struct limits *limits, const struct source_key *key,
                                   uint64_t now_ms, const char **why)
{
    struct limits_source *source = find(limits, key);
    if (source == NULL)
        source = make(limits, key, now_ms);
    *why = source == NULL ? "there are too many sources" : refusal(limits, source, now_ms);
    if (*why != NULL)
        return NULL;
    if (source->connections++ == 0)
        TAILQ_REMOVE(&limits->spare, source, in_spare);
    return source;
}

void limits_leave(struct limits *limits, struct limits_source *source)
{
    REQUIRE(source->connections > 0);
    if (--source->connections == 0)
        TAILQ_INSERT_TAIL(&limits->spare, source, in_spare);
}

bool limits_allow(const struct limits *limits, struct limits_source *source, uint64_t now_ms,
                  uint64_t *wait_ms)
{
    uint64_t per_second = limits->options.requests_per_second;
    *wait_ms = 1000;
    return per_second == 0 || take_token(&source->requests, per_second, now_ms);
}

/* Whoever has a wrong token in a file, or a neighbour behind the same address, is no attack. */
static bool is_free(struct limits_source *source, uint64_t now_ms)
{
    if (source->failures == 0 || now_ms - source->minute_ms >= MINUTE_MS) {
        source->minute_ms = now_ms;
        source->failures = 0;
    }
    if (source->failures >= PENALTY_FREE)
        return false;
    source->failures++;
    return true;
}

uint64_t limits_penalise(struct limits *limits, const struct source_key *key, uint64_t now_ms)
{
    struct limits_source *source = find(limits, key);
    if (source == NULL || is_free(source, now_ms))
        return 0;
    if (now_ms - source->penalised_ms > FORGIVEN_MS)
        source->penalty_level = 0;
    uint64_t length_ms = limits->options.penalty_ms << MIN(source->penalty_level, PENALTY_LEVELS);
    length_ms = MIN(length_ms, (uint64_t)PENALTY_MAX_MS);
    source->penalty_until_ms = now_ms + length_ms;
    source->penalised_ms = now_ms;
    source->penalty_level++;
    return length_ms;
}
