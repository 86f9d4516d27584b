/* tests/service/token_home.h -- a service of tokens and policies on a home, without the core. */
#ifndef TESTS_SERVICE_TOKEN_HOME_H
#define TESTS_SERVICE_TOKEN_HOME_H

#include "../kms/home.h"
#include "service/identities.h"
#include "service/policies_core.h"
#include "service/tokens_core.h"

struct token_home {
    struct home *home;
    struct service service;
    struct clock_source clock;
    uint64_t now_s;
};
void token_home_open(struct token_home *made);
/* As a process that starts anew. */
void token_home_reopen(struct token_home *made);
void token_home_close(struct token_home *made);

/* Linked in place of the real ones (--wrap). */
void __wrap_service_cut_off(struct service *service, const char *caller_name);
lethe_result __wrap_identities_prove(struct identities *identities, const uint8_t *chain,
                                     size_t chain_bytes, uint64_t now_s,
                                     const struct identity_entry **out, const char **reason,
                                     struct lethe_error *err);

/* Whom service_cut_off() was told last; "" at first. */
extern char cut_off_last[CALLER_NAME_MAX + 1];
extern size_t cut_off_count;
/* What identities_prove() says of a chain: the text of a SPIFFE id, or "revoked". */
extern struct identity_entry proven;

struct token_entry entry_of(const char *policies, uint64_t ttl_s);
/* The token as text; freed by the caller. */
struct lethe_secret *must_make_token(struct token_home *made, struct token_entry *entry);
const struct token_entry *find(struct token_home *made, const struct lethe_secret *token);

int token_home_setup(void **state);
int token_home_teardown(void **state);
#define ON_TOKEN_HOME(test)                                                                        \
    cmocka_unit_test_setup_teardown(test, token_home_setup, token_home_teardown)

#endif
