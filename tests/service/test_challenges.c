/* Challenges of attested release: for one identity, once, for a minute, and not too many (E-4). */
#include "check.h"

#include "release_check.h"

#include "service/attested_core.h"

static const struct wanted all_well;

/* ---- challenges ------------------------------------------------------------------------------ */

static void begin(struct scene *scene)
{
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_tpm(scene);
}

static void a_challenge_is_used_once(void **state)
{
    struct scene *scene = *state;
    begin(scene);
    scene->tpm.pcrs[7][0] ^= 1;
    prove_tpm(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "measurement_unknown");
    scene->tpm.pcrs[7][0] ^= 1;
    prove_tpm(scene); /* used up, whatever came of it */
    send_release(scene, "lethe/release");
    assert_denied(scene, "nonce_unknown");
    begin(scene);
    memset(scene->nonce, 7, sizeof scene->nonce);
    send_release(scene, "lethe/release");
    assert_denied(scene, "nonce_unknown");
    begin(scene);
    assert_int_equal(200, send_release(scene, "lethe/release"));
    assert_int_equal(403, send_release(scene, "lethe/release")); /* all of it, recorded and sent */
}

static void a_challenge_lives_for_a_minute(void **state)
{
    static const int64_t jumps_s[] = {61, 3600, -5};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(jumps_s); i++) {
        begin(scene);
        scene->ahead_s += jumps_s[i];
        send_release(scene, "lethe/release");
        scene->ahead_s = 0;
        assert_denied(scene, "nonce_expired");
    }
    begin(scene);
    scene->ahead_s += 55;
    assert_int_equal(200, send_release(scene, "lethe/release"));
}

static void a_challenge_is_of_one_identity(void **state)
{
    struct scene *scene = *state;
    struct identity other;
    scene_connect_as(scene, "spiffe://example.org/tenant/acme/other/" PRINCIPAL, &other);
    scene_come_back(scene, &scene->loader);
    take_challenge(scene);
    scene_come_back(scene, &other);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_tpm(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "nonce_foreign");
    scene_come_back(scene, &scene->loader); /* it stayed its owner's */
    bind_request(scene);
    prove_tpm(scene);
    assert_int_equal(200, send_release(scene, "lethe/release"));
    buffer_clear(&other.chain);
}

/* The seventeenth of an identity takes the place of its first, and of nobody else's. */
static void an_identity_has_sixteen_challenges(void **state)
{
    struct scene *scene = *state;
    uint8_t first[32], second[32];
    take_challenge(scene);
    memcpy(first, scene->nonce, 32);
    take_challenge(scene);
    memcpy(second, scene->nonce, 32);
    for (size_t i = 2; i <= CHALLENGES_OF_ONE_MAX; i++)
        take_challenge(scene);
    write_request(scene, &all_well);
    memcpy(scene->nonce, first, 32);
    bind_request(scene);
    prove_tpm(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "nonce_unknown");
    memcpy(scene->nonce, second, 32);
    bind_request(scene);
    prove_tpm(scene);
    assert_int_equal(200, send_release(scene, "lethe/release"));
}

static size_t live(const struct attested *attested)
{
    size_t count = 0;
    for (size_t i = 0; i < CHALLENGES_MAX; i++)
        count += attested->challenges[i].until_s != 0;
    return count;
}

/* 64 identities take all there are; others wait, and those go on with theirs. */
static void there_are_a_thousand_challenges(void **state)
{
    struct scene *scene = *state;
    struct attested *attested = scene->check->service->attested;
    uint8_t nonce[CHALLENGE_BYTES];
    struct lethe_error err = {0};
    char identity[64];
    for (size_t i = 0; i < CHALLENGES_MAX; i++) {
        snprintf(identity, sizeof identity, "spiffe://example.org/%zu", i / CHALLENGES_OF_ONE_MAX);
        assert_ok(challenges_draw(attested, identity, 1000, nonce, &err), &err);
    }
    assert_int_equal(CHALLENGES_MAX, live(attested));
    assert_result(LETHE_BUSY,
                  challenges_draw(attested, "spiffe://example.org/x", 1059, nonce, &err));
    assert_ok(challenges_draw(attested, identity, 1059, nonce, &err), &err);
    assert_int_equal(CHALLENGES_MAX, live(attested));
    assert_ok(challenges_draw(attested, "spiffe://example.org/x", 1060, nonce, &err), &err);
    const char *reason = "";
    assert_ok(challenges_use(attested, "spiffe://example.org/x", nonce, 1060, &reason, &err), &err);
    /* Through the route: 503, and not one more is remembered. */
    uint64_t now_s = scene_now_s(scene);
    for (size_t i = 0; i < CHALLENGES_MAX; i++) {
        snprintf(identity, sizeof identity, "spiffe://example.org/%zu", i / CHALLENGES_OF_ONE_MAX);
        assert_ok(challenges_draw(attested, identity, now_s, nonce, &err), &err);
    }
    assert_int_equal(503, call(scene->check, "POST", "lethe/release/challenge", NULL, "{}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(a_challenge_is_used_once),        ON_SCENE(a_challenge_lives_for_a_minute),
        ON_SCENE(a_challenge_is_of_one_identity),  ON_SCENE(an_identity_has_sixteen_challenges),
        ON_SCENE(there_are_a_thousand_challenges),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
