/* lethe/identities and auth/cert: who comes with a certificate, from the first request of a node to
 * the end of an identity (P-3, K-10). */
#include "service_check.h"

#include <time.h>

#include "../crypto/x509_check.h"

#include "service/identities.h"

#define LOADER "spiffe://example.org/tenant/acme/loader"
#define MAKE_LOADER "{\"id\":\"" LOADER "\",\"policies\":[\"default\"],\"certificate_ttl\":\"1h\"}"

static char *csr_json(const struct sign_pair *pair, const char *members)
{
    struct lethe_error err = {0};
    const struct x509_subject nobody = {.common_name = "root"};
    CLEANUP(buffer_clear) struct buffer der = {0}, pem = {0};
    struct buffer out = {0};
    assert_ok(x509_make_request(&nobody, pair, &der, &err), &err);
    x509_pem_append(X509_PEM_REQUEST, der.bytes, der.size_bytes, &pem);
    buffer_format(&out, "{%s\"csr\":\"", members);
    for (size_t i = 0; i < pem.size_bytes; i++)
        if (pem.bytes[i] == '\n')
            buffer_text(&out, "\\n");
        else
            buffer_byte(&out, (uint8_t)pem.bytes[i]);
    buffer_text(&out, "\"}");
    return out.bytes;
}

/* The certificate of the last answer, as a peer shows it. */
static struct buffer chain_of_answer(struct check *check)
{
    struct lethe_error err = {0};
    struct buffer pem = {0}, chain = {0};
    for (const char *at = body_member(check, "certificate"); *at != '\0'; at++) {
        bool line = at[0] == '\\' && at[1] == 'n';
        buffer_byte(&pem, line ? '\n' : (uint8_t)*at);
        at += line;
    }
    assert_ok(x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &chain, &err), &err);
    buffer_clear(&pem);
    return chain;
}

static struct buffer must_issue(struct check *check, const struct sign_pair *pair)
{
    CLEANUP(memory_free) char *body = csr_json(pair, "\"id\":\"" LOADER "\",");
    assert_int_equal(200, call_operator(check, "POST", "lethe/identities", MAKE_LOADER));
    assert_int_equal(200, call_operator(check, "POST", "lethe/identities/issue", body));
    return chain_of_answer(check);
}

static void identities_are_an_operators_business(void **state)
{
    struct check *check = *state;
    static const char *const paths[] = {"lethe/identities", "lethe/identities/revoke",
                                        "lethe/identities/issue", "lethe/identities/roots"};
    const char *body = "{\"id\":\"" LOADER "\",\"reason\":\"x\",\"csr\":\"x\","
                       "\"certificates\":\"x\"}";
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(403, call(check, "POST", paths[i], check->root, body));
        assert_int_equal(403, call(check, "POST", paths[i], NULL, body));
    }
    assert_int_equal(404, call(check, "LIST", "lethe/identities", check->root, NULL));
    static const char *const bad[] = {
        "{}",
        "{\"id\":\"https://example.org/a\"}",
        "{\"id\":\"spiffe://example.org\"}",
        "{\"id\":\"" LOADER "\",\"policies\":\"root\"}",
        "{\"id\":\"" LOADER "\",\"certificate_ttl\":\"0\"}",
        "{\"id\":\"" LOADER "\",\"certificate_ttl\":\"10000h\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (call_operator(check, "POST", "lethe/identities", bad[i]) != 400)
            fail_msg("%s: %u", bad[i], check->status);
    assert_int_equal(200, call_operator(check, "POST", "lethe/identities", MAKE_LOADER));
    assert_has(check, "\"tenant\":\"acme\"");
    assert_has(check, "\"certificate_ttl\":3600");
    assert_int_equal(200, call(check, "LIST", "lethe/identities", check->root, NULL));
    assert_has(check, "\"keys\":[\"" LOADER "\"]");
    assert_int_equal(200, call(check, "GET", "lethe/identities/example.org/tenant/acme/loader",
                               check->root, NULL));
    assert_has(check, "\"policies\":[\"default\"]");
    assert_int_equal(404,
                     call(check, "GET", "lethe/identities/example.org/nobody", check->root, NULL));
    assert_int_equal(403, call(check, "GET", "lethe/identities/example.org/tenant/acme/loader",
                               check->other, NULL));
}

static void claim(struct check *check, const struct sign_pair *pair, const char *members,
                  unsigned status)
{
    CLEANUP(memory_free) char *body = csr_json(pair, members);
    if (call(check, "POST", "lethe/identities/renew", NULL, body) != status)
        fail_msg("%s: %u", members, check->status);
}

