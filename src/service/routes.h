/* service/routes.h -- all tables of routes that this service has. */
#ifndef SERVICE_ROUTES_H
#define SERVICE_ROUTES_H

#include "service/call.h"

extern const struct route *const route_tables[]; /* ends with NULL */

#endif
