#include "hostile_provider.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "pool/link.h"

#define LEASES 64u
#define SEALED_MAX (WIRE_BLOCK_DATA_MAX)

struct connection;
struct lease {
    struct lease_terms terms;
    uint8_t *data, *tags, *old_data, *old_tags; /* of every block */
    struct connection *at;
    uint32_t channel;
    bool was_attached;
};
/* An answer that waits for its turn, or for another's. */
struct answer {
    struct wire_head head;
    struct buffer index;
    uint8_t *data;
    size_t data_bytes;
};
struct connection {
    LIST_ENTRY(connection) next;
    struct hostile *hostile;
    struct link *link;
    int fd; /* a second descriptor of its socket, to cut it by */
    struct spiffe_id peer;
    uint8_t staged[SEALED_MAX];
    struct answer *held; /* REORDER */
    uint32_t next_channel;
    struct wire_head releasing; /* with `release_left` RENEWs until its answer */
    unsigned release_left;
};
struct hostile {
    pthread_mutex_t lock;
    pthread_t thread;
    struct loop *loop;
    struct loop_watch *watch;
    int fd;
    struct tls_context *tls;
    char identity[SPIFFE_ID_MAX + 1], address[32];
    uint8_t boot_id[BOOT_ID_BYTES];
    struct audit_key key;
    struct lease leases[LEASES];
    LIST_HEAD(, connection) connections;
    enum hostile_trick trick;
    enum hostile_attach attach;
    unsigned release_after;
    unsigned every, turn;
    bool once, on_reads, on_writes, is_unplugged;
    uint64_t left_ms;
    struct hostile_counters counters;
};

const char *hostile_trick_name(enum hostile_trick trick)
{
    static const char *const names[] = {
#define HOSTILE_TRICK_NAME(name) #name,
        HOSTILE_TRICKS(HOSTILE_TRICK_NAME)
#undef HOSTILE_TRICK_NAME
    };
    return names[trick];
}

/* ---- leases ---------------------------------------------------------------------------------- */

static struct lease *find_lease(struct hostile *hostile, const struct lease_id *id)
{
    for (size_t i = 0; i < LEASES; i++)
        if (hostile->leases[i].data != NULL &&
            memcmp(&hostile->leases[i].terms.lease, id, sizeof *id) == 0)
            return &hostile->leases[i];
    return NULL;
}

static struct lease *lease_of(const struct connection *connection, uint32_t channel)
{
    struct hostile *hostile = connection->hostile;
    for (size_t i = 0; i < LEASES; i++)
        if (hostile->leases[i].data != NULL && hostile->leases[i].at == connection &&
            hostile->leases[i].channel == channel)
            return &hostile->leases[i];
    return NULL;
}

static void forget_lease(struct lease *lease)
{
    free(lease->data);
    free(lease->tags);
    free(lease->old_data);
    free(lease->old_tags);
    *lease = (struct lease){0};
}

static uint64_t blocks_of(const struct lease *lease)
{
    return lease->terms.bytes / lease->terms.block_bytes;
}

