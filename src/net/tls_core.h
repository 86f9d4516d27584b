/* net/tls_core.h -- what the files of net/tls.h share. */
#ifndef NET_TLS_CORE_H
#define NET_TLS_CORE_H

#include <stdatomic.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "crypto/openssl.h"
#include "mem/guarded.h"
#include "net/tls.h"

#define TLS_RECORD_BYTES 16384u /* of content (RFC 8446, 5.1) */
/* Type, padding, tag and header of a record take less. */
#define TLS_RECORD_SEALED_MAX (TLS_RECORD_BYTES + 64u)
/* RFC 8446, 5.5 allows AES-GCM 2^24.5 full records with one key. */
#define TLS_RECORDS_PER_KEY (UINT64_C(1) << 24)

struct tls_context {
    atomic_uint owners;
    SSL_CTX *native;
    bool bulk;
};

/* ---- between OpenSSL and the socket (tls_wire.c) ----------------------------------------------
 */

#define TLS_BATCH_BYTES ((size_t)128 << 10)
struct tls_batch { /* records, sealed: nothing of it is secret. Memory only while it holds some */
    uint8_t *bytes;
    size_t from, until;
};

struct tls_wire {
    int fd;
    bool bulk;     /* goes through batches */
    bool may_keep; /* the handshake is done: what OpenSSL flushes may wait for tls_flush() */
    bool drained;  /* the socket gave all it had: the next read need not ask */
    bool must_ask; /* but it does: sending has failed, and the peer's last words are wanted */
    struct tls_batch in, out;
};

/* A BIO over the wire's socket, which it does not close: as OpenSSL's own, but a peer that is gone
 * gives an error and no SIGPIPE, whatever the process does with that signal. */
LETHE_MUST_CHECK lethe_result tls_wire_bio(struct tls_wire *wire, BIO **out,
                                           struct lethe_error *err);
/* Sends what is collected, as far as the socket takes it; false with errno when it is broken. */
LETHE_MUST_CHECK bool tls_wire_send(struct tls_wire *wire);
/* Room for one more record; sends for it if need be. False with errno as above. */
LETHE_MUST_CHECK bool tls_wire_make_room(struct tls_wire *wire, bool *has_room);
/* Whether a whole record was received and waits. */
LETHE_MUST_CHECK bool tls_wire_has_record(const struct tls_wire *wire);
/* How many bytes the next record has as sealed; receives if nothing waits. 0: not known yet. */
LETHE_MUST_CHECK size_t tls_wire_next_record(struct tls_wire *wire);
/* Whether reading would give nothing, without asking the socket; true once: then it is asked. */
LETHE_MUST_CHECK bool tls_wire_is_dry(struct tls_wire *wire);
static inline bool tls_batch_is_empty(const struct tls_batch *batch)
{
    return batch->from == batch->until;
}
/* Gives the memory of empty batches back. */
void tls_wire_rest(struct tls_wire *wire);
void tls_wire_clear(struct tls_wire *wire);

/* ---- memory that idle connections do not need (tls_buffers.c) ---------------------------------
 */

/* TLS_BATCH_BYTES; NULL: no memory. */
uint8_t *tls_batch_borrow(void);
void tls_batch_give_back(uint8_t *bytes); /* NULL is fine */
/* For the content of one record, in guarded memory. */
LETHE_MUST_CHECK lethe_result tls_staging_borrow(struct guarded *out, struct lethe_error *err);
void tls_staging_give_back(struct guarded *staging); /* wipes it; fine when it has none */

/* OpenSSL's own buffers, of which so many connections keep theirs while they have nothing to do. */
#define TLS_KEEPERS_MAX 64u
LETHE_MUST_CHECK bool tls_keeper_join(void);
void tls_keeper_leave(void);

/* ---- connections ------------------------------------------------------------------------------
 */

struct tls_connection {
    SSL *native;
    int fd;
    bool is_open;   /* the handshake is done */
    bool is_broken; /* after an error of TLS, OpenSSL may not be used any more */
    bool is_cut;    /* writing failed; what the peer said before can still be read */
    struct tls_wire wire;
    /* Bulk: */
    struct guarded staging;   /* content of the next record */
    uint64_t records_written; /* with the present key */
    uint64_t records_per_key;
    bool is_wiping; /* OpenSSL wipes what it has given out, in its buffer */
    bool is_dirty;  /* it did not always do so since the buffer was made */
    bool is_keeper; /* keeps its buffers */
};

LETHE_MUST_CHECK lethe_result tls_is_over(struct lethe_error *err);
/* After a call of OpenSSL that gave `status`, which is not success. */
LETHE_MUST_CHECK lethe_result tls_explain(struct tls_connection *connection, int status,
                                          enum tls_want *want, struct lethe_error *err);
/* After sending failed, with errno. */
LETHE_MUST_CHECK lethe_result tls_explain_cut(struct tls_connection *connection,
                                              struct lethe_error *err);
/* What others left in the thread's queue of reasons would be taken for ours. */
static inline void tls_forget_reasons(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}
/* Gives back what an idle connection does not need. */
void tls_rest(struct tls_connection *connection);
void tls_bulk_clear(struct tls_connection *connection); /* at its end */
LETHE_MUST_CHECK lethe_result tls_read_bulk(struct tls_connection *connection, void *bytes,
                                            size_t capacity_bytes, size_t *read_bytes,
                                            enum tls_want *want, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result tls_write_bulk(struct tls_connection *connection, const void *bytes,
                                             size_t size_bytes, size_t *written_bytes,
                                             enum tls_want *want, struct lethe_error *err);

/* For tests: new keys after so many records rather than TLS_RECORDS_PER_KEY. */
void tls_set_records_per_key(struct tls_connection *connection, uint64_t records);

#endif
