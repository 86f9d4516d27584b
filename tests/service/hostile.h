/* tests/service/hostile.h -- requests with any bytes in them, generated from the tables of routes.
 */
#ifndef TESTS_SERVICE_HOSTILE_H
#define TESTS_SERVICE_HOSTILE_H

#include "service_check.h"

#include "service/call.h"

#define REFUSED "{\"errors\":[\"permission denied\"]}"

#define LARGE_BYTES ((size_t)1 << 20)
#define MADE "made" /* what is there, by this name, behind make_all(); "none" is not */
void make_all(struct check *check);

struct bytes {
    const void *at;
    size_t size_bytes;
};
#define BYTES(text) ((struct bytes){(text), sizeof(text) - 1})
#define NOTHING ((struct bytes){NULL, 0})

struct attack {
    unsigned method; /* one bit of enum call_method */
    const char *path;
    const char *query;  /* NULL: none */
    const char *token;  /* NULL: none shown */
    size_t token_bytes; /* 0: up to its NUL */
    struct bytes body;
};
/* The status; the answer is in `check`. As an operator when `check` has no token to show and the
 * route is for operators only: attack_as_operator(). */
unsigned attack(struct check *check, const struct attack *attack);
unsigned attack_as_operator(struct check *check, const struct attack *attack);

/* The next route of all tables: NULL to begin with, NULL behind the last. */
const struct route *next_route(const struct route *route);
unsigned first_method(const struct route *route);
/* A path that fits the pattern, with `name` for ":name" and ":role". */
void path_of(const struct route *route, const char *name, char out[256]);
/* Every row of the store, its version included. */
uint64_t state_of(struct check *check);

#endif
