#include "rego_grammar.h"

#include <string.h>

#include "policy/builtin.h"

#define DEPTH_MAX 5
#define RULES_MAX 10
#define STATEMENTS_MAX 5
#define VISIBLE_MAX 64

enum made {
    MADE_COMPLETE,
    MADE_SET,
    MADE_OBJECT,
    MADE_NESTED,     /* r[k].x[k] := v */
    MADE_NESTED_SET, /* r[k].x[k] contains v */
    MADE_FUNCTION,
};

struct grammar {
    struct cursor *bytes;
    struct buffer *out;
    unsigned depth;
    unsigned visible[VISIBLE_MAX]; /* numbers of variables: the newest last */
    unsigned visible_count;
    unsigned names; /* v0 .. are used up in this rule */
    unsigned rules; /* r0 .. are finished */
    enum made made[RULES_MAX];
};

static unsigned pick(struct grammar *grammar, unsigned choices)
{
    uint8_t byte;
    return cursor_u8(grammar->bytes, &byte) == LETHE_OK ? byte % choices : 0;
}

static void say(struct grammar *grammar, const char *text)
{
    buffer_text(grammar->out, text);
}

static void term(struct grammar *grammar);
static void statement(struct grammar *grammar);

/* From here on there is one more variable; its number. */
static unsigned declare(struct grammar *grammar)
{
    unsigned number = grammar->names++;
    if (grammar->visible_count < VISIBLE_MAX)
        grammar->visible[grammar->visible_count++] = number;
    return number;
}

/* What is said meanwhile goes to another buffer, to be put behind what comes first in the text. */
static struct buffer *divert(struct grammar *grammar, struct buffer *to)
{
    struct buffer *before = grammar->out;
    grammar->out = to;
    return before;
}

static void restore(struct grammar *grammar, struct buffer *before)
{
    say(grammar, "");
    grammar->out = before;
}

/* ---- terms ---- */

static void constant(struct grammar *grammar)
{
    static const char *const constants[] = {
        "1",
        "0",
        "\"a\"",
        "true",
        "false",
        "null",
        "[1, 2, 3]",
        "{\"a\": 1}",
        "-1",
        "2.5",
        "\"\"",
        "{1, 2}",
        "set()",
        "{}",
        "[]",
        "\"b\"",
        "1e99",
        "100",
        "3",
        "\"%d\"",
        "\"[\"",
        "\"/\"",
        "\"2020-01-01\"",
        "\"aGk=\"",
        "[[]]",
        "[\"a\"]",
        "`{}`",
        "\"é\"",
        "\"a.b\"",
        "\"10.0.0.0/8\"",
        "{\"a\": {\"b\": [1]}}",
    };
    say(grammar, constants[pick(grammar, ARRAY_LEN(constants))]);
}

static void variable(struct grammar *grammar)
{
    if (grammar->visible_count == 0)
        constant(grammar);
    else
        buffer_format(grammar->out, "v%u", grammar->visible[pick(grammar, grammar->visible_count)]);
}

static void operands(struct grammar *grammar, unsigned count)
{
    say(grammar, "(");
    for (unsigned i = 0; i < count; i++) {
        say(grammar, i == 0 ? "" : ", ");
        term(grammar);
    }
    say(grammar, ")");
}

static void call_builtin(struct grammar *grammar)
{
    const struct builtin *builtin = NULL;
    unsigned wanted = pick(grammar, 256) + pick(grammar, 2) * 256;
    for (size_t i = 0; i <= wanted; i++)
        if ((builtin = builtin_at(i)) == NULL)
            break;
    if (builtin == NULL || (builtin->flags & BUILTIN_V0) != 0) {
        constant(grammar);
        return;
    }
    say(grammar, builtin->name);
    operands(grammar, builtin->arity);
}

static void infix(struct grammar *grammar)
{
    static const char *const operators[] = {" + ", " - ",  " * ", " / ",  " % ", " | ",
                                            " & ", " == ", " < ", " >= ", " != "};
    say(grammar, "(");
    term(grammar);
    say(grammar, operators[pick(grammar, ARRAY_LEN(operators))]);
    term(grammar);
    say(grammar, ")");
}

