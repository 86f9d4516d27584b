/* Calls of transit: what is refused, and what is answered (K-3, K-6). What other people's clients
 * make of it: tests/cli/test_kms_clients.py. */
#include "transit_check.h"

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_is_not_offered_is_refused_and_not_ignored(void **state)
{
    static const struct {
        const char *path, *body, *says;
    } refused[] = {
        {"transit/keys/x", "{\"type\":\"rsa-2048\"}", "RSA"},
        {"transit/keys/x", "{\"type\":\"none\"}", ""},
        {"transit/keys/x", "{\"derived\":true}", "derived"},
        {"transit/keys/x", "{\"derived\":\"true\"}", "derived"},
        {"transit/keys/x", "{\"convergent_encryption\":true}", "convergent"},
        {"transit/keys/x", "{\"auto_rotate_period\":\"59m\"}", "auto_rotate_period"},
        {"transit/keys/x", "{\"auto_rotate_period\":-1}", "auto_rotate_period"},
        {"transit/encrypt/k", "{\"plaintext\":\"\",\"context\":\"YQ==\"}", "context"},
        {"transit/encrypt/k", "{\"plaintext\":\"\",\"nonce\":\"YQ==\"}", "nonce"},
        {"transit/encrypt/k", "{\"plaintext\":\"\",\"convergent_encryption\":true}", "convergent"},
        {"transit/encrypt/k", "{\"plaintext\":\"YQ\"}", "base64"},
        {"transit/encrypt/k", "{\"plaintext\":\"\",\"associated_data\":\"!\"}", "associated_data"},
        {"transit/encrypt/k", "{\"plaintext\":\"\",\"key_version\":-1}", "key_version"},
        {"transit/encrypt/k", "{\"plaintext\":\"\",\"key_version\":2}", ""},
        {"transit/encrypt/k", "{}", "missing plaintext"},
        {"transit/encrypt/k", "{\"batch_input\":[]}", "missing batch input to process"},
        {"transit/encrypt/absent", "{\"plaintext\":\"\"}", "encryption key not found"},
        {"transit/encrypt/signer", "{\"plaintext\":\"\"}", "ed25519"},
        {"transit/decrypt/k", "{}", "missing ciphertext"},
        {"transit/decrypt/k", "{\"ciphertext\":\"\"}", "missing ciphertext"},
        {"transit/decrypt/k", "{\"ciphertext\":\"vault:v1:AAAA\"}", ""},
        {"transit/decrypt/k", "{\"ciphertext\":\"vault:v1:AAAA\",\"purpose\":\"fun\"}", "purpose"},
        {"transit/rewrap/k", "{}", "missing ciphertext"},
        {"transit/datakey/other/k", "{}", "datakey"},
        {"transit/datakey/plaintext/k", "{\"bits\":129}", "bits"},
        {"transit/datakey/plaintext/k", "{\"bits\":64}", "bits"},
        {"transit/random", "{\"bytes\":0}", "bytes"},
        {"transit/random/131073", "{}", "bytes"},
        {"transit/random/01", "{}", "bytes"},
        {"transit/random", "{\"format\":\"octal\"}", "format"},
        {"transit/hash", "{}", "input"},
        {"transit/hash", "{\"input\":\"!\"}", "base64"},
        {"transit/hash/md5", "{\"input\":\"\"}", "algorithm"},
        {"transit/hmac/k/sha1", "{\"input\":\"\"}", "algorithm"},
        {"transit/hmac/k", "{}", "missing input"},
        {"transit/sign/signer/none", "{\"input\":\"\"}", "algorithm"},
        {"transit/sign/signer", "{\"input\":\"\",\"marshaling_algorithm\":\"pgp\"}", "marshaling"},
        {"transit/sign/absent", "{\"input\":\"\"}", "signing key not found"},
        {"transit/sign/k", "{\"input\":\"\"}", ""},
        {"transit/verify/signer", "{\"input\":\"\"}", "one of signature and hmac"},
        {"transit/verify/signer", "{\"input\":\"\",\"signature\":\"a\",\"hmac\":\"b\"}", "one of"},
        {"transit/verify/signer", "{\"input\":\"\",\"signature\":\"a\"}", ""},
        {"transit/keys/absent/rotate", "", "absent"},
        {"transit/keys/absent/config", "{\"deletion_allowed\":true}", "absent"},
        {"transit/keys/k/config", "{\"min_decryption_version\":-1}", "min_decryption_version"},
        {"transit/keys/k/config", "{\"min_decryption_version\":2}", ""},
        {"transit/keys/k/trim", "{}", "min_available_version"},
        {"transit/restore", "{}", "backup"},
        {"transit/restore", "{\"backup\":\"YQ==\"}", ""},
        {"lethe/keys/k/revoke", "{}", "reason"},
        {"lethe/keys/k/schedule", "{}", "rotate_every"},
        {"lethe/keys/acme.llama.hot/minimum", "{\"minimum\":0}", "minimum"},
        {"lethe/keys/k/minimum", "{\"minimum\":1}", ""},
    };
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/keys/signer", "{\"type\":\"ed25519\"}");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        unsigned status = ask(check, "POST", refused[i].path, refused[i].body);
        if (status != 400 || strstr(body_text(check), refused[i].says) == NULL)
            fail_msg("%s %s: %u %s", refused[i].path, refused[i].body, status, body_text(check));
    }
    assert_int_equal(404, ask(check, "GET", "transit/keys/x", NULL)); /* none of it made one */
}

