/* tests/pool/tenancy_check.h -- a tenancy with an injected clock, somebody who signs tokens, and
 * ears for what it says. */
#ifndef TESTS_POOL_TENANCY_CHECK_H
#define TESTS_POOL_TENANCY_CHECK_H

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <lethe/mem.h>

#include "check.h"
#include "crypto/crypto_check.h"
#include "pool/tenancy.h"
#include "terms.h"

#define HEARD_MAX 64u
#define OTHER_CONSUMER "spiffe://pool.test/tenant/rival/trainer"

struct heard_over {
    void *owner;
    uint32_t channel;
    enum lease_cause cause;
};

struct tenancy_place {
    struct tenancy *tenancy;
    struct terms_signer control, stranger;
    uint64_t now_ms;
    struct heard_over overs[HEARD_MAX];
    size_t over_count;
    void *cuts[HEARD_MAX];
    size_t cut_count;
    atomic_size_t changes;
    atomic_int done; /* a result and 1; 0: not yet */
};

static inline void hear_over(void *context, void *owner, uint32_t channel, enum lease_cause cause)
{
    struct tenancy_place *place = context;
    REQUIRE(place->over_count < HEARD_MAX);
    place->overs[place->over_count++] = (struct heard_over){owner, channel, cause};
}

static inline void hear_cut(void *context, void *owner)
{
    struct tenancy_place *place = context;
    REQUIRE(place->cut_count < HEARD_MAX);
    place->cuts[place->cut_count++] = owner;
}

static inline void hear_changed(void *context)
{
    struct tenancy_place *place = context;
    atomic_fetch_add(&place->changes, 1);
}

static inline void hear_done(void *context, lethe_result result)
{
    struct tenancy_place *place = context;
    atomic_store(&place->done, (int)result + 1);
}

static inline struct tenancy_options place_options(struct tenancy_place *place)
{
    struct tenancy_options options = {.arena = {.size_bytes = (uint64_t)8 << 20},
                                      .provider = TERMS_PROVIDER,
                                      .over = hear_over,
                                      .cut = hear_cut,
                                      .changed = hear_changed,
                                      .context = place};
    memset(options.boot_id, 0x22, sizeof options.boot_id);
    return options;
}

static inline struct tenancy_place *place_open(const struct tenancy_options *given)
{
    struct tenancy_place *place = calloc(1, sizeof *place);
    struct lethe_error err = {0};
    REQUIRE(place != NULL);
    struct tenancy_options options = given != NULL ? *given : place_options(place);
    options.context = place;
    place->now_ms = 5000;
    terms_signer_make("lethe/control", &place->control);
    terms_signer_make("lethe/stranger", &place->stranger);
    assert_ok(tenancy_create(&options, &place->tenancy, &err), &err);
    tenancy_trust(place->tenancy, &place->control.signer.key);
    return place;
}

static inline void place_close(struct tenancy_place *place)
{
    tenancy_free(place->tenancy);
    terms_signer_free(&place->control);
    terms_signer_free(&place->stranger);
    free(place);
}

/* Terms of a lease of that number: 8 blocks of 64 KiB. */
static inline struct lease_terms terms_of(uint32_t number)
{
    struct lease_terms terms = terms_make();
    memcpy(terms.lease.bytes, &number, sizeof number);
    terms.generation = number;
    terms.bytes = 8 * POOL_BLOCK_DEFAULT;
    return terms;
}

static inline void terms_for_other(struct lease_terms *terms)
{
    strcpy(terms->consumer, OTHER_CONSUMER);
    strcpy(terms->tenant, "rival");
}

static inline struct lease_terms must_grant(struct tenancy_place *place, uint32_t number)
{
    struct lease_terms terms = terms_of(number);
    struct lethe_error err = {0};
    assert_ok(tenancy_grant(place->tenancy, &terms, place->now_ms, &err), &err);
    return terms;
}

static inline lethe_result attach_bytes(struct tenancy_place *place, const struct buffer *token,
                                        const char *consumer, void *owner,
                                        struct tenancy_attached *out)
{
    const struct tenancy_who who = {.consumer = consumer, .owner = owner, .channel = 3};
    struct lethe_error err = {0};
    lethe_result result = tenancy_attach(place->tenancy, &who, token->bytes, token->size_bytes,
                                         place->now_ms, out, &err);
    assert_true((result == LETHE_OK) == (err.text[0] == '\0'));
    return result;
}

static inline lethe_result attach_as(struct tenancy_place *place, const struct lease_terms *terms,
                                     const char *consumer, void *owner,
                                     struct tenancy_attached *out)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lethe_error err = {0};
    assert_ok(token_sign(terms, &place->control.signer, &token, &err), &err);
    return attach_bytes(place, &token, consumer, owner, out);
}

static inline struct attachment *must_attach(struct tenancy_place *place,
                                             const struct lease_terms *terms, void *owner)
{
    struct tenancy_attached attached;
    assert_result(LETHE_OK, attach_as(place, terms, TERMS_CONSUMER, owner, &attached));
    return attached.attachment;
}

/* 0: there is no such lease. Counts everything as unreported. */
static inline struct wire_change change_now(struct tenancy_place *place, uint32_t number)
{
    static struct wire_report report;
    struct lease_terms terms = terms_of(number);
    tenancy_report(place->tenancy, true, place->now_ms, &report);
    for (size_t i = 0; i < report.count; i++)
        if (memcmp(&report.changes[i].lease, &terms.lease, sizeof terms.lease) == 0)
            return report.changes[i];
    return (struct wire_change){.state = 0};
}

static inline int state_now(struct tenancy_place *place, uint32_t number)
{
    return (int)change_now(place, number).state;
}

/* What becomes of a lease that is over. */
static inline int state_in_the_end(struct tenancy_place *place, uint32_t number)
{
    int state;
    while ((state = state_now(place, number)) != 0 && !lease_is_final((enum lease_state)state))
        usleep(200);
    return state;
}

static inline struct pool_arena_counters counters_now(struct tenancy_place *place)
{
    struct pool_arena_counters now;
    tenancy_counters(place->tenancy, &now);
    return now;
}

/* Writes every block and tag. */
static inline void fill_blocks(struct tenancy_place *place, struct attachment *attachment,
                               uint64_t blocks, uint8_t byte)
{
    struct lethe_error err = {0};
    assert_ok(tenancy_hold(place->tenancy, attachment, true, &err), &err);
    for (uint64_t i = 0; i < blocks; i++) {
        uint8_t *data, *tag;
        assert_ok(tenancy_block(place->tenancy, attachment, i, &data, &tag, &err), &err);
        memset(data, byte, attachment_block_bytes(attachment));
        memset(tag, byte, WIRE_TAG_BYTES);
    }
    tenancy_let_go(place->tenancy, attachment, true);
}

#endif
