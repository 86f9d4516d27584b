#include "policy/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_text.h"

/* Compiling takes about a microsecond a byte, 80 for a class of Unicode, and half of one for each
 * instruction that comes of it; that is known only then. */
#define STEPS_PER_PATTERN_BYTE 16
#define STEPS_PER_PROPERTY 800
#define STEPS_PER_INSTRUCTION 4
/* Of what came to nothing: it may have become as large as it could. */
#define STEPS_TO_FAIL 100000

/* An expression is kept with a policy, and its tables grow while it is used: most need few. */
#define PREPARED_MEMORY_BYTES ((size_t)512 << 10)
#define PREPARED_SIZE_MAX 512 /* instructions: that their tables fit */

void regex_clear(struct regex *regex)
{
    re2_regex_free(regex->re2);
    *regex = (struct regex){0};
}

/* ---- what RE2 does not read as Go does ---- */

struct pattern_scan {
    const char *at, *end;
    struct buffer *text; /* as RE2 reads it */
    unsigned properties; /* \p, \P */
    bool has_byte;       /* \C */
    bool has_inner;      /* \B */
};

static bool next_is(const struct pattern_scan *scan, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(scan->end - scan->at) >= length && memcmp(scan->at, text, length) == 0;
}

static void copy(struct pattern_scan *scan, size_t length)
{
    length = MIN(length, (size_t)(scan->end - scan->at));
    buffer_append(scan->text, scan->at, length);
    scan->at += length;
}

/* Up to and with \E. */
static void copy_quoted(struct pattern_scan *scan)
{
    while (scan->at < scan->end && !next_is(scan, "\\E"))
        copy(scan, 1);
    copy(scan, 2);
}

static void copy_escape(struct pattern_scan *scan, bool in_class)
{
    scan->properties += next_is(scan, "\\p") || next_is(scan, "\\P");
    scan->has_byte |= next_is(scan, "\\C");
    scan->has_inner |= !in_class && next_is(scan, "\\B");
    bool quotes = !in_class && next_is(scan, "\\Q");
    copy(scan, 2);
    if (quotes)
        copy_quoted(scan);
}

/* A ] is one of the class when it comes first. */
static void copy_class(struct pattern_scan *scan)
{
    copy(scan, next_is(scan, "[^") ? 2 : 1);
    if (next_is(scan, "]"))
        copy(scan, 1);
    while (scan->at < scan->end && !next_is(scan, "]")) {
        const char *close =
            next_is(scan, "[:") ? memmem(scan->at, (size_t)(scan->end - scan->at), ":]", 2) : NULL;
        if (next_is(scan, "\\"))
            copy_escape(scan, true);
        else
            copy(scan, close != NULL ? (size_t)(close + 2 - scan->at) : 1);
    }
    copy(scan, 1);
}

static void scan_pattern(struct pattern_scan *scan)
{
    while (scan->at < scan->end) {
        if (next_is(scan, "\\")) {
            copy_escape(scan, false);
        } else if (next_is(scan, "[")) {
            copy_class(scan);
        } else if (next_is(scan, "(?<") && !next_is(scan, "(?<=") && !next_is(scan, "(?<!")) {
            buffer_text(scan->text, "(?P<");
            scan->at += 3;
        } else {
            copy(scan, 1);
        }
    }
}

/* ---- compiling ---- */

static lethe_result create(const struct pattern_scan *scan, size_t memory_bytes, struct regex *out,
                           struct lethe_error *err)
{
    TRY(buffer_result(scan->text, err));
    if (scan->has_byte)
        return lethe_error_set(err, LETHE_MALFORMED,
                               "error parsing regexp: invalid escape sequence: `\\C`");
    out->has_inner = scan->has_inner;
    const char *bytes = scan->text->bytes != NULL ? scan->text->bytes : "";
    return re2_regex_create(bytes, scan->text->size_bytes, memory_bytes, &out->re2, err);
}

static uint64_t steps_to_compile(const struct pattern_scan *scan)
{
    return 1 + (uint64_t)scan->text->size_bytes * STEPS_PER_PATTERN_BYTE +
           (uint64_t)scan->properties * STEPS_PER_PROPERTY;
}

static uint64_t steps_of_compiled(const struct regex *regex)
{
    return regex->re2 == NULL ? STEPS_TO_FAIL
                              : STEPS_PER_INSTRUCTION * (uint64_t)re2_regex_size(regex->re2);
}

lethe_result regex_compile(struct builtin_call *call, const char *pattern, size_t size_bytes,
                           struct regex *out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct lethe_error err = {0};
    struct pattern_scan scan = {.at = pattern, .end = pattern + size_bytes, .text = &text};
    if (size_bytes > REGEX_SIZE_MAX)
        return text_over_limit(call);
    scan_pattern(&scan);
    TRY(builtin_spend(call, steps_to_compile(&scan)));
    lethe_result result = create(&scan, RE2_REGEX_MEMORY_MAX, out, &err);
    if (result == LETHE_OK)
        TRY(builtin_spend(call, steps_of_compiled(out)));
    if (result == LETHE_MALFORMED)
        return builtin_fail(call, BUILTIN_ERROR, "%s", err.text);
    return result;
}

