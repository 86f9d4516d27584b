#include "policy/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* How much of a line is shown around a place: a line may be as long as the whole source. */
#define SHOWN_BEFORE_BYTES 100
#define SHOWN_BEHIND_BYTES 60
#define PROBLEM_TEXT_SIZE 512

static size_t line_begin(const struct source *source, size_t at)
{
    while (at > 0 && source->text[at - 1] != '\n')
        at--;
    return at;
}

void place_row_column(struct place place, unsigned *row, unsigned *column)
{
    *row = *column = 1;
    if (place.source == NULL)
        return;
    size_t at = MIN((size_t)place.offset, place.source->size_bytes);
    for (size_t i = 0; i < at; i++)
        *row += place.source->text[i] == '\n';
    *column = (unsigned)(at - line_begin(place.source, at) + 1);
}

const char *problem_code_name(enum problem_code code)
{
    static const char *const names[] = {
#define PROBLEM_NAME(name, text) text,
        PROBLEM_CODES(PROBLEM_NAME)
#undef PROBLEM_NAME
    };
    return names[code];
}

lethe_result problem_add(struct problems *problems, enum problem_code code, struct place place,
                         const char *format, ...)
{
    char text[PROBLEM_TEXT_SIZE];
    va_list arguments;
    if (problems_are_full(problems))
        return LETHE_INVALID;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct problem *problem = arena_zalloc(problems->arena, 1, sizeof *problem);
    const char *copy = arena_copy(problems->arena, text, strlen(text));
    if (problem == NULL || copy == NULL)
        return LETHE_INVALID; /* the arena says why */
    *problem = (struct problem){.code = code, .place = place, .text = copy};
    *(problems->last != NULL ? problems->last : &problems->first) = problem;
    problems->last = &problem->next;
    problems->count++;
    return LETHE_INVALID;
}

static void print_summary(const struct problem *problem, struct buffer *out)
{
    if (problem->place.source != NULL) {
        unsigned row, column;
        place_row_column(problem->place, &row, &column);
        buffer_format(out, "%s:%u:%u: ", problem->place.source->name, row, column);
    }
    buffer_format(out, "%s: %s", problem_code_name(problem->code), problem->text);
}

/* Bytes of a line that are shown; whole characters. */
struct shown {
    const char *text;
    size_t begin, at, end;
};

static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

static struct shown shown_line(struct place place)
{
    const struct source *source = place.source;
    size_t at = MIN((size_t)place.offset, source->size_bytes);
    size_t begin = line_begin(source, at);
    size_t end = at;
    while (end < source->size_bytes && source->text[end] != '\n' && end - at < SHOWN_BEHIND_BYTES)
        end++;
    if (at - begin > SHOWN_BEFORE_BYTES)
        begin = at - SHOWN_BEFORE_BYTES;
    while (begin < at && is_inside_character(source->text[begin]))
        begin++;
    while (end > at && end < source->size_bytes && is_inside_character(source->text[end]))
        end--;
    return (struct shown){source->text, begin, at, end};
}

/* A terminal must not obey what a policy holds: what is no character, or a control, is a '?'. */
static void print_line(const struct shown *shown, struct buffer *out)
{
    size_t length;
    for (size_t i = shown->begin; i < shown->end; i += length) {
        uint32_t character = 0;
        length = utf8_decode(shown->text + i, shown->end - i, &character);
        bool is_text = length > 0 && (character >= 0x20 || character == '\t') &&
                       !(character >= 0x7f && character < 0xa0);
        if (is_text)
            buffer_append(out, shown->text + i, length);
        else if (character != '\r')
            buffer_byte(out, '?');
        length = MAX(length, 1u);
    }
    buffer_byte(out, '\n');
}

/* A tab is as wide under a tab as above: the caret's line repeats those of the line. */
static void print_caret(const struct shown *shown, struct buffer *out)
{
    size_t length;
    for (size_t i = shown->begin; i < shown->at; i += length) {
        uint32_t character = 0;
        length = utf8_decode(shown->text + i, shown->at - i, &character);
        length = MAX(length, 1u);
        buffer_byte(out, character == '\t' ? '\t' : ' ');
    }
    buffer_text(out, "^\n");
}

void problem_print(const struct problem *problem, struct buffer *out)
{
    print_summary(problem, out);
    buffer_byte(out, '\n');
    if (problem->place.source == NULL)
        return;
    struct shown shown = shown_line(problem->place);
    print_line(&shown, out);
    print_caret(&shown, out);
}

lethe_result problems_result(const struct problems *problems, struct lethe_error *err)
{
    if (problems->first == NULL)
        return LETHE_OK;
    CLEANUP(buffer_clear) struct buffer text = {0};
    print_summary(problems->first, &text);
    TRY(buffer_result(&text, err));
    return error_set(err, LETHE_INVALID, "%s", text.bytes);
}
