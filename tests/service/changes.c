#include "changes.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/x509.h"

#define MODULE "{\"rego\":\"package lethe.m\\n\"}"
#define READ_X "{\"policy\":\"path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] }\"}"
#define LOADER "spiffe://example.org/tenant/acme/x"
#define TOKEN "{\"token\":\"$TOKEN\"}"
#define ROOT_NAME "{\"common_name\":\"r\"}"
#define WITHOUT_ROOT .method_before = "DELETE", .path_before = "pki/root"

#define H16(b) b b b b b b b b b b b b b b b b
#define CHIP(b) "{\"kind\":\"sev-snp\",\"chip_id\":\"" H16(b) H16(b) H16(b) H16(b) "\"}"
#define REFERENCE                                                                                  \
    "{\"document\":\"{\\\"kind\\\":\\\"tpm2\\\",\\\"pcrs\\\":{\\\"7\\\":\\\"" H16("11")            \
        H16("11") "\\\"}}\"}"
#define TPM_KEYS "{\"kind\":\"tpm2\",\"ek\":\"$EK\",\"ak\":\"$AK\"}"

const struct change changes[] = {
    {"POST", "auth/token/create", "{\"policies\":[\"p\"]}", "token_created"},
    {"POST", "auth/token/create-orphan", "{\"policies\":[\"p\"]}", "token_created"},
    {"POST", "auth/token/renew-accessor", "{\"accessor\":\"$ACCESSOR\",\"increment\":60}", NULL},
    {"POST", "auth/token/renew", "{\"token\":\"$TOKEN\",\"increment\":60}", NULL},
    {"POST", "auth/token/renew-self", "{}", NULL, .by_token = "$TOKEN"},
    {"POST", "auth/token/revoke-accessor", "{\"accessor\":\"$ACCESSOR\"}", "token_revoked",
     .again = 403},
    {"POST", "auth/token/revoke-accessor", "{\"accessor\":\"$FAMILY\"}", "token_revoked",
     .again = 403, .records = 4},
    {"POST", "auth/token/revoke", TOKEN, "token_revoked", .again = 403},
    {"POST", "auth/token/revoke-orphan", TOKEN, "token_revoked", .again = 403},
    {"POST", "auth/token/revoke-self", "{}", "token_revoked", .again = 403, .by_token = "$TOKEN"},
    {"GET", "auth/token/lookup-self", NULL, NULL, .by_token = "$COUNTED"},
    {"POST", "auth/cert/certs/web", "{\"certificate\":\"$CERTIFICATE\"}", "permission_changed",
     true},
    {"DELETE", "auth/cert/certs/x", NULL, "permission_changed", true},
    {"POST", "auth/cert/login", "{}", "token_created", .by_chain = true},
    {"POST", "transit/keys/new", "{}", "key_created"},
    {"POST", "transit/keys/k/rotate", "{}", "key_rotated"},
    {"POST", "transit/keys/d/config", "{\"min_encryption_version\":1}", "key_configured"},
    {"POST", "transit/keys/k/config", "{\"deletion_allowed\":true,\"exportable\":true}",
     "key_configured"},
    {"POST", "transit/keys/k/trim", "{\"min_available_version\":2}", "key_trimmed"},
    {"DELETE", "transit/keys/d", NULL, "key_deleted", .again = 400},
    {"POST", "transit/restore/r", "{\"backup\":\"$BACKUP\"}", "key_restored", true, .again = 400},
    {"POST", "transit/restore", "{\"backup\":\"$BACKUP\",\"force\":true}", "key_restored", true},
    {"POST", "lethe/keys/k/revoke", "{\"reason\":\"lost\"}", "key_revoked", true},
    {"POST", "lethe/keys/k/schedule", "{\"rotate_every\":\"90h\"}", "key_scheduled"},
    {"POST", "lethe/keys/acme.llama/minimum", "{\"minimum\":3}", NULL, .again = 400},
    {"POST", "lethe/keys/k/usage", "{\"model\":\"m\",\"counts\":[{\"version\":1,\"shards\":2}]}",
     NULL},
    {"POST", "sys/policies/acl/new", READ_X, "policy_changed", true},
    {"POST", "sys/policy/p", READ_X, "policy_changed", true},
    {"DELETE", "sys/policies/acl/p", NULL, "policy_changed", true},
    {"POST", "lethe/policies/modules/new", MODULE, "policy_changed", true},
    {"DELETE", "lethe/policies/modules/m", NULL, "policy_changed", true},
    {"POST", "lethe/policies/data", "{\"document\":\"{\\\"roles\\\":{}}\"}", "permission_changed",
     true},
    {"DELETE", "lethe/policies/data", NULL, "permission_changed", true},
    {"POST", "lethe/identities", "{\"id\":\"spiffe://example.org/tenant/acme/y\"}",
     "permission_changed", true},
    {"POST", "lethe/identities/issue", "{\"id\":\"" LOADER "\",\"csr\":\"$REQUEST\"}",
     "identity_issued", true},
    {"POST", "lethe/identities/renew", "{\"csr\":\"$REQUEST\"}", "identity_issued",
     .by_chain = true},
    {"POST", "lethe/identities/revoke", "{\"id\":\"" LOADER "\",\"reason\":\"x\"}",
     "identity_revoked", true},
    {"POST", "lethe/identities/roots", "{\"certificates\":\"$ABOVE\"}", "permission_changed", true},
    {"DELETE", "lethe/identities/roots", NULL, "permission_changed", true},
    {"POST", "lethe/attest/machines/new/enroll", CHIP("22"), "permission_changed", true,
     .again = 400},
    {"POST", "lethe/attest/machines/tpm/enroll", TPM_KEYS, NULL, true},
    {"POST", "lethe/attest/machines/m/revoke", "{\"reason\":\"x\"}", "permission_changed", true},
    {"POST", "lethe/attest/references/r", REFERENCE, "permission_changed", true},
    {"POST", "lethe/attest/references/r/revoke", "{\"reason\":\"x\"}", "permission_changed", true,
     .again = 404},
    {"DELETE", "pki/root", NULL, "identity_revoked"},
    {"POST", "pki/root/generate/internal", ROOT_NAME, "identity_issued", .in_steps = true,
     .again = 400, WITHOUT_ROOT}, /* the CRL comes second, or when somebody asks for it */
    {"POST", "pki/root/generate/exported", ROOT_NAME, "identity_issued", true, true, .again = 400,
     WITHOUT_ROOT},
    {"POST", "pki/root/sign-intermediate", "{\"common_name\":\"i\",\"csr\":\"$WAITING\"}",
     "identity_issued"},
    {"POST", "pki/intermediate/generate/internal", ROOT_NAME, "permission_changed", WITHOUT_ROOT},
    {"POST", "pki/intermediate/set-signed", "{\"certificate\":\"$SIGNED\\n$ABOVE\"}",
     "identity_issued", .in_steps = true, .again = 400, WITHOUT_ROOT},
    {"POST", "pki/roles/new", "{\"allow_any_name\":true}", "permission_changed"},
    {"DELETE", "pki/roles/r", NULL, "permission_changed"},
    {"POST", "pki/issue/r", "{\"common_name\":\"a.example\",\"ttl\":\"1h\"}", "identity_issued"},
    {"POST", "pki/sign/r", "{\"common_name\":\"a.example\",\"csr\":\"$REQUEST\"}",
     "identity_issued"},
    {"POST", "pki/revoke", "{\"serial_number\":\"$SERIAL\"}", "identity_revoked"},
    {"GET", "pki/crl/rotate", NULL, NULL},
    {"POST", "pki/config/crl", "{\"expiry\":\"24h\"}", "permission_changed"},
    {"POST", "pki/config/urls", "{\"crl_distribution_points\":\"http://a.example/crl\"}",
     "permission_changed"},
    {"POST", "pki/tidy", "{\"tidy_cert_store\":true,\"safety_buffer\":\"1s\"}", "data_deleted"},
    {"POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}", NULL},
    {"POST", "transit/datakey/wrapped/k", "{}", NULL},
    {"POST", "sys/seal", "{}", NULL},
    {"POST", "sys/unseal", "{}", NULL, .method_before = "POST", .path_before = "sys/seal"},
    {"POST", "sys/init", NULL, "permission_changed", true, true, .again = 400,
     .about = "initialised"},
};
const size_t change_count = ARRAY_LEN(changes) - 1;

