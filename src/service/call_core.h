/* service/call_core.h -- the inside of a call, for the files of the core: call.c (what handlers
 * see), answer.c (what they answer), core_call.c (a request's way). */
#ifndef SERVICE_CALL_CORE_H
#define SERVICE_CALL_CORE_H

#include "kms/keyring.h"
#include "service/call.h"
#include "service/router.h"
#include "service/wire.h"

#define CALL_PATH_MAX 8192u
#define CALL_WARNINGS_MAX 8u
#define CALL_WARNING_MAX 200u

struct connection;
struct core;

enum answer_shape {
    ANSWER_NONE,
    ANSWER_DATA,
    ANSWER_AUTH,
    ANSWER_BARE,
    ANSWER_NOTHING,
    ANSWER_RAW,
    ANSWER_MISSING,
    ANSWER_EVENTS,
};

/* The last answer of call_may_see(). */
struct call_sight {
    bool is_known, allowed;
    char tenant[KEY_NAME_MAX + 1];
};

/* One at a time, and used again for the next: what is not written by call_begin() is older. */
struct call {
    struct core *core;
    struct service *service;
    struct connection *connection;
    const struct wire_frame *frame;
    unsigned method;
    uint64_t now_s;
    bool admin;
    struct caller caller;
    struct call_sight sight;

    char path[CALL_PATH_MAX + 1]; /* below /v1/ */
    struct router_match match;    /* its captures lie in `segments` */
    char segments[CALL_PATH_MAX + 1];
    struct field_value values[ROUTER_FIELDS_MAX];
    struct guarded fields; /* what values had to be copied */

    enum answer_shape shape;
    unsigned status; /* 0: what the shape says */
    const char *content_type;
    size_t start; /* of the body, in the turn's answers */
    struct json_writer writer;
    char warnings[CALL_WARNINGS_MAX][CALL_WARNING_MAX];
    size_t warning_count;
    bool penalise;
};

/* The body of what the handler has answered, or of its failure; both end up in the turn's answers,
 * which are as they were before the call, but for the body. Gives the status. */
unsigned answer_finish(struct call *call);
unsigned answer_failure(struct call *call, lethe_result result, const struct lethe_error *err);
/* {"errors":["text"]}; NULL: no text. */
unsigned answer_error(struct call *call, unsigned status, const char *text);
/* What was written is taken back, and wiped. */
void answer_take_back(struct call *call);

#endif
