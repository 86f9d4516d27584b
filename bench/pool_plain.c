#include "pool_plain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/thread.h"
#include "bench.h"
#include "net/loop.h"
#include "pool_protocol.h"

#define THREADS 2u
/* A header, and a small block with it, take one call; larger ones are received where they go. */
#define FIRST_BYTES (sizeof(struct pool_plain_request) + 4096)

struct client {
    struct loop_watch *watch;
    struct service *service;
    int fd;
    uint8_t first[FIRST_BYTES];
    size_t first_bytes; /* of a request, until its header is whole */
    uint8_t *in;        /* the rest of a block that is put here */
    size_t in_bytes;
    struct pool_plain_answer answer;
    struct iovec out[2];
};

struct service {
    struct loop *loops[THREADS];
    int pipes[THREADS][2]; /* for sockets, from who accepts to who serves */
    int listener;
    uint8_t *memory;
    size_t memory_bytes;
};

/* The parent sees that the server is gone. */
static _Noreturn void give_up(void)
{
    _exit(1);
}

/* ---- one request after another --------------------------------------------------------------- */

static uint8_t *place_of(const struct service *service, const struct pool_plain_request *request)
{
    size_t end;
    if (__builtin_mul_overflow((size_t)request->key + 1, request->block_bytes, &end) ||
        end > service->memory_bytes)
        give_up();
    return service->memory + end - request->block_bytes;
}

static void send_answer(struct client *client)
{
    struct msghdr message = {.msg_iov = client->out, .msg_iovlen = 2};
    ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        give_up();
    for (size_t i = 0, left = sent > 0 ? (size_t)sent : 0; i < 2; i++) {
        size_t part = MIN(left, client->out[i].iov_len);
        client->out[i].iov_base = (uint8_t *)client->out[i].iov_base + part;
        client->out[i].iov_len -= part;
        left -= part;
    }
    bool waits = client->out[0].iov_len + client->out[1].iov_len > 0;
    loop_watch_set(client->watch, waits ? LOOP_WRITE : LOOP_READ);
}

static void answer(struct client *client, void *block, size_t block_bytes)
{
    client->answer.block_bytes = block_bytes;
    client->out[0] = (struct iovec){&client->answer, sizeof client->answer};
    client->out[1] = (struct iovec){block, block_bytes};
    send_answer(client);
}

static void begin_request(struct client *client)
{
    struct pool_plain_request request;
    memcpy(&request, client->first, sizeof request);
    uint8_t *block = place_of(client->service, &request);
    size_t behind = client->first_bytes - sizeof request;
    client->first_bytes = 0;
    if (request.operation == POOL_GET) {
        answer(client, block, request.block_bytes);
        return;
    }
    if (behind > request.block_bytes)
        give_up(); /* one operation in flight is all that this server knows */
    memcpy(block, client->first + sizeof request, behind);
    client->in = block + behind;
    client->in_bytes = request.block_bytes - behind;
    if (client->in_bytes == 0)
        answer(client, NULL, 0);
}

static size_t receive(struct client *client, void *bytes, size_t capacity_bytes)
{
    ssize_t received = recv(client->fd, bytes, capacity_bytes, 0);
    if (received < 0 && errno != EAGAIN)
        give_up();
    if (received == 0) {
        loop_watch_free(client->watch);
        close(client->fd);
        free(client);
    }
    return received > 0 ? (size_t)received : 0;
}

static void receive_first(struct client *client)
{
    size_t got = receive(client, client->first + client->first_bytes,
                         sizeof client->first - client->first_bytes);
    if (got == 0)
        return;
    client->first_bytes += got;
    if (client->first_bytes >= sizeof(struct pool_plain_request))
        begin_request(client);
}

static void ready(void *context, unsigned events)
{
    struct client *client = context;
    if ((events & LOOP_WRITE) != 0) {
        send_answer(client);
        return;
    }
    if (client->in_bytes == 0) {
        receive_first(client);
        return;
    }
    size_t got = receive(client, client->in, client->in_bytes);
    if (got == 0)
        return;
    client->in += got;
    client->in_bytes -= got;
    if (client->in_bytes == 0)
        answer(client, NULL, 0);
}

/* ---- two threads ----------------------------------------------------------------------------- */

struct inbox {
    struct service *service;
    unsigned thread;
};

static void take_client(void *context, unsigned events)
{
    const struct inbox *inbox = context;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || read(inbox->service->pipes[inbox->thread][0], &client->fd,
                               sizeof client->fd) != sizeof client->fd)
        give_up();
    client->service = inbox->service;
    if (loop_watch(inbox->service->loops[inbox->thread], client->fd, LOOP_READ, ready, client,
                   &client->watch, NULL) != LETHE_OK)
        give_up();
}

/* Each thread gets every other connection. */
static void *accept_all(void *context)
{
    struct service *service = context;
    const int on = 1;
    for (unsigned next = 0;; next++) {
        int fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
            write(service->pipes[next % THREADS][1], &fd, sizeof fd) != sizeof fd)
            give_up();
    }
}

static lethe_result serve(void *context, unsigned thread, struct lethe_error *err)
{
    struct service *service = context;
    struct inbox inbox = {.service = service, .thread = thread};
    struct loop_watch *watch = NULL;
    TRY(loop_watch(service->loops[thread], service->pipes[thread][0], LOOP_READ, take_client,
                   &inbox, &watch, err));
    return loop_run(service->loops[thread], err);
}

static _Noreturn void live(struct service *service)
{
    pthread_t acceptor;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    service->memory = mmap(NULL, service->memory_bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (service->memory == MAP_FAILED)
        give_up();
    for (unsigned i = 0; i < THREADS; i++)
        if (pipe2(service->pipes[i], O_CLOEXEC) != 0 ||
            loop_create(&service->loops[i], NULL) != LETHE_OK)
            give_up();
    if (thread_start(&acceptor, accept_all, service, NULL) != LETHE_OK)
        give_up();
    (void)!threads_run(THREADS, serve, service, NULL);
    give_up();
}

/* ---- from outside ---------------------------------------------------------------------------- */

void pool_plain_open(struct pool_plain *server, size_t memory_bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct service service = {.memory_bytes = memory_bytes};
    CLEANUP(fd_close) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        bench_fail("the plain server cannot listen", NULL);
    service.listener = listener;
    server->port = ntohs(address.sin_port);
    server->pid = fork();
    if (server->pid < 0)
        bench_fail("the plain server cannot be started", NULL);
    if (server->pid == 0)
        live(&service);
}

void pool_plain_close(struct pool_plain *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}
