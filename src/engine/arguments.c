#include "engine/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"

extern char **environ;

/* The placeholder that `text` begins with, braces included; NULL when there is none. */
static const struct placeholder *placeholder_at(const char *text,
                                                const struct placeholder *placeholders,
                                                size_t count)
{
    if (text[0] != '{')
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(placeholders[i].name);
        if (strncmp(text + 1, placeholders[i].name, length) == 0 && text[1 + length] == '}')
            return &placeholders[i];
    }
    return NULL;
}

static bool is_used(char *const *arguments, const struct placeholder *placeholder)
{
    for (size_t i = 0; arguments[i] != NULL; i++) {
        for (const char *p = strchr(arguments[i], '{'); p != NULL; p = strchr(p + 1, '{')) {
            if (placeholder_at(p, placeholder, 1) != NULL)
                return true;
        }
    }
    return false;
}

lethe_result arguments_check(char *const *arguments, const struct placeholder *placeholders,
                             size_t count, struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_used(arguments, &placeholders[i])) {
            error_set(err, LETHE_INVALID, "no argument of the engine contains {%s}",
                      placeholders[i].name);
            error_hint(err, "{%s} stands for the path of the decrypted model: ... -- engine {%s}",
                       placeholders[i].name, placeholders[i].name);
            return LETHE_INVALID;
        }
    }
    return LETHE_OK;
}

static lethe_result expand_one(const char *argument, const struct placeholder *placeholders,
                               size_t count, char **out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "");
    for (const char *p = argument; *p != '\0';) {
        const struct placeholder *found = placeholder_at(p, placeholders, count);
        if (found != NULL) {
            buffer_text(&text, found->path);
            p += strlen(found->name) + 2;
        } else {
            buffer_byte(&text, (uint8_t)*p++);
        }
    }
    TRY(buffer_result(&text, err));
    *out = strdup(text.bytes != NULL ? text.bytes : "");
    return *out != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "no memory for arguments");
}

lethe_result arguments_expand(char *const *arguments, const struct placeholder *placeholders,
                              size_t count, char ***out, struct lethe_error *err)
{
    size_t length = 0;
    while (arguments[length] != NULL)
        length++;
    CLEANUP(arguments_free) char **copy = calloc(length + 1, sizeof *copy);
    if (copy == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu arguments", length);
    for (size_t i = 0; i < length; i++)
        TRY(expand_one(arguments[i], placeholders, count, &copy[i], err));
    *out = MOVE(copy);
    return LETHE_OK;
}

void arguments_free(char **arguments)
{
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++)
        free(arguments[i]);
    free(arguments);
}

lethe_result environment_make_private(const char *directory, struct lethe_error *err)
{
    static const struct {
        const char *variable;
        const char *below;
    } places[] = {{"HOME", "home"},
                  {"TMPDIR", "tmp"},
                  {"TMP", "tmp"},
                  {"TEMP", "tmp"},
                  {"XDG_CACHE_HOME", "home/.cache"},
                  {"XDG_CONFIG_HOME", "home/.config"},
                  {"XDG_DATA_HOME", "home/.local/share"},
                  {"XDG_STATE_HOME", "home/.local/state"},
                  {"HF_HOME", "home/.cache/huggingface"},
                  {"LLAMA_CACHE", "home/.cache/llama.cpp"}};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        CLEANUP(memory_free) char *path = NULL;
        if (asprintf(&path, "%s/%s", directory, places[i].below) < 0 ||
            setenv(places[i].variable, path, 1) != 0)
            return error_set(err, LETHE_NO_MEMORY, "no memory for the environment");
    }
    return LETHE_OK;
}

void environment_hide_lethe(void)
{
    for (char **entry = environ; *entry != NULL;) {
        if (strncmp(*entry, "LETHE_", strlen("LETHE_")) == 0) {
            for (char **next = entry; (next[0] = next[1]) != NULL; next++)
                continue;
        } else {
            entry++;
        }
    }
}
