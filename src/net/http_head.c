#include "net/llhttp_names.h"

#include "net/http_head.h"

#include <string.h>
#include <strings.h>

#define VERSION "HTTP/1.1"
#define METHOD_MAX 32u /* characters: longer ones are not methods */

/* ---- where it ends --------------------------------------------------------------------------- */

static enum http_fault check_line(const struct http_head_scan *scan, const uint8_t *bytes,
                                  size_t newline_at)
{
    const uint8_t *line = bytes + scan->line_at;
    bool is_first = scan->line_at == 0;
    if (newline_at == scan->line_at || bytes[newline_at - 1] != '\r')
        return HTTP_FAULT_MALFORMED;
    if (is_first && newline_at > HTTP_TARGET_MAX + METHOD_MAX + sizeof VERSION)
        return HTTP_FAULT_TARGET;
    return line[0] == ' ' || line[0] == '\t' ? HTTP_FAULT_MALFORMED : HTTP_FAULT_NONE;
}

static enum http_fault check_sizes(const struct http_head_scan *scan, size_t size_bytes)
{
    if (scan->line_at == 0 && size_bytes > HTTP_TARGET_MAX + METHOD_MAX + sizeof VERSION)
        return HTTP_FAULT_TARGET;
    return size_bytes > HTTP_HEAD_MAX ? HTTP_FAULT_HEAD_SIZE : HTTP_FAULT_NONE;
}

enum http_fault http_head_scan(struct http_head_scan *scan, const uint8_t *bytes, size_t size_bytes)
{
    while (scan->looked_bytes < size_bytes) {
        const uint8_t *newline =
            memchr(bytes + scan->looked_bytes, '\n', size_bytes - scan->looked_bytes);
        if (newline == NULL)
            break;
        size_t newline_at = (size_t)(newline - bytes);
        enum http_fault fault = check_line(scan, bytes, newline_at);
        if (fault != HTTP_FAULT_NONE)
            return fault;
        bool is_empty = newline_at == scan->line_at + 1;
        if (is_empty && scan->line_at == 0)
            return HTTP_FAULT_MALFORMED;
        scan->looked_bytes = scan->line_at = newline_at + 1;
        if (is_empty) {
            scan->head_bytes = newline_at + 1;
            return check_sizes(scan, scan->head_bytes);
        }
    }
    scan->looked_bytes = size_bytes;
    return check_sizes(scan, size_bytes);
}

/* ---- characters ------------------------------------------------------------------------------ */

enum character { TOKEN = 1u << 0, VALUE = 1u << 1, TARGET = 1u << 2, HOST = 1u << 3 };

#define ALWAYS (TOKEN | VALUE | TARGET | HOST)
static const uint8_t characters[256] = {
    ['0' ... '9'] = ALWAYS,
    ['a' ... 'z'] = ALWAYS,
    ['A' ... 'Z'] = ALWAYS,
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE | TARGET,
    ['"'] = VALUE,
    ['#'] = TOKEN | VALUE,
    ['$'] = TOKEN | VALUE | TARGET,
    ['%'] = TOKEN | VALUE | TARGET,
    ['&'] = TOKEN | VALUE | TARGET,
    ['\''] = TOKEN | VALUE | TARGET,
    ['('] = VALUE | TARGET,
    [')'] = VALUE | TARGET,
    ['*'] = TOKEN | VALUE | TARGET,
    ['+'] = TOKEN | VALUE | TARGET,
    [','] = VALUE | TARGET,
    ['-'] = ALWAYS,
    ['.'] = ALWAYS,
    ['/'] = VALUE | TARGET,
    [':'] = VALUE | TARGET | HOST,
    [';'] = VALUE | TARGET,
    ['<'] = VALUE,
    ['='] = VALUE | TARGET,
    ['>'] = VALUE,
    ['?'] = VALUE | TARGET,
    ['@'] = VALUE | TARGET,
    ['['] = VALUE | TARGET | HOST,
    ['\\'] = VALUE,
    [']'] = VALUE | TARGET | HOST,
    ['^'] = TOKEN | VALUE,
    ['_'] = ALWAYS,
    ['`'] = TOKEN | VALUE,
    ['{'] = VALUE,
    ['|'] = TOKEN | VALUE | TARGET,
    ['}'] = VALUE,
    ['~'] = TOKEN | VALUE | TARGET,
    [0x80 ... 0xFF] = VALUE,
};

static bool consists_of(const struct http_text *text, enum character kind)
{
    for (size_t i = 0; i < text->length; i++)
        if ((characters[(uint8_t)text->at[i]] & kind) == 0)
            return false;
    return true;
}

static bool equals(const struct http_text *text, const char *word)
{
    return text->length == strlen(word) && strncasecmp(text->at, word, text->length) == 0;
}