lethe_result regex_open(struct builtin_call *call, const struct value *pattern, struct regex *own,
                        const struct regex **out)
{
    *out = call->prepared;
    if (*out != NULL)
        return LETHE_OK;
    *out = own;
    return regex_compile(call, pattern->string, pattern->count, own);
}

void regex_release(void *prepared)
{
    struct regex *regex = prepared;
    regex_clear(regex);
    free(regex);
}

static bool prepare(const struct pattern_scan *scan, size_t memory_bytes, struct regex *out,
                    struct builtin_preparation *left)
{
    if (!builtin_prepare_spend(left, steps_to_compile(scan), memory_bytes))
        return false;
    bool done = create(scan, memory_bytes, out, NULL) == LETHE_OK;
    left->steps_left -= MIN(left->steps_left, steps_of_compiled(out));
    return done;
}

/* In the little memory that is enough for most, or in all that an expression may have. */
static bool prepare_as_large(const struct pattern_scan *scan, struct regex *out,
                             struct builtin_preparation *left)
{
    if (prepare(scan, PREPARED_MEMORY_BYTES, out, left) &&
        re2_regex_size(out->re2) <= PREPARED_SIZE_MAX)
        return true;
    regex_clear(out);
    return prepare(scan, RE2_REGEX_MEMORY_MAX - PREPARED_MEMORY_BYTES, out, left);
}

void *regex_prepare(const struct value *pattern, struct builtin_preparation *left)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (pattern->kind != VALUE_STRING || pattern->count > REGEX_SIZE_MAX)
        return NULL;
    struct regex *regex = calloc(1, sizeof *regex);
    struct pattern_scan scan = {
        .at = pattern->string, .end = pattern->string + pattern->count, .text = &text};
    scan_pattern(&scan);
    if (regex == NULL || prepare_as_large(&scan, regex, left))
        return regex;
    regex_release(regex);
    return NULL;
}

/* ---- finding ---- */

#define WORK_PER_STEP 65536

static lethe_result find(struct regex_walk *walk, bool *found)
{
    uint64_t left = walk->search.size_bytes - walk->search.from;
    uint64_t work = (left + 1) * re2_regex_size(walk->regex->re2);
    if (work > REGEX_WORK_MAX)
        return text_over_limit(walk->call);
    TRY(builtin_spend(walk->call, 1 + work / WORK_PER_STEP));
    return re2_regex_find(walk->regex->re2, &walk->search, walk->spans, walk->span_count, found);
}

/* The place behind the character there; behind the text, one more. */
static size_t next_place(const struct re2_search *search, size_t at)
{
    uint32_t ignored;
    size_t length = utf8_decode(search->text + at, search->size_bytes - at, &ignored);
    return at + MAX(length, 1);
}

static bool is_inside_character(const struct re2_search *search, size_t at)
{
    return at < search->size_bytes && ((uint8_t)search->text[at] & 0xc0) == 0x80;
}

/* What begins inside a character is empty; the search goes on behind the character. */
static lethe_result find_whole(struct regex_walk *walk, bool *found)
{
    TRY(find(walk, found));
    while (*found && is_inside_character(&walk->search, walk->spans[0].start)) {
        size_t at = walk->spans[0].start;
        while (is_inside_character(&walk->search, at))
            at++;
        walk->search.from = at;
        TRY(find(walk, found));
    }
    return LETHE_OK;
}

lethe_result regex_walk_begin(struct builtin_call *call, const struct regex *regex,
                              const struct value *text, bool with_groups, struct regex_walk *out)
{
    *out = (struct regex_walk){.call = call,
                               .regex = regex,
                               .search = {.text = text->string, .size_bytes = text->count},
                               .previous_end = RE2_NO_SPAN};
    out->span_count = 1 + (with_groups ? re2_regex_group_count(regex->re2) : 0);
    out->spans = arena_zalloc(call->arena, out->span_count, sizeof *out->spans);
    return arena_result(call->arena, NULL);
}

lethe_result regex_walk_next(struct regex_walk *walk, bool *found)
{
    const struct re2_span *match = &walk->spans[0];
    *found = false;
    while (walk->search.from <= walk->search.size_bytes) {
        TRY(find_whole(walk, found));
        if (!*found)
            break;
        bool repeated = match->start == match->end && match->start == walk->previous_end;
        walk->previous_end = match->end;
        walk->search.from =
            match->start == match->end ? next_place(&walk->search, match->end) : match->end;
        if (!repeated)
            break;
        *found = false;
    }
    return LETHE_OK;
}

lethe_result regex_matches(struct builtin_call *call, const struct regex *regex,
                           const struct value *text, bool *out)
{
    struct re2_span whole = {0};
    struct regex_walk walk = {.call = call,
                              .regex = regex,
                              .search = {.text = text->string, .size_bytes = text->count},
                              .spans = &whole,
                              .span_count = 1};
    if (regex->has_inner)
        return find_whole(&walk, out);
    walk.span_count = 0;
    return find(&walk, out);
}

const struct value *regex_span_value(const struct regex_walk *walk, struct re2_span span)
{
    if (span.start == RE2_NO_SPAN)
        return &value_empty_string;
    return value_string(walk->call->arena, walk->search.text + span.start, span.end - span.start);
}
