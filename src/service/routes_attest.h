/* service/routes_attest.h -- what the files of lethe/attest share; for them only. */
#ifndef SERVICE_ROUTES_ATTEST_H
#define SERVICE_ROUTES_ATTEST_H

#include "service/attested.h"
#include "service/call.h"

/* Members of an object that was begun. */
void attest_put_machine(struct json_writer *writer, const struct machine *machine);

extern const struct field attest_enrol_fields[], attest_activate_fields[], attest_service_fields[];
call_handler attest_enrol, attest_activate, attest_service;

#endif
