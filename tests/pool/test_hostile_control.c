/* A consumer of a control plane that is who it says, and malicious or broken: an error that says
 * what is wrong, nothing half-done, never other bytes, and what runs already goes on (P-14).
 *
 * docs/pool-protocol.md: whoever controls it can refuse service, and reads nothing. */
#include "pool_site.h"

#include <sys/socket.h>

#define KIB 1024u
#define BLOCK (4u * KIB)
#define BYTES ((size_t)16 * BLOCK)

static uint8_t model[BYTES], got[BYTES];

static void must_write(struct pool_site *site, struct lethe_pool_lease *lease, uint64_t salt)
{
    site_fill(model, BYTES, salt);
    assert_ok(lethe_pool_write(lease, 0, model, BYTES, &site->err), &site->err);
}

static void must_read(struct pool_site *site, struct lethe_pool_lease *lease)
{
    memset(got, 0xee, BYTES);
    assert_ok(lethe_pool_read(lease, 0, got, BYTES, &site->err), &site->err);
    assert_memory_equal(got, model, BYTES);
}

static size_t leases_at(struct pool_site *site)
{
    size_t leases = 0;
    for (unsigned i = 0; i < SITE_PROVIDERS; i++) {
        struct hostile_counters count;
        hostile_count(site->providers[i], &count);
        leases += count.leases;
    }
    return leases;
}

static uint64_t asked(struct pool_site *site)
{
    struct small_control_counters count;
    small_control_count(site->control, &count);
    return count.asked;
}

static lethe_result allocate(struct pool_site *site, unsigned copies)
{
    const struct lethe_pool_lease_options options = {
        .bytes = BYTES, .block_bytes = BLOCK, .copies = copies};
    struct lethe_pool_lease *lease = (struct lethe_pool_lease *)&options;
    site->err = (struct lethe_error){0};
    lethe_result result = lethe_pool_allocate(site->pool, &options, &lease, &site->err);
    if (result == LETHE_OK) {
        site_release(site, lease);
        return result;
    }
    assert_null(lease);
    assert_int_equal(site->err.code, result);
    assert_true(strlen(site->err.text) > 0);
    return result;
}

static void use_timeout(struct pool_site *site, uint64_t timeout_ms)
{
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = timeout_ms;
    site_reopen(site, &options);
}

/* Honest again: the next who asks has what he asked for. */
static void must_be_usable(struct pool_site *site)
{
    small_control_lie(site->control, NULL);
    small_control_answer(site->control, ANSWER_HONESTLY);
    use_timeout(site, 20000); /* however slow the machine is just now */
    assert_result(LETHE_OK, allocate(site, 2));
}

/* ---- what it says that it gave --------------------------------------------------------------- */

/* A lie about terms, or about where copies are; of the second copy where there are several. */
struct liar {
    struct pool_site *site;
    unsigned calls;
    char address[32]; /* of a service that is no provider */
};

