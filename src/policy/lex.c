#include "policy/lex.h"

#include <string.h>

#include "base/utf8.h"

#define BYTE_ORDER_MARK 0xfeffu

struct spelling {
    const char *text;
    uint8_t length;
};
static const struct spelling spellings[] = {
#define TOKEN_SPELLING(name, text) {text, sizeof text - 1},
    TOKEN_SYMBOLS(TOKEN_SPELLING) TOKEN_WORDS(TOKEN_SPELLING) TOKEN_OTHERS(TOKEN_SPELLING)
#undef TOKEN_SPELLING
};

const char *token_kind_text(enum token_kind kind)
{
    return spellings[kind].text;
}

bool token_kind_is_word(enum token_kind kind)
{
    return kind >= TOKEN_PACKAGE && kind <= TOKEN_CONTAINS;
}

/* ---- whether the bytes can be read ---- */

static size_t mark_length(const struct source *source)
{
    uint32_t character;
    size_t length = utf8_decode(source->text, source->size_bytes, &character);
    return length > 0 && character == BYTE_ORDER_MARK ? length : 0;
}

/* What is wrong with a character that is not plain ASCII; NULL: nothing, and its length. */
static const char *check_character(const struct source *source, size_t at, size_t *length)
{
    uint32_t character = 0;
    *length = utf8_decode(source->text + at, source->size_bytes - at, &character);
    if (*length == 0)
        return "illegal utf-8 character";
    if (character == 0)
        return "illegal null character";
    return character == BYTE_ORDER_MARK ? "illegal byte-order mark" : NULL;
}

const char *lex_check(const struct source *source, struct place *place)
{
    *place = (struct place){.source = source};
    if (source->size_bytes > SOURCE_SIZE_MAX)
        return "the text is larger than 64 MiB";
    size_t length = 1;
    for (size_t at = mark_length(source); at < source->size_bytes; at += length) {
        length = 1;
        if (source->text[at] > 0)
            continue;
        const char *fault = check_character(source, at, &length);
        if (fault != NULL) {
            *place = (struct place){source, (uint32_t)at, 1};
            return fault;
        }
    }
    return NULL;
}

struct lexer lex_begin(const struct source *source, unsigned words)
{
    return (struct lexer){.source = source, .at = mark_length(source), .words = words};
}

/* ---- characters ---- */

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The byte `ahead` of where the lexer stands; -1 behind the end. */
static int look(const struct lexer *lexer, size_t ahead)
{
    const struct source *source = lexer->source;
    return lexer->at + ahead < source->size_bytes ? (unsigned char)source->text[lexer->at + ahead]
                                                  : -1;
}

static void skip_digits(struct lexer *lexer)
{
    while (is_digit(look(lexer, 0)))
        lexer->at++;
}

static void skip_word(struct lexer *lexer)
{
    while (is_letter(look(lexer, 0)) || is_digit(look(lexer, 0)))
        lexer->at++;
}

static enum token_kind illegal(struct lexer *lexer, const char *fault)
{
    lexer->fault = fault;
    return TOKEN_ILLEGAL;
}

/* ---- tokens ---- */

static void skip_space(struct lexer *lexer, struct token *token)
{
    size_t begin = lexer->at;
    for (int c = look(lexer, 0);; c = look(lexer, 0)) {
        if (c == '#')
            while (look(lexer, 0) != '\n' && look(lexer, 0) >= 0)
                lexer->at++;
        else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            lexer->at++;
        else
            break;
        token->newline_before = token->newline_before || c == '\n';
    }
    token->space_before = lexer->at > begin;
}

static enum token_kind lex_word(struct lexer *lexer)
{
    const char *text = lexer->source->text + lexer->at;
    size_t begin = lexer->at;
    skip_word(lexer);
    size_t length = lexer->at - begin;
    for (unsigned kind = TOKEN_PACKAGE; kind <= TOKEN_CONTAINS; kind++) {
        if (spellings[kind].length != length || memcmp(spellings[kind].text, text, length) != 0)
            continue;
        bool known = kind < TOKEN_IN || (lexer->words & 1u << (kind - TOKEN_IN)) != 0;
        return known ? (enum token_kind)kind : TOKEN_IDENTIFIER;
    }
    return TOKEN_IDENTIFIER;
}

/* An exponent, when one begins here; false: it has no digits. */
static bool lex_exponent(struct lexer *lexer)
{
    int c = look(lexer, 0);
    if (c != 'e' && c != 'E')
        return true;
    lexer->at++;
    if (look(lexer, 0) == '+' || look(lexer, 0) == '-')
        lexer->at++;
    bool has_digits = is_digit(look(lexer, 0));
    skip_digits(lexer);
    return has_digits;
}