static void what_is_not_there_is_404_where_it_is_looked_at(void **state)
{
    static const char *const paths[] = {"transit/keys/absent", "transit/export/hmac-key/absent",
                                        "lethe/keys/absent/status"};
    struct check *check = *state;
    assert_int_equal(404, ask(check, "LIST", "transit/keys", NULL));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_int_equal(404, ask(check, "GET", paths[i], NULL));
    assert_int_equal(404, ask(check, "POST", "lethe/keys/absent/revoke", "{\"reason\":\"x\"}"));
    assert_int_equal(400, ask(check, "DELETE", "transit/keys/absent", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/backup/absent", NULL));
}

static void a_partial_failure_has_a_status_that_is_one(void **state)
{
    static const char *const bad[] = {"0", "100", "199", "600", "-1"};
    struct check *check = *state;
    char body[256];
    must(check, "POST", "transit/keys/k", NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(body, sizeof body,
                 "{\"batch_input\":[{\"plaintext\":\"\"},{}],\"partial_failure_response_code\":%s}",
                 bad[i]);
        assert_int_equal(400, ask(check, "POST", "transit/encrypt/k", body));
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void a_key_is_shown_with_every_member(void **state)
{
    static const char *const members[] = {"\"name\":\"k\"",
                                          "\"type\":\"aes256-gcm96\"",
                                          "\"derived\":false",
                                          "\"exportable\":true",
                                          "\"allow_plaintext_backup\":false",
                                          "\"deletion_allowed\":false",
                                          "\"latest_version\":1",
                                          "\"min_available_version\":0",
                                          "\"min_decryption_version\":1",
                                          "\"min_encryption_version\":0",
                                          "\"supports_encryption\":true",
                                          "\"supports_decryption\":true",
                                          "\"supports_signing\":false",
                                          "\"supports_derivation\":false",
                                          "\"auto_rotate_period\":7200",
                                          "\"imported_key\":false",
                                          "\"soft_deleted\":false",
                                          "\"keys\":{\"1\":1"};
    struct check *check = *state;
    must(check, "POST", "transit/keys/k",
         "{\"exportable\":\"true\",\"auto_rotate_period\":\"2h\"}");
    must(check, "GET", "transit/keys/k", NULL);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (strstr(body_text(check), members[i]) == NULL)
            fail_msg("%s is not in %s", members[i], body_text(check));
    assert_null(strstr(body_text(check), "revoked_through"));
}

static void deletion_has_to_be_allowed(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    assert_int_equal(400, ask(check, "DELETE", "transit/keys/k", NULL));
    must(check, "POST", "transit/keys/k/config", "{\"deletion_allowed\":\"true\"}");
    assert_int_equal(204, ask(check, "DELETE", "transit/keys/k", NULL));
    assert_int_equal(404, ask(check, "GET", "transit/keys/k", NULL));
}

static void versions_come_and_go(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/keys/k/rotate", NULL);
    assert_non_null(strstr(body_text(check), "\"latest_version\":2"));
    assert_int_equal(400,
                     ask(check, "POST", "transit/keys/k/trim", "{\"min_available_version\":2}"));
    must(check, "POST", "transit/keys/k/config",
         "{\"min_decryption_version\":\"2\",\"min_encryption_version\":2}");
    assert_null(strstr(body_text(check), "\"1\":"));
    must(check, "POST", "transit/keys/k/trim", "{\"min_available_version\":2}");
    assert_non_null(strstr(body_text(check), "\"min_available_version\":2"));
    must(check, "GET", "lethe/keys/k/status?version=1", NULL);
    assert_non_null(strstr(body_text(check), "\"usable\":false,\"reason\":\"trimmed\""));
}

static void keys_are_taken_out_only_where_that_is_allowed(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/shut", NULL);
    must(check, "POST", "transit/keys/open",
         "{\"exportable\":true,\"allow_plaintext_backup\":true}");
    assert_int_equal(400, ask(check, "GET", "transit/export/encryption-key/shut", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/backup/shut", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/export/signing-key/open", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/export/public-key/open", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/export/nonsense/open", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/export/hmac-key/open/2", NULL));
    assert_int_equal(400, ask(check, "GET", "transit/export/hmac-key/open/x", NULL));
    must(check, "GET", "transit/export/encryption-key/open/latest", NULL);
    assert_int_equal(44, strlen(body_member(check, "1")));
    must(check, "GET", "transit/backup/open", NULL);
    char body[8192];
    snprintf(body, sizeof body, "{\"backup\":\"%s\"}", body_member(check, "backup"));
    assert_int_equal(400, ask(check, "POST", "transit/restore", body));
    assert_int_equal(204, ask(check, "POST", "transit/restore/other", body));
    must(check, "GET", "transit/keys/other", NULL);
}

/* ---- data ------------------------------------------------------------------------------------ */

static void encrypt(struct check *check, const char *key, const char *more)
{
    char path[128], body[256];
    snprintf(path, sizeof path, "transit/encrypt/%s", key);
    snprintf(body, sizeof body, "{\"plaintext\":\"aGVsbG8=\"%s}", more);
    must(check, "POST", path, body);
}

static void what_is_encrypted_opens_with_what_it_was_bound_to(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    encrypt(check, "k", ",\"associated_data\":\"YQ==\"");
    char body[4096];
    strcpy(body, with_text(check, ",\"associated_data\":\"YQ==\""));
    assert_int_equal(400, ask(check, "POST", "transit/decrypt/k", with_text(check, "")));
    must(check, "POST", "transit/decrypt/k", body);
    assert_has(check, "\"data\":{\"plaintext\":\"aGVsbG8=\"}");
    must(check, "POST", "transit/keys/k/rotate", NULL);
    must(check, "POST", "transit/rewrap/k", body);
    assert_non_null(strstr(body_text(check), "\"key_version\":2"));
    must(check, "POST", "transit/decrypt/k", with_text(check, ",\"associated_data\":\"YQ==\""));
}

static void an_empty_plaintext_comes_back_as_one(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"\"}");
    must(check, "POST", "transit/decrypt/k", with_text(check, ""));
    assert_has(check, "\"data\":{\"plaintext\":\"\"}");
}

static void a_batch_answers_item_by_item(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    assert_int_equal(
        400, ask(check, "POST", "transit/encrypt/k",
                 "{\"plaintext\":\"!\",\"batch_input\":[{\"plaintext\":\"YQ==\",\"reference\":"
                 "\"a\\\"\"},{\"plaintext\":\"!\",\"reference\":\"b\"},{\"plaintext\":7}]}"));
    assert_non_null(strstr(body_text(check), "{\"batch_results\":[{\"ciphertext\":\"vault:v1:"));
    assert_non_null(
        strstr(body_text(check), "\"key_version\":1,\"reference\":\"a\\\"\"},{\"error\":\""));
    assert_non_null(strstr(body_text(check), "\"reference\":\"b\"},{\"error\":\""));
    assert_int_equal(207, ask(check, "POST", "transit/encrypt/k",
                              "{\"batch_input\":[{\"plaintext\":\"\"},{}],"
                              "\"partial_failure_response_code\":\"207\"}"));
    assert_int_equal(400, ask(check, "POST", "transit/encrypt/k",
                              "{\"batch_input\":[{}],\"partial_failure_response_code\":207}"));
    must(check, "POST", "transit/hmac/k", "{\"batch_input\":[{},{\"input\":\"\"}]}");
    assert_non_null(
        strstr(body_text(check), "{\"error\":\"missing input\"},{\"hmac\":\"vault:v1:"));
}

static void signatures_are_made_and_verified(void **state)
{
    static const char *const types[] = {"ed25519", "ecdsa-p256", "ecdsa-p384"};
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char path[128], body[512];
        snprintf(path, sizeof path, "transit/keys/%s", types[i]);
        snprintf(body, sizeof body, "{\"type\":\"%s\"}", types[i]);
        must(check, "POST", path, body);
        snprintf(path, sizeof path, "transit/sign/%s/sha2-512", types[i]);
        must(check, "POST", path, "{\"input\":\"aGVsbG8=\",\"hash_algorithm\":\"ignored\"}");
        snprintf(path, sizeof path, "transit/verify/%s", types[i]);
        snprintf(body, sizeof body,
                 "{\"input\":\"aGVsbG8=\",\"algorithm\":\"sha2-512\",\"signature\":\"%s\"}",
                 body_member(check, "signature"));
        must(check, "POST", path, body);
        assert_has(check, "\"data\":{\"valid\":true}");
        body[strlen("{\"input\":\"a")] = 'X';
        must(check, "POST", path, body);
        assert_has(check, "\"data\":{\"valid\":false}");
    }
}

static void an_unknown_key_is_made_by_its_first_use_where_that_is_on(void **state)
{
    struct check *check = *state;
    assert_int_equal(400, ask(check, "POST", "transit/encrypt/new", "{\"plaintext\":\"\"}"));
    check->service->options.upsert = true;
    assert_int_equal(400, ask(check, "POST", "transit/encrypt/new",
                              "{\"plaintext\":\"\",\"type\":\"rsa-2048\"}"));
    must(check, "POST", "transit/encrypt/new",
         "{\"plaintext\":\"\",\"type\":\"chacha20-poly1305\"}");
    must(check, "GET", "transit/keys/new", NULL);
    assert_non_null(strstr(body_text(check), "chacha20-poly1305"));
    assert_int_equal(
        400, ask(check, "POST", "transit/decrypt/other", "{\"ciphertext\":\"vault:v1:AAAA\"}"));
    check->service->options.upsert = false;
}

/* FIPS 180-4, "abc" */
static void hashes_and_random_bytes(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/hash", "{\"input\":\"YWJj\"}");
    assert_has(
        check,
        "\"data\":{\"sum\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}");
    must(check, "POST", "transit/hash/sha2-256",
         "{\"input\":\"YWJj\",\"algorithm\":\"sha3-512\",\"format\":\"base64\"}");
    assert_has(check, "\"data\":{\"sum\":\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"}");
    must(check, "POST", "transit/random/5", "{\"format\":\"hex\",\"bytes\":9}");
    assert_int_equal(10, strlen(body_member(check, "random_bytes")));
    must(check, "POST", "transit/random", NULL);
    assert_int_equal(44, strlen(body_member(check, "random_bytes")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ON_SERVICE(what_is_not_offered_is_refused_and_not_ignored),
        ON_SERVICE(what_is_not_there_is_404_where_it_is_looked_at),
        ON_SERVICE(a_partial_failure_has_a_status_that_is_one),
        ON_SERVICE(a_key_is_shown_with_every_member),
        ON_SERVICE(deletion_has_to_be_allowed),
        ON_SERVICE(versions_come_and_go),
        ON_SERVICE(keys_are_taken_out_only_where_that_is_allowed),
        ON_SERVICE(what_is_encrypted_opens_with_what_it_was_bound_to),
        ON_SERVICE(an_empty_plaintext_comes_back_as_one),
        ON_SERVICE(a_batch_answers_item_by_item),
        ON_SERVICE(signatures_are_made_and_verified),
        ON_SERVICE(an_unknown_key_is_made_by_its_first_use_where_that_is_on),
        ON_SERVICE(hashes_and_random_bytes),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
