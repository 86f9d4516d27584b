/* service/openapi.h -- what the service offers, as an OpenAPI document, out of the tables that it
 * runs by: what is not in them is not offered, and what is in them is here. */
#ifndef SERVICE_OPENAPI_H
#define SERVICE_OPENAPI_H

#include "service/router.h"

/* Appends one JSON object (OpenAPI 3.0.3). */
void openapi_write(struct router *router, struct guarded *out);

#endif