#define LIE_IN_TERMS(name, ...)                                                                    \
    static void name(void *context, struct lease_terms *terms)                                     \
    {                                                                                              \
        struct liar *liar = context;                                                               \
        if (liar->calls++ % 2 == 1) {                                                              \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    }
#define LIE_IN_PLACES(name, ...)                                                                   \
    static void name(void *context, struct wire_allocated *allocated)                              \
    {                                                                                              \
        struct liar *liar = context;                                                               \
        struct wire_placed *placed = &allocated->copies[1];                                        \
        liar->calls++;                                                                             \
        __VA_ARGS__;                                                                               \
    }
LIE_IN_TERMS(more_bytes, terms->bytes *= 2)
LIE_IN_TERMS(fewer_bytes, terms->bytes /= 2)
LIE_IN_TERMS(bigger_blocks, terms->block_bytes *= 2)
LIE_IN_TERMS(other_lease, terms->lease.bytes[3] ^= 1)
LIE_IN_TERMS(other_provider, strcpy(terms->provider, "spiffe://pool.test/machine/9"))
LIE_IN_TERMS(other_consumer, strcpy(terms->consumer, "spiffe://pool.test/tenant/acme/anna"))
LIE_IN_TERMS(other_boot, terms->boot_id[0] ^= 1)
LIE_IN_TERMS(other_generation, terms->generation += 1)
LIE_IN_PLACES(lease_is_another, placed->lease.bytes[9] ^= 4)
LIE_IN_PLACES(lease_is_the_same, placed->lease = allocated->copies[0].lease)
LIE_IN_PLACES(token_is_the_other,
              memcpy(placed->token, allocated->copies[0].token, placed->token_bytes))
LIE_IN_PLACES(token_is_noise, memset(placed->token, 0x5a, placed->token_bytes))
LIE_IN_PLACES(token_is_cut, placed->token_bytes = 1)
LIE_IN_PLACES(token_is_changed, placed->token[placed->token_bytes - 1] ^= 1)
LIE_IN_PLACES(same_copy_twice, *placed = allocated->copies[0])
LIE_IN_PLACES(one_copy_more, allocated->copies[2] = *placed; allocated->count = 3)
LIE_IN_PLACES(one_copy_less, (void)placed; allocated->count = 1)

static const struct {
    const char *name;
    void (*terms)(void *context, struct lease_terms *terms);
    void (*placed)(void *context, struct wire_allocated *allocated);
    lethe_result result;
    bool loses_a_lease; /* its id was never said: nobody here can give it back */
} lies[] = {
    {"more bytes", more_bytes, NULL, LETHE_MALFORMED, false},
    {"fewer bytes", fewer_bytes, NULL, LETHE_MALFORMED, false},
    {"bigger blocks", bigger_blocks, NULL, LETHE_MALFORMED, false},
    {"another lease", other_lease, NULL, LETHE_MALFORMED, false},
    {"another provider", other_provider, NULL, LETHE_MALFORMED, false},
    {"another consumer", other_consumer, NULL, LETHE_DENIED, false},
    {"another boot", other_boot, NULL, LETHE_LOST, false},
    {"another generation", other_generation, NULL, LETHE_NOT_FOUND, false},
    {"the lease is another", NULL, lease_is_another, LETHE_MALFORMED, true},
    {"the lease is the same", NULL, lease_is_the_same, LETHE_MALFORMED, true},
    {"the other's token", NULL, token_is_the_other, LETHE_MALFORMED, false},
    {"noise as token", NULL, token_is_noise, LETHE_MALFORMED, false},
    {"a part of a token", NULL, token_is_cut, LETHE_MALFORMED, false},
    {"a changed token", NULL, token_is_changed, LETHE_DENIED, false},
    {"the same copy twice", NULL, same_copy_twice, LETHE_MALFORMED, true},
    {"a copy more", NULL, one_copy_more, LETHE_MALFORMED, false},
    {"a copy less", NULL, one_copy_less, LETHE_MALFORMED, true},
};

static void what_was_not_asked_for_is_refused_and_given_back(void **state)
{
    struct pool_site *site = *state;
    use_timeout(site, 20000);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct liar liar = {.site = site};
        const struct small_control_lie lie = {
            .terms = lies[i].terms, .placed = lies[i].placed, .context = &liar};
        size_t before = leases_at(site);
        small_control_lie(site->control, &lie);
        print_message("%s\n", lies[i].name);
        assert_result(lies[i].result, allocate(site, 2));
        assert_true(liar.calls > 0);
        assert_int_equal(leases_at(site), before + lies[i].loses_a_lease);
        small_control_lie(site->control, NULL);
        assert_result(LETHE_OK, allocate(site, 2));
    }
}

/* P-4: a token by somebody else's key opens nothing. */
static void a_token_of_another_key_opens_nothing(void **state)
{
    struct pool_site *site = *state;
    struct terms_signer stranger;
    terms_signer_make("stranger", &stranger);
    use_timeout(site, 20000);
    small_control_lie(site->control, &(struct small_control_lie){.signer = &stranger.signer});
    assert_result(LETHE_DENIED, allocate(site, 2));
    assert_int_equal(leases_at(site), 0);
    must_be_usable(site);
    terms_signer_free(&stranger);
}

/* ---- where it says that copies are ----------------------------------------------------------- */

LIE_IN_PLACES(is_elsewhere, strcpy(placed->address, liar->address))

static const char *const nowhere[] = {
    "127.0.0.1:0",
    "127.0.0.1:99999",
    "127.0.0.1:-1",
    "127.0.0.1:",
    "127.0.0.1:7311:1",
    "256.256.256.1:1",
    "[::1",
    "[127.0.0.1]:1",
    ":",
    "127.0.0.1:0x1c8f",
    "0.0.0.0:1",
    "127.0.0.1:1;rm",
};

