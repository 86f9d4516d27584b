/* service/routes_sys.h -- what the files of sys/ share; for them only. */
#ifndef SERVICE_ROUTES_SYS_H
#define SERVICE_ROUTES_SYS_H

#include "service/call.h"

extern const struct field sys_capabilities_fields[];
call_handler sys_capabilities_self;

#endif
