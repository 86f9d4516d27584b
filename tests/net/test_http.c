#include "check.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "net/http.h"

#define HOST "Host: a\r\n"

static struct guarded_pool *pool;
static struct http_parser *parser;
static struct http_request request;
static enum http_fault fault;

static int start(void **state)
{
    struct lethe_error err;
    assert_ok(guarded_pool_create(64 << 20, &pool, &err), &err);
    return 0;
}

static int finish(void **state)
{
    guarded_pool_free(pool);
    return 0;
}

static void begin(size_t body_max_bytes)
{
    struct lethe_error err;
    fault = HTTP_FAULT_NONE;
    assert_ok(http_parser_create(body_max_bytes, pool, &parser, &err), &err);
}

static void end(void)
{
    http_parser_free(parser);
    parser = NULL;
}

/* Bytes come in pieces of `piece` until the parser has seen enough or all of them. */
static enum http_progress feed(const char *bytes, size_t size_bytes, size_t piece)
{
    enum http_progress progress = HTTP_NEEDS_MORE;
    while (size_bytes > 0 && (progress == HTTP_NEEDS_MORE || progress == HTTP_NEEDS_BODY)) {
        size_t room_bytes;
        uint8_t *room = http_parser_room(parser, &room_bytes);
        assert_non_null(room);
        size_t taken = MIN(MIN(room_bytes, piece), size_bytes);
        memcpy(room, bytes, taken);
        http_parser_received(parser, taken);
        bytes += taken;
        size_bytes -= taken;
        progress = http_parser_parse(parser, &request, &fault);
    }
    return progress;
}

static void assert_text(const struct http_text *text, const char *expected)
{
    assert_non_null(text);
    assert_int_equal(text->length, strlen(expected));
    assert_memory_equal(text->at, expected, text->length);
}

/* ---- what is refused ------------------------------------------------------------------------- */

#define TEN "0123456789"

/* Each is refused for its reason, whole and byte by byte. */
static void refused_shapes(void **state)
{
    static const struct {
        const char *text;
        size_t length; /* 0: up to the NUL */
        enum http_fault fault;
    } shapes[] = {
#define WITH_NUL(text) text, sizeof(text) - 1
        /* two lengths, or one that two readers read in two ways */
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0,
         HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc", 0,
         HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc", 0, HTTP_FAULT_MALFORMED},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length\t: 3\r\n\r\nabc", 0, HTTP_FAULT_MALFORMED},
        {"POST / HTTP/1.1\r\n" HOST " Content-Length: 3\r\n\r\nabc", 0, HTTP_FAULT_MALFORMED},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: +4\r\n\r\nabcd", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: -4\r\n\r\nabcd", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4 4\r\n\r\nabcd", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4, 4\r\n\r\nabcd", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x4\r\n\r\nabcd", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4.0\r\n\r\nabcd", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n", 0, HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: " TEN TEN TEN "\r\n\r\n", 0,
         HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", 0,
         HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n", 0,
         HTTP_FAULT_BODY_SIZE},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", 0, HTTP_FAULT_BODY_SIZE},
        /* encodings */
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0,
         HTTP_FAULT_ENCODING},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 0, HTTP_FAULT_ENCODING},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 0, HTTP_FAULT_ENCODING},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 0, HTTP_FAULT_ENCODING},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding\n: chunked\r\n\r\n", 0,
         HTTP_FAULT_MALFORMED},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 0,
         HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 0,
         HTTP_FAULT_LENGTH},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
         0, HTTP_FAULT_ENCODING},
        /* lines */
        {"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\nHost: a\n\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X: a\rY: b\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r" HOST "\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "novalue\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X(y): b\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X\x80: b\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {WITH_NUL("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), HTTP_FAULT_MALFORMED},
        {WITH_NUL("GET / HTTP/1.1\r\n" HOST "X\0: ab\r\n\r\n"), HTTP_FAULT_MALFORMED},
        {WITH_NUL("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x7f"
         "b\r\n\r\n",
         0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x01"
         "b\r\n\r\n",
         0, HTTP_FAULT_MALFORMED},
        /* hosts */
        {"GET / HTTP/1.1\r\n\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\nX: a\r\n\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\n" HOST "host: b\r\n\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, HTTP_FAULT_HOST},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, HTTP_FAULT_HOST},
        /* request lines */
        {"GET / HTTP/1.0\r\n" HOST "\r\n", 0, HTTP_FAULT_VERSION},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 0, HTTP_FAULT_VERSION},
        {"GET / HTTP/0.9\r\n" HOST "\r\n", 0, HTTP_FAULT_VERSION},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, HTTP_FAULT_VERSION},
        {"GET /\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.10\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / http/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / RTSP/1.0\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET /  HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {" GET / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET http://a/ HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET a/b HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"GET /a\"b HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"TRACE / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"PROPFIND / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"BREW / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"get / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"LISTS / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"LIS / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_METHOD},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", 0, HTTP_FAULT_MALFORMED},
        {"\x16\x03\x01\x02 / HTTP/1.1\r\n\r\n", 0, HTTP_FAULT_MALFORMED},
        /* expectations */
        {"GET / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n", 0, HTTP_FAULT_EXPECTATION},
        {"GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 0,
         HTTP_FAULT_EXPECTATION},
#undef WITH_NUL
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        size_t length = shapes[i].length > 0 ? shapes[i].length : strlen(shapes[i].text);
        for (unsigned whole = 0; whole < 2; whole++) {
            begin(1000);
            enum http_progress progress = feed(shapes[i].text, length, whole ? length : 1);
            if (progress != HTTP_REFUSED || fault != shapes[i].fault)
                fail_msg("shape %zu gives progress %d and fault %d: %s", i, (int)progress,
                         (int)fault, shapes[i].text);
            end();
        }
    }
}

static enum http_progress feed_repeated(const char *before, const char *what, size_t count,
                                        const char *behind)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, before);
    for (size_t i = 0; i < count; i++)
        buffer_text(&text, what);
    buffer_text(&text, behind);
    return feed(text.bytes, text.size_bytes, 1000);
}

