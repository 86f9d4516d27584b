/* Who asks: tokens, certificates, and both at once. Whatever is wrong has one text. K-9 */
#include "check.h"

#include "token_home.h"

#include "service/auth.h"

static lethe_result identify(struct token_home *made, const struct lethe_secret *token,
                             const char *chain, struct caller *out, const char **reason)
{
    struct lethe_error err = {0};
    struct auth_input input = {.has_token = token != NULL,
                               .chain = (const uint8_t *)chain,
                               .chain_bytes = chain != NULL ? strlen(chain) : 0,
                               .now_s = made->now_s};
    if (token != NULL) {
        input.token = lethe_secret_bytes_const(token);
        input.token_bytes = lethe_secret_size(token);
    }
    memset(out, 0xa5, sizeof *out);
    lethe_result result = auth_identify(&made->service, &input, out, reason, &err);
    if (result != LETHE_OK) {
        assert_string_equal(err.text, "permission denied");
        assert_true((*reason)[0] != '\0');
        assert_true(lethe_is_zero(out, sizeof *out));
    }
    return result;
}

static void check_denied(struct token_home *made, const struct lethe_secret *token,
                         const char *chain, const char *why)
{
    struct caller caller;
    const char *reason;
    assert_result(LETHE_DENIED, identify(made, token, chain, &caller, &reason));
    assert_string_equal(reason, why);
}

static void test_nobody(void **state)
{
    struct token_home *made = *state;
    const struct auth_input empty = {.has_token = true,
                                     .token = (const uint8_t *)"x",
                                     .chain = (const uint8_t *)"spiffe://t/a",
                                     .chain_bytes = 12};
    struct caller caller;
    struct lethe_error err = {0};
    const char *reason;
    check_denied(made, NULL, NULL, "no token and no certificate");
    check_denied(made, NULL, "revoked", "revoked");
    /* An empty token is one, also beside a certificate that would do. */
    assert_result(LETHE_DENIED, auth_identify(&made->service, &empty, &caller, &reason, &err));
    assert_string_equal(reason, "malformed");
    struct auth_input large = empty;
    large.token_bytes = TOKEN_GIVEN_MAX + 1;
    uint8_t text[TOKEN_GIVEN_MAX + 1] = "x";
    large.token = text;
    assert_result(LETHE_DENIED, auth_identify(&made->service, &large, &caller, &reason, &err));
    assert_string_equal(reason, "malformed");
}

static void test_a_token_is_who_its_holder_is(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app default", 60), root = entry_of("root", 0);
    struct caller caller;
    const char *reason;
    char name[64];
    snprintf(entry.tenant, sizeof entry.tenant, "acme");
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    CLEANUP(lethe_secret_free) struct lethe_secret *above = must_make_token(made, &root);
    snprintf(name, sizeof name, "token:%s", entry.accessor);
    /* The certificate of the connection is somebody else's, and does not matter. */
    assert_result(LETHE_OK, identify(made, token, "spiffe://t/a", &caller, &reason));
    assert_int_equal(caller.kind, CALLER_TOKEN);
    assert_string_equal(caller.name, name);
    assert_string_equal(caller.accessor, entry.accessor);
    assert_string_equal(caller.tenant, "acme");
    assert_int_equal(caller.policy_count, 2);
    assert_string_equal(caller.policies[1], "default");
    assert_false(caller.is_root);
    assert_result(LETHE_OK, identify(made, above, NULL, &caller, &reason));
    assert_true(caller.is_root);
    made->now_s += 60;
    check_denied(made, token, NULL, "unknown, expired or revoked");
    check_denied(made, token, "spiffe://t/a", "unknown, expired or revoked");
}

static void test_a_certificate_is_who_comes_without_a_token(void **state)
{
    struct token_home *made = *state;
    struct caller caller;
    const char *reason;
    proven.policy_count = 1;
    snprintf(proven.policies[0], sizeof proven.policies[0], "loader");
    snprintf(proven.id.tenant, sizeof proven.id.tenant, "acme");
    assert_result(LETHE_OK, identify(made, NULL, "spiffe://t/a", &caller, &reason));
    assert_int_equal(caller.kind, CALLER_CERTIFICATE);
    assert_string_equal(caller.name, "spiffe://t/a");
    assert_string_equal(caller.tenant, "acme");
    assert_string_equal(caller.policies[0], "loader");
    assert_string_equal(caller.accessor, "");
}

static void test_a_bound_token_is_void_without_its_certificate(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60);
    struct caller caller;
    const char *reason;
    snprintf(entry.identity, sizeof entry.identity, "spiffe://t/a");
    entry.uses_left = 2;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    check_denied(made, token, NULL, "a bound token without a certificate");
    check_denied(made, token, "spiffe://t/b", "a token that is bound to somebody else");
    check_denied(made, token, "revoked", "revoked");
    assert_int_equal(find(made, token)->uses_left, 2); /* none of these was a use */
    assert_result(LETHE_OK, identify(made, token, "spiffe://t/a", &caller, &reason));
    assert_int_equal(caller.kind, CALLER_TOKEN);
    assert_string_equal(caller.name, "spiffe://t/a");
}

static void test_a_token_of_two_uses_has_two(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60);
    struct caller caller;
    const char *reason;
    entry.uses_left = 2;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    assert_result(LETHE_OK, identify(made, token, NULL, &caller, &reason));
    token_home_reopen(made); /* counted before it was answered */
    assert_result(LETHE_OK, identify(made, token, NULL, &caller, &reason));
    assert_string_equal(caller.accessor, entry.accessor);
    assert_int_equal(cut_off_count, 0); /* its own answer is still to come */
    check_denied(made, token, NULL, "unknown, expired or revoked");
}

/* What a call presented is kept for that call, and wiped by the next. */
static void test_the_presented_token_is_kept_for_one_call(void **state)
{
    struct token_home *made = *state;
    struct guarded *presented = &made->service.tokens->presented;
    struct token_entry entry = entry_of("app", 60);
    struct caller caller;
    const char *reason;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    assert_result(LETHE_OK, identify(made, token, NULL, &caller, &reason));
    assert_int_equal(presented->size_bytes, TOKEN_BYTES);
    assert_memory_equal(presented->bytes, lethe_secret_bytes(token), TOKEN_BYTES);
    assert_result(LETHE_OK, identify(made, NULL, "spiffe://t/a", &caller, &reason));
    assert_int_equal(presented->size_bytes, 0);
    assert_true(lethe_is_zero(presented->bytes, TOKEN_BYTES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TOKEN_HOME(test_nobody),
        ON_TOKEN_HOME(test_a_token_is_who_its_holder_is),
        ON_TOKEN_HOME(test_a_certificate_is_who_comes_without_a_token),
        ON_TOKEN_HOME(test_a_bound_token_is_void_without_its_certificate),
        ON_TOKEN_HOME(test_a_token_of_two_uses_has_two),
        ON_TOKEN_HOME(test_the_presented_token_is_kept_for_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
