/* Attested release: the keys themselves, what is on record of them, and asking without getting any
 * (E-4, K-4, K-5). */
#include "check.h"

#include "release_check.h"

#include "../store/faults.h"

static const struct wanted all_well;

static void begin(struct scene *scene)
{
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_tpm(scene);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void one_bad_shard_of_many_releases_nothing(void **state)
{
    struct scene *scene = *state;
    for (size_t bad = 1; bad <= 100; bad += 33) {
        const struct wanted wanted = {.shards = 100, .bad_shard = bad};
        ask_release(scene, &wanted);
        assert_denied(scene, "key_unusable");
    }
    assert_int_equal(4, records(scene->check, "key_denied", "\"shards\":\"100 in all\""));
}

static void ten_thousand_shards_are_one_release(void **state)
{
    struct scene *scene = *state;
    const struct wanted most = {.shards = 10000}, more = {.shards = 10001};
    ask_release(scene, &more);
    assert_denied(scene, "request_malformed");
    assert_int_equal(200, ask_release(scene, &most));
    assert_released(scene);
    assert_true(records(scene->check, "key_released", "9999") >= 1); /* each is on record */
    assert_true(records(scene->check, "key_released", "5000") >= 1);
    assert_int_equal(1, records(scene->check, "attestation_verified", NULL));
}

static void the_release_minimum_holds(void **state)
{
    struct scene *scene = *state;
    const struct wanted old = {.release = 2}, good = {.release = 3};
    must_ask(scene, "POST", "lethe/keys/acme.llama.hot/minimum", "{\"minimum\":3}");
    ask_release(scene, &old);
    assert_denied(scene, "release_too_old");
    assert_int_equal(200, ask_release(scene, &good));
}

static void revoked_and_missing_keys_are_not_released(void **state)
{
    struct scene *scene = *state;
    const struct wanted missing = {.tier = "cold"};
    ask_release(scene, &missing);
    assert_denied(scene, "key_unusable");
    assert_int_equal(0, records(scene->check, "key_released", NULL));
    must_ask(scene, "POST", "lethe/keys/acme.llama.hot/revoke", "{\"reason\":\"lost\"}");
    ask_release(scene, &all_well);
    assert_denied(scene, "key_unusable");
}

/* A point of small order gives no shared secret. */
static void a_public_key_that_gives_no_secret_is_refused(void **state)
{
    struct scene *scene = *state;
    take_challenge(scene);
    write_request(scene, &all_well);
    memset(scene->public_key, 0, sizeof scene->public_key);
    bind_request(scene);
    prove_tpm(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "request_malformed");
}

/* K-4: what cannot be recorded does not happen. */
static void nothing_is_released_that_is_not_on_record(void **state)
{
    struct scene *scene = *state;
    begin(scene);
    faults_arm(FAULT_FULL, 1);
    unsigned status = send_release(scene, "lethe/release");
    assert_has_not(scene->check, "\"ciphertext\":");
    faults_disarm();
    assert_int_equal(503, status);
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_int_equal(1, records(scene->check, "key_released", NULL));
}

/* ---- asking whether -------------------------------------------------------------------------- */

static void a_check_says_why_and_releases_nothing(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    begin(scene);
    assert_int_equal(200, send_release(scene, "lethe/release/check"));
    assert_has(check, "\"allowed\":true");
    assert_has(check, "\"reason\":\"released\"");
    assert_has_not(check, "\"ciphertext\":");
    send_release(scene, "lethe/release"); /* the nonce was used up */
    assert_denied(scene, "nonce_unknown");
    scene->tpm.pcrs[7][0] ^= 1;
    begin(scene);
    assert_int_equal(200, send_release(scene, "lethe/release/check"));
    assert_has(check, "\"allowed\":false");
    assert_has(check, "\"reason\":\"measurement_unknown\"");
    assert_has(check, "PCR 7 is ");
    assert_has(check, "\"rule_allows\":false");
    scene->tpm.pcrs[7][0] ^= 1;
    take_challenge(scene);
    write_request(scene, &(struct wanted){.shards = 5, .bad_shard = 5});
    bind_request(scene);
    prove_tpm(scene);
    assert_int_equal(200, send_release(scene, "lethe/release/check"));
    assert_has(check, "\"reason\":\"key_unusable\"");
    assert_int_equal(0, records(check, "key_released", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(one_bad_shard_of_many_releases_nothing),
        ON_SCENE(ten_thousand_shards_are_one_release),
        ON_SCENE(the_release_minimum_holds),
        ON_SCENE(revoked_and_missing_keys_are_not_released),
        ON_SCENE(a_public_key_that_gives_no_secret_is_refused),
        ON_SCENE(nothing_is_released_that_is_not_on_record),
        ON_SCENE(a_check_says_why_and_releases_nothing),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