static void sizes_are_limited(void **state)
{
    static const char tail[] = " HTTP/1.1\r\n" HOST "\r\n";
    static const struct {
        const char *before, *what;
        size_t count;
        const char *behind;
        enum http_fault fault; /* NONE: accepted */
    } cases[] = {
        {"GET /", "a", HTTP_TARGET_MAX - 1, tail, HTTP_FAULT_NONE},
        {"GET /", "a", HTTP_TARGET_MAX, tail, HTTP_FAULT_TARGET},
        {"GET /", "a", HTTP_TARGET_MAX + 100, tail, HTTP_FAULT_TARGET},
        {"GET /", "a", 100000, "", HTTP_FAULT_TARGET}, /* without an end in sight */
        {"GET / HTTP/1.1\r\n" HOST, "X: a\r\n", HTTP_HEADERS_MAX - 1, "\r\n", HTTP_FAULT_NONE},
        {"GET / HTTP/1.1\r\n" HOST, "X: a\r\n", HTTP_HEADERS_MAX, "\r\n", HTTP_FAULT_HEAD_SIZE},
        {"GET / HTTP/1.1\r\n" HOST "X: ", "a", HTTP_HEAD_MAX - 32, "\r\n\r\n", HTTP_FAULT_NONE},
        {"GET / HTTP/1.1\r\n" HOST "X: ", "a", HTTP_HEAD_MAX - 31, "\r\n\r\n",
         HTTP_FAULT_HEAD_SIZE},
        {"GET / HTTP/1.1\r\n" HOST "X: ", "a", 100000, "", HTTP_FAULT_HEAD_SIZE},
        {"GET / HTTP/1.1\r\n" HOST, "X: a\r\n", 100000, "", HTTP_FAULT_HEAD_SIZE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(0);
        enum http_progress progress =
            feed_repeated(cases[i].before, cases[i].what, cases[i].count, cases[i].behind);
        if (progress != (cases[i].fault == HTTP_FAULT_NONE ? HTTP_COMPLETE : HTTP_REFUSED) ||
            fault != cases[i].fault)
            fail_msg("case %zu gives progress %d and fault %d", i, (int)progress, (int)fault);
        end();
    }
}

/* ---- what is accepted ------------------------------------------------------------------------ */

static const char full[] = "POST /v1/transit/encrypt/k?list=true&a=b HTTP/1.1\r\n"
                           "Host: keys.example.org:8200\r\n"
                           "X-Vault-Token:  hvs.abc \t\r\n"
                           "empty:\r\n"
                           "Accept: */*\r\n"
                           "accept: \xc3\xa4\r\n"
                           "Content-Length: 005\r\n"
                           "\r\n"
                           "hello";

static const char *const full_headers[][2] = {
    {"Host", "keys.example.org:8200"},
    {"X-Vault-Token", "hvs.abc"},
    {"empty", ""},
    {"Accept", "*/*"},
    {"accept", "\xc3\xa4"},
    {"Content-Length", "005"},
};

static void all_parts_are_there(void **state)
{
    for (size_t piece = 1; piece <= sizeof full; piece++) {
        begin(5);
        assert_int_equal(feed(full, sizeof full - 1, piece), HTTP_COMPLETE);
        assert_int_equal(request.method, HTTP_POST);
        assert_text(&request.path, "/v1/transit/encrypt/k");
        assert_text(&request.query, "list=true&a=b");
        assert_int_equal(request.header_count, 6);
        for (size_t i = 0; i < request.header_count; i++) {
            assert_text(&request.headers[i].name, full_headers[i][0]);
            assert_text(&request.headers[i].value, full_headers[i][1]);
        }
        assert_int_equal(request.body_bytes, 5);
        assert_memory_equal(request.body, "hello", 5);
        assert_true(request.keep_alive);
        assert_false(request.expects_continue);
        http_parser_next(parser);
        assert_true(http_parser_is_idle(parser));
        end();
    }
}

static void every_method_is_told(void **state)
{
    for (unsigned method = 0; method < HTTP_METHOD_COUNT; method++) {
        char text[128];
        int length =
            snprintf(text, sizeof text, "%s /a HTTP/1.1\r\n" HOST "\r\n", http_method_name(method));
        begin(0);
        assert_int_equal(feed(text, (size_t)length, 3), HTTP_COMPLETE);
        assert_int_equal(request.method, method);
        assert_text(&request.path, "/a");
        assert_int_equal(request.body_bytes, 0);
        end();
    }
}

/* A GET, a HEAD and a LIST with a body: it is theirs, and no next request. */
static void bodies_belong_to_any_method(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "LIST", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char text[256];
        int length = snprintf(text, sizeof text,
                              "%s /a HTTP/1.1\r\n" HOST "Content-Length: 18\r\n\r\n"
                              "GET / HTTP/1.1\r\n\r\n",
                              methods[i]);
        begin(100);
        assert_int_equal(feed(text, (size_t)length, 1000), HTTP_COMPLETE);
        assert_int_equal(request.body_bytes, 18);
        http_parser_next(parser);
        assert_true(http_parser_is_idle(parser));
        end();
    }
}