void hostile_trust(struct hostile *hostile, const struct audit_key *key)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->key = *key;
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_grant(struct hostile *hostile, const struct lease_terms *terms)
{
    pthread_mutex_lock(&hostile->lock);
    struct lease *lease = hostile->leases;
    while (lease->data != NULL)
        REQUIRE(++lease < hostile->leases + LEASES);
    lease->terms = *terms;
    lease->data = calloc(1, terms->bytes);
    lease->old_data = calloc(1, terms->bytes);
    lease->tags = calloc(blocks_of(lease), WIRE_TAG_BYTES);
    lease->old_tags = calloc(blocks_of(lease), WIRE_TAG_BYTES);
    REQUIRE(lease->data != NULL && lease->old_data != NULL && lease->tags != NULL &&
            lease->old_tags != NULL);
    pthread_mutex_unlock(&hostile->lock);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void answer_free(void *context)
{
    struct answer *answer = context;
    buffer_clear(&answer->index);
    free(answer->data);
    free(answer);
}

static struct answer *answer_to(const struct wire_head *request)
{
    struct answer *answer = calloc(1, sizeof *answer);
    REQUIRE(answer != NULL);
    answer->head = (struct wire_head){.type = (uint8_t)(request->type | WIRE_REPLY),
                                      .channel = request->channel,
                                      .request = request->request};
    return answer;
}

static void refuse(struct answer *answer, uint16_t code, const char *text)
{
    buffer_truncate(&answer->index, 0);
    buffer_text(&answer->index, text);
    answer->head.code = code;
    answer->data_bytes = 0;
}

static void send_answer(struct connection *connection, struct answer *answer)
{
    const struct iovec piece = {.iov_base = answer->data, .iov_len = answer->data_bytes};
    const struct link_data data = {
        .pieces = &piece, .count = 1, .released = answer_free, .context = answer};
    lethe_result result = link_send(connection->link, &answer->head, &answer->index,
                                    answer->data_bytes > 0 ? &data : NULL, NULL);
    if (result != LETHE_OK || answer->data_bytes == 0)
        answer_free(answer);
}

/* ---- tricks ---------------------------------------------------------------------------------- */

static enum hostile_trick next_trick(struct hostile *hostile, bool is_read)
{
    if (hostile->every == 0 || !(is_read ? hostile->on_reads : hostile->on_writes) ||
        ++hostile->turn < hostile->every)
        return HOSTILE_HONEST;
    hostile->turn = 0;
    if (hostile->once)
        hostile->every = 0;
    hostile->counters.tricks += hostile->trick != HOSTILE_HONEST;
    return hostile->trick;
}

/* To one block of an answer to READ. */
static void falsify(struct hostile *hostile, const struct lease *lease, uint64_t block,
                    enum hostile_trick trick, uint8_t *data, uint8_t *tag)
{
    size_t block_bytes = lease->terms.block_bytes;
    const struct lease *from = lease;
    uint64_t other = block;
    if (trick == HOSTILE_CHANGE)
        data[block % block_bytes] ^= 1;
    if (trick == HOSTILE_CHANGE_TAG)
        tag[block % WIRE_TAG_BYTES] ^= 0x80;
    if (trick == HOSTILE_ZEROS)
        memset(data, 0, block_bytes);
    if (trick == HOSTILE_STALE) {
        memcpy(data, lease->old_data + block * block_bytes, block_bytes);
        memcpy(tag, lease->old_tags + block * WIRE_TAG_BYTES, WIRE_TAG_BYTES);
    }
    if (trick == HOSTILE_SWAP)
        other = (block + 1) % blocks_of(lease);
    for (size_t i = 0; trick == HOSTILE_OTHER_LEASE && i < LEASES; i++)
        if (hostile->leases[i].data != NULL && &hostile->leases[i] != lease &&
            hostile->leases[i].terms.bytes == lease->terms.bytes)
            from = &hostile->leases[i];
    if (trick == HOSTILE_SWAP || trick == HOSTILE_OTHER_LEASE) {
        memcpy(data, from->data + other * block_bytes, block_bytes);
        memcpy(tag, from->tags + other * WIRE_TAG_BYTES, WIRE_TAG_BYTES);
    }
}

/* To an answer as a whole; NULL: it was dealt with. */
static struct answer *pervert(struct connection *connection, struct answer *answer,
                              enum hostile_trick trick, size_t block_bytes)
{
    switch (trick) {
    case HOSTILE_FEWER:
        if (answer->data_bytes > block_bytes) {
            answer->data_bytes -= block_bytes;
            buffer_truncate(&answer->index, answer->index.size_bytes - WIRE_TAG_BYTES);
            return answer;
        }
        (void)shutdown(connection->fd, SHUT_RDWR); /* none at all: the link would not send it */
        answer_free(answer);
        return NULL;
    case HOSTILE_MORE:
        answer->data = realloc(answer->data, answer->data_bytes + block_bytes);
        REQUIRE(answer->data != NULL);
        memset(answer->data + answer->data_bytes, 'm', block_bytes);
        answer->data_bytes += block_bytes;
        memset(buffer_extend(&answer->index, WIRE_TAG_BYTES), 'm', WIRE_TAG_BYTES);
        return answer;
    case HOSTILE_BUSY:
        refuse(answer, wire_code_of(LETHE_BUSY), "not now");
        return answer;
    case HOSTILE_NONSENSE:
        refuse(answer, 999, "\x1b[31mno \xff such code");
        return answer;
    case HOSTILE_WRONG_TYPE:
        refuse(answer, 0, "");
        answer->head.type = WIRE_RENEW | WIRE_REPLY;
        return answer;
    case HOSTILE_CUT:
        (void)shutdown(connection->fd, SHUT_RDWR);
        answer_free(answer);
        return NULL;
    case HOSTILE_SILENT:
        answer_free(answer);
        return NULL;
    case HOSTILE_REORDER:
        if (connection->held == NULL) {
            connection->held = answer;
            return NULL;
        }
        return answer;
    default:
        return answer;
    }
}

static struct answer *copy_of(const struct answer *answer)
{
    struct answer *copy = calloc(1, sizeof *copy);
    REQUIRE(copy != NULL);
    copy->head = answer->head;
    buffer_append(&copy->index, answer->index.bytes, answer->index.size_bytes);
    copy->data = malloc(answer->data_bytes + 1);
    memcpy(copy->data, answer->data != NULL ? (void *)answer->data : "", answer->data_bytes);
    copy->data_bytes = answer->data_bytes;
    return copy;
}

/* An answer, as the trick has it. */
static void give(struct connection *connection, struct answer *answer, enum hostile_trick trick,
                 size_t block_bytes)
{
    struct answer *held = connection->held;
    answer = pervert(connection, answer, trick, block_bytes);
    if (answer != NULL && trick == HOSTILE_TWICE)
        send_answer(connection, copy_of(answer));
    if (answer != NULL)
        send_answer(connection, answer);
    if (answer != NULL && held != NULL) {
        connection->held = NULL;
        send_answer(connection, held);
    }
    if (trick == HOSTILE_CUT_WITHIN) {
        const struct linger at_once = {.l_onoff = 1};
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        (void)shutdown(connection->fd, SHUT_RD);
        link_end(connection->link, LETHE_CANCELLED, "cut");
    }
}

/* ---- questions ------------------------------------------------------------------------------- */

/* As the real one. */
static lethe_result check_token(const struct hostile *hostile, const struct link_frame *frame,
                                const char *consumer, struct lease_terms *terms,
                                struct lethe_error *err)
{
    TRY(token_open(frame->index.at, cursor_left(&frame->index), &hostile->key, terms, err));
    if (strcmp(terms->provider, hostile->identity) != 0 || strcmp(terms->consumer, consumer) != 0)
        return error_set(err, LETHE_DENIED, "the token is for somebody else");
    return memcmp(terms->boot_id, hostile->boot_id, BOOT_ID_BYTES) == 0
               ? LETHE_OK
               : error_set(err, LETHE_LOST, "the provider has restarted");
}

static struct lease *find_granted(struct hostile *hostile, const struct lease_terms *terms)
{
    struct lease *lease = find_lease(hostile, &terms->lease);
    bool fits = lease != NULL && lease->terms.generation == terms->generation &&
                lease->terms.bytes == terms->bytes &&
                lease->terms.block_bytes == terms->block_bytes;
    return fits ? lease : NULL;
}

static void answer_attach(struct connection *connection, const struct link_frame *frame)
{
    struct hostile *hostile = connection->hostile;
    struct answer *answer = answer_to(&frame->head);
    struct lease_terms terms;
    struct lethe_error why = {0};
    lethe_result checked = check_token(hostile, frame, connection->peer.text, &terms, &why);
    struct lease *lease = checked == LETHE_OK ? find_granted(hostile, &terms) : NULL;
    if (hostile->attach == ATTACH_SILENT) {
        answer_free(answer);
        return;
    }
    if (lease == NULL) {
        bool is_denied = checked != LETHE_OK;
        refuse(answer, wire_code_of(is_denied ? checked : LETHE_NOT_FOUND),
               is_denied ? why.text : "there is no such lease");
        send_answer(connection, answer);
        return;
    }
    const struct wire_attached attached = {
        .blocks = blocks_of(lease) + (hostile->attach == ATTACH_OTHER_SIZE),
        .block_bytes = lease->terms.block_bytes,
        .was = lease->was_attached ? LEASE_FROZEN : LEASE_GRANTED};
    wire_attached_write(&attached, &answer->index);
    lease->at = connection;
    lease->channel = ++connection->next_channel;
    lease->was_attached = true;
    hostile->counters.attached++;
    answer->head.channel = hostile->attach == ATTACH_NO_CHANNEL ? 0 : lease->channel;
    answer->head.value = hostile->left_ms != 0 ? hostile->left_ms : lease->terms.ttl_ms;
    send_answer(connection, answer);
}

static void answer_read(struct connection *connection, const struct link_frame *frame,
                        struct lease *lease)
{
    struct hostile *hostile = connection->hostile;
    struct answer *answer = answer_to(&frame->head);
    enum hostile_trick trick = next_trick(hostile, true);
    size_t block_bytes = lease->terms.block_bytes, count = frame->head.code;
    answer->data = malloc(count * block_bytes);
    answer->data_bytes = count * block_bytes;
    REQUIRE(answer->data != NULL);
    for (size_t i = 0; i < count; i++) {
        uint64_t block = wire_read_entry(&frame->index, i);
        uint8_t *tag = (uint8_t *)buffer_extend(&answer->index, WIRE_TAG_BYTES);
        REQUIRE(block < blocks_of(lease) && tag != NULL);
        memcpy(answer->data + i * block_bytes, lease->data + block * block_bytes, block_bytes);
        memcpy(tag, lease->tags + block * WIRE_TAG_BYTES, WIRE_TAG_BYTES);
        falsify(hostile, lease, block, trick, answer->data + i * block_bytes, tag);
    }
    hostile->counters.reads++;
    hostile->counters.blocks_read += count;
    give(connection, answer, trick, block_bytes);
}

static void answer_write(struct connection *connection, const struct link_frame *frame,
                         struct lease *lease)
{
    struct hostile *hostile = connection->hostile;
    size_t block_bytes = lease->terms.block_bytes;
    enum hostile_trick trick = next_trick(hostile, false);
    for (size_t i = 0; i < frame->head.code && trick != HOSTILE_FORGET; i++) {
        const uint8_t *tag;
        uint64_t block = wire_write_entry(&frame->index, i, &tag);
        uint8_t *data = lease->data + block * block_bytes;
        REQUIRE(block < blocks_of(lease));
        memcpy(lease->old_data + block * block_bytes, data, block_bytes);
        memcpy(lease->old_tags + block * WIRE_TAG_BYTES, lease->tags + block * WIRE_TAG_BYTES,
               WIRE_TAG_BYTES);
        memcpy(data, connection->staged + i * block_bytes, block_bytes);
        memcpy(lease->tags + block * WIRE_TAG_BYTES, tag, WIRE_TAG_BYTES);
    }
    hostile->counters.writes++;
    hostile->counters.blocks_written += frame->head.code;
    if (trick == HOSTILE_FEWER || trick == HOSTILE_MORE)
        trick = HOSTILE_HONEST;
    give(connection, answer_to(&frame->head), trick, block_bytes);
}

static void answer_renew(struct connection *connection, const struct link_frame *frame,
                         struct lease *lease)
{
    struct answer *answer = answer_to(&frame->head);
    struct hostile *hostile = connection->hostile;
    answer->head.value = hostile->left_ms != 0 ? hostile->left_ms : lease->terms.ttl_ms;
    hostile->counters.renewed++;
    send_answer(connection, answer);
}

static void answer_release(struct connection *connection, const struct link_frame *frame,
                           struct lease *lease)
{
    forget_lease(lease);
    connection->hostile->counters.released++;
    connection->releasing = frame->head;
    connection->release_left = connection->hostile->release_after;
    if (connection->release_left == 0)
        send_answer(connection, answer_to(&frame->head));
}

static const struct {
    enum wire_type type;
    void (*answer)(struct connection *connection, const struct link_frame *frame,
                   struct lease *lease);
} kinds[] = {{WIRE_READ, answer_read},
             {WIRE_WRITE, answer_write},
             {WIRE_RENEW, answer_renew},
             {WIRE_RELEASE, answer_release}};

static void answer_channel(struct connection *connection, const struct link_frame *frame)
{
    struct lease *lease = lease_of(connection, frame->head.channel);
    if (connection->release_left == UINT_MAX)
        return;
    if (connection->release_left > 0 && frame->head.type == WIRE_RENEW &&
        --connection->release_left == 0)
        send_answer(connection, answer_to(&connection->releasing));
    if (lease == NULL) {
        struct answer *answer = answer_to(&frame->head);
        refuse(answer, wire_code_of(LETHE_LOST), "it is over");
        send_answer(connection, answer);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].type == (enum wire_type)frame->head.type)
            kinds[i].answer(connection, frame, lease);
}