/* What refers to a rule: as a whole, or to something below it. */
static void rule_reference(struct grammar *grammar)
{
    if (grammar->rules == 0) {
        constant(grammar);
        return;
    }
    unsigned rule = pick(grammar, grammar->rules);
    buffer_format(grammar->out, pick(grammar, 4) == 3 ? "data.t.r%u" : "r%u", rule);
    if (grammar->made[rule] == MADE_FUNCTION)
        operands(grammar, 1);
    else if (pick(grammar, 2) == 1) {
        say(grammar, "[");
        term(grammar);
        say(grammar, "]");
    }
}

static void collection(struct grammar *grammar)
{
    static const char *const brackets[][2] = {{"[", "]"}, {"{", "}"}, {"{\"k\": ", "}"}};
    unsigned kind = pick(grammar, ARRAY_LEN(brackets));
    say(grammar, brackets[kind][0]);
    term(grammar);
    if (kind < 2 && pick(grammar, 2) == 1) {
        say(grammar, ", ");
        term(grammar);
    }
    say(grammar, brackets[kind][1]);
}

static void body(struct grammar *grammar)
{
    unsigned count = 1 + pick(grammar, STATEMENTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        say(grammar, i == 0 ? "" : "; ");
        statement(grammar);
    }
}

static void comprehension(struct grammar *grammar)
{
    static const char *const brackets[][2] = {{"[", "]"}, {"{", "}"}, {"{", "}"}};
    unsigned kind = pick(grammar, ARRAY_LEN(brackets));
    unsigned visible_count = grammar->visible_count;
    struct buffer inner = {0}, *before = divert(grammar, &inner);
    body(grammar);
    restore(grammar, before);
    say(grammar, brackets[kind][0]);
    term(grammar);
    if (kind == 2) {
        say(grammar, ": ");
        term(grammar);
    }
    buffer_format(grammar->out, " | %s%s", inner.bytes, brackets[kind][1]);
    buffer_clear(&inner);
    grammar->visible_count = visible_count;
}

static void input_reference(struct grammar *grammar)
{
    static const char *const inputs[] = {
        "input", "input.a", "input.b[1]", "input.a[\"b\"]", "data.base", "data.base.x[1]",
    };
    say(grammar, inputs[pick(grammar, ARRAY_LEN(inputs))]);
}

static void (*const terms[])(struct grammar *grammar) = {
    constant,      variable,   input_reference, rule_reference, call_builtin,   infix,
    comprehension, collection, variable,        call_builtin,   rule_reference,
};

static void term(struct grammar *grammar)
{
    if (grammar->depth == DEPTH_MAX) {
        variable(grammar);
        return;
    }
    grammar->depth++;
    terms[pick(grammar, ARRAY_LEN(terms))](grammar);
    grammar->depth--;
}

/* ---- statements ---- */

static void assignment(struct grammar *grammar)
{
    struct buffer value = {0}, *before = divert(grammar, &value);
    term(grammar);
    restore(grammar, before);
    buffer_format(grammar->out, "v%u := %s", declare(grammar), value.bytes);
    buffer_clear(&value);
}

/* Iterating over what may be no collection. */
static void each(struct grammar *grammar)
{
    static const char *const references[] = {"input.b[_]", "input[_][_]", "data.base[_]",
                                             "data.base.x[_]", "walk(input)"};
    const char *reference = references[pick(grammar, ARRAY_LEN(references))];
    buffer_format(grammar->out, "v%u := %s", declare(grammar), reference);
}

static void some_in(struct grammar *grammar)
{
    struct buffer domain = {0}, *before = divert(grammar, &domain);
    term(grammar);
    restore(grammar, before);
    say(grammar, "some ");
    if (pick(grammar, 2) == 1)
        buffer_format(grammar->out, "v%u, ", declare(grammar));
    buffer_format(grammar->out, "v%u in %s", declare(grammar), domain.bytes);
    buffer_clear(&domain);
}

static void every_in(struct grammar *grammar)
{
    unsigned visible_count = grammar->visible_count;
    struct buffer domain = {0}, *before = divert(grammar, &domain);
    term(grammar);
    restore(grammar, before);
    buffer_format(grammar->out, "every v%u in %s { ", declare(grammar), domain.bytes);
    body(grammar);
    say(grammar, " }");
    buffer_clear(&domain);
    grammar->visible_count = visible_count;
}

