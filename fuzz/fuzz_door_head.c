/* What the door makes of paths and headers: the first byte is the method, the first line the path,
 * and every line behind it a header. */
#include <string.h>

#include "service/door_head.h"
#include "service/wire.h"

#include "fuzz.h"

static struct http_text take_line(const char **at, const char *end)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *line_end = newline == NULL ? end : newline;
    struct http_text line = {*at, (size_t)(line_end - *at)};
    *at = newline == NULL ? end : newline + 1;
    return line;
}

static void split(const char *text, size_t length, struct http_request *out)
{
    const char *end = text + length;
    out->path = take_line(&text, end);
    while (text < end && out->header_count < HTTP_HEADERS_MAX) {
        struct http_text line = take_line(&text, end);
        const char *colon = memchr(line.at, ':', line.length);
        size_t name_length = colon == NULL ? line.length : (size_t)(colon - line.at);
        size_t skipped = colon == NULL ? name_length : name_length + 1;
        out->headers[out->header_count].name = (struct http_text){line.at, name_length};
        out->headers[out->header_count++].value =
            (struct http_text){line.at + skipped, line.length - skipped};
    }
}

static bool holds(const struct http_text *path, const char *text)
{
    return memmem(path->at, path->length, text, strlen(text)) != NULL;
}

static bool ends_with(const struct http_text *path, const char *text)
{
    size_t length = strlen(text);
    return path->length >= length && memcmp(path->at + path->length - length, text, length) == 0;
}

/* One way to name a thing: nothing in a path leads elsewhere, and tidying it again changes nothing.
 */
static void check_path(const struct http_text *path)
{
    char again[HTTP_TARGET_MAX];
    size_t length = path->length;
    FUZZ_PROPERTY(holds(path, DOOR_PREFIX) || holds(path, DOOR_METRICS));
    FUZZ_PROPERTY(path->at[0] == '/' && memchr(path->at, '\0', path->length) == NULL);
    FUZZ_PROPERTY(!holds(path, "//") && !holds(path, "/../") && !holds(path, "/./"));
    FUZZ_PROPERTY(!ends_with(path, "/") && !ends_with(path, "/..") && !ends_with(path, "/."));
    FUZZ_PROPERTY(length <= sizeof again);
    memcpy(again, path->at, length);
    FUZZ_PROPERTY(door_path_tidy(again, &length, NULL) == LETHE_OK);
    FUZZ_PROPERTY(length == path->length && memcmp(again, path->at, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request = {0};
    struct door_head head;
    static struct guarded scratch; /* emptied by each reading: its pages are what takes long */
    if (size == 0 || size > HTTP_TARGET_MAX)
        return 0;
    request.method = (enum http_method)(data[0] % HTTP_METHOD_COUNT);
    split((const char *)data + 1, size - 1, &request);
    lethe_result result = door_head_read(&request, &scratch, &head, NULL);
    if (result != LETHE_OK) {
        FUZZ_PROPERTY(result == LETHE_NOT_FOUND || result == LETHE_MALFORMED ||
                      result == LETHE_INVALID || result == LETHE_CONFLICT);
        return 0;
    }
    check_path(&head.path);
    FUZZ_PROPERTY((head.token.at != NULL) == ((head.flags & WIRE_HAS_TOKEN) != 0));
    FUZZ_PROPERTY(head.method != 0);
    return 0;
}
