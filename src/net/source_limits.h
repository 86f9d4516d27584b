/* net/source_limits.h -- how much one source may ask of a server: connections, handshakes and
 * requests per second (token buckets), and penalties.
 *
 * A source is an IPv4 address, an IPv6 /64, or "unix" (all of them together). What is known of
 * sources stands in a table of fixed size: those that have no connection and no penalty are
 * forgotten first, the longest unheard first. Time comes in as milliseconds that never step back.
 * Thread rule: one thread. */
#ifndef NET_SOURCE_LIMITS_H
#define NET_SOURCE_LIMITS_H

#include <sys/socket.h>

#include "base/base.h"

#define SOURCE_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */

struct source_key {
    uint8_t bytes[16]; /* IPv4 as IPv6 has it; the network of IPv6; zeros: unix */
};
/* Of an address as accept() gives it, with its text. */
void source_of_address(const struct sockaddr_storage *address, struct source_key *key,
                       char text[SOURCE_TEXT_SIZE]);
/* Of such a text; false when it is none. */
bool source_of_text(const char *text, struct source_key *key);

struct limits_options {
    size_t sources_max;
    uint64_t connections_per_source;
    uint64_t handshakes_per_second;
    uint64_t requests_per_second; /* 0: no limit */
    uint64_t penalty_ms;          /* the first; doubled each time, up to PENALTY_MAX_MS */
};
#define PENALTY_MAX_MS 60000u

struct limits;
struct limits_source;
LETHE_MUST_CHECK lethe_result limits_create(const struct limits_options *options,
                                            struct limits **out, struct lethe_error *err);
void limits_free(struct limits *limits); /* NULL is fine */
DEFINE_CLEANUP(limits_free, struct limits *);

/* A new connection: its source, or NULL and why not (a constant text). */
struct limits_source *limits_enter(struct limits *limits, const struct source_key *key,
                                   uint64_t now_ms, const char **why);
void limits_leave(struct limits *limits, struct limits_source *source);
/* Whether a request may be heard now, which a penalty does not change; otherwise after how many
 * milliseconds to come again. */
bool limits_allow(const struct limits *limits, struct limits_source *source, uint64_t now_ms,
                  uint64_t *wait_ms);
/* A proof of the source failed. The first PENALTY_FREE within a minute cost nothing: 0. From then
 * on it is told to wait for as many milliseconds as this gives, more each time; whether it does is
 * for the caller to see to. Also 0 when the source is not known any more. */
#define PENALTY_FREE 5u
uint64_t limits_penalise(struct limits *limits, const struct source_key *key, uint64_t now_ms);

#endif