/* ---- links ----------------------------------------------------------------------------------- */

static lethe_result opened(void *context, struct link *link, const struct spiffe_id *peer,
                           struct lethe_error *err)
{
    struct connection *connection = context;
    connection->peer = *peer;
    return LETHE_OK;
}

static lethe_result place(void *context, struct link *link, const struct link_frame *frame,
                          struct iovec *pieces, size_t *count, struct lethe_error *err)
{
    struct connection *connection = context;
    pieces[0] = (struct iovec){connection->staged, frame->head.data_bytes};
    *count = 1;
    return LETHE_OK;
}

static lethe_result arrived(void *context, struct link *link, const struct link_frame *frame,
                            lethe_result refused, struct lethe_error *err)
{
    struct connection *connection = context;
    struct hostile *hostile = connection->hostile;
    if (frame->head.type == WIRE_HELLO)
        return link_welcome(link, frame, WIRE_BY_CONSUMER, hostile->boot_id, err);
    pthread_mutex_lock(&hostile->lock);
    if (frame->head.type == WIRE_ATTACH)
        answer_attach(connection, frame);
    else
        answer_channel(connection, frame);
    pthread_mutex_unlock(&hostile->lock);
    return LETHE_OK;
}

static void connection_free(struct connection *connection)
{
    struct hostile *hostile = connection->hostile;
    for (size_t i = 0; i < LEASES; i++)
        if (hostile->leases[i].at == connection)
            hostile->leases[i].at = NULL;
    LIST_REMOVE(connection, next);
    if (connection->held != NULL)
        answer_free(connection->held);
    link_free(connection->link);
    fd_close(connection->fd);
    free(connection);
}

