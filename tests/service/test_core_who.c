/* Passphrases that unseal, certificates that prove, and the door's own certificate: today, and when
 * the wall clock jumps. */
#include "service_check.h"

#include "../crypto/x509_check.h"

#include "base/error.h"
#include "service/core_core.h"
#include "service/identities.h"

#define LOADER "spiffe://example.org/tenant/acme/loader"

/* ---- the clock ------------------------------------------------------------------------------- */

#define HOUR_S 3600
#define YEAR_S (365 * (int64_t)DAY_S)

static int64_t later_s;

static uint64_t wall_ns(void *context)
{
    return clock_wall_ns(&clock_system) + (uint64_t)(later_s * 1000000000);
}

static uint64_t monotonic_ns(void *context)
{
    return clock_monotonic_ns(&clock_system);
}

static const struct clock_source moved = {.wall_ns = wall_ns, .monotonic_ns = monotonic_ns};

static void move_clock(struct check *check)
{
    later_s = 0;
    check->options.keeper.clock = &moved;
    reopen(check);
}

/* ---- a passphrase ---------------------------------------------------------------------------- */

/* K-4: whoever does not know it waits longer and longer, and what it was is in no answer. */
static void a_passphrase_unseals(void **state)
{
    static const char *const wrong[] = {NULL,
                                        "{}",
                                        "{\"key\":\"\"}",
                                        "{\"key\":\"wrong\"}",
                                        "{\"key\":\"correct horse battery staple \"}",
                                        "{\"key\":\"correct horse\\nbattery staple\"}"};
    struct check *check = *state;
    char long_key[70000] = "{\"key\":\"";
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_not_equal(200, call(check, "PUT", "sys/unseal", NULL, wrong[i]));
        assert_has_not(check, "horse");
        assert_null(check->service->keeper);
        assert_int_equal(i + 1, check->penalties);
    }
    memset(long_key + 8, 'x', sizeof long_key - 11);
    strcpy(long_key + sizeof long_key - 3, "\"}");
    assert_int_equal(400, call(check, "PUT", "sys/unseal", NULL, long_key));
    assert_int_equal(503, call_operator(check, "PUT", "sys/init", NULL));
    assert_int_equal(200, call(check, "GET", "sys/seal-status", NULL, NULL));
    assert_has(check, "\"type\":\"passphrase\"");

    assert_int_equal(200, call(check, "PUT", "sys/unseal", NULL,
                               "{\"key\":\"" CHECK_PASSPHRASE "\",\"migrate\":null}"));
    assert_has(check, "\"initialized\":false,\"sealed\":false");
    assert_int_equal(501, call(check, "GET", "sys/health", NULL, NULL));
    assert_int_equal(403, call(check, "PUT", "sys/init", NULL, "{\"secret_shares\":1}"));
    assert_int_equal(200, call_operator(check, "PUT", "sys/init", "{\"secret_shares\":1}"));
    assert_has(check, "\"keys\":[],\"keys_base64\":[],\"root_token\":\"lethe.");
    assert_int_equal(200, call(check, "GET", "sys/health", NULL, NULL));
}

#define UNSEAL_RIGHT "{\"key\":\"" CHECK_PASSPHRASE "\"}"

/* K-4: who guesses waits, for a minute and not until a clock that was wrong is right again. */
static void a_wait_is_over_when_the_clock_jumps(void **state)
{
    static const int64_t jumps_s[] = {5, 10 * YEAR_S, -YEAR_S};
    struct check *check = *state;
    move_clock(check);
    for (size_t i = 0; i < ARRAY_LEN(jumps_s); i++) {
        check->service->core->unseal_failures = 20; /* each costs as much as a right one */
        assert_int_not_equal(200, call(check, "PUT", "sys/unseal", NULL, "{\"key\":\"x\"}"));
        later_s += 60; /* not yet */
        assert_int_equal(503, call(check, "PUT", "sys/unseal", NULL, UNSEAL_RIGHT));
        assert_has(check, "too many wrong passphrases");
        assert_null(check->service->keeper);
        later_s += jumps_s[i];
        assert_int_equal(200, call(check, "PUT", "sys/unseal", NULL, UNSEAL_RIGHT));
        assert_int_equal(204, call_operator(check, "PUT", "sys/seal", NULL));
        assert_null(check->service->keeper);
    }
}

/* ---- certificates ---------------------------------------------------------------------------- */

static struct buffer chain_of(struct check *check, const char *id)
{
    struct lethe_error err = {0};
    struct buffer chain = {0};
    struct identity_entry entry = {.policies = {"root"}, .policy_count = 1};
    CLEANUP(buffer_clear) struct buffer der = {0}, request = {0};
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    const struct x509_subject subject = {.common_name = "node"};
    assert_ok(spiffe_parse(id, strlen(id), &entry.id, &err), &err);
    assert_ok(identities_put(check->service->identities, &entry, &err), &err);
    assert_ok(x509_make_request(&subject, pair, &request, &err), &err);
    assert_ok(identities_issue(check->service->identities, id, request.bytes, request.size_bytes, 0,
                               &der, &err),
              &err);
    buffer_prefixed(&chain, der.bytes, der.size_bytes);
    return chain;
}

