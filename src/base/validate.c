#include "base/validate.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

#define RELATIVE_PATH_MAX 1024

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

static bool is_reference(char c)
{
    return c > ' ' && c < 0x7f && strchr("\"'`\\$;|&<>", c) == NULL;
}

static bool is_lower_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static lethe_result missing(const char *what, struct lethe_error *err)
{
    return error_set(err, LETHE_INVALID, "%s is missing or empty", what);
}

/* An alphabet and the words for it in an error. */
struct alphabet {
    bool (*holds)(char c);
    const char *words;
};

/* 1 to max_length characters of an alphabet; looks at no byte behind the first fault. */
static lethe_result check_characters(const char *what, const char *text, size_t max_length,
                                     const struct alphabet *alphabet, struct lethe_error *err)
{
    if (text == NULL || text[0] == '\0')
        return missing(what, err);
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (i == max_length)
            return error_set(err, LETHE_INVALID, "%s is longer than %zu characters", what,
                             max_length);
        if (!alphabet->holds(text[i]))
            return error_set(err, LETHE_INVALID, "%s: character %zu is not %s", what, i + 1,
                             alphabet->words);
    }
    return LETHE_OK;
}

lethe_result validate_identifier(const char *what, const char *text, size_t max_length,
                                 struct lethe_error *err)
{
    static const struct alphabet alphabet = {is_identifier, "a letter, a digit, '-' or '_'"};
    return check_characters(what, text, max_length, &alphabet, err);
}

/* Gives the length of the part of a path that starts at `text`. */
static size_t part_length(const char *text)
{
    return strcspn(text, "/");
}

static bool is_part(const char *text, size_t length, const char *part)
{
    return length == strlen(part) && memcmp(text, part, length) == 0;
}

lethe_result validate_model_reference(const char *what, const char *text, struct lethe_error *err)
{
    static const struct alphabet alphabet = {
        is_reference, "printable ASCII without space, quotes and shell characters"};
    TRY(check_characters(what, text, MODEL_REFERENCE_MAX, &alphabet, err));
    for (const char *at = text;; at++) {
        size_t length = part_length(at);
        if (is_part(at, length, ".."))
            return error_set(err, LETHE_INVALID, "%s has a part \"..\" at character %zu", what,
                             (size_t)(at - text) + 1);
        at += length;
        if (*at == '\0')
            return LETHE_OK;
    }
}

lethe_result validate_hex(const char *what, const char *text, size_t digits,
                          struct lethe_error *err)
{
    static const struct alphabet alphabet = {is_lower_hex, "a lower-case hex digit"};
    TRY(check_characters(what, text, digits, &alphabet, err));
    if (strlen(text) != digits)
        return error_set(err, LETHE_INVALID, "%s has %zu hex digits instead of %zu", what,
                         strlen(text), digits);
    return LETHE_OK;
}

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

static lethe_result check_path_characters(const char *what, const char *path, size_t length,
                                          struct lethe_error *err)
{
    for (size_t at = 0; at < length;) {
        uint32_t character;
        size_t step = utf8_decode(path + at, length - at, &character);
        if (step == 0)
            return error_set(err, LETHE_INVALID, "%s is not UTF-8 at byte %zu", what, at + 1);
        if (is_control(character) || character == '\\')
            return error_set(err, LETHE_INVALID,
                             "%s has a control character or a backslash at byte %zu", what, at + 1);
        at += step;
    }
    return LETHE_OK;
}

lethe_result validate_relative_path(const char *what, const char *path, struct lethe_error *err)
{
    if (path == NULL || path[0] == '\0')
        return missing(what, err);
    size_t length = strnlen(path, RELATIVE_PATH_MAX + 1);
    if (length > RELATIVE_PATH_MAX)
        return error_set(err, LETHE_INVALID, "%s is longer than %d bytes", what, RELATIVE_PATH_MAX);
    TRY(check_path_characters(what, path, length, err));
    for (const char *at = path;; at++) {
        size_t part = part_length(at);
        if (part == 0 || is_part(at, part, ".") || is_part(at, part, ".."))
            return error_set(err, LETHE_INVALID,
                             "%s is not a plain relative path: an empty, \".\" or \"..\" part at "
                             "byte %zu",
                             what, (size_t)(at - path) + 1);
        at += part;
        if (*at == '\0')
            return LETHE_OK;
    }
}

static bool is_inside(const char *root, const char *path)
{
    size_t length = strlen(root);
    if (strncmp(root, path, length) != 0)
        return false;
    return root[length - 1] == '/' || path[length] == '/' || path[length] == '\0';
}

lethe_result validate_path_inside(const char *what, const char *root, const char *path,
                                  char **resolved, struct lethe_error *err)
{
    *resolved = NULL;
    if (path == NULL || path[0] == '\0')
        return missing(what, err);
    CLEANUP(memory_free) char *real_root = realpath(root, NULL);
    if (real_root == NULL)
        return error_from_errno(err, "the directory that %s must lie in", what);
    CLEANUP(memory_free) char *real_path = realpath(path, NULL);
    if (real_path == NULL)
        return error_from_errno(err, "%s", what);
    if (!is_inside(real_root, real_path))
        return error_set(err, LETHE_INVALID, "%s leads out of the directory it must lie in", what);
    *resolved = MOVE(real_path);
    return LETHE_OK;
}

lethe_result validate_prompt(const char *what, const char *text, size_t size_bytes,
                             struct lethe_error *err)
{
    size_t characters = 0;
    for (size_t at = 0; at < size_bytes; characters++) {
        uint32_t character;
        size_t step = utf8_decode(text + at, size_bytes - at, &character);
        if (characters == PROMPT_MAX)
            return error_set(err, LETHE_INVALID, "%s is longer than %d characters", what,
                             PROMPT_MAX);
        if (step == 0 || character == 0)
            return error_set(err, LETHE_INVALID, "%s is not UTF-8, or NUL, at byte %zu", what,
                             at + 1);
        at += step;
    }
    return LETHE_OK;
}

/* Digits only, and one spelling for each number: no sign but '-', no leading zeros, no "-0". */
static bool parse_integer(const char *text, int64_t *out)
{
    bool negative = text[0] == '-';
    const char *digits = text + negative;
    if (!is_digit(digits[0]) || (digits[0] == '0' && (digits[1] != '\0' || negative)))
        return false;
    int64_t value = 0;
    for (; *digits != '\0'; digits++) {
        int digit = *digits - '0';
        if (!is_digit(*digits) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    *out = value;
    return true;
}

lethe_result validate_integer(const char *what, const char *text, int64_t min, int64_t max,
                              int64_t *out, struct lethe_error *err)
{
    if (text == NULL || text[0] == '\0')
        return missing(what, err);
    int64_t value;
    if (!parse_integer(text, &value) || value < min || value >= max)
        return error_set(err, LETHE_INVALID, "%s is not a plain decimal number from %lld to %lld",
                         what, (long long)min, (long long)max - 1);
    *out = value;
    return LETHE_OK;
}