static void ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct connection *connection = context;
    struct hostile *hostile = connection->hostile;
    pthread_mutex_lock(&hostile->lock);
    connection_free(connection);
    pthread_mutex_unlock(&hostile->lock);
}

static void take_connection(struct hostile *hostile, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    REQUIRE(connection != NULL);
    connection->hostile = hostile;
    connection->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const struct link_options options = {.loop = hostile->loop,
                                         .tls = hostile->tls,
                                         .self = WIRE_PROVIDER,
                                         .peer = WIRE_UNKNOWN,
                                         .events = {.opened = opened,
                                                    .place = place,
                                                    .frame = arrived,
                                                    .ended = ended,
                                                    .context = connection}};
    REQUIRE(link_accept(&options, fd, &connection->link, NULL) == LETHE_OK);
    LIST_INSERT_HEAD(&hostile->connections, connection, next);
}

static void somebody_dials(void *context, unsigned events)
{
    struct hostile *hostile = context;
    int fd = accept4(hostile->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    pthread_mutex_lock(&hostile->lock);
    if (hostile->is_unplugged)
        close(fd);
    else
        take_connection(hostile, fd);
    pthread_mutex_unlock(&hostile->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void *run(void *context)
{
    struct hostile *hostile = context;
    REQUIRE(loop_run(hostile->loop, NULL) == LETHE_OK);
    return NULL;
}

static void new_boot(struct hostile *hostile)
{
    REQUIRE(random_fill(&random_system, hostile->boot_id, BOOT_ID_BYTES) == LETHE_OK);
}

int hostile_listen(char address[32])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 64) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&at, &at_bytes) == 0);
    snprintf(address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

struct hostile *hostile_start(struct tls_context *tls, const char *identity)
{
    struct hostile *hostile = calloc(1, sizeof *hostile);
    REQUIRE(hostile != NULL);
    pthread_mutex_init(&hostile->lock, NULL);
    LIST_INIT(&hostile->connections);
    hostile->tls = tls;
    hostile->on_reads = hostile->on_writes = true;
    snprintf(hostile->identity, sizeof hostile->identity, "%s", identity);
    new_boot(hostile);
    hostile->fd = hostile_listen(hostile->address);
    REQUIRE(loop_create(&hostile->loop, NULL) == LETHE_OK);
    REQUIRE(loop_watch(hostile->loop, hostile->fd, LOOP_READ, somebody_dials, hostile,
                       &hostile->watch, NULL) == LETHE_OK);
    REQUIRE(pthread_create(&hostile->thread, NULL, run, hostile) == 0);
    return hostile;
}

void hostile_stop(struct hostile *hostile)
{
    loop_stop(hostile->loop);
    pthread_join(hostile->thread, NULL);
    while (!LIST_EMPTY(&hostile->connections))
        connection_free(LIST_FIRST(&hostile->connections));
    for (size_t i = 0; i < LEASES; i++)
        forget_lease(&hostile->leases[i]);
    loop_watch_free(hostile->watch);
    loop_free(hostile->loop);
    fd_close(hostile->fd);
    pthread_mutex_destroy(&hostile->lock);
    free(hostile);
}

const char *hostile_address(const struct hostile *hostile)
{
    return hostile->address;
}

const char *hostile_identity(const struct hostile *hostile)
{
    return hostile->identity;
}

const uint8_t *hostile_boot_id(const struct hostile *hostile)
{
    return hostile->boot_id;
}

/* ---- orders ---------------------------------------------------------------------------------- */

void hostile_play(struct hostile *hostile, enum hostile_trick trick, unsigned every, bool once)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->trick = trick;
    hostile->every = every;
    hostile->turn = 0;
    hostile->once = once;
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_play_on(struct hostile *hostile, bool reads, bool writes)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->on_reads = reads;
    hostile->on_writes = writes;
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_play_release(struct hostile *hostile, unsigned after)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->release_after = after;
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_play_attach(struct hostile *hostile, enum hostile_attach how)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->attach = how;
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_time(struct hostile *hostile, uint64_t left_ms)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->left_ms = left_ms;
    pthread_mutex_unlock(&hostile->lock);
}

