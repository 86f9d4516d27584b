/* pool/provider.h -- lends this machine's memory: `lethe pool provide`.
 *
 *     control link   dialled by the provider: JOIN, REPORT; GRANT, STOP, BAN, MAINTAIN come over it
 *     listener       consumers: ATTACH, READ, WRITE, RENEW, RELEASE
 *     tenancy        (pool/tenancy.h) which leases there are, whose, in which state, until when
 *     arena          (pool/arena.h) the memory
 *
 * Consumers' connections are spread over at most one loop per CPU; the first loop also has the
 * control link and the clock of leases. Until it has joined a control plane, nobody is served.
 * Losing the control plane disturbs nobody. Thread rule: one thread calls provider_run();
 * provider_stop() from any. */
#ifndef POOL_PROVIDER_H
#define POOL_PROVIDER_H

#include "audit/recorder.h"
#include "base/clock.h"
#include "net/tls.h"

struct provider_options {
    const char *id;              /* SPIFFE id: that of its certificates */
    uint64_t memory_bytes;       /* lent; a multiple of 4 KiB */
    const char *listen;          /* "127.0.0.1:7311"; port 0: any */
    const char *announce;        /* how consumers reach it, "host:port"; NULL: as it listens */
    bool allow_public;           /* as K-12: without it only loopback is listened on */
    const char *control_address; /* "host:port" */
    const char *control_id;      /* SPIFFE id: it must prove this before it may instruct (P-1) */
    struct tls_context *serve;   /* asks for certificates: TLS_CLIENT_MUST; bulk */
    struct tls_context *dial;
    const struct lethe_log *log;
    unsigned loops;                    /* 0: one per CPU, at most 16 */
    uint32_t connections_max;          /* 0: 4096 */
    uint32_t connections_per_identity; /* 0: 256 */
    uint64_t consumer_idle_ms; /* a connection without a byte for so long ends; 0: an hour */
    const struct clock_source *boottime;           /* NULL: CLOCK_BOOTTIME; monotonic_ns is used */
    void (*wipe)(void *memory, size_t size_bytes); /* NULL: lethe_wipe(); tests have their own */
    /* Called once it listens and has joined, with the address that it listens on. May be NULL. */
    void (*ready)(void *context, const char *address);
    /* Called when the control plane cannot be had, once until it can, and with NULL when it is back
     * after it had been joined. May be NULL. */
    void (*away)(void *context, const struct lethe_error *why);
    /* Called by provider_create() once it listens and has looked names up, before it has memory or
     * threads, so that these are confined too. NULL: not. */
    lethe_result (*confine)(void *context, struct lethe_error *err);
    void *context;
};
struct provider;
/* Listens, confines the process, and locks memory; serves nobody yet. LETHE_UNPROTECTED: memory
 * cannot be locked; LETHE_DENIED: the address is public; LETHE_INVALID, LETHE_NO_MEMORY;
 * LETHE_UNAVAILABLE: the address is in use, or there is no such name. */
LETHE_MUST_CHECK lethe_result provider_create(const struct provider_options *options,
                                              struct provider **out, struct lethe_error *err);
/* Until provider_stop(). Before it has joined for the first time: LETHE_DENIED and others, when the
 * control plane refuses it, or is not who it should be. */
LETHE_MUST_CHECK lethe_result provider_run(struct provider *provider, struct lethe_error *err);
/* Ends provider_run(): connections are closed, the control plane is told that every lease is over,
 * and all memory is wiped by provider_free(). */
void provider_stop(struct provider *provider);
/* New certificates for connections that come from now on. Takes a share of each. */
void provider_renew(struct provider *provider, struct tls_context *serve, struct tls_context *dial);
void provider_free(struct provider *provider); /* NULL is fine */
DEFINE_CLEANUP(provider_free, struct provider *);

#endif
