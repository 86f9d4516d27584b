#include "service/fields_scan.h"

#include <endian.h>
#include <string.h>

#include "base/json_escape.h"
#include "base/utf8.h"

struct scan scan_over(const void *text, size_t length, struct guarded *scratch, size_t room_bytes)
{
    const uint8_t *begin = text;
    return (struct scan){.at = begin,
                         .end = begin + length,
                         .begin = begin,
                         .scratch = scratch,
                         .room_bytes = room_bytes};
}

lethe_result scan_fault(struct scan *scan, const char *fault)
{
    scan->fault = fault;
    return LETHE_MALFORMED;
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r'))
        scan->at++;
}

lethe_result scan_end(struct scan *scan)
{
    skip_space(scan);
    return scan->at == scan->end ? LETHE_OK : scan_fault(scan, "something stands behind it");
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Eight bytes at once: a bit in every byte that ends a run of plain ASCII, and perhaps in bytes
 * behind the first of these. */
static uint64_t special(uint64_t bytes)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t tops = ones << 7;
    uint64_t quote = bytes ^ ones * '"';
    uint64_t backslash = bytes ^ ones * '\\';
    uint64_t control = (bytes - ones * 0x20) & ~bytes;
    return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | control | bytes) & tops;
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t bytes;
        memcpy(&bytes, at, sizeof bytes);
        uint64_t found = special(le64toh(bytes));
        if (found != 0)
            return at + __builtin_ctzll(found) / 8;
    }
    while (at < end && is_plain(*at))
        at++;
    return at;
}

/* Behind the backslash. */
static lethe_result read_escape(struct scan *scan, uint32_t *out)
{
    size_t read =
        json_escape_read((const char *)scan->at, (size_t)(scan->end - scan->at), out, &scan->fault);
    scan->at += read;
    return read > 0 ? LETHE_OK : LETHE_MALFORMED;
}

/* What is neither plain nor the end of the text. */
static lethe_result skip_special(struct scan *scan, struct scan_value *out)
{
    uint32_t character;
    if (*scan->at == '\\') {
        scan->at++;
        out->escaped = true;
        return read_escape(scan, &character);
    }
    size_t length = *scan->at < 0x20 ? 0
                                     : utf8_decode((const char *)scan->at,
                                                   (size_t)(scan->end - scan->at), &character);
    scan->at += length;
    return length > 0 ? LETHE_OK
                      : scan_fault(scan, "a text is not UTF-8, or has a control character");
}

/* At its opening quote. */
static lethe_result read_text(struct scan *scan, struct scan_value *out)
{
    out->kind = SCAN_TEXT;
    out->at = ++scan->at;
    for (;;) {
        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end)
            return scan_fault(scan, "a text does not end");
        if (*scan->at == '"')
            break;
        TRY(skip_special(scan, out));
    }
    out->length = (size_t)(scan->at++ - out->at);
    return LETHE_OK;
}

/* An escape is never shorter than what it stands for, so the slice's length is room enough. */
static lethe_result unescape_into(struct scan_value *text, uint8_t *out)
{
    struct scan inside = scan_over(text->at, text->length, NULL, 0);
    uint8_t *to = out;
    uint32_t character;
    while (inside.at < inside.end) {
        const uint8_t *backslash = memchr(inside.at, '\\', (size_t)(inside.end - inside.at));
        size_t plain = (size_t)((backslash == NULL ? inside.end : backslash) - inside.at);
        memcpy(to, inside.at, plain);
        to += plain;
        inside.at += plain;
        if (backslash == NULL)
            break;
        inside.at++;
        TRY(read_escape(&inside, &character));
        to += utf8_encode(character, (char *)to);
    }
    text->at = out;
    text->length = (size_t)(to - out);
    text->escaped = false;
    return LETHE_OK;
}

lethe_result scan_unescape(struct scan *scan, struct scan_value *text)
{
    if (!text->escaped)
        return LETHE_OK;
    struct guarded *scratch = scan->scratch;
    guarded_reserve(scratch, scratch->size_bytes + scan->room_bytes);
    scan->room_bytes = 0;
    size_t before = scratch->size_bytes;
    uint8_t *out = guarded_extend(scratch, text->length);
    if (out == NULL)
        return scratch->failure;
    TRY(unescape_into(text, out));
    guarded_truncate(scratch, before + text->length);
    return LETHE_OK;
}

/* ---- other values ---------------------------------------------------------------------------- */

static bool skip_digits(struct scan *scan)
{
    const uint8_t *first = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > first;
}

static bool skip_byte(struct scan *scan, uint8_t byte)
{
    bool is_there = scan->at < scan->end && *scan->at == byte;
    scan->at += is_there ? 1 : 0;
    return is_there;
}

static lethe_result read_number(struct scan *scan, struct scan_value *out)
{
    out->kind = SCAN_NUMBER;
    (void)skip_byte(scan, '-');
    bool fits = skip_byte(scan, '0') || skip_digits(scan);
    if (fits && skip_byte(scan, '.'))
        fits = skip_digits(scan);
    if (fits && (skip_byte(scan, 'e') || skip_byte(scan, 'E'))) {
        if (!skip_byte(scan, '+'))
            (void)skip_byte(scan, '-');
        fits = skip_digits(scan);
    }
    out->length = (size_t)(scan->at - out->at);
    return fits ? LETHE_OK : scan_fault(scan, "a number is none");
}