static void an_address_that_is_none_is_told(void **state)
{
    struct pool_site *site = *state;
    use_timeout(site, 150);
    for (size_t i = 0, told = 0; told == 0 || i < ARRAY_LEN(nowhere); i++) {
        struct liar liar = {.site = site};
        strcpy(liar.address, nowhere[i % ARRAY_LEN(nowhere)]);
        const struct small_control_lie lie = {.placed = is_elsewhere, .context = &liar};
        small_control_lie(site->control, &lie);
        assert_result(LETHE_UNAVAILABLE, allocate(site, 2));
        told += strstr(site->err.text, "machine/1") != NULL;
        assert_true(i < 100);
    }
    must_be_usable(site);
}

/* P-1: whoever is there must prove to be the provider, before anything is said. */
static void a_service_that_is_not_the_provider_hears_nothing(void **state)
{
    struct pool_site *site = *state;
    struct hostile_counters count;
    char service[32];
    int fd = hostile_listen(service);
    const char *const others[] = {hostile_address(site->providers[2]),
                                  small_control_address(site->control), service};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct liar liar = {.site = site};
        strcpy(liar.address, others[i]);
        const struct small_control_lie lie = {.placed = is_elsewhere, .context = &liar};
        small_control_lie(site->control, &lie);
        unsigned tries = 0;
        do { /* a slow machine does not come so far in that time */
            use_timeout(site, 400 << tries);
            assert_result(LETHE_UNAVAILABLE, allocate(site, 2));
        } while (i < 2 && strstr(site->err.text, "was expected") == NULL && ++tries < 6);
        assert_in_range(tries, 0, 5);
    }
    assert_int_equal(leases_at(site), 0);
    hostile_count(site->providers[2], &count);
    assert_int_equal(count.attached, 0);
    /* what the third of them has heard is the beginning of a handshake, without a name */
    uint8_t heard[4096];
    int peer = accept(fd, NULL, NULL);
    assert_true(peer >= 0);
    ssize_t size_bytes = recv(peer, heard, sizeof heard, MSG_DONTWAIT);
    assert_true(size_bytes > 0);
    assert_int_equal(heard[0], 22);
    assert_null(memmem(heard, (size_t)size_bytes, "pool.test", 9));
    close(peer);
    close(fd);
}

/* Says that it is a provider itself: it is who it says, and still no provider. */
LIE_IN_TERMS(terms_are_mine, strcpy(terms->provider, SITE_CONTROL_ID))
LIE_IN_PLACES(is_me, strcpy(placed->provider, SITE_CONTROL_ID);
              strcpy(placed->address, small_control_address(liar->site->control)))

static void the_control_plane_itself_is_no_provider(void **state)
{
    struct pool_site *site = *state;
    struct liar liar = {.site = site};
    const struct small_control_lie lie = {
        .terms = terms_are_mine, .placed = is_me, .context = &liar};
    use_timeout(site, 400);
    small_control_lie(site->control, &lie);
    assert_result(LETHE_UNAVAILABLE, allocate(site, 2));
    must_be_usable(site);
}

/* ---- how it answers -------------------------------------------------------------------------- */

/* Whatever comes is an error, and the next question has a connection on which it is answered. */
static void answers_that_are_none_are_errors(void **state)
{
    struct pool_site *site = *state;
    for (int way = ANSWER_HONESTLY + 1; way < ANSWER_WAY_COUNT; way++) {
        print_message("%s\n", small_control_way_name(way));
        use_timeout(site, way == ANSWER_NEVER ? 200 : 20000);
        small_control_answer(site->control, way);
        for (unsigned i = 0; i < 3; i++) {
            lethe_result result = allocate(site, 1);
            if (way == ANSWER_TWICE)
                assert_result(LETHE_OK, result); /* the first one is right */
            else if (way == ANSWER_NEVER || way == ANSWER_CUT)
                assert_result(LETHE_UNAVAILABLE, result);
            else if (way == ANSWER_NONSENSE)
                assert_result(LETHE_FAILED, result);
            else
                assert_result(LETHE_MALFORMED, result);
        }
        must_be_usable(site);
    }
}

/* Who gives something useless and then says nothing does not keep anybody for each of the copies.
 */
static void silence_costs_one_wait_and_not_one_for_each_copy(void **state)
{
    struct pool_site *site = *state;
    use_timeout(site, 2000);
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 3);
    must_write(site, lease, 1);
    for (unsigned i = 0; i < SITE_PROVIDERS; i++)
        hostile_unplug(site->providers[i], true);
    struct lethe_pool_copy_state copies[3];
    do
        assert_int_equal(lethe_pool_copies(lease, copies, 3), 3);
    while (copies[0].connected || copies[1].connected || copies[2].connected);
    small_control_answer(site->control, ANSWER_NEVER);
    uint64_t before = asked(site);
    assert_result(LETHE_UNAVAILABLE, lethe_pool_release(lease, &site->err));
    assert_in_range(asked(site) - before, 1, 2);
    for (unsigned i = 0; i < SITE_PROVIDERS; i++)
        hostile_unplug(site->providers[i], false);
}

