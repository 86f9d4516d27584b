/* pool/provider_core.h -- what the files of the provider share.
 *
 * The first worker's loop runs on the thread of provider_run(): it accepts, has the control link
 * and the clock. Others have a thread each. A consumer's connection is made and forgotten by the
 * first, because limits of sources are counted there, and lives on the loop that it was given to.
 *
 * Nothing is locked but by the tenancy. What crosses threads is posted: a consumer is told that it
 * goes, that a channel is over, that it is to be cut; a ban goes through every worker, and back. */
#ifndef POOL_PROVIDER_CORE_H
#define POOL_PROVIDER_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "net/source_limits.h"
#include "pool/link.h"
#include "pool/places.h"
#include "pool/provider.h"
#include "pool/tenancy.h"

#define PROVIDER_LOOPS_MAX 16u
#define CHANNELS_MAX 64u
#define CONTROL_ADDRESSES_MAX 8u

struct provider;

/* ---- consumers ------------------------------------------------------------------------------- */

/* A channel's number is never used again on its connection: what is still on its way for one that
 * is over never reaches the next. Its place in the table is the number's remainder. */
struct channel {
    struct consumer *consumer;
    uint32_t number;               /* 0: none yet */
    struct attachment *attachment; /* NULL: given back */
    uint32_t holds;                /* replies that are not handed over to TLS yet */
    enum lease_cause cause;        /* of one that is over */
    bool is_over;
    bool is_taken; /* by another connection */
};

struct consumer {
    TAILQ_ENTRY(consumer) entry; /* its worker's */
    struct worker *worker;
    struct link *link;
    int fd; /* until there is a link */
    struct limits_source *source;
    bool is_counted; /* among its identity's connections */
    struct channel channels[CHANNELS_MAX];
    uint32_t attached_ever;
    struct channel *writing;    /* a WRITE's data are coming in */
    struct lethe_error refusal; /* of that, for when they have come */
    /* An ATTACH that waits for another connection to let go of the lease. */
    struct wire_head parked;
    struct buffer parked_token;
    struct loop_timer *parked_timer;
    unsigned parked_tries;
    LIST_HEAD(, release) releases;

    struct loop_task begins, ends;            /* on its worker's loop, and on the first */
    struct loop_task told;                    /* by the tenancy, from any thread: */
    atomic_uchar channels_over[CHANNELS_MAX]; /* a cause and 1 */
    atomic_bool is_cut;
};

/* Of a lease that is being wiped: outlives the connection. */
struct release {
    LIST_ENTRY(release) entry; /* consumer's, or its worker's */
    struct consumer *consumer; /* NULL: it has gone */
    struct worker *worker;
    struct wire_head request;
    lethe_result result;
    struct loop_task task;
};

struct worker {
    struct provider *provider;
    struct loop *loop;
    pthread_t thread;
    bool has_thread;
    uint32_t load; /* consumers that were given to it: the first worker counts */
    TAILQ_HEAD(, consumer) consumers;
    LIST_HEAD(, release) orphans; /* releases whose consumers have gone */
    struct loop_task ban, ban_over, ban_told, stop;
};

/* On the first loop; `fd` becomes the consumer's. */
void consumer_accept(struct provider *provider, int fd, const struct sockaddr_storage *address);
/* Consumers' frames (provider_consumer.c, provider_release.c), and those with data
 * (provider_data.c). */