static void closing_is_heard(void **state)
{
    static const struct {
        const char *header;
        bool keep_alive;
    } cases[] = {
        {"", true},
        {"Connection: close\r\n", false},
        {"connection: CLOSE\r\n", false},
        {"Connection: keep-alive, close\r\n", false},
        {"Connection: keep-alive\r\n", true},
        {"Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        int length =
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "%s\r\n", cases[i].header);
        begin(0);
        assert_int_equal(feed(text, (size_t)length, 1000), HTTP_COMPLETE);
        assert_int_equal(request.keep_alive, cases[i].keep_alive);
        end();
    }
}

static void expectation_is_told_with_the_head(void **state)
{
    static const char head[] = "PUT / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                               "Expect: 100-Continue\r\n\r\n";
    begin(3);
    assert_int_equal(feed(head, sizeof head - 1, 1000), HTTP_NEEDS_BODY);
    assert_true(request.expects_continue);
    assert_int_equal(feed("ab", 2, 2), HTTP_NEEDS_BODY);
    assert_int_equal(feed("c", 1, 1), HTTP_COMPLETE);
    assert_memory_equal(request.body, "abc", 3);
    end();
}

/* Three requests in one piece come out one after another. */
static void pipelined_requests_are_kept_apart(void **state)
{
    static const char three[] = "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"
                                "LIST /2 HTTP/1.1\r\n" HOST "\r\n"
                                "GET /3 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nc";
    static const char *const paths[] = {"/1", "/2", "/3"};
    static const char *const bodies[] = {"ab", "", "c"};
    begin(10);
    enum http_progress progress = feed(three, sizeof three - 1, sizeof three);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(progress, HTTP_COMPLETE);
        assert_text(&request.path, paths[i]);
        assert_int_equal(request.body_bytes, strlen(bodies[i]));
        assert_memory_equal(request.body, bodies[i], request.body_bytes);
        assert_int_equal(http_parser_is_idle(parser), false);
        http_parser_next(parser);
        if (i < 2)
            progress = http_parser_parse(parser, &request, &fault);
    }
    assert_true(http_parser_is_idle(parser));
    end();
}