/* ---- what differs ---------------------------------------------------------------------------- */

/* X(constant, name): no name is the beginning of another. */
#define TEXTS(X)                                                                                   \
    X(TEXT_ROOT, "$ROOT")                                                                          \
    X(TEXT_FAMILY, "$FAMILY")                                                                      \
    X(TEXT_TOKEN, "$TOKEN")                                                                        \
    X(TEXT_ACCESSOR, "$ACCESSOR")                                                                  \
    X(TEXT_COUNTED, "$COUNTED")                                                                    \
    X(TEXT_SERIAL, "$SERIAL")                                                                      \
    X(TEXT_BACKUP, "$BACKUP")                                                                      \
    X(TEXT_REQUEST, "$REQUEST") /* of a node's key: PKCS#10, as JSON has PEM */                    \
    X(TEXT_EK, "$EK")           /* of a TPM, TPMT_PUBLIC */                                        \
    X(TEXT_AK, "$AK")                                                                              \
    X(TEXT_CERTIFICATE, "$CERTIFICATE") /* of the identity */                                      \
    X(TEXT_WAITING, "$WAITING")         /* the request of an intermediate authority ... */         \
    X(TEXT_SIGNED, "$SIGNED")           /* ... the certificate for it ... */                       \
    X(TEXT_ABOVE, "$ABOVE")             /* ... and that of the authority which signed */
