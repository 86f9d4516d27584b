#include <string.h>
#include <time.h>

#include "net/http_server_core.h"

#define STREAM_WAITING_MAX ((size_t)1 << 20)
#define HEAD_ROOM_BYTES 512u /* for what this file writes around a body */

/* ---- the head -------------------------------------------------------------------------------- */

static const char *reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {472, "Disaster Recovery Secondary"},
        {473, "Performance Standby"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

static const char *date_text(struct http_server *server)
{
    struct timespec now;
    struct tm parts;
    REQUIRE(clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0);
    if (server->date.second != now.tv_sec) {
        server->date.second = now.tv_sec;
        REQUIRE(gmtime_r(&now.tv_sec, &parts) != NULL);
        strftime(server->date.text, sizeof server->date.text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
    return server->date.text;
}

static void put_number(struct guarded *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    guarded_append(out, digits + at, sizeof digits - at);
}

static bool has_length(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void put_head(struct connection *connection, const struct http_answer *answer)
{
    struct guarded *out = &connection->out;
    guarded_text(out, "HTTP/1.1 ");
    put_number(out, answer->status);
    guarded_text(out, " ");
    guarded_text(out, reason(answer->status));
    guarded_text(out, "\r\nCache-Control: no-store\r\nDate: ");
    guarded_text(out, date_text(connection->server));
    if (answer->content_type != NULL) {
        guarded_text(out, "\r\nContent-Type: ");
        guarded_text(out, answer->content_type);
    }
    if (answer->stream) {
        guarded_text(out, "\r\nTransfer-Encoding: chunked");
    } else if (has_length(answer->status)) {
        guarded_text(out, "\r\nContent-Length: ");
        put_number(out, answer->body_bytes);
    }
    if (connection->closes)
        guarded_text(out, "\r\nConnection: close");
    guarded_text(out, "\r\n");
    if (answer->headers != NULL)
        guarded_text(out, answer->headers);
    guarded_text(out, "\r\n");
}

/* ---- putting and flushing -------------------------------------------------------------------- */

static bool reserve(struct connection *connection, size_t more_bytes)
{
    return guarded_pool_reserve(connection->server->pool, &connection->out,
                                connection->out.size_bytes + more_bytes);
}

static size_t text_length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

static void put_answer(struct connection *connection, const struct http_answer *answer)
{
    bool has_body = has_length(answer->status) && !connection->is_head && !answer->stream;
    size_t body_bytes = has_body ? answer->body_bytes : 0;
    size_t around_bytes =
        HEAD_ROOM_BYTES + text_length(answer->headers) + text_length(answer->content_type);
    connection->closes |= answer->close || answer->stream || connection->server->is_draining;
    if (!reserve(connection, around_bytes + body_bytes)) {
        server_refused(connection->server, connection, "there is no memory for an answer");
        connection_close(connection);
        return;
    }
    put_head(connection, answer);
    guarded_append(&connection->out, answer->body, body_bytes);
    connection_enter(connection, answer->stream ? STAGE_STREAMING : STAGE_WRITING);
}

enum flush answer_flush(struct connection *connection)
{
    struct guarded *out = &connection->out;
    while (connection->sent_bytes < out->size_bytes) {
        size_t written_bytes;
        enum tls_want want;
        if (tls_write(connection->tls, out->bytes + connection->sent_bytes,
                      out->size_bytes - connection->sent_bytes, &written_bytes, &want,
                      NULL) != LETHE_OK ||
            want == TLS_CLOSED)
            return FLUSH_BROKEN;
        if (want != TLS_DONE)
            return FLUSH_WAITS;
        connection->sent_bytes += written_bytes;
        connection->server->counts.sent_bytes += written_bytes;
    }
    guarded_pool_give(connection->server->pool, out);
    connection->sent_bytes = 0;
    return FLUSH_DONE;
}

/* ---- what others answer ---------------------------------------------------------------------- */

static struct connection *find_exchange(const struct http_server *server,
                                        struct http_exchange exchange, enum stage stage)
{
    struct connection *found = connection_find(server, exchange.connection);
    bool is_it = found != NULL && found->number == exchange.number && found->stage == stage;
    return is_it ? found : NULL;
}

void http_server_answer(struct http_server *server, struct http_exchange exchange,
                        const struct http_answer *answer)
{
    struct connection *connection = find_exchange(server, exchange, STAGE_ANSWERING);
    if (connection == NULL)
        return;
    if (connection->penalty_ms > 0) {
        server_refused(server, connection, "a source fails to prove itself too often");
        answer_refusal(connection, 429, "too many failed proofs: come again later",
                       connection->penalty_ms);
    } else {
        put_answer(connection, answer);
    }
    connection_run(connection);
}

static void put_chunk(struct guarded *out, const void *bytes, size_t size_bytes)
{
    static const char digits[] = "0123456789abcdef";
    char size[16];
    size_t at = sizeof size;
    for (size_t left = size_bytes; left > 0; left /= 16)
        size[--at] = digits[left % 16];
    guarded_append(out, size + at, sizeof size - at);
    guarded_text(out, "\r\n");
    guarded_append(out, bytes, size_bytes);
    guarded_text(out, "\r\n");
}

bool http_server_stream(struct http_server *server, struct http_exchange exchange,
                        const void *bytes, size_t size_bytes)
{
    struct connection *connection = find_exchange(server, exchange, STAGE_STREAMING);
    if (connection == NULL)
        return false;
    if (connection->is_head || size_bytes == 0) /* an empty chunk would be the end */
        return true;
    guarded_consume(&connection->out, connection->sent_bytes);
    connection->sent_bytes = 0;
    bool fits = size_bytes <= STREAM_WAITING_MAX &&
                connection->out.size_bytes <= STREAM_WAITING_MAX - size_bytes;
    if (!fits || !reserve(connection, size_bytes + HEAD_ROOM_BYTES)) {
        server_refused(server, connection, "a stream is read too slowly");
        connection_close(connection);
        return false;
    }
    put_chunk(&connection->out, bytes, size_bytes);
    connection_run(connection);
    return find_exchange(server, exchange, STAGE_STREAMING) != NULL;
}

void http_server_finish(struct http_server *server, struct http_exchange exchange)
{
    struct connection *connection = find_exchange(server, exchange, STAGE_STREAMING);
    if (connection == NULL)
        return;
    if (!reserve(connection, HEAD_ROOM_BYTES)) {
        connection_close(connection);
        return;
    }
    if (!connection->is_head)
        guarded_text(&connection->out, "0\r\n\r\n");
    connection_enter(connection, STAGE_WRITING);
    connection_run(connection);
}

/* ---- what the server itself answers ---------------------------------------------------------- */

void answer_refusal(struct connection *connection, unsigned status, const char *sentence,
                    uint64_t retry_after_ms)
{
    CLEANUP(buffer_clear) struct buffer body = {0};
    CLEANUP(buffer_clear) struct buffer headers = {0};
    buffer_format(&body, "{\"errors\":[\"%s\"]}\n", sentence);
    if (retry_after_ms > 0)
        buffer_format(&headers, "Retry-After: %lu\r\n",
                      (unsigned long)((retry_after_ms + 999) / 1000));
    if (body.failure != LETHE_OK || headers.failure != LETHE_OK) {
        connection_close(connection);
        return;
    }
    const struct http_answer answer = {
        .status = status,
        .content_type = "application/json",
        .body = body.bytes,
        .body_bytes = body.size_bytes,
        .headers = headers.bytes,
        .close = true,
    };
    connection->is_head = false;
    put_answer(connection, &answer);
}

void answer_continue(struct connection *connection)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!reserve(connection, sizeof interim))
        return; /* it sends its body after a while anyway */
    guarded_text(&connection->out, interim);
    (void)answer_flush(connection); /* what is left, or broken, is seen before the next read */
}
