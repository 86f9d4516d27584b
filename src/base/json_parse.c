/* JSON in: what jansson would not notice, or would notice too late, is checked first. */
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"

/* Where the scan stands, for errors: both count from 1, columns in bytes. */
struct position {
    size_t line, column;
};

static void step(struct position *position, char c)
{
    if (c == '\n')
        *position = (struct position){position->line + 1, 1};
    else
        position->column++;
}

static lethe_result refuse(const struct position *position, const char *fault,
                           struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "JSON, line %zu, column %zu: %s", position->line,
                     position->column, fault);
}

/* Counts brackets and commas outside strings. jansson recurses at each bracket and makes a tree
 * many times larger than its text, so both are bounded before it sees a byte. */
static lethe_result check_shape(const char *text, size_t size_bytes, struct lethe_error *err)
{
    struct position position = {1, 1};
    size_t depth = 0;
    size_t values = 1;
    bool in_string = false;
    for (size_t i = 0; i < size_bytes; i++) {
        char c = text[i];
        if (c == '\0') /* jansson steps over one between two values */
            return refuse(&position, "a NUL character", err);
        if (in_string && c == '\\')
            step(&position, text[i++]);
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{'))
            depth++, values++;
        else if (!in_string && c == ',')
            values++;
        else if (!in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
        if (depth > JSON_DEPTH_MAX)
            return refuse(&position, "nested too deeply", err);
        if (values > JSON_VALUES_MAX)
            return refuse(&position, "too many values", err);
        step(&position, c);
    }
    return LETHE_OK;
}

/* Our own words: jansson's text quotes the document, which may be user content. */
static const char *fault_words(enum json_error_code code)
{
    switch (code) {
    case json_error_premature_end_of_input:
        return "the text ends too early";
    case json_error_end_of_input_expected:
        return "more text behind the end of the document";
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_duplicate_key:
        return "a name that the object has already";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a NUL character in a string";
    case json_error_numeric_overflow:
        return "a number that is too large";
    default:
        return "not valid JSON";
    }
}

/* jansson does not always say that memory was what it lacked (a text whose buffer cannot grow loses
 * bytes in silence), and a document that could not be held must neither be called malformed nor be
 * taken for another: so its allocations are watched. They are malloc's, as before. */
static _Thread_local bool starved;

static void *watched_malloc(size_t size_bytes)
{
    void *block = malloc(size_bytes);
    starved |= block == NULL;
    return block;
}

static void watch_memory(void)
{
    json_set_alloc_funcs(watched_malloc, free);
}

lethe_result json_parse(const char *text, size_t size_bytes, json_t **out, struct lethe_error *err)
{
    *out = NULL;
    if (size_bytes > JSON_SIZE_MAX)
        return error_set(err, LETHE_MALFORMED, "JSON of %zu bytes; at most %zu are read",
                         size_bytes, JSON_SIZE_MAX);
    TRY(check_shape(text, size_bytes, err));

    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    REQUIRE(pthread_once(&watched, watch_memory) == 0);
    starved = false;
    json_error_t error;
    *out = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (starved || (*out == NULL && json_error_code(&error) == json_error_out_of_memory)) {
        json_decref(*out);
        *out = NULL;
        return error_set(err, LETHE_NO_MEMORY, "no memory for a tree of %zu bytes of JSON",
                         size_bytes);
    }
    if (*out != NULL)
        return LETHE_OK;
    struct position position = {(size_t)MAX(error.line, 1), (size_t)MAX(error.column, 1)};
    return refuse(&position, fault_words(json_error_code(&error)), err);
}