#define TEXT_CONSTANT(constant, name) constant,
#define TEXT_NAME(constant, name) name,
enum { TEXTS(TEXT_CONSTANT) TEXT_COUNT };
static const char *const names[] = {TEXTS(TEXT_NAME)};
static char texts[TEXT_COUNT][4096];

static void texts_path(const struct home *home, char out[160])
{
    snprintf(out, 160, "%s.texts", home->store);
}

static void fill(const char *from, char *out, size_t size_bytes)
{
    size_t used = 0;
    while (*from != '\0') {
        size_t which = TEXT_COUNT;
        for (size_t i = 0; i < TEXT_COUNT; i++) {
            if (strncmp(from, names[i], strlen(names[i])) == 0)
                which = i;
        }
        const char *piece = which < TEXT_COUNT ? texts[which] : from;
        size_t length = which < TEXT_COUNT ? strlen(piece) : 1;
        assert_true(used + length < size_bytes);
        memcpy(out + used, piece, length);
        used += length;
        from += which < TEXT_COUNT ? strlen(names[which]) : 1;
    }
    out[used] = '\0';
}

/* PEM as JSON has it, as net/tls.h gives the chain of a peer. */
static void connect_with(struct check *check, const char *text)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer pem = {0}, chain = {0};
    for (const char *at = text; *at != '\0'; at++) {
        bool is_line = at[0] == '\\' && at[1] == 'n';
        buffer_byte(&pem, is_line ? '\n' : (uint8_t)*at);
        at += is_line;
    }
    assert_ok(x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &chain, &err), &err);
    connect_with_chain(check, chain.bytes, chain.size_bytes);
}

void changes_send(struct check *check, const struct change *change)
{
    static char path[512];
    static char body[8192];
    char token[256];
    fill(change->path, path, sizeof path);
    fill(change->body == NULL ? "" : change->body, body, sizeof body);
    fill(change->by_token == NULL ? "$ROOT" : change->by_token, token, sizeof token);
    const char *sent = change->body == NULL ? NULL : body;
    if (change->by_chain)
        connect_with(check, texts[TEXT_CERTIFICATE]);
    if (change->as_operator)
        send_operator_request(check, change->method, path, sent);
    else
        send_request(check, change->method, path, change->by_chain ? NULL : token, sent);
}

unsigned changes_call(struct check *check, const struct change *change)
{
    changes_send(check, change);
    return last_answer(check, change->as_operator);
}

/* ---- the home -------------------------------------------------------------------------------- */

static void must(struct check *check, bool as_operator, const char *method, const char *path,
                 const char *body)
{
    unsigned status = as_operator ? call_operator(check, method, path, body)
                                  : call(check, method, path, check->root, body);
    if (status / 100 != 2)
        fail_msg("%s: %u %s", path, status, body_text(check));
}

static void keep(struct check *check, size_t which, const char *member)
{
    snprintf(texts[which], sizeof texts[which], "%s", body_member(check, member));
    assert_int_not_equal('\0', texts[which][0]);
}

