#include "policy/parse.h"

#include "policy/parse_state.h"

/* Reads `source` up to its end with `read`, and says how it went. */
static lethe_result parse_source(struct parser *parser, const struct source *source,
                                 bool (*read)(struct parser *parser, void *out), void *out)
{
    struct place place;
    const char *fault = lex_check(source, &place);
    if (fault != NULL)
        return problem_add(parser->problems, PROBLEM_PARSE, place, "%s", fault);
    parse_begin(parser, source);
    bool done = read(parser, out);
    TRY(arena_result(parser->arena, NULL));
    return done && !parser->failed ? LETHE_OK : LETHE_INVALID;
}

static bool read_module(struct parser *parser, void *out)
{
    return parse_statements(parser, out);
}

lethe_result parse_module(struct arena *arena, const struct source *source,
                          const struct parse_options *options, struct module **out,
                          struct problems *problems)
{
    struct parser parser = {.arena = arena, .v0 = options->v0, .problems = problems};
    struct module *module = arena_zalloc(arena, 1, sizeof *module);
    TRY(arena_result(arena, NULL));
    TRY(parse_source(&parser, source, read_module, module));
    module->source = source;
    module->wildcard_count = parser.wildcard_count;
    module->v0 = parser.v0;
    module->keyword_not = parser.keyword_not;
    *out = module;
    return LETHE_OK;
}

static bool read_query(struct parser *parser, void *out)
{
    return parse_body(parser, TOKEN_END, NULL, out);
}

lethe_result parse_query(struct arena *arena, const struct source *source,
                         const struct parse_options *options, struct body *out, unsigned *wildcards,
                         struct problems *problems)
{
    struct parser parser = {.arena = arena, .v0 = options->v0, .problems = problems};
    struct body body = {0};
    TRY(parse_source(&parser, source, read_query, &body));
    *out = body;
    *wildcards = parser.wildcard_count;
    return LETHE_OK;
}

static bool read_value(struct parser *parser, void *out)
{
    const struct term *term = parse_infix(parser, INFIX_NO_COMMA);
    if (term == NULL || !parse_expect(parser, TOKEN_END))
        return false;
    if (term->kind != TERM_VALUE)
        return parse_fail(parser, term->place, "expected a constant");
    *(const struct value **)out = term->value;
    return true;
}

lethe_result parse_value(struct arena *arena, const struct source *source, const struct value **out,
                         struct problems *problems)
{
    struct parser parser = {.arena = arena, .problems = problems};
    const struct value *value = NULL;
    TRY(parse_source(&parser, source, read_value, &value));
    *out = value;
    return LETHE_OK;
}