LETHE_MUST_CHECK lethe_result consumer_place(void *context, struct link *link,
                                             const struct link_frame *frame, struct iovec *pieces,
                                             size_t *count, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result consumer_wrote(struct consumer *consumer,
                                             const struct link_frame *frame, lethe_result refused,
                                             struct lethe_error *err);
LETHE_MUST_CHECK lethe_result consumer_reads(struct consumer *consumer,
                                             const struct link_frame *frame,
                                             struct lethe_error *err);
LETHE_MUST_CHECK lethe_result consumer_releases(struct consumer *consumer,
                                                const struct link_frame *frame,
                                                struct lethe_error *err);
LETHE_MUST_CHECK lethe_result consumer_frame(void *context, struct link *link,
                                             const struct link_frame *frame, lethe_result refused,
                                             struct lethe_error *err);
/* The one that a frame names; NULL with the reason. */
struct channel *channel_find(struct consumer *consumer, uint32_t number, struct lethe_error *err);
void channel_is_over(struct channel *channel, enum lease_cause cause);
void channel_let_go(struct channel *channel, bool wrote);
void channels_clear(struct consumer *consumer); /* the link has let go of everything */
void releases_orphan(struct consumer *consumer);
void releases_clear(struct worker *worker);
void consumers_end(struct worker *worker); /* when its loop does not run any more */
/* The tenancy's, on any thread and within its lock; and what they lead to. */
void provider_over(void *context, void *owner, uint32_t channel, enum lease_cause cause);
void provider_cut(void *context, void *owner);

/* ---- the control plane ----------------------------------------------------------------------- */

enum control_stage {
    CONTROL_AWAY,   /* dials again by and by */
    CONTROL_GREETS, /* HELLO was sent */
    CONTROL_JOINS,  /* JOIN was sent */
    CONTROL_LISTS,  /* reports all leases */
    CONTROL_JOINED,
};

/* A ban that is carried out on every loop before it is answered. */
struct ban {
    struct wire_order order;
    struct wire_head request;
    uint64_t dialled;
    struct lethe_error why; /* what the answer says */
};

struct control_link {
    struct link *link;
    enum control_stage stage;
    char addresses[CONTROL_ADDRESSES_MAX][WIRE_ADDRESS_MAX + 1];
    size_t address_count, address; /* dialled next */
    uint64_t backoff_ms;
    struct loop_timer *redial;
    uint64_t asked; /* request that waits for its reply; 0: none */
    uint64_t report_ms;
    struct loop_timer *report;
    uint64_t reported_ms; /* when a report was sent last */
    bool is_behind;       /* something has changed since, and that is not answered yet */
    bool is_away;         /* and that was said */
    struct wire_report sent;
    uint64_t dialled; /* how often: which link asked for a ban */
    struct ban ban, next_ban;
    unsigned bans_left; /* workers that are not done with `ban` */
    bool has_next_ban;
};

LETHE_MUST_CHECK lethe_result provider_control_start(struct provider *provider,
                                                     struct lethe_error *err);
void provider_control_stop(struct provider *provider);
void provider_control_dial(void *provider);
/* Reports now, or as soon as the last report was answered. */
void provider_report(struct provider *provider);
LETHE_MUST_CHECK lethe_result provider_order(struct provider *provider,
                                             const struct link_frame *frame,
                                             struct lethe_error *err);
void worker_ban(void *worker);
void worker_ban_over(void *worker);
void worker_ban_told(void *worker);

/* ---- all of it ------------------------------------------------------------------------------- */

struct provider {
    struct provider_options options;
    struct clock_source clock;
    char id[SPIFFE_ID_MAX + 1];
    char address[WIRE_ADDRESS_MAX + 1];  /* that it listens on */
    char announce[WIRE_ADDRESS_MAX + 1]; /* that consumers are told */
    uint8_t boot_id[BOOT_ID_BYTES];
    struct tenancy *tenancy;
    int listener;
    struct loop_watch *accepts; /* once it serves */
    struct loop_timer *accepts_again;
    struct limits *limits;
    struct places *places;
    struct worker workers[PROVIDER_LOOPS_MAX];
    unsigned worker_count;
    uint32_t consumer_count;
    struct control_link control;
    struct loop_timer *clock_timer;
    struct loop_task changed, stop_task;
    bool is_serving, is_stopping;
    bool is_unprotected; /* swap has come into use: nothing more is granted */
    uint64_t stops_at_ms;
    lethe_result result; /* of provider_run() */
    struct lethe_error err;
    pthread_mutex_t contexts_lock;
    struct tls_context *serve, *dial; /* contexts_lock */
};

static inline struct loop *provider_loop(const struct provider *provider)
{
    return provider->workers[0].loop;
}
uint64_t provider_now_ms(const struct provider *provider);                   /* CLOCK_BOOTTIME */
struct tls_context *provider_context(struct provider *provider, bool serve); /* a share */
/* The control plane has answered the first full report: consumers may come. */
void provider_serve(struct provider *provider);
/* Ends provider_run() with a failure. */
void provider_fail(struct provider *provider, lethe_result result, const struct lethe_error *err);
/* What is due is done, and the clock set for what is due next. */
void provider_tick(struct provider *provider);
/* While it stops: whether that was all. */
void provider_stop_if_done(struct provider *provider);
LETHE_MUST_CHECK lethe_result provider_listen(struct provider *provider, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result provider_accept_begin(struct provider *provider,
                                                    struct lethe_error *err);
void provider_accept_end(struct provider *provider);

#endif