/* As JSON has PEM. */
static void keep_request(void)
{
    struct lethe_error err = {0};
    char *out = texts[TEXT_REQUEST];
    const struct x509_subject subject = {.common_name = "node"};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    CLEANUP(buffer_clear) struct buffer der = {0}, pem = {0};
    assert_ok(sign_generate(SIGNATURE_ECDSA_P256, &secret, &err), &err);
    assert_ok(sign_pair_create(SIGNATURE_ECDSA_P256, secret, &pair, &err), &err);
    assert_ok(x509_make_request(&subject, pair, &der, &err), &err);
    x509_pem_append(X509_PEM_REQUEST, der.bytes, der.size_bytes, &pem);
    assert_true(pem.size_bytes < sizeof texts[0] / 2);
    for (size_t i = 0; i < pem.size_bytes; i++)
        out += sprintf(out, pem.bytes[i] == '\n' ? "\\n" : "%c", pem.bytes[i]);
}

static void make_keys(struct check *check)
{
    must(check, false, "POST", "transit/keys/k", "{}");
    must(check, false, "POST", "transit/keys/k/rotate", "{}");
    must(check, false, "POST", "transit/keys/k/config",
         "{\"min_decryption_version\":2,\"min_encryption_version\":2}");
    must(check, false, "POST", "transit/keys/d", "{}");
    must(check, false, "POST", "transit/keys/d/config", "{\"deletion_allowed\":true}");
    must(check, false, "POST", "transit/keys/b",
         "{\"exportable\":true,\"allow_plaintext_backup\":true}");
    must(check, true, "GET", "transit/backup/b", NULL);
    keep(check, TEXT_BACKUP, "backup");
}

static void make_policies(struct check *check)
{
    must(check, true, "POST", "sys/policies/acl/p", READ_X);
    must(check, true, "POST", "lethe/policies/modules/m", MODULE);
    must(check, true, "POST", "lethe/policies/data", "{\"document\":\"{\\\"roles\\\":{}}\"}");
}

/* A request that waits stays when a root is made: deleted again, the root leaves room for it. */
static void make_pki(struct check *check)
{
    char body[sizeof texts[0] + 64];
    must(check, false, "POST", "pki/intermediate/generate/internal", ROOT_NAME);
    keep(check, TEXT_WAITING, "csr");
    must(check, false, "POST", "pki/root/generate/internal", ROOT_NAME);
    keep(check, TEXT_ABOVE, "certificate");
    fill("{\"common_name\":\"i\",\"csr\":\"$WAITING\"}", body, sizeof body);
    must(check, false, "POST", "pki/root/sign-intermediate", body);
    keep(check, TEXT_SIGNED, "certificate");
    must(check, false, "POST", "pki/roles/r", "{\"allow_any_name\":true}");
    must(check, false, "POST", "pki/issue/r", "{\"common_name\":\"a.example\",\"ttl\":\"1h\"}");
    keep(check, TEXT_SERIAL, "serial_number");
    /* For tidy, which comes more than two seconds later. */
    must(check, false, "POST", "pki/issue/r", "{\"common_name\":\"b.example\",\"ttl\":\"1s\"}");
}

static void make_identities(struct check *check)
{
    char body[sizeof texts[0] + 64];
    keep_request();
    must(check, true, "POST", "lethe/identities", "{\"id\":\"" LOADER "\"}");
    fill("{\"id\":\"" LOADER "\",\"csr\":\"$REQUEST\"}", body, sizeof body);
    must(check, true, "POST", "lethe/identities/issue", body);
    keep(check, TEXT_CERTIFICATE, "certificate");
    fill("{\"certificate\":\"$CERTIFICATE\"}", body, sizeof body);
    must(check, true, "POST", "auth/cert/certs/x", body);
    fill("{\"certificates\":\"$ABOVE\"}", body, sizeof body);
    must(check, true, "POST", "lethe/identities/roots", body);
}

static void keep_vector(size_t which, const char *name)
{
    char path[512];
    uint8_t *bytes;
    snprintf(path, sizeof path, TEST_VECTORS "/tpm2/%s", name);
    size_t size_bytes = read_file(path, &bytes);
    assert_true(BASE64_LENGTH(size_bytes) < sizeof texts[0]);
    base64_write(bytes, size_bytes, texts[which]);
    texts[which][BASE64_LENGTH(size_bytes)] = '\0';
    free(bytes);
}