/* As JSON's (RFC 8259 section 6), but that it may begin with its point; the sign is a token. */
static enum token_kind lex_number(struct lexer *lexer)
{
    bool leading_zero = look(lexer, 0) == '0' && is_digit(look(lexer, 1));
    skip_digits(lexer);
    if (look(lexer, 0) == '.') {
        lexer->at++;
        if (!is_digit(look(lexer, 0)))
            return illegal(lexer, "expected fraction");
        skip_digits(lexer);
    }
    if (!lex_exponent(lexer))
        return illegal(lexer, "expected exponent");
    if (is_letter(look(lexer, 0))) {
        skip_word(lexer);
        return illegal(lexer, "illegal number format");
    }
    return leading_zero ? illegal(lexer, "expected number without leading zero") : TOKEN_NUMBER;
}

static enum token_kind lex_string(struct lexer *lexer)
{
    lexer->at++;
    for (int c = look(lexer, 0); c != '"'; c = look(lexer, 0)) {
        if (c < 0 || c == '\n')
            return illegal(lexer, "non-terminated string");
        lexer->at += c == '\\' && look(lexer, 1) >= 0 ? 2 : 1;
    }
    lexer->at++;
    return TOKEN_STRING;
}

static enum token_kind lex_raw_string(struct lexer *lexer)
{
    lexer->at++;
    while (look(lexer, 0) != '`')
        if (look(lexer, 0) < 0)
            return illegal(lexer, "non-terminated string");
        else
            lexer->at++;
    lexer->at++;
    return TOKEN_RAW_STRING;
}

/* What people write who come from other languages. */
static const struct {
    char character;
    const char *fault;
} foreign[] = {
    {'!', "illegal ! character (hint: negation is written `not`)"},
    {'$', "illegal $ character (hint: a template begins with $\" or $`)"},
    {'\'', "illegal ' character (hint: strings stand in double quotes or backquotes)"},
};

static enum token_kind lex_symbol(struct lexer *lexer)
{
    const char *text = lexer->source->text + lexer->at;
    size_t left = lexer->source->size_bytes - lexer->at;
    for (unsigned kind = 0; kind < TOKEN_PACKAGE; kind++) {
        size_t length = spellings[kind].length;
        if (length <= left && memcmp(spellings[kind].text, text, length) == 0) {
            lexer->at += length;
            return (enum token_kind)kind;
        }
    }
    lexer->at++;
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (foreign[i].character == *text)
            return illegal(lexer, foreign[i].fault);
    return illegal(lexer, "illegal token");
}

static enum token_kind lex_any(struct lexer *lexer)
{
    int c = look(lexer, 0);
    if (c < 0)
        return TOKEN_END;
    if (is_letter(c))
        return lex_word(lexer);
    if (is_digit(c) || (c == '.' && is_digit(look(lexer, 1))))
        return lex_number(lexer);
    if (c == '"')
        return lex_string(lexer);
    return c == '`' ? lex_raw_string(lexer) : lex_symbol(lexer);
}

struct token lex_next(struct lexer *lexer)
{
    struct token token = {.kind = TOKEN_END};
    skip_space(lexer, &token);
    token.offset = (uint32_t)lexer->at;
    token.kind = lex_any(lexer);
    token.length = (uint32_t)lexer->at - token.offset;
    token.opens_ref = look(lexer, 0) == '.' || look(lexer, 0) == '[';
    return token;
}

size_t lex_name_length(const char *text, size_t size_bytes)
{
    size_t length = 0;
    while (length < size_bytes &&
           (is_letter(text[length]) || (length > 0 && is_digit(text[length]))))
        length++;
    return length;
}

struct token lex_template_text(struct lexer *lexer, bool is_raw)
{
    const char quote = is_raw ? '`' : '"';
    struct token token = {.kind = TOKEN_TEMPLATE_END, .offset = (uint32_t)lexer->at};
    int c;
    for (c = look(lexer, 0); c != quote && c != '{'; c = look(lexer, 0)) {
        if (c < 0 || (c == '\n' && !is_raw)) {
            token.kind = illegal(lexer, "non-terminated string");
            return token;
        }
        bool is_escape = c == '\\' && (is_raw ? look(lexer, 1) == '{' : look(lexer, 1) >= 0);
        lexer->at += is_escape ? 2 : 1;
    }
    token.kind = c == '{' ? TOKEN_TEMPLATE_PART : TOKEN_TEMPLATE_END;
    token.length = (uint32_t)lexer->at - token.offset;
    lexer->at++;
    return token;
}
