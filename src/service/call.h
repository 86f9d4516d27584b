/* service/call.h -- one request that the keeper answers, as its handlers see it.
 *
 * Before a handler runs, the core has found its route, proven the caller (service/auth.h), asked
 * the policy (service/authorise.h) and read the fields of the body and the query by the route's
 * table. A handler does one thing, and gives LETHE_OK with an answer written, or the failure, which
 * the core turns into status and errors (CALL_STATUSES). Texts of errors reach the client: they
 * hold no secret, and never say whether something exists to whom it is denied.
 *
 * Uses are recorded by call_record(): they become durable, those of many calls together, before any
 * answer of these calls leaves the keeper; if they cannot, the answers are wiped and are 503.
 * Changes of the store write theirs (kms/change.h).
 * Thread rule: the keeper's one thread. */
#ifndef SERVICE_CALL_H
#define SERVICE_CALL_H

#include "audit/event.h"
#include "kms/keyring.h"
#include "mem/guarded.h"
#include "service/fields.h"
#include "service/json_writer.h"

struct service; /* service/service.h */
struct call;
typedef lethe_result call_handler(struct call *call, struct lethe_error *err);

/* ---- routes ---------------------------------------------------------------------------------- */

enum call_method { /* bits; POST and PUT are one, HEAD is GET, GET ?list=true is LIST */
                   CALL_GET = 1u << 0,
                   CALL_POST = 1u << 1,
                   CALL_DELETE = 1u << 2,
                   CALL_LIST = 1u << 3,
};
enum call_capability { /* bits, as path policies name them */
                       CAN_CREATE = 1u << 0,
                       CAN_READ = 1u << 1,
                       CAN_UPDATE = 1u << 2,
                       CAN_DELETE = 1u << 3,
                       CAN_LIST = 1u << 4,
                       CAN_SUDO = 1u << 5,
                       CAN_DENY = 1u << 6,
};
enum route_flags {
    ROUTE_OPEN = 1u << 0,      /* no proof needed (sys/health, pki/ca, ...) */
    ROUTE_SEALED = 1u << 1,    /* answered while there is no root key, too */
    ROUTE_ADMIN = 1u << 2,     /* only on the admin socket, unless --dev */
    ROUTE_SUDO = 1u << 3,      /* needs CAN_SUDO beside its capability */
    ROUTE_SELF = 1u << 4,      /* about the caller's own token: any valid caller */
    ROUTE_NO_RECORD = 1u << 5, /* its authorisation is counted, not recorded (health, metrics) */
    ROUTE_NO_CASE = 1u << 6,   /* capitals in the path mean the same, and are no longer there */
};
struct route {
    unsigned methods;
    const char
        *pattern; /* below /v1/: "transit/keys/:name/rotate"; ":x" is one segment, "*x" the rest */
    unsigned flags;
    const char *action; /* for policy and records: "encrypt", "key_rotate" */
    /* Whether what it is about is there: then POST is CAN_UPDATE, otherwise CAN_CREATE. NULL:
     * always CAN_UPDATE. */
    bool (*exists)(struct call *call);
    const struct field *fields; /* ends with a row without name; NULL: none */
    call_handler *handle;
    const char *summary; /* one line, for the OpenAPI document */
};
/* Each family of routes is one table that ends with a row without pattern; service/routes.c lists
 * the tables. */
extern const struct route routes_transit[], routes_token[], routes_cert[], routes_policy[],
    routes_identity[], routes_pki[], routes_sys[], routes_lethe[], routes_keys[], routes_attest[],
    routes_release[];

/* ---- who asks -------------------------------------------------------------------------------- */

enum caller_kind { CALLER_NOBODY, CALLER_TOKEN, CALLER_CERTIFICATE, CALLER_ADMIN };
#define CALLER_POLICIES_MAX 32u
#define CALLER_NAME_MAX 255u
struct caller {
    enum caller_kind kind;
    char name[CALLER_NAME_MAX + 1]; /* SPIFFE id; "token:<accessor>" for one without; "uid:0" */
    char tenant[64 + 1];            /* "" for who belongs to none (a root token, an admin) */
    char accessor[64 + 1];          /* of the token; "" */
    char policies[CALLER_POLICIES_MAX][64 + 1];
    size_t policy_count;
    bool is_root; /* the policy "root", or an admin */
};
const struct caller *call_caller(const struct call *call);

/* ---- what is asked --------------------------------------------------------------------------- */

struct service *call_service(struct call *call);
bool call_is_admin(const struct call *call); /* came by the admin socket, or --dev relaxes it */
const char *call_source(const struct call *call);
const char *call_path(const struct call *call);                      /* below /v1/ */
const char *call_capture(const struct call *call, const char *name); /* of ":name"; never NULL */
uint64_t call_now_s(const struct call *call);
/* Certificate chain of the connection (net/tls.h: tls_peer_chain); NULL: none. */
const uint8_t *call_chain(const struct call *call, size_t *size_bytes);
/* Whether a list that the caller may read shows what belongs to this tenant ("": to nobody). */
bool call_may_see(struct call *call, const char *tenant);
bool call_may_see_key(struct call *call, const char *name);
/* Whose a key of this name is: what stands before its first dot; "": nobody's. */
void call_key_tenant(const char *name, char out[KEY_NAME_MAX + 1]);
/* The fields, by their place in the route's table (service/fields.h). */
const struct field_value *call_field(const struct call *call, size_t index);

/* ---- what is answered ------------------------------------------------------------------------ */

/* 200 with {"request_id":...,"data":{...}}: between the two, the handler writes members of `data`.
 */
struct json_writer *answer_data(struct call *call);
/* The same with members of `auth`, and data null. */
struct json_writer *answer_auth(struct call *call);
/* 200 with an object of its own, as sys/health has it. */
struct json_writer *answer_bare(struct call *call);
void answer_warning(struct call *call, const char *text); /* with answer_data and answer_auth */
void answer_nothing(struct call *call);                   /* 204 */
/* Another content type: the handler fills the buffer. */
struct guarded *answer_raw(struct call *call, const char *content_type);
void answer_status(struct call *call, unsigned status); /* another than these */
/* A failure with an empty list of errors, as for a missing object: 404. */
LETHE_MUST_CHECK lethe_result answer_missing(struct call *call);
/* A server-sent stream: the answer stays open and gets the events that service_publish() tells
 * of, as far as the policy lets the caller hear of their tenants. */
void answer_events(struct call *call);

/* X(result, status); anything else is 500, with a text that says no more than that */
/* clang-format off */
#define CALL_STATUSES(X)                                                                           \
    X(LETHE_INVALID, 400) X(LETHE_MALFORMED, 400) X(LETHE_INTEGRITY, 400) X(LETHE_EXISTS, 400)     \
    X(LETHE_CONFLICT, 400) X(LETHE_LIMIT, 400)                                                     \
    X(LETHE_DENIED, 403) X(LETHE_REVOKED, 403)                                                     \
    X(LETHE_NOT_FOUND, 404)                                                                        \
    X(LETHE_BUSY, 503) X(LETHE_UNAVAILABLE, 503) X(LETHE_NO_MEMORY, 503) X(LETHE_NO_SPACE, 503)
/* clang-format on */

/* ---- what is recorded ------------------------------------------------------------------------ */

/* With the caller as actor and its tenant; texts are copied. */
void call_record(struct call *call, const struct audit_event *event);
/* The source failed to prove itself (a wrong token): it waits before it is heard again. */
void call_penalise(struct call *call);

#endif