/* One identity has one spelling inside, whichever comes in. */
static void an_identity_may_be_written_without_its_scheme(void **state)
{
    static const char bare[] = "{\"id\":\"example.org/tenant/acme/loader\",\"reason\":\"x\"}";
    struct check *check = *state;
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(memory_free)
    char *body = csr_json(pair, "\"id\":\"example.org/tenant/acme/loader\",");
    assert_int_equal(200, call_operator(check, "POST", "lethe/identities", bare));
    assert_has(check, "\"id\":\"" LOADER "\"");
    assert_int_equal(200, call_operator(check, "POST", "lethe/identities", MAKE_LOADER));
    assert_int_equal(200, call(check, "LIST", "lethe/identities", check->root, NULL));
    assert_has(check, "\"keys\":[\"" LOADER "\"]");
    assert_int_equal(200, call(check, "GET", "lethe/identities/example.org/tenant/acme/loader",
                               check->root, NULL));
    assert_int_equal(200, call_operator(check, "POST", "lethe/identities/issue", body));
    CLEANUP(buffer_clear) struct buffer chain = chain_of_answer(check);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    claim(check, pair, "\"principal\":\"example.org/tenant/acme/loader\",", 200);
    claim(check, pair, "\"identity\":\"" LOADER "\",", 200);
    claim(check, pair, "\"identity\":\"example.org/tenant/acme/loade\",", 403);
    claim(check, pair, "\"identity\":\"//example.org/tenant/acme/loader\",", 403);
    assert_int_equal(204, call_operator(check, "POST", "lethe/identities/revoke", bare));
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(403, call(check, "POST", "auth/cert/login", NULL, "{}"));
    assert_int_equal(1, records(check, "identity_revoked", LOADER));
}

/* K-9: an operator binds a token to an identity, without whose certificate it is void. */
static void a_token_may_be_made_for_an_identity(void **state)
{
    struct check *check = *state;
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(check, pair);
    static const char *const bad[] = {
        "{\"identity\":\"https://example.org/x\"}",
        "{\"identity\":\"" LOADER "s\"}",
        "{\"identity\":\"" LOADER "\",\"tenant\":\"other\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (call_operator(check, "POST", "auth/token/create", bad[i]) != 400)
            fail_msg("%s: %u %s", bad[i], check->status, body_text(check));
    }
    assert_int_equal(200, call_operator(check, "POST", "auth/token/create",
                                        "{\"identity\":\"example.org/tenant/acme/loader\","
                                        "\"policies\":\"default\"}"));
    CLEANUP(memory_free) char *token = strdup(body_member(check, "client_token"));
    assert_int_equal(403, call(check, "GET", "auth/token/lookup-self", token, NULL));
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", token, NULL));
    assert_int_equal(1, records(check, "token_created", LOADER));
}

static void a_node_renews_its_certificate(void **state)
{
    struct check *check = *state;
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(sign_pair_free) struct sign_pair *next = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(check, pair);
    CLEANUP(memory_free) char *body = csr_json(next, "");
    assert_has_not(check, "PRIVATE");
    /* No certificate, no renewal: not by a token either. */
    assert_int_equal(403, call(check, "POST", "lethe/identities/renew", NULL, body));
    assert_int_equal(403, call(check, "POST", "lethe/identities/renew", check->root, body));
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(200, call(check, "POST", "lethe/identities/renew", NULL, body));
    assert_has(check, "\"id\":\"" LOADER "\"");
    assert_int_equal(400, call(check, "POST", "lethe/identities/renew", NULL, "{\"csr\":\"x\"}"));
    assert_int_equal(200, call(check, "POST", "lethe/identities/renew", NULL, body));
    CLEANUP(buffer_clear) struct buffer renewed = chain_of_answer(check);
    connect_with_chain(check, renewed.bytes, renewed.size_bytes);
    assert_int_equal(200, call(check, "POST", "lethe/identities/renew", NULL, body));
    renewed.bytes[renewed.size_bytes - 1] ^= 1;
    connect_with_chain(check, renewed.bytes, renewed.size_bytes);
    assert_int_equal(403, call(check, "POST", "lethe/identities/renew", NULL, body));
}

/* Everything ends with an identity: certificates, tokens, connections; and it does not come back.
 */