static lethe_result read_word(struct scan *scan, struct scan_value *out)
{
    static const struct {
        const char *word;
        enum scan_kind kind;
    } words[] = {{"null", SCAN_NULL}, {"true", SCAN_TRUE}, {"false", SCAN_FALSE}};
    size_t left = (size_t)(scan->end - scan->at);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t length = strlen(words[i].word);
        if (left < length || memcmp(scan->at, words[i].word, length) != 0)
            continue;
        out->kind = words[i].kind;
        out->length = length;
        scan->at += length;
        return LETHE_OK;
    }
    return scan_fault(scan, "a value is missing");
}

static lethe_result read_array(struct scan *scan, struct scan_value *out)
{
    struct scan_list list;
    struct scan_value ignored;
    bool more;
    out->kind = SCAN_ARRAY;
    TRY(scan_open(scan, '[', &list));
    for (;;) {
        TRY(scan_element(scan, &list, &more));
        if (!more)
            break;
        TRY(scan_value(scan, &ignored));
    }
    out->count = list.count;
    out->length = (size_t)(scan->at - out->at);
    return LETHE_OK;
}

static lethe_result read_object(struct scan *scan, struct scan_value *out)
{
    struct scan_list list;
    struct scan_value name, ignored;
    bool more;
    out->kind = SCAN_OBJECT;
    TRY(scan_open(scan, '{', &list));
    for (;;) {
        TRY(scan_member(scan, &list, &name, &more));
        if (!more)
            break;
        TRY(scan_value(scan, &ignored));
    }
    out->count = list.count;
    out->length = (size_t)(scan->at - out->at);
    return LETHE_OK;
}

lethe_result scan_value(struct scan *scan, struct scan_value *out)
{
    skip_space(scan);
    *out = (struct scan_value){.at = scan->at};
    if (scan->at == scan->end)
        return scan_fault(scan, "a value is missing");
    switch (*scan->at) {
    case '"':
        return read_text(scan, out);
    case '{':
        return read_object(scan, out);
    case '[':
        return read_array(scan, out);
    case 'n':
    case 't':
    case 'f':
        return read_word(scan, out);
    default:
        return read_number(scan, out);
    }
}

/* ---- lists ----------------------------------------------------------------------------------- */

lethe_result scan_open(struct scan *scan, uint8_t bracket, struct scan_list *list)
{
    *list = (struct scan_list){.first_name = scan->name_count};
    skip_space(scan);
    if (!skip_byte(scan, bracket))
        return scan_fault(scan, bracket == '{' ? "an object is expected" : "a list is expected");
    if (++scan->depth > FIELDS_DEPTH_MAX)
        return scan_fault(scan, "it is too deep");
    return LETHE_OK;
}

static lethe_result step(struct scan *scan, struct scan_list *list, uint8_t bracket, bool *more)
{
    skip_space(scan);
    *more = !skip_byte(scan, bracket);
    if (!*more) {
        scan->depth--;
        scan->name_count = list->first_name;
        return LETHE_OK;
    }
    if (list->begun && !skip_byte(scan, ','))
        return scan_fault(scan, "a comma or a bracket is missing");
    list->begun = true;
    if (++list->count > FIELD_ITEMS_MAX)
        return scan_fault(scan, "a list is too long");
    return LETHE_OK;
}

lethe_result scan_element(struct scan *scan, struct scan_list *list, bool *more)
{
    return step(scan, list, ']', more);
}

/* Enough of a name to tell most of them apart. */
static uint32_t mark_of(const struct scan_value *name)
{
    uint32_t head = 0, tail = 0;
    size_t length = MIN(name->length, sizeof head);
    memcpy(&head, name->at, length);
    memcpy(&tail, name->at + name->length - length, length);
    return (head ^ (tail << 13 | tail >> 19)) * 0x9e3779b1u + (uint32_t)name->length;
}

static bool is_among(const struct scan_names *names, size_t first, size_t count,
                     const struct scan_value *name, uint32_t mark)
{
    for (size_t i = first; i < count; i++) {
        if (names->mark[i] == mark && names->length[i] == name->length &&
            memcmp(names->at[i], name->at, name->length) == 0)
            return true;
    }
    return false;
}

static lethe_result remember_name(struct scan *scan, size_t first, const struct scan_value *name)
{
    struct scan_names *names = scan->names;
    uint32_t mark = mark_of(name);
    if (is_among(names, first, scan->name_count, name, mark))
        return scan_fault(scan, "a name stands twice in one object");
    if (scan->name_count == SCAN_NAMES_MAX || name->length > UINT32_MAX)
        return scan_fault(scan, "it has too many names");
    names->mark[scan->name_count] = mark;
    names->length[scan->name_count] = (uint32_t)name->length;
    names->at[scan->name_count++] = name->at;
    return LETHE_OK;
}

lethe_result scan_member(struct scan *scan, struct scan_list *list, struct scan_value *name,
                         bool *more)
{
    *name = (struct scan_value){0};
    TRY(step(scan, list, '}', more));
    if (!*more)
        return LETHE_OK;
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != '"')
        return scan_fault(scan, "a name is missing");
    TRY(read_text(scan, name));
    TRY(scan_unescape(scan, name));
    if (scan->names != NULL)
        TRY(remember_name(scan, list->first_name, name));
    skip_space(scan);
    return skip_byte(scan, ':') ? LETHE_OK : scan_fault(scan, "a colon is missing");
}
