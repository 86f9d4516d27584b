#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "net/tls_core.h"

static BIO_METHOD *method;
static pthread_once_t made = PTHREAD_ONCE_INIT;

static bool is_passing(int number)
{
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

static int socket_fd(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_write(BIO *bio, const char *bytes, int size)
{
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(socket_fd(bio), bytes, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && is_passing(errno))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *bytes, int size)
{
    BIO_clear_retry_flags(bio);
    ssize_t received = recv(socket_fd(bio), bytes, (size_t)size, 0);
    if (received < 0 && is_passing(errno))
        BIO_set_retry_read(bio);
    if (received == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)received;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static void make_method(void)
{
    BIO_METHOD *fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (fresh == NULL || BIO_meth_set_write(fresh, socket_write) != 1 ||
        BIO_meth_set_read(fresh, socket_read) != 1 ||
        BIO_meth_set_ctrl(fresh, socket_control) != 1) {
        BIO_meth_free(fresh);
        return;
    }
    method = fresh;
}

lethe_result tls_socket_bio(int fd, BIO **out, struct lethe_error *err)
{
    REQUIRE(pthread_once(&made, make_method) == 0);
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a TLS connection");
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    *out = bio;
    return LETHE_OK;
}
