/* One command line, parsed by the tables. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "cli/command.h"

/* The command with the most words that the line begins with; *words is how many it took. */
static const struct command *command_find(int argc, char **argv, int *words)
{
    for (int wanted = 2; wanted >= 1; wanted--) {
        for (const struct command *c = commands; c->name != NULL; c++) {
            const char *space = strchr(c->name, ' ');
            size_t first = space != NULL ? (size_t)(space - c->name) : strlen(c->name);
            if ((space != NULL) != (wanted == 2) || argc < wanted)
                continue;
            if (strncmp(argv[0], c->name, first) != 0 || argv[0][first] != '\0')
                continue;
            if (wanted == 2 && strcmp(argv[1], space + 1) != 0)
                continue;
            *words = wanted;
            return c;
        }
    }
    return NULL;
}

static const struct option *option_find(const struct command *command, const char *name,
                                        size_t length, char letter)
{
    for (const struct option *o = command->options; o != NULL && o->name != NULL; o++) {
        if (letter != 0 ? o->letter == letter
                        : strlen(o->name) == length && strncmp(o->name, name, length) == 0)
            return o;
    }
    return NULL;
}

bool command_is_group(const char *word)
{
    size_t length = strlen(word);
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (strncmp(c->name, word, length) == 0 && c->name[length] == ' ')
            return true;
    }
    return false;
}

static lethe_result no_such_command(int argc, char **argv, struct lethe_error *err)
{
    bool in_group = command_is_group(argv[0]);
    if (in_group && argc == 1)
        error_set(err, LETHE_INVALID, "'%s' needs another word", argv[0]);
    else
        error_set(err, LETHE_INVALID, "there is no command '%.64s%s%.64s'", argv[0],
                  in_group ? " " : "", in_group ? argv[1] : "");
    error_hint(err, "lethe %s%s--help lists them", in_group ? argv[0] : "", in_group ? " " : "");
    return LETHE_INVALID;
}

static lethe_result usage_error(const struct command *command, struct lethe_error *err)
{
    error_hint(err, "lethe %s --help", command->name);
    return LETHE_INVALID;
}

static bool already_given(const struct invocation *in, const struct option *option)
{
    for (int i = 0; i < in->given_count; i++) {
        if (in->given[i] == option)
            return true;
    }
    return false;
}

/* Takes the option at argv[*at] and, where it has one, its value; leaves *at on the last word
 * taken. */
static lethe_result take_option(struct invocation *in, int argc, char **argv, int *at,
                                struct lethe_error *err)
{
    const char *word = argv[*at];
    const char *name = word + 2;
    const char *value = NULL;
    bool is_long = word[1] == '-';
    size_t length = is_long ? strcspn(name, "=") : 0;
    const struct option *option = option_find(in->command, name, length, is_long ? 0 : word[1]);
    if (option == NULL) {
        error_set(err, LETHE_INVALID, "lethe %s has no option %.*s", in->command->name,
                  is_long ? (int)length + 2 : 2, word);
        return usage_error(in->command, err);
    }
    if (is_long && name[length] == '=')
        value = name + length + 1;
    else if (!is_long && word[2] != '\0')
        value = word + 2;
    if (option->value == NULL && value != NULL) {
        error_set(err, LETHE_INVALID, "--%s takes no value", option->name);
        return usage_error(in->command, err);
    }
    if (option->value != NULL && value == NULL) {
        if (*at + 1 >= argc) {
            error_set(err, LETHE_INVALID, "--%s needs a value: %s", option->name, option->value);
            return usage_error(in->command, err);
        }
        value = argv[++*at];
    }
    if (!option->repeatable && already_given(in, option)) {
        error_set(err, LETHE_INVALID, "--%s was given twice", option->name);
        return usage_error(in->command, err);
    }
    in->given[in->given_count] = option;
    in->values[in->given_count++] = value != NULL ? value : "";
    return LETHE_OK;
}

