#include <string.h>

#include "policy/parse_state.h"

/* ---- paths of packages and imports ---- */

/* A name, then .name and ["text"]. */
static bool parse_path(struct parser *parser, struct term_list *parts)
{
    if (!parse_at(parser, TOKEN_IDENTIFIER) && !token_kind_is_word(parser->token.kind))
        return parse_unexpected(parser, "expected path");
    struct place place = parse_token_place(parser);
    if (!term_list_append(parser, parts, term_variable(parser, place, parse_name(parser))))
        return false;
    while (!parser->token.space_before &&
           (parse_at(parser, TOKEN_DOT) || parse_at(parser, TOKEN_BRACKET_OPEN))) {
        if (!parse_ref_part(parser, parts))
            return false;
        const struct term *part = parts->items[parts->count - 1];
        if (part->kind != TERM_VALUE || !value_is(part->value, VALUE_STRING))
            return parse_fail(parser, part->place, "unexpected part of a path: expecting string");
    }
    return true;
}

/* `package a.b` is data.a.b. */
static bool parse_package(struct parser *parser, struct module *module)
{
    struct term_list path = {0}, parts = {0};
    uint32_t begin = parser->token.offset;
    parse_advance(parser);
    if (!parse_path(parser, &path))
        return false;
    const struct term *first = path.items[0];
    module->package_place = parse_place_since(parser, begin);
    if (!term_list_append(parser, &parts, term_variable(parser, first->place, "data")) ||
        !term_list_append(parser, &parts,
                          term_text(parser, first->place, first->name, strlen(first->name))))
        return false;
    for (size_t i = 1; i < path.count; i++)
        if (!term_list_append(parser, &parts, path.items[i]))
            return false;
    module->package =
        term_of(parser, TERM_REF, parse_place_since(parser, first->place.offset), &parts);
    return module->package != NULL;
}

/* ---- imports ---- */

struct imports {
    struct import *items;
    size_t count, capacity;
};

static const char *part_name(const struct term_list *path, size_t i)
{
    const struct term *part = path->items[i];
    return part->kind == TERM_VARIABLE ? part->name : part->value->string;
}

static bool part_is(const struct term_list *path, size_t i, const char *name)
{
    return i < path->count && strcmp(part_name(path, i), name) == 0;
}

static const struct {
    const char *name;
    unsigned bits;
} later_words[] = {
    {"in", WORD_BIT(IN)},
    {"every", WORD_BIT(EVERY) | WORD_BIT(IN)}, /* as OPA does: every needs its in */
    {"if", WORD_BIT(IF)},
    {"contains", WORD_BIT(CONTAINS)},
};

/* import future.keywords, and future.keywords.<word>. */
static bool import_future(struct parser *parser, const struct term_list *path, struct place place)
{
    if (!part_is(path, 1, "keywords") || path->count > 3)
        return parse_fail(parser, place, "invalid import, must be `future.keywords`");
    if (path->count == 2) {
        parser->lexer.words = WORDS_ALL;
        return true;
    }
    if (part_is(path, 2, "not")) {
        parser->keyword_not = true;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(later_words); i++) {
        if (part_is(path, 2, later_words[i].name)) {
            parser->lexer.words |= later_words[i].bits;
            return true;
        }
    }
    return parse_fail(parser, path->items[2]->place,
                      "unexpected keyword, must be one of [contains every if in not]");
}

/* import rego.v1: from here on the module is of the newer syntax, and before it as well. */
static bool import_rego(struct parser *parser, const struct term_list *path, struct place place)
{
    if (path->count != 2 || !part_is(path, 1, "v1"))
        return parse_fail(parser, place, "invalid import, must be `rego.v1`");
    parser->lexer.words = WORDS_ALL;
    parse_become_v1(parser);
    return true;
}

