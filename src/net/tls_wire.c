/* Between OpenSSL and the socket. Plain connections go straight through; those for bulk collect
 * records, so that many are one system call. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "net/tls_core.h"

static bool is_passing(int number)
{
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

/* ---- sending in batches ---------------------------------------------------------------------- */

bool tls_wire_send(struct tls_wire *wire)
{
    struct tls_batch *out = &wire->out;
    while (!tls_batch_is_empty(out)) {
        ssize_t sent = send(wire->fd, out->bytes + out->from, out->until - out->from, MSG_NOSIGNAL);
        if (sent < 0)
            return is_passing(errno);
        out->from += (size_t)sent;
    }
    out->from = out->until = 0;
    return true;
}

static size_t room_of(const struct tls_batch *batch)
{
    return TLS_BATCH_BYTES - batch->until;
}

/* The slack is for what OpenSSL has to say of itself: alerts, new keys. */
bool tls_wire_make_room(struct tls_wire *wire, bool *has_room)
{
    const size_t wanted = TLS_RECORD_SEALED_MAX + 1024;
    bool intact = room_of(&wire->out) >= wanted || tls_wire_send(wire);
    *has_room = intact && room_of(&wire->out) >= wanted;
    return intact;
}

static int collect(BIO *bio, struct tls_wire *wire, const char *bytes, size_t size_bytes)
{
    struct tls_batch *out = &wire->out;
    if (out->bytes == NULL && (out->bytes = tls_batch_borrow()) == NULL) {
        errno = ENOMEM;
        return -1;
    }
    if (room_of(out) < size_bytes && !tls_wire_send(wire))
        return -1;
    if (room_of(out) == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t taken = MIN(size_bytes, room_of(out));
    memcpy(out->bytes + out->until, bytes, taken);
    out->until += taken;
    return (int)taken;
}

/* In a handshake the peer waits for it. Later it may stay: reading never has to wait for the peer
 * to take something. */
static long flush(BIO *bio, struct tls_wire *wire)
{
    BIO_clear_retry_flags(bio);
    if (!tls_wire_send(wire))
        return -1;
    if (tls_batch_is_empty(&wire->out) || wire->may_keep)
        return 1;
    BIO_set_retry_write(bio);
    return -1;
}

/* ---- receiving in batches -------------------------------------------------------------------- */

/* A socket that gives less than it is asked for has no more: the next call would be in vain. Who
 * waits for the descriptor anyway loses nothing. */
static ssize_t receive(struct tls_wire *wire)
{
    struct tls_batch *in = &wire->in;
    bool guess = wire->drained && !wire->must_ask;
    wire->drained = false;
    if (guess) {
        errno = EAGAIN;
        return -1;
    }
    if (in->bytes == NULL && (in->bytes = tls_batch_borrow()) == NULL) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t received = recv(wire->fd, in->bytes, TLS_BATCH_BYTES, 0);
    wire->drained = received > 0 && (size_t)received < TLS_BATCH_BYTES;
    in->from = 0;
    in->until = received > 0 ? (size_t)received : 0;
    return received;
}

static ssize_t take(struct tls_wire *wire, char *bytes, size_t capacity_bytes)
{
    struct tls_batch *in = &wire->in;
    if (tls_batch_is_empty(in)) {
        ssize_t received = receive(wire);
        if (received <= 0)
            return received;
    }
    size_t taken = MIN(capacity_bytes, in->until - in->from);
    memcpy(bytes, in->bytes + in->from, taken);
    in->from += taken;
    return (ssize_t)taken;
}

static size_t waiting(const struct tls_batch *batch)
{
    return batch->until - batch->from;
}

/* RFC 8446, 5.1: type, version, length (big-endian). */
#define HEADER_BYTES 5u

static size_t record_bytes(const struct tls_batch *batch)
{
    const uint8_t *header = batch->bytes + batch->from;
    return HEADER_BYTES + ((size_t)header[3] << 8 | header[4]);
}

bool tls_wire_has_record(const struct tls_wire *wire)
{
    return waiting(&wire->in) >= HEADER_BYTES && waiting(&wire->in) >= record_bytes(&wire->in);
}

size_t tls_wire_next_record(struct tls_wire *wire)
{
    if (tls_batch_is_empty(&wire->in) && !wire->drained)
        wire->drained = receive(wire) < 0 ? is_passing(errno) : wire->drained;
    return waiting(&wire->in) >= HEADER_BYTES ? record_bytes(&wire->in) : 0;
}

bool tls_wire_is_dry(struct tls_wire *wire)
{
    bool guess = tls_batch_is_empty(&wire->in) && wire->drained && !wire->must_ask;
    if (guess)
        wire->drained = false;
    return guess;
}

static void rest(struct tls_batch *batch)
{
    if (!tls_batch_is_empty(batch))
        return;
    tls_batch_give_back(batch->bytes);
    *batch = (struct tls_batch){0};
}

void tls_wire_rest(struct tls_wire *wire)
{
    rest(&wire->in);
    rest(&wire->out);
}

void tls_wire_clear(struct tls_wire *wire)
{
    tls_batch_give_back(wire->in.bytes);
    tls_batch_give_back(wire->out.bytes);
    wire->in = wire->out = (struct tls_batch){0};
}

/* ---- the BIO --------------------------------------------------------------------------------- */

static BIO_METHOD *method;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static int wire_write(BIO *bio, const char *bytes, int size)
{
    struct tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->bulk)
        return collect(bio, wire, bytes, (size_t)size);
    ssize_t sent = send(wire->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && is_passing(errno))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int wire_read(BIO *bio, char *bytes, int size)
{
    struct tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t received =
        wire->bulk ? take(wire, bytes, (size_t)size) : recv(wire->fd, bytes, (size_t)size, 0);
    if (received < 0 && is_passing(errno))
        BIO_set_retry_read(bio);
    if (received == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)received;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    switch (command) {
    case BIO_CTRL_FLUSH:
        return flush(bio, BIO_get_data(bio));
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static void make_method(void)
{
    BIO_METHOD *fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (fresh == NULL || BIO_meth_set_write(fresh, wire_write) != 1 ||
        BIO_meth_set_read(fresh, wire_read) != 1 || BIO_meth_set_ctrl(fresh, wire_control) != 1) {
        BIO_meth_free(fresh);
        return;
    }
    method = fresh;
}

lethe_result tls_wire_bio(struct tls_wire *wire, BIO **out, struct lethe_error *err)
{
    REQUIRE(pthread_once(&made, make_method) == 0);
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a TLS connection");
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    *out = bio;
    return LETHE_OK;
}
