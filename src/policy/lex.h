/* policy/lex.h -- text of Rego into tokens (inside of the room).
 *
 * A lexer is a value: copying it is remembering where one was. It reads bytes that lex_check() has
 * let through: well-formed UTF-8 without NUL. Thread rule: pure functions. */
#ifndef POLICY_LEX_H
#define POLICY_LEX_H

#include "policy/source.h"

/* X(name, as it is written): the longer of two that begin alike first. */
#define TOKEN_SYMBOLS(X)                                                                           \
    X(ASSIGN, ":=")                                                                                \
    X(COLON, ":")                                                                                  \
    X(EQUAL, "==")                                                                                 \
    X(UNIFY, "=")                                                                                  \
    X(NOT_EQUAL, "!=")                                                                             \
    X(LESS_EQUAL, "<=")                                                                            \
    X(LESS, "<")                                                                                   \
    X(GREATER_EQUAL, ">=")                                                                         \
    X(GREATER, ">")                                                                                \
    X(PLUS, "+")                                                                                   \
    X(MINUS, "-")                                                                                  \
    X(MULTIPLY, "*")                                                                               \
    X(DIVIDE, "/")                                                                                 \
    X(REMAINDER, "%")                                                                              \
    X(AND, "&")                                                                                    \
    X(OR, "|")                                                                                     \
    X(DOT, ".")                                                                                    \
    X(COMMA, ",")                                                                                  \
    X(SEMICOLON, ";")                                                                              \
    X(BRACKET_OPEN, "[")                                                                           \
    X(BRACKET_CLOSE, "]")                                                                          \
    X(BRACE_OPEN, "{")                                                                             \
    X(BRACE_CLOSE, "}")                                                                            \
    X(PARENTHESIS_OPEN, "(")                                                                       \
    X(PARENTHESIS_CLOSE, ")")                                                                      \
    X(TEMPLATE, "$\"")                                                                             \
    X(RAW_TEMPLATE, "$`")

/* X(name, word): those behind IN are words only where they are known (lexer.words). */
#define TOKEN_WORDS(X)                                                                             \
    X(PACKAGE, "package")                                                                          \
    X(IMPORT, "import")                                                                            \
    X(DEFAULT, "default")                                                                          \
    X(ELSE, "else")                                                                                \
    X(AS, "as")                                                                                    \
    X(NOT, "not")                                                                                  \
    X(SOME, "some")                                                                                \
    X(WITH, "with")                                                                                \
    X(NULL, "null")                                                                                \
    X(TRUE, "true")                                                                                \
    X(FALSE, "false")                                                                              \
    X(IN, "in")                                                                                    \
    X(EVERY, "every")                                                                              \
    X(IF, "if")                                                                                    \
    X(CONTAINS, "contains")

/* X(name, as errors call it) */
#define TOKEN_OTHERS(X)                                                                            \
    X(END, "eof")                                                                                  \
    X(IDENTIFIER, "identifier")                                                                    \
    X(NUMBER, "number")                                                                            \
    X(STRING, "string")                                                                            \
    X(RAW_STRING, "string")                                                                        \
    X(TEMPLATE_PART, "text") /* up to a { */                                                       \
    X(TEMPLATE_END, "text")  /* up to the closing quote */                                         \
    X(ILLEGAL, "illegal")    /* lexer.fault says why */

enum token_kind {
#define TOKEN_ENUM(name, text) TOKEN_##name,
    TOKEN_SYMBOLS(TOKEN_ENUM) TOKEN_WORDS(TOKEN_ENUM) TOKEN_OTHERS(TOKEN_ENUM)
#undef TOKEN_ENUM
};
const char *token_kind_text(enum token_kind kind);
bool token_kind_is_word(enum token_kind kind);

struct token {
    enum token_kind kind;
    uint32_t offset, length;
    bool space_before;   /* white space or a comment, or the begin of the text */
    bool newline_before; /* among it */
    bool opens_ref;      /* a . or [ stands directly behind: a word is then a name (not.foo) */
};

#define WORD_BIT(name) (1u << (TOKEN_##name - TOKEN_IN))
#define WORDS_ALL (WORD_BIT(IN) | WORD_BIT(EVERY) | WORD_BIT(IF) | WORD_BIT(CONTAINS))

struct lexer {
    const struct source *source;
    size_t at;
    unsigned words;    /* WORD_BIT()s: which of the later words are known */
    const char *fault; /* of the last TOKEN_ILLEGAL */
};

/* Whether the bytes can be read at all; otherwise why not, and where. A byte order mark at the
 * begin is stepped over. */
const char *lex_check(const struct source *source, struct place *place);
struct lexer lex_begin(const struct source *source, unsigned words);

struct token lex_next(struct lexer *lexer);
/* How many bytes from the first on are a name: a letter or _, then digits too. 0: none. */
size_t lex_name_length(const char *text, size_t size_bytes);
/* Text of a template, from where the lexer stands up to { or the end. The token's offset and length
 * are those of the text alone. */
struct token lex_template_text(struct lexer *lexer, bool is_raw);

/* The bytes that text between quotes means: escapes of JSON, and \{ in templates (where it is the
 * only one when raw). A lone surrogate becomes U+FFFD, as in OPA. `out` holds `size_bytes`, which
 * is enough; gives how many it wrote, or SIZE_MAX where there is an escape that is none, with its
 * offset in *fault. */
enum lex_quoting { LEX_QUOTED, LEX_TEMPLATE, LEX_RAW_TEMPLATE };
size_t lex_unescape(const char *text, size_t size_bytes, enum lex_quoting quoting, char *out,
                    size_t *fault);

#endif
