/* Command lines, one word behind the other with NULs between them, and times and numbers as `audit
 * show --since` takes them. */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/log_print.h"

#include "fuzz.h"

#define WORDS_MAX 64

static lethe_result never(struct invocation *invocation, struct lethe_error *err)
{
    abort();
}

static const struct option options[] = {
    {"json", 'j', NULL, "a flag", false},
    {"output", 'o', "FILE", "a value", false},
    {"with", 0, "NAME=MODEL", "values", true},
    {0},
};
const struct command commands[] = {
    {"exec", "MODEL -- ENGINE", "takes the rest", NULL, options, 1, 1, true, never},
    {"key list", "[NAME]", "two words", NULL, options, 0, 1, false, never},
    {"key create", "NAME...", "many", NULL, options, 1, -1, false, never},
    {"verify", "MODEL", "without options", NULL, NULL, 1, 1, false, never},
    {0},
};

void help_command(const struct command *command)
{
}

void help_group(const char *group)
{
    FUZZ_PROPERTY(command_is_group(group));
}

/* The words of a line, and the bytes that they lie in. */
struct line {
    char *bytes;
    size_t size_bytes;
    char *words[WORDS_MAX + 1];
    int count;
};

static bool is_of_line(const struct line *line, const char *text)
{
    return text >= line->bytes && text < line->bytes + line->size_bytes;
}

static void check_taken(const struct invocation *in, const struct line *line)
{
    const struct command *command = in->command;
    FUZZ_PROPERTY(in->positional_count >= command->min_positional);
    FUZZ_PROPERTY(command->max_positional < 0 || in->positional_count <= command->max_positional);
    FUZZ_PROPERTY(!command->takes_rest || (in->rest != NULL && in->rest[0] != NULL));
    FUZZ_PROPERTY(command->takes_rest || in->rest == NULL);
    FUZZ_PROPERTY(in->given_count + in->positional_count <= line->count);
    for (int i = 0; i < in->positional_count; i++)
        FUZZ_PROPERTY(is_of_line(line, in->positional[i]));
    for (int i = 0; i < in->given_count; i++) {
        bool flag = in->given[i]->value == NULL;
        FUZZ_PROPERTY(flag ? in->values[i][0] == '\0' : is_of_line(line, in->values[i]));
        for (int j = 0; j < i; j++)
            FUZZ_PROPERTY(in->given[i]->repeatable || in->given[i] != in->given[j]);
    }
}

/* The list of words ends in NULL, as main's does, but nothing may be taken from there. */
static void try_line(const char *bytes, size_t size_bytes)
{
    struct invocation invocation;
    CLEANUP(memory_free) char *copy = malloc(size_bytes + 1);
    struct line line = {.bytes = copy, .size_bytes = size_bytes + 1};
    REQUIRE(copy != NULL);
    memcpy(copy, bytes, size_bytes);
    copy[size_bytes] = '\0';
    for (char *at = copy; at <= copy + size_bytes && line.count < WORDS_MAX; at += strlen(at) + 1)
        line.words[line.count++] = at;
    lethe_result result = invocation_parse(line.count, line.words, &invocation, NULL);
    bool help = result == LETHE_OK && invocation.values == NULL;
    if (result == LETHE_OK && !help)
        check_taken(&invocation, &line);
    if (help)
        FUZZ_PROPERTY(invocation.command->run(&invocation, NULL) == LETHE_OK);
    invocation_clear(&invocation);
}

static void try_since(const char *bytes, size_t size_bytes)
{
    struct log_print print = {0};
    CLEANUP(memory_free) char *text = strndup(bytes, size_bytes);
    REQUIRE(text != NULL);
    if (log_print_since(&print, text, NULL) != LETHE_OK)
        return;
    FUZZ_PROPERTY(print.since_time != NULL || print.since_seq <= INT64_MAX);
    if (print.since_time != NULL)
        FUZZ_PROPERTY(strlen(text) >= 10 && strlen(text) <= 30 && text[4] == '-' &&
                      strspn(text, "0123456789-T:.Z") == strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    try_line((const char *)data, size_bytes);
    try_since((const char *)data, size_bytes);
    return 0;
}