/* A machine and a state of machines; and a TPM's keys, as recorded. */
static void make_attested(struct check *check)
{
    keep_vector(TEXT_EK, "ecc.ek");
    keep_vector(TEXT_AK, "ecdsa.ak");
    must(check, true, "POST", "lethe/attest/machines/m/enroll", CHIP("33"));
    must(check, true, "POST", "lethe/attest/references/r", REFERENCE);
}

/* A token with two children, and one below them. */
static void make_family(struct check *check)
{
    static const char body[] = "{\"policies\":[\"root\"],\"ttl\":\"1h\"}";
    char parent[160];
    must(check, false, "POST", "auth/token/create", body);
    keep(check, TEXT_FAMILY, "accessor");
    snprintf(parent, sizeof parent, "%s", body_member(check, "client_token"));
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(200, call(check, "POST", "auth/token/create", parent, body));
    snprintf(parent, sizeof parent, "%s", body_member(check, "client_token"));
    assert_int_equal(200, call(check, "POST", "auth/token/create", parent, body));
}

static void make_tokens(struct check *check)
{
    must(check, false, "POST", "auth/token/create", "{\"policies\":[\"p\"],\"ttl\":\"1h\"}");
    keep(check, TEXT_TOKEN, "client_token");
    keep(check, TEXT_ACCESSOR, "accessor");
    must(check, false, "POST", "auth/token/create", "{\"policies\":[\"p\"],\"num_uses\":5}");
    keep(check, TEXT_COUNTED, "client_token");
    make_family(check);
}

static void write_texts(const struct home *home)
{
    char path[160];
    texts_path(home, path);
    write_file(path, texts, sizeof texts);
}

void changes_make_new_home(struct home *home)
{
    must_make_home(home);
    memset(texts, 0, sizeof texts);
    write_texts(home);
}

void changes_make_home(struct home *home)
{
    struct lethe_error err = {0};
    changes_make_new_home(home);
    struct check *check = check_of_home(home);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    assert_ok(service_init(check->service, &token, &err), &err);
    memcpy(check->root, lethe_secret_bytes_const(token), lethe_secret_size(token));
    strcpy(texts[TEXT_ROOT], check->root);
    make_keys(check);
    make_policies(check);
    make_pki(check);
    make_identities(check);
    make_tokens(check);
    make_attested(check);
    check_free(check);
    write_texts(home);
}

struct check *changes_open(struct home *home)
{
    char path[160];
    uint8_t *bytes;
    texts_path(home, path);
    assert_int_equal(sizeof texts, read_file(path, &bytes));
    memcpy(texts, bytes, sizeof texts);
    free(bytes);
    struct check *check = check_of_home(home);
    strcpy(check->root, texts[TEXT_ROOT]);
    return check;
}

struct check *changes_open_for(struct home *home, const struct change *change)
{
    struct check *check = changes_open(home);
    if (change->path_before != NULL)
        must(check, false, change->method_before, change->path_before, "{}");
    return check;
}

/* ---- its shape ------------------------------------------------------------------------------- */

#define RANDOM_LENGTH 16 /* longer parts of paths are hashes, accessors, serials */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x100000001b3u;
}

static lethe_result add_row(void *context, const char *path, uint64_t version,
                            struct lethe_error *err)
{
    uint64_t hash = 0xcbf29ce484222325u;
    if (strcmp(path, "pin") == 0 || strncmp(path, "outbox", strlen("outbox")) == 0)
        return LETHE_OK;
    for (const char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");
        for (size_t i = 0; i < length && length < RANDOM_LENGTH; i++)
            hash = mix(hash, (uint8_t)at[i]);
        hash = mix(hash, '/');
        at += length + (at[length] == '/');
    }
    *(uint64_t *)context += mix(hash, version);
    return LETHE_OK;
}

uint64_t changes_shape(struct check *check)
{
    struct lethe_error err = {0};
    uint64_t sum = 0;
    if (check->service->keeper == NULL)
        return 0;
    assert_ok(store_list(keeper_store(check->service->keeper), "", add_row, &sum, &err), &err);
    return sum;
}
