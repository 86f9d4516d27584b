/* tests/service/service_check.h -- a real service in a home of its own, called as the door calls
 * it: frames over a socket pair, answered by the core in this process.
 *
 *     static void keys_are_made(void **state)
 *     {
 *         struct check *check = *state;
 *         assert_int_equal(200, call(check, "POST", "transit/keys/a", check->root, "{}"));
 *         assert_has(check, "\"latest_version\":1");
 *     }
 *     cmocka_unit_test_setup_teardown: ON_SERVICE(keys_are_made) */
#ifndef TESTS_SERVICE_CHECK_H
#define TESTS_SERVICE_CHECK_H

#include "../kms/home.h"

#include "service/core.h"
#include "service/wire.h"

struct check {
    struct home *home;
    struct service_options options;
    struct service *service;
    struct core_peer door, admin; /* the keeper's ends */
    struct wire client, program;  /* ours */
    char root[128];               /* token with the policy "root" */
    char other[128];              /* token of tenant "acme", with a policy that is not there */
    char other_name[160];         /* as callers and actors are called: "token:<accessor>" */
    uint64_t connection;          /* that call() uses; 1 has no certificate */
    uint64_t number;              /* of the last request */

    /* Of the last answer. */
    unsigned status;
    bool stream;
    char content_type[64];
    struct guarded body;                /* with a NUL behind it that is not counted */
    unsigned penalties, closes, pieces; /* frames of these kinds, since the service was opened */
    struct guarded last_piece;
    unsigned settings, readies;
    unsigned sealed; /* what the last READY said */
};

int service_setup(void **state); /* *state: a struct check of a new, initialised service */
/* One whose root is the passphrase CHECK_PASSPHRASE: sealed, and not initialised. */
#define CHECK_PASSPHRASE "correct horse battery staple"
int service_setup_sealed(void **state);
int service_teardown(void **state);
/* crypto_start(): for cmocka_run_group_tests. */
int service_start(void **state);
#define ON_SERVICE(test) cmocka_unit_test_setup_teardown(test, service_setup, service_teardown)

/* A service on a home that is there, which stays the caller's. No token in it is known. */
struct check *check_of_home(struct home *home);
void check_free(struct check *check);

/* A token that does not expire, with one policy; `name` is its holder's, "token:<accessor>". */
void make_token(struct check *check, const char *tenant, const char *policy, char token[128],
                char name[160]);
/* Closes and opens it again, as another process would: what it remembered is gone. */
void reopen(struct check *check);
/* The status. `method`: GET, POST, PUT, DELETE, LIST. `path` below /v1/, perhaps with "?query".
 * `token` and `body` may be NULL. */
unsigned call(struct check *check, const char *method, const char *path, const char *token,
              const char *body);
/* As an operator on the admin socket. */
unsigned call_operator(struct check *check, const char *method, const char *path, const char *body);
/* With flags of wire_request_flags. */
unsigned call_with_flags(struct check *check, unsigned flags, const char *path, const char *token);
/* From now on call() uses a new connection, whose peer showed this chain (net/tls.h). */
void connect_with_chain(struct check *check, const void *chain, size_t chain_bytes);
/* Puts a request without waiting for it; answer_next() takes answers in their order. */
void send_request(struct check *check, const char *method, const char *path, const char *token,
                  const char *body);
void send_operator_request(struct check *check, const char *method, const char *path,
                           const char *body);
void run_core(struct check *check); /* all that was sent, in one turn */
bool answer_next(struct check *check);
bool operator_answer_next(struct check *check);
/* Runs what was sent; the status of the last answer. */
unsigned last_answer(struct check *check, bool to_operator);

const char *body_text(struct check *check);
void assert_has(struct check *check, const char *text);
void assert_has_not(struct check *check, const char *text);
/* The text of the first member of this name, anywhere in the answer; "" when there is none. */
const char *body_member(struct check *check, const char *name);
/* How many records of the log hold `event` and `with` (NULL: any), once all are written. */
size_t records(struct check *check, const char *event, const char *with);

#endif
