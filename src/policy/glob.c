/* A pattern becomes a list of steps. Each leads only to steps behind it, or, for stars, to itself:
 * so one pass over the list, from the front, finds for all places at once where one character
 * leads. */
#include "policy/glob.h"

#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_text.h"

#define GLOB_GROUPS_MAX 64 /* {} in each other */

enum glob_step_kind {
    STEP_CHARACTER, /* first                                        */
    STEP_RANGE,     /* first to last; negated: any other            */
    STEP_LIST,      /* the characters list[0, length); likewise     */
    STEP_ONE,       /* any but a delimiter                          */
    STEP_STAR,      /* any number of them                           */
    STEP_SUPER,     /* any number of anything                       */
    STEP_FORK,      /* takes nothing: goes on behind it, or at `to` */
    STEP_JUMP,      /* takes nothing: goes on at `to`               */
};
struct glob_step {
    enum glob_step_kind kind;
    bool negated;
    union {
        struct {
            uint32_t first, last;
        };
        struct {
            uint32_t list, length; /* in struct glob's characters */
        };
        uint32_t to;
    };
};

/* ---- reading a pattern ---- */

/* An open {. */
struct group {
    uint32_t fork; /* in front of the alternative that is being read */
    uint32_t jump; /* the last of those that lead out of it, each `to` the one before; NONE */
};
#define NONE UINT32_MAX

struct glob_reader {
    const char *at, *end;
    struct glob *glob;
    struct group groups[GLOB_GROUPS_MAX];
    unsigned depth;
    const char *wrong; /* what is, for the error */
};

static bool wrong(struct glob_reader *reader, const char *what)
{
    reader->wrong = what;
    return false;
}

/* The pattern is a string of Rego: well-formed. */
static uint32_t read_character(struct glob_reader *reader)
{
    uint32_t character = 0;
    size_t length = utf8_decode(reader->at, (size_t)(reader->end - reader->at), &character);
    REQUIRE(length > 0);
    reader->at += length;
    return character;
}

static bool next_is(struct glob_reader *reader, char c)
{
    return reader->at < reader->end && *reader->at == c;
}

static bool take(struct glob_reader *reader, char c)
{
    bool is = next_is(reader, c);
    reader->at += is;
    return is;
}

static struct glob_step *append(struct glob_reader *reader, enum glob_step_kind kind)
{
    struct glob_step *step = &reader->glob->steps[reader->glob->count++];
    *step = (struct glob_step){.kind = kind};
    return step;
}

static bool read_escaped(struct glob_reader *reader, uint32_t *out)
{
    if (!take(reader, '\\')) {
        *out = read_character(reader);
        return true;
    }
    if (reader->at == reader->end)
        return wrong(reader, "trailing backslash");
    *out = read_character(reader);
    return true;
}

/* Up to the ]. */
static bool read_list(struct glob_reader *reader, struct glob_step *step)
{
    struct glob *glob = reader->glob;
    step->kind = STEP_LIST;
    step->list = glob->character_count;
    while (reader->at < reader->end && !next_is(reader, ']'))
        if (!read_escaped(reader, &glob->characters[glob->character_count++]))
            return false;
    step->length = glob->character_count - step->list;
    return step->length > 0 || wrong(reader, "could not parse range");
}

static bool read_range(struct glob_reader *reader, struct glob_step *step, uint32_t first)
{
    if (reader->at == reader->end)
        return wrong(reader, "unexpected end of input");
    step->first = first;
    step->last = read_character(reader);
    return step->first <= step->last || wrong(reader, "range hi character is less than lo");
}

/* Behind the [. A class is one range or one list of characters. */
static bool read_class(struct glob_reader *reader)
{
    struct glob_step *step = append(reader, STEP_RANGE);
    step->negated = take(reader, '!');
    if (reader->at == reader->end)
        return wrong(reader, "unexpected end of input");
    const char *start = reader->at;
    uint32_t first = read_character(reader);
    bool is_range = take(reader, '-');
    if (!is_range)
        reader->at = start;
    if (is_range ? !read_range(reader, step, first) : !read_list(reader, step))
        return false;
    if (reader->at == reader->end)
        return wrong(reader, "unexpected end of input");
    return take(reader, ']') || wrong(reader, "expected close range character");
}

static bool open_group(struct glob_reader *reader)
{
    if (reader->depth == GLOB_GROUPS_MAX)
        return wrong(reader, "too many { in each other");
    reader->groups[reader->depth++] = (struct group){.fork = reader->glob->count, .jump = NONE};
    append(reader, STEP_FORK)->to = NONE;
    return true;
}

/* An alternative ends, and leads out; the next begins, if it is none of the last. */
static void next_alternative(struct glob_reader *reader)
{
    struct group *group = &reader->groups[reader->depth - 1];
    uint32_t jump = reader->glob->count;
    append(reader, STEP_JUMP)->to = group->jump;
    group->jump = jump;
    reader->glob->steps[group->fork].to = reader->glob->count;
    group->fork = reader->glob->count;
    append(reader, STEP_FORK)->to = NONE;
}

static void close_group(struct glob_reader *reader)
{
    uint32_t jump = reader->groups[--reader->depth].jump;
    while (jump != NONE) {
        uint32_t before = reader->glob->steps[jump].to;
        reader->glob->steps[jump].to = reader->glob->count;
        jump = before;
    }
}