static void a_revoked_identity_is_cut_off(void **state)
{
    struct check *check = *state;
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(check, pair);
    CLEANUP(memory_free) char *body = csr_json(pair, "");
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(200, call(check, "POST", "auth/cert/login", NULL, "{}"));
    CLEANUP(memory_free) char *token = strdup(body_member(check, "client_token"));
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", token, NULL));
    assert_int_equal(
        400, call_operator(check, "POST", "lethe/identities/revoke", "{\"id\":\"" LOADER "\"}"));
    unsigned closed = check->closes;
    assert_int_equal(204, call_operator(check, "POST", "lethe/identities/revoke",
                                        "{\"id\":\"" LOADER "\",\"reason\":\"stolen\"}"));
    run_core(check);
    assert_int_equal(404, call_operator(check, "POST", "lethe/identities/revoke",
                                        "{\"id\":\"spiffe://x.y/z\",\"reason\":\"stolen\"}"));
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(403, call(check, "GET", "auth/token/lookup-self", token, NULL));
    assert_int_equal(403, call(check, "POST", "lethe/identities/renew", NULL, body));
    assert_int_equal(403, call(check, "POST", "auth/cert/login", NULL, "{}"));
    assert_true(check->closes > closed);
    assert_int_equal(400, call_operator(check, "POST", "lethe/identities", MAKE_LOADER));
    reopen(check);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(403, call(check, "POST", "auth/cert/login", NULL, "{}"));
    assert_int_equal(1, records(check, "identity_revoked", "stolen"));
    assert_int_not_equal(0, records(check, "token_revoked", LOADER));
}

static void a_certificate_for_a_token(void **state)
{
    struct check *check = *state;
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(check, pair);
    assert_int_equal(403, call(check, "POST", "auth/cert/login", NULL, "{}")); /* none shown */
    connect_with_chain(check, "\xff\xff\xff\xff", 4);
    assert_int_equal(403, call(check, "POST", "auth/cert/login", NULL, "{}"));
    assert_int_not_equal(0, check->penalties);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    assert_int_equal(403, call(check, "POST", "auth/cert/login", NULL, "{\"name\":\"nobody\"}"));
    assert_int_equal(200, call(check, "POST", "auth/cert/login", NULL, NULL));
    assert_has(check, "\"cert_name\":\"identity\"");
    assert_has(check, "\"policies\":[\"default\"]");
    CLEANUP(memory_free) char *token = strdup(body_member(check, "client_token"));
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", token, NULL));
    /* It is worth nothing on a connection without the certificate. */
    connect_with_chain(check, NULL, 0);
    assert_int_equal(403, call(check, "GET", "auth/token/lookup-self", token, NULL));
    assert_int_equal(1, records(check, "auth_success", "certificate"));
}

/* ---- entries --------------------------------------------------------------------------------- */

static void must_write_entry(struct check *check, const char *name, const struct holder *root,
                             const char *members)
{
    CLEANUP(buffer_clear) struct buffer pem = {0}, body = {0};
    char path[128];
    x509_pem_append(X509_PEM_CERTIFICATE, root->der.bytes, root->der.size_bytes, &pem);
    buffer_format(&body, "{%s\"certificate\":\"", members);
    for (size_t i = 0; i < pem.size_bytes; i++)
        if (pem.bytes[i] == '\n')
            buffer_text(&body, "\\n");
        else
            buffer_byte(&body, (uint8_t)pem.bytes[i]);
    buffer_text(&body, "\"}");
    snprintf(path, sizeof path, "auth/cert/certs/%s", name);
    assert_int_equal(204, call_operator(check, "POST", path, body.bytes));
}

static struct x509_template now_template(const char *name)
{
    struct x509_template t = template_of(name, 5);
    t.not_before_s = (uint64_t)time(NULL) - 60;
    t.not_after_s = t.not_before_s + DAY_S;
    t.extended_usage = X509_CLIENT_AUTH;
    return t;
}

static unsigned login(struct check *check, const struct holder *who, const char *body)
{
    CLEANUP(buffer_clear) struct buffer chain = {0};
    buffer_prefixed(&chain, who->der.bytes, who->der.size_bytes);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
    return call(check, "POST", "auth/cert/login", NULL, body);
}

