#include "pool_protocol.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const pool_operation_names[POOL_OPERATIONS] = {"set", "get"};

static void say(struct pool_text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct pool_text *text, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text->bytes, sizeof text->bytes, format, values);
    va_end(values);
    REQUIRE(length >= 0 && (size_t)length < sizeof text->bytes);
    text->size_bytes = (size_t)length;
}

static void redis(enum pool_operation operation, uint32_t key, size_t block_bytes,
                  struct pool_exchange *out)
{
    if (operation == POOL_SET) {
        say(&out->request_head, "*3\r\n$3\r\nSET\r\n$8\r\n%08x\r\n$%zu\r\n", key, block_bytes);
        say(&out->request_tail, "\r\n");
        say(&out->answer_head, "+OK\r\n");
    } else {
        say(&out->request_head, "*2\r\n$3\r\nGET\r\n$8\r\n%08x\r\n", key);
        say(&out->answer_head, "$%zu\r\n", block_bytes);
        say(&out->answer_tail, "\r\n");
    }
}

static void memcached(enum pool_operation operation, uint32_t key, size_t block_bytes,
                      struct pool_exchange *out)
{
    if (operation == POOL_SET) {
        say(&out->request_head, "set %08x 0 0 %zu\r\n", key, block_bytes);
        say(&out->request_tail, "\r\n");
        say(&out->answer_head, "STORED\r\n");
    } else {
        say(&out->request_head, "get %08x\r\n", key);
        say(&out->answer_head, "VALUE %08x 0 %zu\r\n", key, block_bytes);
        say(&out->answer_tail, "\r\nEND\r\n");
    }
}

static void plain(enum pool_operation operation, uint32_t key, size_t block_bytes,
                  struct pool_exchange *out)
{
    const struct pool_plain_request request = {
        .operation = operation, .key = key, .block_bytes = block_bytes};
    const struct pool_plain_answer answer = {.block_bytes =
                                                 operation == POOL_GET ? block_bytes : 0};
    memcpy(out->request_head.bytes, &request, sizeof request);
    out->request_head.size_bytes = sizeof request;
    memcpy(out->answer_head.bytes, &answer, sizeof answer);
    out->answer_head.size_bytes = sizeof answer;
}

void pool_exchange_make(enum pool_protocol protocol, enum pool_operation operation, uint32_t key,
                        size_t block_bytes, struct pool_exchange *out)
{
    static void (*const rows[])(enum pool_operation operation, uint32_t key, size_t block_bytes,
                                struct pool_exchange * out) = {
#define PROTOCOL_ROW(what, name) name,
        POOL_PROTOCOLS(PROTOCOL_ROW)
#undef PROTOCOL_ROW
    };
    *out = (struct pool_exchange){0};
    rows[protocol](operation, key, block_bytes, out);
}