/* ---- while leases run ------------------------------------------------------------------------ */

LIE_IN_TERMS(fresh_other_lease, terms->lease.bytes[0] ^= 1)
LIE_IN_TERMS(fresh_other_provider, strcpy(terms->provider, "spiffe://pool.test/machine/9"))

/* P-14: what runs goes on, whatever stands in fresh tokens and however they come. */
static void fresh_tokens_that_are_none_end_nothing(void **state)
{
    struct pool_site *site = *state;
    struct terms_signer stranger;
    struct lethe_pool_copy_state copies[2];
    terms_signer_make("stranger", &stranger);
    use_timeout(site, 3000);
    small_control_life(site->control, 100);
    struct lethe_pool_lease *lease = NULL;
    const struct lethe_pool_lease_options options = {
        .bytes = BYTES, .block_bytes = BLOCK, .ttl_ms = 1000, .copies = 2};
    assert_ok(lethe_pool_allocate(site->pool, &options, &lease, &site->err), &site->err);
    static const enum small_control_way ways[] = {ANSWER_SHORTER, ANSWER_NOISE};
    const struct small_control_lie fresh[] = {
        {.signer = &stranger.signer}, {.terms = other_consumer},       {.terms = other_boot},
        {.terms = other_generation},  {.terms = more_bytes},           {.terms = bigger_blocks},
        {.terms = fresh_other_lease}, {.terms = fresh_other_provider},
    };
    for (size_t i = 0; i < ARRAY_LEN(fresh) + ARRAY_LEN(ways); i++) {
        struct liar liar = {.site = site};
        struct small_control_lie lie =
            i < ARRAY_LEN(fresh) ? fresh[i] : (struct small_control_lie){0};
        lie.context = &liar;
        must_write(site, lease, i);
        small_control_lie(site->control, &lie);
        if (i >= ARRAY_LEN(fresh))
            small_control_answer(site->control, ways[i - ARRAY_LEN(fresh)]);
        uint64_t before = asked(site);
        while (asked(site) < before + 2) {
            must_read(site, lease);
            site_sleep_ms(5);
        }
        must_write(site, lease, 100 + i);
        must_read(site, lease);
        small_control_answer(site->control, ANSWER_HONESTLY);
        small_control_lie(site->control, NULL);
        assert_int_equal(lethe_pool_copies(lease, copies, 2), 2);
        assert_false(copies[0].lost || copies[1].lost);
    }
    must_read(site, lease);
    site_release(site, lease);
    terms_signer_free(&stranger);
}

LIE_IN_TERMS(lives_for_a_moment, terms->life_ms = 1)
LIE_IN_TERMS(lives_long, terms->life_ms = POOL_TTL_MAX_MS; terms->ttl_ms = POOL_TTL_MAX_MS;
             terms->issued_ms = UINT64_MAX)

/* A token that has run out as it comes is no reason to ask without a pause. */
static void times_at_the_edge_make_no_storm(void **state)
{
    struct pool_site *site = *state;
    struct liar liar = {.site = site, .calls = 1};
    const struct small_control_lie lie[] = {{.terms = lives_for_a_moment, .context = &liar},
                                            {.terms = lives_long, .context = &liar}};
    for (size_t i = 0; i < ARRAY_LEN(lie); i++) {
        liar.calls = 1;
        small_control_lie(site->control, &lie[i]);
        uint64_t before = asked(site);
        struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
        must_write(site, lease, i);
        site_sleep_ms(600);
        must_read(site, lease);
        assert_in_range(asked(site) - before, 1, 3);
        site_release(site, lease);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(what_was_not_asked_for_is_refused_and_given_back),
        SITE_TEST(a_token_of_another_key_opens_nothing),
        SITE_TEST(an_address_that_is_none_is_told),
        SITE_TEST(a_service_that_is_not_the_provider_hears_nothing),
        SITE_TEST(the_control_plane_itself_is_no_provider),
        SITE_TEST(answers_that_are_none_are_errors),
        SITE_TEST(silence_costs_one_wait_and_not_one_for_each_copy),
        SITE_TEST(fresh_tokens_that_are_none_end_nothing),
        SITE_TEST(times_at_the_edge_make_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