/* ---- the request line ------------------------------------------------------------------------ */

struct head {
    const char *bytes;
    size_t size_bytes;
    struct http_request *out;
    struct http_text target; /* path and query */
    uint64_t content_bytes;
    bool name_is_whole; /* of the header that llhttp is at */
    enum http_fault fault;
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static enum http_fault read_version(const char *text, size_t length)
{
    if (length == strlen(VERSION) && memcmp(text, VERSION, length) == 0)
        return HTTP_FAULT_NONE;
    bool is_other = length == strlen(VERSION) && memcmp(text, "HTTP/", 5) == 0 &&
                    is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
    return is_other ? HTTP_FAULT_VERSION : HTTP_FAULT_MALFORMED;
}

static enum http_fault read_method(const char *text, size_t length, enum http_method *out)
{
    const struct http_text word = {text, length};
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++) {
        const char *name = http_method_name(i);
        if (length == strlen(name) && memcmp(text, name, length) == 0) {
            *out = i;
            return HTTP_FAULT_NONE;
        }
    }
    bool is_one = length > 0 && length <= METHOD_MAX && consists_of(&word, TOKEN);
    return is_one ? HTTP_FAULT_METHOD : HTTP_FAULT_MALFORMED;
}

static enum http_fault read_target(struct head *head)
{
    const struct http_text *target = &head->target;
    struct http_request *out = head->out;
    if (target->length > HTTP_TARGET_MAX)
        return HTTP_FAULT_TARGET;
    if (target->length == 0 || target->at[0] != '/' || !consists_of(target, TARGET))
        return HTTP_FAULT_MALFORMED;
    const char *mark = memchr(target->at, '?', target->length);
    size_t path_length = mark != NULL ? (size_t)(mark - target->at) : target->length;
    size_t query_at = mark != NULL ? path_length + 1 : path_length;
    out->path = (struct http_text){target->at, path_length};
    out->query = (struct http_text){target->at + query_at, target->length - query_at};
    return HTTP_FAULT_NONE;
}

/* METHOD SP TARGET SP VERSION CR LF, with single spaces. */
static enum http_fault read_request_line(struct head *head)
{
    const char *line = head->bytes;
    const char *end = memchr(line, '\r', head->size_bytes);
    REQUIRE(end != NULL);
    const char *first = memchr(line, ' ', (size_t)(end - line));
    const char *second = first != NULL ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;
    if (second == NULL)
        return HTTP_FAULT_MALFORMED;
    enum http_fault fault = read_version(second + 1, (size_t)(end - second - 1));
    if (fault == HTTP_FAULT_NONE)
        fault = read_method(line, (size_t)(first - line), &head->out->method);
    head->target = (struct http_text){first + 1, (size_t)(second - first - 1)};
    return fault != HTTP_FAULT_NONE ? fault : read_target(head);
}

/* ---- headers, as llhttp sees them ------------------------------------------------------------ */

/* A piece that llhttp gives belongs to the text so far or begins it. */
static int add_piece(struct http_text *text, const char *at, size_t length)
{
    if (text->length == 0)
        text->at = at;
    if (text->at + text->length != at)
        return -1;
    text->length += length;
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    struct head *head = parser->data;
    struct http_request *out = head->out;
    if (out->header_count == 0 || head->name_is_whole) {
        if (out->header_count == HTTP_HEADERS_MAX) {
            head->fault = HTTP_FAULT_HEAD_SIZE;
            return -1;
        }
        out->headers[out->header_count].name = (struct http_text){at, 0};
        out->headers[out->header_count++].value = (struct http_text){at, 0};
        head->name_is_whole = false;
    }
    return add_piece(&out->headers[out->header_count - 1].name, at, length);
}

/* The colon follows at once: with a space between, others read another name. */
static int on_name_end(llhttp_t *parser)
{
    struct head *head = parser->data;
    const struct http_text *name = &head->out->headers[head->out->header_count - 1].name;
    head->name_is_whole = true;
    return name->length > 0 && consists_of(name, TOKEN) && name->at[name->length] == ':' ? 0 : -1;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    struct head *head = parser->data;
    return add_piece(&head->out->headers[head->out->header_count - 1].value, at, length);
}

static int on_end(llhttp_t *parser)
{
    struct head *head = parser->data;
    head->out->keep_alive = llhttp_should_keep_alive(parser) == 1;
    return HPE_PAUSED; /* the body is not llhttp's */
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_field_complete = on_name_end,
    .on_header_value = on_value,
    .on_headers_complete = on_end,
};

