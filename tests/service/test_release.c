/* Attested release (docs/release-protocol.md): keys go to who has proven what it runs, and to
 * nobody else (E-4, K-5). */
#include "check.h"

#include "release_check.h"

static const struct wanted all_well;

static void keys_are_released_to_a_machine_that_proves_itself(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_released(scene);
    assert_has(check, "\"machine\":\"rack7\"");
    assert_has(check, "\"reference\":\"prod\"");
    assert_has(check, "\"reference_version\":1");
    assert_has(check, "\"justification\":\"Conditions met\"");
    assert_int_equal(1, records(check, "key_released", "\"shards\":\"0000,0001,0002\""));
    assert_int_equal(1, records(check, "key_released", body_member(check, "evidence_digest")));
    assert_int_equal(1, records(check, "key_released", body_member(check, "policy_digest")));
    assert_int_equal(1, records(check, "key_released", LOADER_ID));
    assert_int_equal(1, records(check, "attestation_verified", NULL));
    assert_int_equal(0, records(check, "key_denied", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(keys_are_released_to_a_machine_that_proves_itself),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