static const struct {
    const char *name;
    bool (*apply)(struct parser *parser, const struct term_list *path, struct place place);
} roots[] = {{"data", NULL}, {"input", NULL}, {"future", import_future}, {"rego", import_rego}};

static bool check_alias(struct parser *parser, const struct term_list *path)
{
    const char *last = part_name(path, path->count - 1);
    struct source source = {.text = last, .size_bytes = strlen(last)};
    struct lexer lexer = lex_begin(&source, parser->lexer.words);
    struct token token = lex_next(&lexer);
    if (!token_kind_is_word(token.kind) || token.length != source.size_bytes)
        return true;
    return parse_fail(parser, path->items[path->count - 1]->place,
                      "unexpected import path, must not end with a keyword, got: %s (hint: import "
                      "a different path or use an alias)",
                      last);
}

/* What the path means, and what it may be called. */
static bool check_import(struct parser *parser, const struct term_list *path, bool has_alias,
                         struct place place)
{
    size_t root = 0;
    while (root < ARRAY_LEN(roots) && !part_is(path, 0, roots[root].name))
        root++;
    if (root == ARRAY_LEN(roots))
        return parse_fail(parser, place,
                          "unexpected import path, must begin with one of: {data, future, input, "
                          "rego}, got: %s",
                          part_name(path, 0));
    if (roots[root].apply == NULL)
        return has_alias || check_alias(parser, path);
    if (has_alias)
        return parse_fail(parser, place, "`%s` imports cannot be aliased", roots[root].name);
    return roots[root].apply(parser, path, place);
}

static const char *parse_alias(struct parser *parser)
{
    parse_advance(parser);
    if (parse_at(parser, TOKEN_IDENTIFIER))
        return parse_name(parser);
    parse_unexpected(parser, "expected var");
    return NULL;
}

static const struct term *path_term(struct parser *parser, const struct term_list *path)
{
    if (path->count == 1)
        return path->items[0];
    return term_of(parser, TERM_REF, parse_place_since(parser, path->items[0]->place.offset), path);
}

static bool parse_import(struct parser *parser, struct imports *imports)
{
    struct term_list path = {0};
    struct import import = {0};
    uint32_t begin = parser->token.offset;
    parse_advance(parser);
    if (!parse_path(parser, &path))
        return false;
    import.path = path_term(parser, &path);
    bool has_alias = parse_at(parser, TOKEN_AS);
    import.alias = has_alias ? parse_alias(parser) : part_name(&path, path.count - 1);
    import.place = parse_place_since(parser, begin);
    if (import.path == NULL || import.alias == NULL ||
        !check_import(parser, &path, has_alias, import.place))
        return false;
    struct import *items =
        parse_grow(parser, imports->items, imports->count, &imports->capacity, sizeof *items);
    if (items == NULL)
        return false;
    imports->items = items;
    items[imports->count++] = import;
    return true;
}

/* ---- statements ---- */

static bool parse_statement(struct parser *parser, struct imports *imports, struct rule_list *rules)
{
    if (parse_at_word(parser, TOKEN_PACKAGE))
        return parse_fail(parser, parse_token_place(parser), "unexpected package");
    if (parse_at_word(parser, TOKEN_IMPORT))
        return parse_import(parser, imports);
    return parse_rule(parser, rules);
}

bool parse_statements(struct parser *parser, struct module *module)
{
    struct imports imports = {0};
    struct rule_list rules = {0};
    if (parse_at(parser, TOKEN_END))
        return parse_fail(parser, parse_token_place(parser), "empty module");
    if (!parse_at_word(parser, TOKEN_PACKAGE))
        return parse_fail(parser, parse_token_place(parser), "package expected");
    if (!parse_package(parser, module))
        return false;
    while (!parse_at(parser, TOKEN_END))
        if (!parse_statement(parser, &imports, &rules))
            return false;
    module->imports = imports.items;
    module->import_count = imports.count;
    module->rules = rules.items;
    module->rule_count = rules.count;
    return true;
}
