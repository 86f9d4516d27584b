#include "changes.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#define MODULE "{\"source\":\"package lethe.m\\n\"}"
#define READ_X "{\"policy\":\"path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] }\"}"
#define LOADER "spiffe://example.org/tenant/acme/x"

const struct change changes[] = {
    {"POST", "auth/token/create", "{\"policies\":[\"p\"]}", "token_created"},
    {"POST", "auth/token/renew-accessor", "{\"accessor\":\"$ACCESSOR\",\"increment\":60}", NULL},
    {"POST", "auth/token/revoke-accessor", "{\"accessor\":\"$ACCESSOR\"}", "token_revoked",
     .again = 403},
    {"POST", "auth/token/revoke", "{\"token\":\"$TOKEN\"}", "token_revoked", .again = 403},
    {"GET", "auth/token/lookup-self", NULL, NULL, .by_token = "$COUNTED"},
    {"POST", "transit/keys/new", "{}", "key_created"},
    {"POST", "transit/keys/k/rotate", "{}", "key_rotated"},
    {"POST", "transit/keys/d/config", "{\"min_encryption_version\":1}", "key_configured"},
    {"POST", "transit/keys/k/trim", "{\"min_available_version\":2}", "key_trimmed"},
    {"DELETE", "transit/keys/d", NULL, "key_deleted", .again = 400},
    {"POST", "transit/restore/r", "{\"backup\":\"$BACKUP\"}", "key_restored", true, .again = 400},
    {"POST", "lethe/keys/k/revoke", "{\"reason\":\"lost\"}", "key_revoked", true},
    {"POST", "lethe/keys/k/schedule", "{\"rotate_every\":\"90h\"}", "key_scheduled"},
    {"POST", "lethe/keys/acme.llama/minimum", "{\"minimum\":3}", NULL, .again = 400},
    {"POST", "lethe/keys/k/usage", "{\"model\":\"m\",\"counts\":[{\"version\":1,\"shards\":2}]}",
     NULL},
    {"POST", "sys/policies/acl/new", READ_X, "policy_changed", true},
    {"DELETE", "sys/policies/acl/p", NULL, "policy_changed", true},
    {"POST", "lethe/policies/data", "{\"document\":\"{\\\"roles\\\":{}}\"}", "permission_changed",
     true},
    {"POST", "lethe/identities", "{\"id\":\"spiffe://example.org/tenant/acme/y\"}",
     "permission_changed", true},
    {"POST", "lethe/identities/revoke", "{\"id\":\"" LOADER "\",\"reason\":\"x\"}",
     "identity_revoked", true},
    {"DELETE", "pki/root", NULL, NULL},
    {"POST", "pki/roles/new", "{\"allow_any_name\":true}", NULL},
    {"DELETE", "pki/roles/r", NULL, NULL},
    {"POST", "pki/issue/r", "{\"common_name\":\"a.example\",\"ttl\":\"1h\"}", "identity_issued"},
    {"POST", "pki/revoke", "{\"serial_number\":\"$SERIAL\"}", "identity_revoked"},
    {"GET", "pki/crl/rotate", NULL, NULL},
    {"POST", "pki/config/crl", "{\"expiry\":\"24h\"}", NULL},
    {"POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}", NULL},
};
const size_t change_count = ARRAY_LEN(changes);

/* ---- what differs ---------------------------------------------------------------------------- */

enum { ROOT, TOKEN, ACCESSOR, COUNTED, SERIAL, BACKUP, TEXT_COUNT };
static const char *const names[] = {"$ROOT",    "$TOKEN",  "$ACCESSOR",
                                    "$COUNTED", "$SERIAL", "$BACKUP"};
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

void changes_send(struct check *check, const struct change *change)
{
    static char path[512];
    static char body[8192];
    char token[256];
    fill(change->path, path, sizeof path);
    fill(change->body == NULL ? "" : change->body, body, sizeof body);
    fill(change->by_token == NULL ? "$ROOT" : change->by_token, token, sizeof token);
    const char *sent = change->body == NULL ? NULL : body;
    if (change->as_operator)
        send_operator_request(check, change->method, path, sent);
    else
        send_request(check, change->method, path, token, sent);
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

static void make_what_is_changed(struct check *check)
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
    keep(check, BACKUP, "backup");
    must(check, true, "POST", "sys/policies/acl/p", READ_X);
    must(check, true, "POST", "lethe/identities", "{\"id\":\"" LOADER "\"}");
    must(check, false, "POST", "pki/root/generate/internal", "{\"common_name\":\"r\"}");
    must(check, false, "POST", "pki/roles/r", "{\"allow_any_name\":true}");
    must(check, false, "POST", "pki/issue/r", "{\"common_name\":\"a.example\",\"ttl\":\"1h\"}");
    keep(check, SERIAL, "serial_number");
    must(check, false, "POST", "auth/token/create", "{\"policies\":[\"p\"],\"ttl\":\"1h\"}");
    keep(check, TOKEN, "client_token");
    keep(check, ACCESSOR, "accessor");
    must(check, false, "POST", "auth/token/create", "{\"policies\":[\"p\"],\"num_uses\":5}");
    keep(check, COUNTED, "client_token");
}

void changes_make_home(struct home *home)
{
    struct lethe_error err = {0};
    char path[160];
    must_make_home(home);
    struct check *check = check_of_home(home);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    assert_ok(service_init(check->service, &token, &err), &err);
    memcpy(check->root, lethe_secret_bytes_const(token), lethe_secret_size(token));
    strcpy(texts[ROOT], check->root);
    make_what_is_changed(check);
    check_free(check);
    texts_path(home, path);
    write_file(path, texts, sizeof texts);
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
    strcpy(check->root, texts[ROOT]);
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
    if (strcmp(path, "pin") == 0 || strcmp(path, "outbox") == 0)
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
    assert_ok(store_list(keeper_store(check->service->keeper), "", add_row, &sum, &err), &err);
    return sum;
}
