/* Enrolling machines (docs/release-protocol.md, "Machines, reference values"). E-4 */
#include "check.h"

#include "release_check.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "service/attested_core.h"

static unsigned activate(struct scene *scene, const char *name, const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "lethe/attest/machines/%s/activate", name);
    return call_operator(scene->check, "POST", path, body);
}

static void assert_not_enrolled(struct scene *scene, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "lethe/attest/machines/%s", name);
    assert_int_equal(404, call_operator(scene->check, "GET", path, NULL));
}

/* ---- enrolling ------------------------------------------------------------------------------- */

static void a_machine_is_enrolled_by_its_tpm(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    must_ask(scene, "GET", "lethe/attest/machines/rack7", NULL);
    assert_has(check, "\"kind\":\"tpm2\"");
    assert_has(check, "\"ek_certified\":false");
    assert_has(check, "\"id\":\"000b");
    assert_int_equal(1, records(check, "permission_changed", "\"enrolled\""));
    must_ask(scene, "LIST", "lethe/attest/machines", NULL);
    assert_has(check, "\"keys\":[\"rack7\"]");
    assert_int_equal(404, call_operator(check, "GET", "lethe/attest/machines/other", NULL));
}

/* Another TPM, to which the credential was not encrypted; or another key than the one it names. */
static void a_wrong_secret_enrols_nothing(void **state)
{
    struct scene *scene = *state;
    struct tpm good, other;
    char body[256], right[256];
    tpm_make(&good);
    tpm_make(&other);
    assert_int_equal(200, begin_enrolment(scene, "m", &good, ""));
    enrolment_answer(scene, &other, body);
    enrolment_answer(scene, &good, right);
    assert_int_equal(403, activate(scene, "m", body));
    assert_not_enrolled(scene, "m");
    assert_int_equal(404, activate(scene, "m", right)); /* one answer */
    EVP_PKEY *ak = good.ak;
    struct buffer public_area = good.ak_public;
    assert_int_equal(200, begin_enrolment(scene, "m", &good, ""));
    good.ak = other.ak;
    good.ak_public = other.ak_public; /* a TPM with that key has not the one that was named */
    enrolment_answer(scene, &good, body);
    good.ak = ak;
    good.ak_public = public_area;
    assert_int_equal(403, activate(scene, "m", body));
    static const char *const secrets[] = {"", "AA==", "?"};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        assert_int_equal(200, begin_enrolment(scene, "m", &good, ""));
        snprintf(body, sizeof body, "{\"enrolment\":\"%s\",\"secret\":\"%s\"}",
                 body_member(scene->check, "enrolment"), secrets[i]);
        assert_true(activate(scene, "m", body) / 100 == 4);
    }
    assert_not_enrolled(scene, "m");
    must_enrol(scene, "m", &good, "");
    tpm_clear(&good);
    tpm_clear(&other);
}

static void an_enrolment_ends(void **state)
{
    static const int64_t jumps_s[] = {301, 86400, -10};
    struct scene *scene = *state;
    struct tpm tpm;
    char body[256];
    tpm_make(&tpm);
    for (size_t i = 0; i < ARRAY_LEN(jumps_s); i++) {
        assert_int_equal(200, begin_enrolment(scene, "m", &tpm, ""));
        enrolment_answer(scene, &tpm, body);
        scene->ahead_s += jumps_s[i];
        assert_int_equal(404, activate(scene, "m", body));
        assert_not_enrolled(scene, "m");
    }
    assert_int_equal(200, begin_enrolment(scene, "m", &tpm, ""));
    enrolment_answer(scene, &tpm, body);
    scene->ahead_s += 290;
    assert_int_equal(200, activate(scene, "m", body));
    assert_int_equal(404, activate(scene, "m", body)); /* sent again */
    tpm_clear(&tpm);
}