/* K-4, P-2: a certificate is who it says, on its own connection only, and nothing else. */
static void a_certificate_proves(void **state)
{
    struct check *check = *state;
    CLEANUP(buffer_clear) struct buffer chain = chain_of(check, LOADER);
    assert_int_equal(403, call(check, "GET", "sys/mounts", NULL, NULL));
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(200, call(check, "GET", "sys/mounts", NULL, NULL));
    assert_int_equal(1, records(check, "authorization_granted", "\"actor\":\"" LOADER "\""));
    assert_int_equal(1, records(check, "authorization_granted", "\"tenant\":\"acme\""));
    connect_with_chain(check, NULL, 0);
    assert_int_equal(403, call(check, "GET", "sys/mounts", NULL, NULL));
    chain.bytes[chain.size_bytes - 1] ^= 1;
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(403, call(check, "GET", "sys/mounts", NULL, NULL));
    assert_int_equal(1, check->penalties);
}

static unsigned mounts(struct check *check)
{
    return call(check, "GET", "sys/mounts", NULL, NULL);
}

/* P-2: one that has just been believed, too; and set back, the clock makes it good again. */
static void a_certificate_follows_the_clock(void **state)
{
    static const int64_t outside_s[] = {-DAY_S, -YEAR_S, 2 * YEAR_S, 20 * YEAR_S};
    struct check *check = *state;
    move_clock(check);
    CLEANUP(buffer_clear) struct buffer chain = chain_of(check, LOADER);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    for (size_t i = 0; i < ARRAY_LEN(outside_s); i++) {
        later_s = 0;
        assert_int_equal(200, mounts(check)); /* the control */
        later_s = outside_s[i];
        assert_int_equal(403, mounts(check));
        service_tick(check->service);
        assert_int_equal(403, mounts(check));
    }
    later_s = 0;
    service_tick(check->service);
    assert_int_equal(200, mounts(check));
}

/* K-9, P-10: who is revoked is ended in the same moment, wherever it is, and does not come back. */
static void a_revoked_identity_is_gone(void **state)
{
    struct check *check = *state;
    check->options.dev = true; /* identities are revoked over the network, too */
    reopen(check);
    CLEANUP(buffer_clear) struct buffer chain = chain_of(check, LOADER);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(200, call(check, "GET", "sys/mounts", NULL, NULL));
    send_request(check, "GET", "sys/mounts", NULL, NULL); /* before, in the same turn */
    uint64_t theirs = check->connection;
    connect_with_chain(check, NULL, 0);
    send_request(check, "POST", "lethe/identities/revoke", check->root,
                 "{\"id\":\"" LOADER "\",\"reason\":\"stolen\"}");
    uint64_t ours = check->connection;
    check->connection = theirs;
    send_request(check, "GET", "sys/mounts", NULL, NULL); /* behind it */
    check->connection = ours;
    run_core(check);
    assert_true(answer_next(check));
    assert_int_equal(200, check->status);
    assert_true(answer_next(check));
    if (check->status >= 300)
        fail_msg("revoking: %u %s", check->status, body_text(check));
    assert_true(answer_next(check));
    assert_int_equal(403, check->status);
    assert_int_equal(0, check->closes);
    assert_false(answer_next(check));
    assert_int_equal(1, check->closes);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(403, call(check, "GET", "sys/mounts", NULL, NULL));
    assert_int_equal(1, records(check, "identity_revoked", LOADER));
}

/* ---- the door's own -------------------------------------------------------------------------- */

static void say_hello(struct check *check)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer request = {0};
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    const struct x509_subject subject = {.common_name = "door"};
    static const char *const names[] = {"localhost", "127.0.0.1", NULL};
    struct wire_frame hello = {.kind = WIRE_HELLO};
    assert_ok(x509_make_request(&subject, pair, &request, &err), &err);
    check->service->core->door_names = names;
    hello.parts[0] = (struct wire_part){(const uint8_t *)request.bytes, request.size_bytes};
    wire_put(&check->client, &hello);
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->settings);
}

/* P-3: a door gets a certificate for its key, and another one in time. */
static void a_door_has_a_certificate(void **state)
{
    struct check *check = *state;
    move_clock(check);
    say_hello(check);
    for (unsigned hours = 0; hours < 24 * 400 && check->settings == 1; hours++) {
        later_s += HOUR_S;
        service_tick(check->service);
        call(check, "GET", "sys/health", NULL, NULL);
    }
    assert_int_equal(2, check->settings);
    later_s++;
    service_tick(check->service); /* not once more */
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(2, check->settings);
}

/* Whatever the clock does, what it has is good now and renewed in time. */
static void a_doors_certificate_follows_the_clock(void **state)
{
    struct check *check = *state;
    move_clock(check);
    say_hello(check);
    const struct peer_state *door = core_peer_of(check->service->core, &check->door);
    /* The authority lasts for ten years. */
    static const int64_t where_s[] = {DAY_S, 0, 5 * YEAR_S, DAY_S, 9 * YEAR_S, 0, YEAR_S, 60};
    for (size_t i = 0; i < ARRAY_LEN(where_s); i++) {
        later_s = where_s[i];
        service_tick(check->service);
        call(check, "GET", "sys/health", NULL, NULL);
        uint64_t now_s = core_now_s(check->service->core);
        if (now_s < door->from_s || now_s >= door->renew_s)
            fail_msg("at %lld s", (long long)where_s[i]);
    }
    assert_true(check->settings > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_passphrase_unseals, service_setup_sealed,
                                        service_teardown),
        cmocka_unit_test_setup_teardown(a_wait_is_over_when_the_clock_jumps, service_setup_sealed,
                                        service_teardown),
        ON_SERVICE(a_certificate_proves),
        ON_SERVICE(a_certificate_follows_the_clock),
        ON_SERVICE(a_revoked_identity_is_gone),
        ON_SERVICE(a_door_has_a_certificate),
        ON_SERVICE(a_doors_certificate_follows_the_clock),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