static enum http_fault fault_of(const struct head *head, llhttp_errno_t reason)
{
    static const struct {
        llhttp_errno_t reason;
        enum http_fault fault;
    } known[] = {
        {HPE_UNEXPECTED_CONTENT_LENGTH, HTTP_FAULT_LENGTH},
        {HPE_INVALID_CONTENT_LENGTH, HTTP_FAULT_LENGTH},
        {HPE_INVALID_TRANSFER_ENCODING, HTTP_FAULT_ENCODING},
    };
    if (head->fault != HTTP_FAULT_NONE)
        return head->fault;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].reason == reason)
            return known[i].fault;
    return HTTP_FAULT_MALFORMED;
}

/* llhttp does not know all our methods, and needs none of them: the request line was read, and to
 * it every request is a GET. */
static enum http_fault read_headers(struct head *head)
{
    static const char method[] = "GET ";
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = head;
    llhttp_errno_t reason = llhttp_execute(&parser, method, strlen(method));
    const char *target = head->target.at;
    const char *end = head->bytes + head->size_bytes;
    if (reason == HPE_OK)
        reason = llhttp_execute(&parser, target, (size_t)(end - target));
    return reason == HPE_PAUSED ? HTTP_FAULT_NONE : fault_of(head, reason);
}

static void trim(struct http_text *text)
{
    while (text->length > 0 && (text->at[0] == ' ' || text->at[0] == '\t')) {
        text->at++;
        text->length--;
    }
    while (text->length > 0 &&
           (text->at[text->length - 1] == ' ' || text->at[text->length - 1] == '\t'))
        text->length--;
}

/* ---- what headers may say -------------------------------------------------------------------- */

static enum http_fault check_values(struct head *head)
{
    for (size_t i = 0; i < head->out->header_count; i++) {
        trim(&head->out->headers[i].value);
        if (!consists_of(&head->out->headers[i].value, VALUE))
            return HTTP_FAULT_MALFORMED;
    }
    return HTTP_FAULT_NONE;
}

/* The value of the last header of this name; NULL when there is none. */
static const struct http_text *last_of(const struct head *head, const char *name, size_t *count)
{
    const struct http_text *last = NULL;
    *count = 0;
    for (size_t i = 0; i < head->out->header_count; i++) {
        if (!equals(&head->out->headers[i].name, name))
            continue;
        last = &head->out->headers[i].value;
        ++*count;
    }
    return last;
}

static enum http_fault check_encoding(struct head *head)
{
    size_t count;
    return last_of(head, "Transfer-Encoding", &count) == NULL ? HTTP_FAULT_NONE
                                                              : HTTP_FAULT_ENCODING;
}

static enum http_fault check_host(struct head *head)
{
    size_t count;
    const struct http_text *host = last_of(head, "Host", &count);
    bool is_one = host != NULL && count == 1 && host->length > 0;
    return is_one && consists_of(host, HOST) ? HTTP_FAULT_NONE : HTTP_FAULT_HOST;
}

static bool add_digit(uint64_t *number, char digit)
{
    return !__builtin_mul_overflow(*number, 10u, number) &&
           !__builtin_add_overflow(*number, (uint64_t)(digit - '0'), number);
}

static enum http_fault check_length(struct head *head)
{
    size_t count;
    const struct http_text *value = last_of(head, "Content-Length", &count);
    if (value == NULL)
        return HTTP_FAULT_NONE;
    if (count > 1 || value->length == 0)
        return HTTP_FAULT_LENGTH;
    for (size_t i = 0; i < value->length; i++)
        if (!is_digit(value->at[i]))
            return HTTP_FAULT_LENGTH;
    for (size_t i = 0; i < value->length; i++)
        if (!add_digit(&head->content_bytes, value->at[i]))
            return HTTP_FAULT_BODY_SIZE;
    return HTTP_FAULT_NONE;
}

static enum http_fault check_expectation(struct head *head)
{
    size_t count;
    const struct http_text *value = last_of(head, "Expect", &count);
    head->out->expects_continue = value != NULL;
    if (value == NULL || (count == 1 && equals(value, "100-continue")))
        return HTTP_FAULT_NONE;
    return HTTP_FAULT_EXPECTATION;
}

enum http_fault http_head_parse(const uint8_t *bytes, size_t head_bytes, struct http_request *out,
                                uint64_t *content_bytes)
{
    static enum http_fault (*const steps[])(struct head * head) = {
        read_request_line, read_headers, check_values,      check_encoding,
        check_length,      check_host,   check_expectation,
    };
    struct head head = {.bytes = (const char *)bytes, .size_bytes = head_bytes, .out = out};
    out->header_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        enum http_fault fault = steps[i](&head);
        if (fault != HTTP_FAULT_NONE)
            return fault;
    }
    *content_bytes = head.content_bytes;
    return HTTP_FAULT_NONE;
}
