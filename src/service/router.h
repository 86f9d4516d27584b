/* service/router.h -- which row of the tables a path and a method are.
 *
 * Rows are found by the first two parts of their patterns, and compared in the order of the tables:
 * the first that fits counts. The fields of each are the row's own and the claims: names that a
 * body may carry about its sender, and must not lie about. */
#ifndef SERVICE_ROUTER_H
#define SERVICE_ROUTER_H

#include "service/call.h"

#define ROUTER_CAPTURES_MAX 8u

/* Behind a row's own fields: X(place, name) */
#define ROUTER_CLAIMS(X)                                                                           \
    X(TENANT, "tenant") X(PRINCIPAL, "principal") X(IDENTITY, "identity") X(PURPOSE, "purpose")
enum router_claim {
#define ROUTER_CLAIM_ENUM(place, name) CLAIM_##place,
    ROUTER_CLAIMS(ROUTER_CLAIM_ENUM)
#undef ROUTER_CLAIM_ENUM
        CLAIM_COUNT
};
#define ROUTER_FIELDS_MAX (FIELDS_MAX + CLAIM_COUNT + 1)

struct routed { /* a row, as the router keeps it */
    const struct route *route;
    struct field *fields;        /* its own, then the claims that it does not know itself */
    size_t own_count;            /* fields of the row itself */
    uint8_t claims[CLAIM_COUNT]; /* places of the claims in `fields` */
    bool is_own[CLAIM_COUNT];    /* the row has a field of that name */
    uint64_t counts[6];          /* of answers, by the status's first digit */
    struct routed *next;         /* of the same bucket */
};

struct router;
LETHE_MUST_CHECK lethe_result router_create(const struct route *const *tables, struct router **out,
                                            struct lethe_error *err);
void router_free(struct router *router); /* NULL is fine */
DEFINE_CLEANUP(router_free, struct router *);

struct router_capture {
    const char *name; /* of the pattern */
    size_t name_bytes;
    const char *text; /* in the caller's copy of the path */
};
struct router_match {
    struct routed *routed; /* NULL: no such path, or not by this method */
    bool other_method;     /* there is such a path */
    struct router_capture captures[ROUTER_CAPTURES_MAX];
    size_t capture_count;
};
/* `path` is below /v1/; `segments`, with room for as many bytes, is overwritten. */
void router_find(const struct router *router, unsigned method, const char *path, char *segments,
                 struct router_match *out);
/* What stands in the path where the pattern has ":<name>"; "" when it has no such part. */
const char *router_captured(const struct router_match *match, const char *name);
/* Every row, in the order of the tables; NULL behind the last. */
struct routed *router_at(struct router *router, size_t index);

#endif