static void an_enrolment_is_of_one_machine(void **state)
{
    struct scene *scene = *state;
    struct tpm tpm;
    char body[256];
    tpm_make(&tpm);
    assert_int_equal(200, begin_enrolment(scene, "a", &tpm, ""));
    enrolment_answer(scene, &tpm, body);
    assert_int_equal(400, activate(scene, "b", body));
    assert_int_equal(404, activate(scene, "a", body));
    assert_int_equal(404, activate(scene, "a", "{\"enrolment\":\"00\",\"secret\":\"AA==\"}"));
    must_enrol(scene, "a", &tpm, "");
    assert_int_equal(200, begin_enrolment(scene, "b", &tpm, "")); /* the same TPM again */
    enrolment_answer(scene, &tpm, body);
    assert_int_equal(400, activate(scene, "b", body));
    assert_has(scene->check, "is enrolled already, as a");
    struct tpm other;
    tpm_make(&other);
    assert_int_equal(200, begin_enrolment(scene, "a", &other, "")); /* the same name again */
    enrolment_answer(scene, &other, body);
    assert_int_equal(400, activate(scene, "a", body));
    tpm_clear(&other);
    tpm_clear(&tpm);
}

static void a_restart_forgets_enrolments(void **state)
{
    struct scene *scene = *state;
    struct tpm tpm;
    char body[256];
    tpm_make(&tpm);
    assert_int_equal(200, begin_enrolment(scene, "m", &tpm, ""));
    enrolment_answer(scene, &tpm, body);
    scene_reopen(scene);
    assert_int_equal(404, activate(scene, "m", body));
    tpm_clear(&tpm);
}

/* 64 wait; the one that ends first gives way. */
static void enrolments_are_bounded(void **state)
{
    struct scene *scene = *state;
    struct tpm tpm;
    char first[256], last[256];
    tpm_make(&tpm);
    assert_int_equal(200, begin_enrolment(scene, "m", &tpm, ""));
    enrolment_answer(scene, &tpm, first);
    for (size_t i = 0; i < ENROLMENTS_MAX; i++) {
        scene->ahead_s++;
        assert_int_equal(200, begin_enrolment(scene, "m", &tpm, ""));
    }
    enrolment_answer(scene, &tpm, last);
    assert_int_equal(404, activate(scene, "m", first));
    assert_int_equal(200, activate(scene, "m", last));
    tpm_clear(&tpm);
}

static void what_is_no_tpm_is_not_enrolled(void **state)
{
    struct scene *scene = *state;
    struct tpm good, changed;
    tpm_make(&good);
    changed = good;
    static const size_t attributes_at = 4;
    static const uint32_t flips[] = {1u << 1, 1u << 4, 1u << 5, 1u << 16, 1u << 17, 1u << 18};
    for (size_t i = 0; i < ARRAY_LEN(flips); i++) { /* each attribute that makes it one */
        changed.ak_public = (struct buffer){0};
        buffer_append(&changed.ak_public, good.ak_public.bytes, good.ak_public.size_bytes);
        for (size_t byte = 0; byte < 4; byte++)
            changed.ak_public.bytes[attributes_at + byte] ^= (char)(flips[i] >> 8 * (3 - byte));
        assert_true(begin_enrolment(scene, "m", &changed, "") / 100 == 4);
        buffer_clear(&changed.ak_public);
    }
    changed.ak_public = good.ak_public;
    changed.ek_public = good.ak_public; /* a key that signs, not one that decrypts */
    assert_true(begin_enrolment(scene, "m", &changed, "") / 100 == 4);
    static const char *const members[] = {",\"identity\":\"https://x.example\"",
                                          ",\"identity\":\"spiffe://\"",
                                          ",\"ek_certificate\":\"?\"", ",\"kind\":\"sgx\""};
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (begin_enrolment(scene, "m", &good, members[i]) / 100 != 4)
            fail_msg("%s: %u", members[i], scene->check->status);
    static const char *const names[] = {
        ".m", "m%20m", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (begin_enrolment(scene, names[i], &good, "") / 100 != 4)
            fail_msg("%s: %u", names[i], scene->check->status);
    static const char *const chips[] = {"", "00", "zz"};
    for (size_t i = 0; i < ARRAY_LEN(chips); i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"kind\":\"sev-snp\",\"chip_id\":\"%s\"}", chips[i]);
        assert_int_equal(
            400, call_operator(scene->check, "POST", "lethe/attest/machines/m/enroll", body));
    }
    must_enrol(scene, "m", &good, "");
    tpm_clear(&good);
}

