/* service/core_resource.h -- what a call is about, as the policy is told; for the core's own files.
 */
#ifndef SERVICE_CORE_RESOURCE_H
#define SERVICE_CORE_RESOURCE_H

#include "kms/keyring.h"
#include "service/authorise.h"
#include "service/call_core.h"

/* What a key's name says: what stands before its first dot is whose it is, and in
 * "TENANT.MODEL.TIER" the rest is of what. Otherwise the texts are empty. */
struct resource {
    char name[KEY_NAME_MAX + 1]; /* with NULs in place of dots */
    const char *tenant, *model, *tier;
};
void resource_of_call(const struct call *call, struct resource *out);
/* The same of a path that is only asked about. */
void resource_of_match(const struct router_match *match, struct resource *out);
/* What a call of this action is for, where nothing says so. */
const char *resource_purpose(const char *action, const struct resource *resource);
/* The purpose is what it is where the call says none. The texts are the call's and the resource's.
 */
void resource_question(struct call *call, const struct resource *resource,
                       struct authorise_question *out);
/* Whether the policy allows the call as it stands, for a path that no route has. */
bool resource_may_ask(struct call *call, struct lethe_decision *decision);

#endif
