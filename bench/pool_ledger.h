/* bench/pool_ledger.h -- what a provider keeps besides the memory that it lends. */
#ifndef BENCH_POOL_LEDGER_H
#define BENCH_POOL_LEDGER_H

#include <sys/types.h>

#include "net/tls.h"

/* 1,000 consumers with 16 attached leases each, in a tenancy as a provider has it. */
void pool_ledger_leases(void);
/* Connections that do nothing, of whoever the context says, to a provider of that process. */
void pool_ledger_connections(pid_t provider, uint16_t port, struct tls_context *tls);

#endif
