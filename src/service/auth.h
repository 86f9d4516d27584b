/* service/auth.h -- who asks: raw tokens and certificate chains, proven by the keeper itself. */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

#include "service/call.h"

struct auth_input {
    bool has_token;
    const uint8_t *token; /* as it came */
    size_t token_bytes;
    const uint8_t *chain; /* of the connection; NULL: none */
    size_t chain_bytes;
    uint64_t now_s;
};
/* A token is who its holder is, also on a connection with a certificate; without a token, the
 * certificate's SPIFFE id is, if it is a known identity. LETHE_DENIED: one text for everything that
 * is wrong with either (expired, revoked, unknown, malformed); *reason (a constant) is for the
 * record. A token that is bound to an identity is void without a certificate of it. Counts a use of
 * tokens that have a number of uses, durably. */
LETHE_MUST_CHECK lethe_result auth_identify(struct service *service, const struct auth_input *input,
                                            struct caller *out, const char **reason,
                                            struct lethe_error *err);
/* The call is over: of what it presented, nothing stays. */
void auth_forget(struct service *service);

#endif