/* What lies behind a complete request does not matter to it, whatever it is. */
static void refusal_waits_for_its_turn(void **state)
{
    static const char two[] = "GET /1 HTTP/1.1\r\n" HOST "\r\nnonsense\n";
    begin(0);
    assert_int_equal(feed(two, sizeof two - 1, sizeof two), HTTP_COMPLETE);
    http_parser_next(parser);
    assert_int_equal(http_parser_parse(parser, &request, &fault), HTTP_REFUSED);
    assert_int_equal(fault, HTTP_FAULT_MALFORMED);
    end();
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void large_body_is_whole(void **state)
{
    size_t size_bytes = 3 << 20;
    CLEANUP(memory_free) char *body = malloc(size_bytes);
    char head[128];
    int length =
        snprintf(head, sizeof head, "POST /%s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                 "path", size_bytes);
    for (size_t i = 0; i < size_bytes; i++)
        body[i] = (char)(i * 7 + i / 251);
    begin(size_bytes);
    assert_int_equal(feed(head, (size_t)length, 1000), HTTP_NEEDS_BODY);
    assert_int_equal(feed(body, size_bytes, 16384), HTTP_COMPLETE);
    assert_text(&request.path, "/path"); /* although the buffer moved meanwhile */
    assert_int_equal(request.body_bytes, size_bytes);
    assert_memory_equal(request.body, body, size_bytes);
    end();
}

/* Ten bodies of 32 MiB are announced; memory is taken for none of them. (K-12) */
static void announcing_takes_no_memory(void **state)
{
    struct guarded_pool *small;
    struct http_parser *many[10];
    char text[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 33554432\r\n\r\nabc";
    assert_result(LETHE_OK, guarded_pool_create(4 << 20, &small, NULL));
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        assert_result(LETHE_OK, http_parser_create(HTTP_BODY_MAX, small, &many[i], NULL));
        parser = many[i];
        assert_int_equal(feed(text, sizeof text - 1, 1000), HTTP_NEEDS_BODY);
    }
    /* The pool's limit holds for one that really sends. */
    enum http_progress progress = HTTP_NEEDS_BODY;
    for (size_t sent = 0; progress == HTTP_NEEDS_BODY; sent++) {
        size_t room_bytes;
        uint8_t *room = http_parser_room(parser, &room_bytes);
        if (room != NULL)
            http_parser_received(parser, room_bytes);
        assert_true(sent < 100);
        progress = http_parser_parse(parser, &request, &fault);
    }
    assert_int_equal(progress, HTTP_REFUSED);
    assert_int_equal(fault, HTTP_FAULT_NO_MEMORY);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        http_parser_free(many[i]);
    guarded_pool_free(small);
}

/* M: what was sent is wiped once it is answered, and what follows it stays. */
static void answered_requests_are_wiped(void **state)
{
    static const char two[] = "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nsecret"
                              "GET /2 HTTP/1.1\r\n" HOST "\r\n";
    begin(10);
    assert_int_equal(feed(two, sizeof two - 1, sizeof two), HTTP_COMPLETE);
    const char *bytes = request.path.at - strlen("POST ");
    REQUIRE(bytes != NULL);
    assert_non_null(memmem(bytes, sizeof two, "secret", 6));
    http_parser_next(parser);
    assert_null(memmem(bytes, sizeof two, "secret", 6));
    assert_int_equal(http_parser_parse(parser, &request, &fault), HTTP_COMPLETE);
    http_parser_next(parser);
    assert_true(lethe_is_zero(bytes, sizeof two)); /* it is in the pool now, mapped */
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_shapes),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(all_parts_are_there),
        cmocka_unit_test(every_method_is_told),
        cmocka_unit_test(bodies_belong_to_any_method),
        cmocka_unit_test(closing_is_heard),
        cmocka_unit_test(expectation_is_told_with_the_head),
        cmocka_unit_test(pipelined_requests_are_kept_apart),
        cmocka_unit_test(refusal_waits_for_its_turn),
        cmocka_unit_test(large_body_is_whole),
        cmocka_unit_test(announcing_takes_no_memory),
        cmocka_unit_test(answered_requests_are_wiped),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