static lethe_result check_positional(const struct invocation *in, struct lethe_error *err)
{
    const struct command *command = in->command;
    if (in->positional_count < command->min_positional) {
        error_set(err, LETHE_INVALID, "too few arguments: lethe %s %s", command->name,
                  command->arguments);
        return usage_error(command, err);
    }
    if (command->max_positional >= 0 && in->positional_count > command->max_positional) {
        error_set(err, LETHE_INVALID, "'%.64s' is one argument too many%s",
                  in->positional[command->max_positional],
                  command->takes_rest ? ": the engine goes behind --" : "");
        return usage_error(command, err);
    }
    if (command->takes_rest && (in->rest == NULL || in->rest[0] == NULL)) {
        error_set(err, LETHE_INVALID, "no engine behind --: lethe %s %s", command->name,
                  command->arguments);
        return usage_error(command, err);
    }
    return LETHE_OK;
}

static lethe_result take_words(struct invocation *in, int argc, char **argv,
                               struct lethe_error *err)
{
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            if (in->command->takes_rest) {
                in->rest = argv + i + 1;
                break;
            }
            only_positional = true;
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1] != '\0') {
            TRY(take_option(in, argc, argv, &i, err));
        } else {
            in->positional[in->positional_count++] = argv[i];
        }
    }
    return check_positional(in, err);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* --help anywhere before "--" asks for help instead. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i]))
            return true;
    }
    return false;
}

/* "key --help" */
static bool asks_for_group(int argc, char **argv)
{
    return command_is_group(argv[0]) && argc > 1 && is_help(argv[1]);
}

static lethe_result run_help_for(struct invocation *in, struct lethe_error *err)
{
    help_command(in->command);
    return LETHE_OK;
}

static lethe_result run_group_help(struct invocation *in, struct lethe_error *err)
{
    help_group(in->command->name);
    return LETHE_OK;
}

lethe_result invocation_parse(int argc, char **argv, struct invocation *out,
                              struct lethe_error *err)
{
    static struct command help_instead;
    *out = (struct invocation){0};
    int words = 0;
    out->command = command_find(argc, argv, &words);
    if (out->command == NULL && asks_for_group(argc, argv)) {
        help_instead = (struct command){.name = argv[0], .run = run_group_help};
        out->command = &help_instead;
        return LETHE_OK;
    }
    if (out->command == NULL)
        return no_such_command(argc, argv, err);
    argc -= words;
    argv += words;
    if (asks_for_help(argc, argv)) {
        help_instead = *out->command;
        help_instead.run = run_help_for;
        out->command = &help_instead;
        return LETHE_OK;
    }
    size_t room = (size_t)argc + 1;
    out->values = calloc(room, sizeof *out->values);
    out->given = calloc(room, sizeof *out->given);
    out->positional = calloc(room, sizeof *out->positional);
    if (out->values == NULL || out->given == NULL || out->positional == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %d arguments", argc);
    return take_words(out, argc, argv, err);
}

void invocation_clear(struct invocation *invocation)
{
    free(invocation->values);
    free(invocation->given);
    free(invocation->positional);
    *invocation = (struct invocation){0};
}

const char *option_text(const struct invocation *invocation, const char *name)
{
    const struct option *option = option_find(invocation->command, name, strlen(name), 0);
    REQUIRE(option != NULL);
    const char *value = NULL;
    for (int i = 0; i < invocation->given_count; i++) {
        if (invocation->given[i] == option)
            value = invocation->values[i];
    }
    return value;
}

bool option_given(const struct invocation *invocation, const char *name)
{
    return option_text(invocation, name) != NULL;
}

lethe_result option_number(const struct invocation *invocation, const char *name, int64_t min,
                           int64_t max, int64_t absent, int64_t *out, struct lethe_error *err)
{
    const char *text = option_text(invocation, name);
    *out = absent;
    if (text == NULL)
        return LETHE_OK;
    char what[64] = "--";
    strncat(what, name, sizeof what - 3);
    return validate_integer(what, text, min, max, out, err);
}
