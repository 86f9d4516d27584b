/* The HCL of Vault's policies: blocks `path "..." { capabilities = [...] }`, and nothing else of
 * HCL. There is no nesting, so nothing here recurses. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "service/path_policy.h"

struct hcl {
    const char *text, *at, *end;
    struct lethe_error *err;
};

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_SIGN };
#define TOKEN_TEXT_MAX (4 * PATH_RULE_MAX)
struct token {
    enum token_kind kind;
    const char *start; /* where it stands in the text */
    char text[TOKEN_TEXT_MAX + 1];
    size_t length;
};

/* ---- saying where ---------------------------------------------------------------------------- */

static lethe_result at_place(const struct hcl *hcl, const char *place, lethe_result result)
{
    unsigned line = 1, column = 1;
    for (const char *c = hcl->text; c < place; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    return error_context(hcl->err, result, "line %u, column %u", line, column);
}

static lethe_result wrong(const struct hcl *hcl, const char *place, const char *text)
{
    return at_place(hcl, place, error_set(hcl->err, LETHE_MALFORMED, "%s", text));
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static bool starts(const struct hcl *hcl, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(hcl->end - hcl->at) >= length && memcmp(hcl->at, text, length) == 0;
}

static void skip_line(struct hcl *hcl)
{
    const char *newline = memchr(hcl->at, '\n', (size_t)(hcl->end - hcl->at));
    hcl->at = newline != NULL ? newline : hcl->end;
}

static lethe_result skip_comment(struct hcl *hcl)
{
    size_t left = (size_t)(hcl->end - hcl->at) - 2;
    const char *close = memmem(hcl->at + 2, left, "*/", 2);
    if (close == NULL)
        return wrong(hcl, hcl->at, "a comment that does not end");
    hcl->at = close + 2;
    return LETHE_OK;
}

static lethe_result skip_blank(struct hcl *hcl)
{
    static const char blanks[] = {' ', '\t', '\r', '\n'};
    while (hcl->at < hcl->end) {
        if (memchr(blanks, *hcl->at, sizeof blanks) != NULL)
            hcl->at++;
        else if (*hcl->at == '#' || starts(hcl, "//"))
            skip_line(hcl);
        else if (starts(hcl, "/*"))
            TRY(skip_comment(hcl));
        else
            break;
    }
    return LETHE_OK;
}

static lethe_result put_byte(struct hcl *hcl, struct token *out, char byte)
{
    if (out->length == TOKEN_TEXT_MAX)
        return wrong(hcl, out->start, "a text that is too long");
    out->text[out->length++] = byte;
    return LETHE_OK;
}

static lethe_result read_escape(struct hcl *hcl, struct token *out)
{
    static const char escapes[] = "\"\"\\\\n\nt\tr\r"; /* pairs: what is written, what it is */
    for (size_t i = 0; hcl->at < hcl->end && i + 1 < sizeof escapes - 1; i += 2) {
        if (escapes[i] == *hcl->at) {
            hcl->at++;
            return put_byte(hcl, out, escapes[i + 1]);
        }
    }
    return wrong(hcl, hcl->at - 1, "an escape other than \\\", \\\\, \\n, \\t and \\r");
}

static lethe_result read_text(struct hcl *hcl, struct token *out)
{
    out->kind = TOKEN_TEXT;
    for (hcl->at++; hcl->at < hcl->end && *hcl->at != '"' && *hcl->at != '\n';) {
        char byte = *hcl->at++;
        if (byte == '$' && hcl->at < hcl->end && *hcl->at == '{')
            return wrong(hcl, hcl->at - 1, "templates are not supported");
        if (byte == '\\')
            TRY(read_escape(hcl, out));
        else
            TRY(put_byte(hcl, out, byte));
    }
    if (hcl->at == hcl->end || *hcl->at != '"')
        return wrong(hcl, out->start, "a text that does not end in its line");
    hcl->at++;
    return LETHE_OK;
}

static bool is_word_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || byte == '-' || byte == '.';
}

static lethe_result next(struct hcl *hcl, struct token *out)
{
    TRY(skip_blank(hcl));
    out->start = hcl->at;
    out->length = 0;
    out->kind = TOKEN_END;
    if (hcl->at == hcl->end)
        return LETHE_OK;
    if (*hcl->at == '"')
        return read_text(hcl, out);
    out->kind = is_word_byte(*hcl->at) ? TOKEN_WORD : TOKEN_SIGN;
    do
        TRY(put_byte(hcl, out, *hcl->at++));
    while (out->kind == TOKEN_WORD && hcl->at < hcl->end && is_word_byte(*hcl->at));
    return LETHE_OK;
}

static bool is_sign(const struct token *token, char sign)
{
    return token->kind == TOKEN_SIGN && token->text[0] == sign;
}

static bool is_name(const struct token *token, const char *name)
{
    return (token->kind == TOKEN_WORD || token->kind == TOKEN_TEXT) &&
           token->length == strlen(name) && memcmp(token->text, name, token->length) == 0;
}

static lethe_result expect_sign(struct hcl *hcl, struct token *token, char sign)
{
    char text[32];
    TRY(next(hcl, token));
    if (is_sign(token, sign))
        return LETHE_OK;
    snprintf(text, sizeof text, "'%c' is missing here", sign);
    return wrong(hcl, token->start, text);
}

static lethe_result expect_text(struct hcl *hcl, struct token *token)
{
    TRY(next(hcl, token));
    return token->kind == TOKEN_TEXT ? LETHE_OK
                                     : wrong(hcl, token->start, "a text in quotes is missing here");
}

/* ---- rules ----------------------------------------------------------------------------------- */

static lethe_result read_list(struct hcl *hcl, struct token *token, struct path_rule *rule)
{
    TRY(expect_sign(hcl, token, '['));
    TRY(next(hcl, token));
    while (!is_sign(token, ']')) {
        if (token->kind != TOKEN_TEXT)
            return wrong(hcl, token->start, "a capability in quotes, or ']', is missing here");
        TRY(at_place(hcl, token->start,
                     path_rule_allow(rule, token->text, token->length, hcl->err)));
        TRY(next(hcl, token));
        if (is_sign(token, ','))
            TRY(next(hcl, token));
        else if (!is_sign(token, ']'))
            return wrong(hcl, token->start, "',' or ']' is missing here");
    }
    return LETHE_OK;
}

/* `token` is the attribute's name, and then what was read last. */
static lethe_result read_attribute(struct hcl *hcl, struct token *token, struct path_rule *rule)
{
    bool is_level = is_name(token, "policy");
    bool is_list = is_name(token, "capabilities");
    if (token->kind != TOKEN_WORD && token->kind != TOKEN_TEXT)
        return wrong(hcl, token->start, "the name of an attribute, or '}', is missing here");
    if (!is_level && !is_list && !is_name(token, "comment"))
        return at_place(hcl, token->start, path_rule_unknown(token->text, token->length, hcl->err));
    TRY(expect_sign(hcl, token, '='));
    if (is_list)
        return read_list(hcl, token, rule);
    TRY(expect_text(hcl, token));
    if (!is_level)
        return LETHE_OK;
    return at_place(hcl, token->start,
                    path_rule_allow_level(rule, token->text, token->length, hcl->err));
}

static lethe_result read_rule(struct hcl *hcl, struct token *token, struct path_rules *out)
{
    struct path_rule *rule;
    TRY(expect_text(hcl, token));
    TRY(at_place(hcl, token->start,
                 path_rules_at(out, token->text, token->length, &rule, hcl->err)));
    TRY(expect_sign(hcl, token, '{'));
    TRY(next(hcl, token));
    while (!is_sign(token, '}')) {
        TRY(read_attribute(hcl, token, rule));
        TRY(next(hcl, token));
        if (is_sign(token, ','))
            TRY(next(hcl, token));
    }
    return LETHE_OK;
}

lethe_result path_policy_read_hcl(const char *text, size_t length, struct path_rules *out,
                                  struct lethe_error *err)
{
    struct hcl hcl = {.text = text, .at = text, .end = text + length, .err = err};
    struct token token;
    TRY(next(&hcl, &token));
    while (token.kind != TOKEN_END) {
        if (is_name(&token, "path")) {
            TRY(read_rule(&hcl, &token, out));
        } else if (is_name(&token, "name")) { /* older policies begin with it */
            TRY(expect_sign(&hcl, &token, '='));
            TRY(expect_text(&hcl, &token));
        } else {
            return wrong(&hcl, token.start, "a rule begins with: path \"...\" {");
        }
        TRY(next(&hcl, &token));
    }
    return LETHE_OK;
}