static void negation(struct grammar *grammar)
{
    say(grammar, "not ");
    term(grammar);
}

static void with(struct grammar *grammar)
{
    static const char *const targets[] = {"input",       "input.a", "input.b",    "data.base",
                                          "data.base.x", "count",   "time.now_ns"};
    unsigned target = pick(grammar, ARRAY_LEN(targets) + 1);
    term(grammar);
    if (target < ARRAY_LEN(targets))
        buffer_format(grammar->out, " with %s as ", targets[target]);
    else
        buffer_format(grammar->out, " with data.t.r%u as ",
                      grammar->rules == 0 ? 0 : pick(grammar, grammar->rules));
    term(grammar);
}

/* What an index looks for. */
static void question(struct grammar *grammar)
{
    static const char *const subjects[] = {"input.b[1]", "input.a.c", "v0"};
    unsigned subject =
        pick(grammar, grammar->visible_count > 0 && grammar->visible[0] == 0 ? 3 : 2);
    say(grammar, subjects[subject]);
    say(grammar, " == ");
    constant(grammar);
}

static void (*const statements[])(struct grammar *grammar) = {
    term, assignment, some_in, negation, with, every_in, infix, assignment, some_in, each, question,
};

static void statement(struct grammar *grammar)
{
    if (grammar->depth == DEPTH_MAX) {
        say(grammar, "true");
        return;
    }
    grammar->depth++;
    statements[pick(grammar, ARRAY_LEN(statements))](grammar);
    grammar->depth--;
}

/* ---- rules ---- */

static void head(struct grammar *grammar, unsigned number, enum made made)
{
    static const char *const openings[] = {
        [MADE_OBJECT] = "[", [MADE_NESTED] = "].x[", [MADE_NESTED_SET] = "].x["};
    buffer_format(grammar->out, "r%u", number);
    if (made == MADE_FUNCTION)
        say(grammar, "(v0)");
    if (made == MADE_NESTED || made == MADE_NESTED_SET) {
        say(grammar, "[");
        variable(grammar);
    }
    if (made == MADE_OBJECT || made == MADE_NESTED || made == MADE_NESTED_SET) {
        say(grammar, openings[made]);
        variable(grammar);
        say(grammar, "]");
    }
    say(grammar, made == MADE_SET || made == MADE_NESTED_SET ? " contains " : " := ");
    term(grammar);
}

/* The body is made first, for its variables. */
static void definition(struct grammar *grammar, unsigned number, enum made made)
{
    struct buffer inner = {0}, *before;
    grammar->visible_count = grammar->names = 0;
    if (made == MADE_FUNCTION)
        declare(grammar);
    before = divert(grammar, &inner);
    body(grammar);
    restore(grammar, before);
    head(grammar, number, made);
    buffer_format(grammar->out, " if { %s }", inner.bytes);
    if ((made == MADE_COMPLETE || made == MADE_FUNCTION) && pick(grammar, 3) == 2)
        say(grammar, " else := 7");
    say(grammar, "\n");
    buffer_clear(&inner);
}

static void rule(struct grammar *grammar)
{
    unsigned number = grammar->rules;
    enum made made = (enum made)pick(grammar, MADE_FUNCTION + 1);
    if (made == MADE_COMPLETE && pick(grammar, 2) == 1)
        buffer_format(grammar->out, "default r%u := 5\n", number);
    unsigned definitions = 1 + pick(grammar, 6);
    for (unsigned i = 0; i < definitions; i++)
        definition(grammar, number, made);
    grammar->made[number] = made;
    grammar->rules++;
}

void rego_grammar(struct cursor *bytes, struct buffer *out)
{
    struct grammar grammar = {.bytes = bytes, .out = out};
    if (cursor_left(bytes) >= 7 && memcmp(bytes->at, "package", 7) == 0) {
        buffer_append(out, bytes->at, cursor_left(bytes));
        return;
    }
    say(&grammar, "package t\n");
    unsigned count = 1 + pick(&grammar, RULES_MAX);
    for (unsigned i = 0; i < count; i++)
        rule(&grammar);
}
