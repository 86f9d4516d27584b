#include "cli/engine_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/attest_place.h"

#define PATH_SIZE 4096u

static bool is_utf8(const char *text)
{
    uint32_t character;
    size_t left = strlen(text);
    while (left > 0) {
        size_t length = utf8_decode(text, left, &character);
        if (length == 0)
            return false;
        text += length;
        left -= length;
    }
    return true;
}

/* As execvp() looks for it. */
static lethe_result find_program(const char *name, char out[PATH_SIZE], struct lethe_error *err)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') != NULL)
        path = "";
    else if (path == NULL)
        path = "/bin:/usr/bin";
    for (;;) {
        int length = (int)strcspn(path, ":");
        const char *between = length > 0 ? "/" : "";
        int written = snprintf(out, PATH_SIZE, "%.*s%s%s", length, path, between, name);
        if (written < (int)PATH_SIZE && access(out, X_OK) == 0)
            return LETHE_OK;
        path += length;
        if (*path++ == '\0')
            return error_set(err, LETHE_NOT_FOUND, "%s: no such program", name);
    }
}

lethe_result engine_words(char *const *arguments, const char *sandbox, struct buffer *json,
                          struct lethe_error *err)
{
    char path[PATH_SIZE];
    char digest[ATTEST_DIGEST_SIZE];
    TRY(find_program(arguments[0], path, err));
    TRY(attest_file_digest(path, digest, err));
    buffer_format(json, "{\"digest\":\"%s\",\"arguments\":[", digest);
    for (size_t i = 0; arguments[i] != NULL; i++) {
        if (!is_utf8(arguments[i]))
            return error_set(err, LETHE_INVALID, "argument %zu of the engine is not UTF-8", i);
        buffer_text(json, i > 0 ? "," : "");
        json_append_string(json, arguments[i], strlen(arguments[i]));
    }
    buffer_format(json, "],\"sandbox\":\"%s\"}", sandbox);
    return buffer_result(json, err);
}