static void entries_for_an_authority(void **state)
{
    struct check *check = *state;
    struct x509_template r = now_template("Corporate"), t = now_template("web-1.a.test");
    r.is_ca = true;
    r.extended_usage = 0;
    CLEANUP(holder_clear) struct holder root = make_holder(&r, NULL, SIGNATURE_ECDSA_P256);
    CLEANUP(holder_clear) struct holder other = make_holder(&r, NULL, SIGNATURE_ECDSA_P256);
    CLEANUP(holder_clear) struct holder web = make_holder(&t, &root, SIGNATURE_ECDSA_P256);
    t.subject.common_name = "db-1.a.test";
    CLEANUP(holder_clear) struct holder database = make_holder(&t, &root, SIGNATURE_ECDSA_P256);
    t.subject.common_name = "web-1.a.test";
    CLEANUP(holder_clear) struct holder forged = make_holder(&t, &other, SIGNATURE_ECDSA_P256);
    assert_int_equal(403, login(check, &web, "{}"));
    must_write_entry(check, "web", &root,
                     "\"allowed_common_names\":\"web-*\",\"token_policies\":\"default,web\","
                     "\"token_ttl\":\"1h\",");
    assert_int_equal(200, login(check, &web, "{}"));
    assert_has(check, "\"cert_name\":\"web\"");
    assert_has(check, "\"common_name\":\"web-1.a.test\"");
    assert_has(check, "\"web\"]");
    assert_has(check, "\"lease_duration\":3600");
    assert_int_equal(200, login(check, &web, "{\"name\":\"web\"}"));
    assert_int_equal(403, login(check, &web, "{\"name\":\"other\"}"));
    assert_int_equal(403, login(check, &database, "{}"));
    assert_int_equal(403, login(check, &forged, "{}"));
    assert_int_equal(200, call(check, "GET", "auth/cert/certs/web", check->root, NULL));
    assert_has(check, "\"allowed_common_names\":[\"web-*\"]");
    assert_has(check, "\"token_ttl\":3600");
    assert_int_equal(200, call(check, "LIST", "auth/cert/certs", check->root, NULL));
    assert_has(check, "\"keys\":[\"web\"]");
    assert_int_equal(204, call_operator(check, "DELETE", "auth/cert/certs/web", NULL));
    assert_int_equal(403, login(check, &web, "{}"));
    assert_int_equal(404, call(check, "GET", "auth/cert/certs/web", check->root, NULL));
}

/* One certificate that is believed by itself: that one, as long as it lasts. */
static void an_entry_for_one_certificate(void **state)
{
    struct check *check = *state;
    struct x509_template t = now_template("node");
    CLEANUP(holder_clear) struct holder node = make_holder(&t, NULL, SIGNATURE_ED25519);
    CLEANUP(holder_clear) struct holder other = make_holder(&t, NULL, SIGNATURE_ED25519);
    t.not_after_s = t.not_before_s + 1;
    CLEANUP(holder_clear) struct holder old = make_holder(&t, NULL, SIGNATURE_ED25519);
    must_write_entry(check, "node", &node, "");
    must_write_entry(check, "old", &old, "");
    assert_int_equal(200, login(check, &node, "{}"));
    assert_int_equal(403, login(check, &other, "{}"));
    assert_int_equal(403, login(check, &old, "{}"));
}

static void entries_that_would_promise_too_much(void **state)
{
    struct check *check = *state;
    static const char *const bad[] = {
        "{}",
        "{\"certificate\":\"x\"}",
        "{\"certificate\":\"x\",\"token_policies\":\"root\"}",
        "{\"certificate\":\"x\",\"token_bound_cidrs\":\"10.0.0.0/8\"}",
        "{\"certificate\":\"x\",\"required_extensions\":\"1.2.3:x\"}",
        "{\"certificate\":\"x\",\"token_type\":\"batch\"}",
        "{\"certificate\":\"x\",\"token_ttl\":-1}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (call_operator(check, "POST", "auth/cert/certs/a", bad[i]) != 400)
            fail_msg("%s: %u", bad[i], check->status);
    assert_int_equal(403, call(check, "POST", "auth/cert/certs/a", check->root, bad[1]));
    assert_int_equal(404, call(check, "LIST", "auth/cert/certs", check->root, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(identities_are_an_operators_business),
        ON_SERVICE(an_identity_may_be_written_without_its_scheme),
        ON_SERVICE(a_token_may_be_made_for_an_identity),
        ON_SERVICE(a_node_renews_its_certificate),
        ON_SERVICE(a_revoked_identity_is_cut_off),
        ON_SERVICE(a_certificate_for_a_token),
        ON_SERVICE(entries_for_an_authority),
        ON_SERVICE(an_entry_for_one_certificate),
        ON_SERVICE(entries_that_would_promise_too_much),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