static void read_vector(const char *name, struct buffer *out)
{
    char path[512];
    struct lethe_error err = {0};
    snprintf(path, sizeof path, TEST_VECTORS "/tpm2/%s", name);
    assert_ok(file_read_all(AT_FDCWD, path, 1u << 16, out, &err), &err);
}

/* With roots, the maker's certificate is needed; recorded ones of an swtpm stand for it. */
static void with_roots_an_endorsement_key_is_certified(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    struct buffer roots = {0}, ek = {0}, certificate = {0}, kept;
    struct tpm tpm;
    tpm_make(&tpm);
    read_vector("ca.pem", &roots);
    read_vector("ecc.ek", &ek);
    read_vector("ecc.der", &certificate);
    check->options.attest.ek_roots = roots.bytes;
    scene_reopen(scene);
    assert_int_equal(403, begin_enrolment(scene, "m", &tpm, ""));
    assert_has(check, "ek_certificate is missing");
    struct buffer member = {0};
    buffer_text(&member, ",\"ek_certificate\":\"");
    base64_append(&member, certificate.bytes, certificate.size_bytes);
    buffer_text(&member, "\"");
    assert_int_equal(403, begin_enrolment(scene, "m", &tpm, member.bytes)); /* another key's */
    kept = tpm.ek_public;
    tpm.ek_public = ek;
    unsigned now = begin_enrolment(scene, "m", &tpm, member.bytes);
    tpm.ek_public = kept;
    if (now != 200)
        fail_msg("%u %s", now, body_text(check));
    buffer_clear(&roots);
    buffer_clear(&ek);
    buffer_clear(&certificate);
    buffer_clear(&member);
    tpm_clear(&tpm);
    check->options.attest.ek_roots = NULL;
    scene_reopen(scene);
}

/* Who may write below lethe/attest is not who may enrol: that takes sudo. */
static void enrolling_takes_sudo(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    char token[128], name[160], body[256];
    must_ask(scene, "POST", "sys/policies/acl/almost",
             "{\"policy\":\"path \\\"lethe/attest/*\\\" { capabilities = [\\\"create\\\", "
             "\\\"update\\\", \\\"read\\\", \\\"list\\\"] }\"}");
    make_token(check, "", "almost", token, name);
    snprintf(body, sizeof body, "{\"kind\":\"sev-snp\",\"chip_id\":\"%s\"}",
             guest_chip(scene->guest));
    assert_int_equal(403, call(check, "POST", "lethe/attest/machines/m/enroll", token, body));
    assert_int_equal(200, call(check, "LIST", "lethe/attest/machines", token, NULL));
    assert_int_equal(403, call(check, "POST", "lethe/attest/references/r", token,
                               "{\"document\":\"{}\"}")); /* the admin socket's */
    must_ask(scene, "POST", "sys/policies/acl/almost",
             "{\"policy\":\"path \\\"lethe/attest/*\\\" { capabilities = [\\\"update\\\", "
             "\\\"sudo\\\"] }\"}");
    assert_int_equal(200, call(check, "POST", "lethe/attest/machines/m/enroll", token, body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(a_machine_is_enrolled_by_its_tpm),
        ON_SCENE(a_wrong_secret_enrols_nothing),
        ON_SCENE(an_enrolment_ends),
        ON_SCENE(an_enrolment_is_of_one_machine),
        ON_SCENE(a_restart_forgets_enrolments),
        ON_SCENE(enrolments_are_bounded),
        ON_SCENE(what_is_no_tpm_is_not_enrolled),
        ON_SCENE(with_roots_an_endorsement_key_is_certified),
        ON_SCENE(enrolling_takes_sudo),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