static void cut_all(struct hostile *hostile)
{
    const struct connection *connection;
    LIST_FOREACH(connection, &hostile->connections, next)
    (void)shutdown(connection->fd, SHUT_RDWR);
}

void hostile_cut(struct hostile *hostile)
{
    pthread_mutex_lock(&hostile->lock);
    cut_all(hostile);
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_unplug(struct hostile *hostile, bool unplugged)
{
    pthread_mutex_lock(&hostile->lock);
    hostile->is_unplugged = unplugged;
    if (unplugged)
        cut_all(hostile);
    pthread_mutex_unlock(&hostile->lock);
}

void hostile_restart(struct hostile *hostile)
{
    pthread_mutex_lock(&hostile->lock);
    cut_all(hostile);
    for (size_t i = 0; i < LEASES; i++)
        forget_lease(&hostile->leases[i]);
    new_boot(hostile);
    pthread_mutex_unlock(&hostile->lock);
}

/* OVER is sent by the loop's thread. */
struct over {
    struct loop_task task;
    struct hostile *hostile;
    const struct connection *to;
    struct wire_head head;
};

static void say_over(void *context)
{
    struct over *over = context;
    const struct connection *connection;
    pthread_mutex_lock(&over->hostile->lock);
    LIST_FOREACH(connection, &over->hostile->connections, next)
    if (connection == over->to)
        (void)!link_send(connection->link, &over->head, NULL, NULL, NULL);
    pthread_mutex_unlock(&over->hostile->lock);
    free(over);
}

bool hostile_end(struct hostile *hostile, const struct lease_id *id, enum lease_cause cause)
{
    pthread_mutex_lock(&hostile->lock);
    struct lease *lease = find_lease(hostile, id);
    if (lease != NULL && lease->at != NULL) {
        struct over *over = calloc(1, sizeof *over);
        REQUIRE(over != NULL);
        over->hostile = hostile;
        over->to = lease->at;
        over->head =
            (struct wire_head){.type = WIRE_OVER, .channel = lease->channel, .value = cause};
        over->task = (struct loop_task){.work = say_over, .context = over};
        loop_post(hostile->loop, &over->task);
    }
    if (lease != NULL)
        forget_lease(lease);
    pthread_mutex_unlock(&hostile->lock);
    return lease != NULL;
}

void hostile_count(struct hostile *hostile, struct hostile_counters *out)
{
    pthread_mutex_lock(&hostile->lock);
    *out = hostile->counters;
    out->leases = 0;
    for (size_t i = 0; i < LEASES; i++)
        out->leases += hostile->leases[i].data != NULL;
    pthread_mutex_unlock(&hostile->lock);
}

bool hostile_sees(struct hostile *hostile, const void *bytes, size_t size_bytes)
{
    bool found = false;
    pthread_mutex_lock(&hostile->lock);
    for (size_t i = 0; i < LEASES; i++) {
        const struct lease *lease = &hostile->leases[i];
        found = found || (lease->data != NULL &&
                          (memmem(lease->data, lease->terms.bytes, bytes, size_bytes) != NULL ||
                           memmem(lease->old_data, lease->terms.bytes, bytes, size_bytes) != NULL));
    }
    pthread_mutex_unlock(&hostile->lock);
    return found;
}
