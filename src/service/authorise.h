/* service/authorise.h -- whether a proven caller may: data.lethe.authz.allow, and nothing else.
 *
 * The input is built here from what was proven; nothing of it comes from the request but what is
 * asked for. Path policies (Vault's) are data of the policy. */
#ifndef SERVICE_AUTHORISE_H
#define SERVICE_AUTHORISE_H

#include <lethe/policy.h>

#include "service/call.h"

struct policies; /* service/policies.h */

struct authorise_question {
    const struct caller *caller;
    const char *action;  /* the route's */
    const char *path;    /* below /v1/ */
    unsigned capability; /* one bit */
    bool sudo;           /* needs CAN_SUDO as well */
    bool admin;          /* came by the admin socket */
    const char *source;
    const char *purpose, *model, *tier, *tenant; /* of the resource; "" where it does not apply */
};
/* LETHE_DENIED, with the one text "permission denied"; the decision says why, for the record. */
LETHE_MUST_CHECK lethe_result authorise(struct policies *policies,
                                        const struct authorise_question *question,
                                        struct lethe_decision *decision, struct lethe_error *err);

#endif
