#include "check.h"

#include "token_home.h"

#include <stdlib.h>

#include "base/error.h"

char cut_off_last[CALLER_NAME_MAX + 1];
size_t cut_off_count;
struct identity_entry proven;

void __wrap_service_cut_off(struct service *service, const char *caller_name)
{
    snprintf(cut_off_last, sizeof cut_off_last, "%s", caller_name);
    cut_off_count++;
}

lethe_result __wrap_identities_prove(struct identities *identities, const uint8_t *chain,
                                     size_t chain_bytes, uint64_t now_s,
                                     const struct identity_entry **out, const char **reason,
                                     struct lethe_error *err)
{
    if (chain_bytes == 7 && memcmp(chain, "revoked", 7) == 0) {
        *reason = "revoked";
        return error_set(err, LETHE_REVOKED, "revoked");
    }
    snprintf(proven.id.text, sizeof proven.id.text, "%.*s", (int)chain_bytes, (const char *)chain);
    *out = &proven;
    return LETHE_OK;
}

/* ---- a home ---------------------------------------------------------------------------------- */

static uint64_t wall_ns(void *context)
{
    return ((struct token_home *)context)->now_s * 1000000000u;
}

static uint64_t monotonic_ns(void *context)
{
    static uint64_t latest_ns;
    latest_ns = MAX(latest_ns, wall_ns(context));
    return latest_ns;
}

void token_home_open(struct token_home *made)
{
    struct lethe_error err = {0};
    made->service.options.keeper = made->home->options;
    made->service.keeper = must_open_home(made->home);
    assert_ok(tokens_open(&made->service, &made->service.tokens, &err), &err);
    assert_ok(policies_open(&made->service, &made->service.policies, &err), &err);
}

void token_home_close(struct token_home *made)
{
    tokens_free(made->service.tokens);
    policies_free(made->service.policies);
    must_close_home(made->service.keeper);
}

void token_home_reopen(struct token_home *made)
{
    token_home_close(made);
    token_home_open(made);
}

int token_home_setup(void **state)
{
    struct token_home *made = calloc(1, sizeof *made);
    void *home = NULL;
    if (made == NULL || home_setup(&home) != 0)
        return -1;
    made->home = home;
    made->now_s = 1790000000;
    made->clock = (struct clock_source){wall_ns, monotonic_ns, made};
    made->home->options.clock = &made->clock;
    must_make_home(made->home);
    token_home_open(made);
    cut_off_count = 0;
    cut_off_last[0] = '\0';
    proven = (struct identity_entry){0};
    *state = made;
    return 0;
}

int token_home_teardown(void **state)
{
    struct token_home *made = *state;
    token_home_close(made);
    void *home = made->home;
    int result = home_teardown(&home);
    free(made);
    return result;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

struct token_entry entry_of(const char *policies, uint64_t ttl_s)
{
    struct token_entry entry = {.ttl_s = ttl_s, .renewable = true, .display_name = "token"};
    snprintf(entry.path, sizeof entry.path, "auth/token/create");
    for (; *policies != '\0'; policies += strspn(policies, " ")) {
        size_t length = strcspn(policies, " ");
        snprintf(entry.policies[entry.policy_count++], sizeof entry.policies[0], "%.*s",
                 (int)length, policies);
        policies += length;
    }
    return entry;
}

struct lethe_secret *must_make_token(struct token_home *made, struct token_entry *entry)
{
    struct lethe_secret *token;
    struct lethe_error err = {0};
    assert_ok(tokens_create(made->service.tokens, entry, &token, &err), &err);
    return token;
}

const struct token_entry *find(struct token_home *made, const struct lethe_secret *token)
{
    return tokens_find(made->service.tokens, lethe_secret_bytes_const(token),
                       lethe_secret_size(token), made->now_s);
}
