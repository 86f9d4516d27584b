/* tests/pool/hostile_provider.h -- a provider of memory that does as its test says: the real link
 * and the real frames, and no scruples. Each has a thread of its own; everything may be called from
 * the test's thread at any time. */
#ifndef TESTS_POOL_HOSTILE_PROVIDER_H
#define TESTS_POOL_HOSTILE_PROVIDER_H

#include "net/tls.h"
#include "pool/lease.h"
#include "pool/token.h"

/* What it does to an answer, X(name). */
#define HOSTILE_TRICKS(X)                                                                          \
    X(HONEST)                                                                                      \
    X(CHANGE) /* a bit of a block */                                                               \
    X(CHANGE_TAG)                                                                                  \
    X(STALE)       /* what was there before the last write */                                      \
    X(SWAP)        /* the block beside it, with its tag */                                         \
    X(OTHER_LEASE) /* the block of that number of another lease */                                 \
    X(ZEROS)                                                                                       \
    X(FEWER) /* one block less than was asked for */                                               \
    X(MORE)                                                                                        \
    X(REORDER)    /* the answer before the one that is due */                                      \
    X(TWICE)      /* the answer again */                                                           \
    X(WRONG_TYPE) /* the answer to another kind of question */                                     \
    X(SILENT)     /* no answer */                                                                  \
    X(CUT)        /* the end of the connection in place of the answer */                           \
    X(CUT_WITHIN) /* ... in the middle of it */                                                    \
    X(BUSY)       /* a refusal that passes */                                                      \
    X(NONSENSE)   /* a refusal with a number that does not exist */                                \
    X(FORGET)     /* says that it has written, and has not */

enum hostile_trick {
#define HOSTILE_TRICK_ENUM(name) HOSTILE_##name,
    HOSTILE_TRICKS(HOSTILE_TRICK_ENUM)
#undef HOSTILE_TRICK_ENUM
        HOSTILE_TRICK_COUNT
};
const char *hostile_trick_name(enum hostile_trick trick);

/* A socket of this machine that listens, and its address. */
int hostile_listen(char address[32]);

struct hostile;
/* Listens on loopback. `tls` is for servers, TLS_CLIENT_MUST; the caller's. */
struct hostile *hostile_start(struct tls_context *tls, const char *identity);
void hostile_stop(struct hostile *hostile);
const char *hostile_address(const struct hostile *hostile);
const char *hostile_identity(const struct hostile *hostile);
const uint8_t *hostile_boot_id(const struct hostile *hostile);

/* From now on every n-th READ and WRITE is answered so (n 0: never). With `once` only the next. */
void hostile_play(struct hostile *hostile, enum hostile_trick trick, unsigned every, bool once);
/* READs only, or WRITEs only. */
void hostile_play_on(struct hostile *hostile, bool reads, bool writes);
/* ATTACH is answered with another size, with channel 0, or not at all. */
enum hostile_attach { ATTACH_HONEST, ATTACH_OTHER_SIZE, ATTACH_NO_CHANNEL, ATTACH_SILENT };
/* RELEASE is answered once so many RENEWs were; with UINT_MAX nothing is, from it on. */
void hostile_play_release(struct hostile *hostile, unsigned after);
void hostile_play_attach(struct hostile *hostile, enum hostile_attach how);

/* It checks tokens: they must be signed by this key, and for the lease as it was granted. */
void hostile_trust(struct hostile *hostile, const struct audit_key *key);
void hostile_grant(struct hostile *hostile, const struct lease_terms *terms);
/* Ends it, with OVER to whoever is attached. False: there is none. */
bool hostile_end(struct hostile *hostile, const struct lease_id *lease, enum lease_cause cause);
/* Every connection breaks, wherever it is just now. */
void hostile_cut(struct hostile *hostile);
/* Takes no connections, or takes them again; those that are there break. */
void hostile_unplug(struct hostile *hostile, bool unplugged);
/* Forgets all leases, and is another boot. */
void hostile_restart(struct hostile *hostile);
/* How much time it says a lease has. */
void hostile_time(struct hostile *hostile, uint64_t left_ms);

struct hostile_counters {
    uint64_t attached, reads, writes, renewed, released, tricks, blocks_read, blocks_written;
    size_t leases;
};
void hostile_count(struct hostile *hostile, struct hostile_counters *out);
/* Whether these bytes are anywhere in what it keeps. */
bool hostile_sees(struct hostile *hostile, const void *bytes, size_t size_bytes);

#endif