static bool read_step(struct glob_reader *reader)
{
    bool in_group = reader->depth > 0;
    if (take(reader, '*')) {
        append(reader, take(reader, '*') ? STEP_SUPER : STEP_STAR);
        return true;
    }
    if (take(reader, '?')) {
        append(reader, STEP_ONE);
        return true;
    }
    if (take(reader, '['))
        return read_class(reader);
    if (take(reader, '{'))
        return open_group(reader);
    if (in_group && take(reader, ',')) {
        next_alternative(reader);
        return true;
    }
    if (in_group && take(reader, '}')) {
        close_group(reader);
        return true;
    }
    return read_escaped(reader, &append(reader, STEP_CHARACTER)->first);
}

/* A byte makes two steps at most. */
bool glob_parse(struct arena *arena, const struct value *pattern, struct glob *out,
                const char **wrong_because)
{
    struct glob_reader reader = {
        .at = pattern->string, .end = pattern->string + pattern->count, .glob = out};
    *wrong_because = "";
    out->steps = arena_zalloc(arena, 2 * (size_t)pattern->count + 1, sizeof *out->steps);
    out->characters = arena_zalloc(arena, pattern->count + 1u, sizeof *out->characters);
    if (out->steps == NULL || out->characters == NULL)
        return false;
    bool good = true;
    while (good && reader.at < reader.end)
        good = read_step(&reader);
    if (good && reader.depth > 0)
        good = wrong(&reader, "unclosed {");
    *wrong_because = reader.wrong;
    return good;
}

/* ---- matching ---- */

struct matching {
    struct builtin_call *call;
    const struct glob *glob;
    const struct glob_delimiters *delimiters;
    uint8_t *now, *next; /* by step: whether a match can be there; one more at the end */
};

static bool among(const uint32_t *characters, uint32_t count, uint32_t character)
{
    for (uint32_t i = 0; i < count; i++)
        if (characters[i] == character)
            return true;
    return false;
}

static bool in_class(const struct glob *glob, const struct glob_step *step, uint32_t character)
{
    bool in = step->kind == STEP_LIST
                  ? among(glob->characters + step->list, step->length, character)
                  : step->first <= character && character <= step->last;
    return in != step->negated;
}

/* Where step i leads without taking a character. */
static void lead_on(struct matching *m, uint32_t i)
{
    const struct glob_step *step = &m->glob->steps[i];
    if (step->kind == STEP_STAR || step->kind == STEP_SUPER || step->kind == STEP_FORK)
        m->now[i + 1] = 1;
    if ((step->kind == STEP_FORK || step->kind == STEP_JUMP) && step->to != NONE)
        m->now[step->to] = 1;
}

static void take_character(struct matching *m, uint32_t i, uint32_t character, bool is_delimiter)
{
    const struct glob_step *step = &m->glob->steps[i];
    switch (step->kind) {
    case STEP_CHARACTER:
        m->next[i + 1] |= character == step->first;
        break;
    case STEP_RANGE:
    case STEP_LIST:
        m->next[i + 1] |= in_class(m->glob, step, character);
        break;
    case STEP_ONE:
        m->next[i + 1] |= !is_delimiter;
        break;
    case STEP_STAR:
        m->next[i] |= !is_delimiter;
        break;
    case STEP_SUPER:
        m->next[i] = 1;
        break;
    case STEP_FORK:
    case STEP_JUMP:
        break;
    }
}

static void advance(struct matching *m, uint32_t character)
{
    bool is_delimiter = among(m->delimiters->characters, m->delimiters->count, character);
    memset(m->next, 0, m->glob->count + 1u);
    for (uint32_t i = 0; i < m->glob->count; i++) {
        if (!m->now[i])
            continue;
        lead_on(m, i);
        take_character(m, i, character, is_delimiter);
    }
    uint8_t *former = m->now;
    m->now = m->next;
    m->next = former;
}

static bool matched(struct matching *m)
{
    for (uint32_t i = 0; i < m->glob->count; i++)
        if (m->now[i])
            lead_on(m, i);
    return m->now[m->glob->count];
}

/* The characters of lists are looked through for each character of the text. */
static uint64_t steps_per_character(const struct matching *m)
{
    uint64_t looked_at = (uint64_t)m->glob->count + m->glob->character_count + m->delimiters->count;
    return 1 + looked_at / TEXT_BYTES_PER_STEP;
}

static lethe_result match_text(struct matching *m, const struct value *text, bool *out)
{
    size_t at = 0;
    m->now[0] = 1;
    while (at < text->count) {
        uint32_t character = 0;
        size_t length = utf8_decode(text->string + at, text->count - at, &character);
        REQUIRE(length > 0);
        TRY(builtin_spend(m->call, steps_per_character(m)));
        advance(m, character);
        at += length;
    }
    *out = matched(m);
    return LETHE_OK;
}

lethe_result glob_matches(struct builtin_call *call, const struct glob *glob,
                          const struct glob_delimiters *delimiters, const struct value *text,
                          bool *out)
{
    struct matching m = {.call = call, .glob = glob, .delimiters = delimiters};
    m.now = arena_zalloc(call->arena, glob->count + 1u, sizeof *m.now);
    m.next = arena_zalloc(call->arena, glob->count + 1u, sizeof *m.next);
    TRY(arena_result(call->arena, NULL));
    return match_text(&m, text, out);
}
