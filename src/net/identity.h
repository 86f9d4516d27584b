/* net/identity.h -- who somebody is: a SPIFFE id in a certificate (SPIFFE X.509-SVID).
 *
 * spiffe://TRUST-DOMAIN/tenant/TENANT/REST... belongs to a tenant; any other path to "default". */
#ifndef NET_IDENTITY_H
#define NET_IDENTITY_H

#include "base/base.h"

#define SPIFFE_ID_MAX 255u /* what fits in one row of a log and in our certificates */

struct spiffe_id {
    char text[SPIFFE_ID_MAX + 1];
    char trust_domain[SPIFFE_ID_MAX + 1];
    char tenant[64 + 1];
};
/* LETHE_INVALID: not spiffe://, an empty part, ".", "..", a query, a port, characters outside
 * [a-z0-9._-] (domain) and [A-Za-z0-9._-] (path), or too long. */
LETHE_MUST_CHECK lethe_result spiffe_parse(const char *text, size_t length, struct spiffe_id *out,
                                           struct lethe_error *err);

/* What people and programs write: the same, and "spiffe://" may be left out. out->text has it: of
 * the two spellings one is compared, kept and recorded. Not for certificates, whose URIs are whole.
 */
LETHE_MUST_CHECK lethe_result spiffe_read(const char *text, size_t length, struct spiffe_id *out,
                                          struct lethe_error *err);

#endif
