#include <argp.h>
#include <errno.h>
#include <stdlib.h>

#include "tiny.h"

enum { SEALED = 256, HOME, VERIFY, VERIFY_EVERY };
static const struct argp_option rows[] = {
    {"ids", 'i', NULL, 0, "Prompts are token ids, not text", 0},
    {"tokens", 'n', "N", 0, "Answer with at most N tokens (16)", 0},
    {"context", 'c', "N", 0, "Prompt and answer have at most N tokens (512)", 0},
    {"temperature", 't', "T", 0, "0: the likeliest token, always (0)", 0},
    {"seed", 's', "N", 0, "For temperatures above 0 (1)", 0},
    {"sealed", SEALED, NULL, 0, "MODEL is encrypted: decrypt it into sealed memory", 0},
    {"home", HOME, "DIR", 0, "Of the keys and the log (as lethe finds it)", 0},
    {"verify", VERIFY, "MODE", 0, "full or fast; signature alone is refused", 0},
    {"verify-every", VERIFY_EVERY, "WHAT", 0, "request, or token (request)", 0},
    {0},
};

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && *out >= least && *out <= most;
}

static bool parse_mode(const char *text, enum lethe_verify_mode *out)
{
    for (*out = LETHE_VERIFY_FULL; *out <= LETHE_VERIFY_SIGNATURE; ++*out)
        if (strcmp(text, lethe_verify_mode_name(*out)) == 0)
            return true;
    return false;
}

static bool parse_value(int key, const char *value, struct options *out)
{
    uint64_t number = 0;
    char *end;
    switch (key) {
    case 'n':
    case 'c':
        if (!parse_number(value, 1, 1 << 20, &number))
            return false;
        *(key == 'n' ? &out->answer : &out->context) = (uint32_t)number;
        return true;
    case 't':
        out->temperature = strtof(value, &end);
        return end != value && *end == '\0' && out->temperature >= 0;
    case 's':
        return parse_number(value, 0, UINT64_MAX, &out->seed);
    case VERIFY:
        return parse_mode(value, &out->store.verify);
    default: /* VERIFY_EVERY */
        out->verifies_tokens = strcmp(value, "token") == 0;
        return out->verifies_tokens || strcmp(value, "request") == 0;
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct options *out = state->input;
    if (key == 'i')
        out->takes_ids = true;
    else if (key == SEALED)
        out->store.sealed = true;
    else if (key == HOME)
        out->store.home = value;
    else if (key == ARGP_KEY_ARG && state->arg_num == 0)
        out->store.model = value;
    else if (key == ARGP_KEY_ARG || key == ARGP_KEY_NO_ARGS)
        argp_usage(state);
    else if (value == NULL)
        return ARGP_ERR_UNKNOWN;
    else if (!parse_value(key, value, out))
        argp_error(state, "'%s' is not what the option takes", value);
    return 0;
}

void options_parse(int argc, char **argv, struct options *out)
{
    static const char about[] = "Answers the prompts of standard input, one a line: with token "
                                "ids, and with what they say.";
    const struct argp table = {rows, parse_option, "MODEL", about, NULL, NULL, NULL};
    *out = (struct options){.answer = 16, .context = 512, .seed = 1};
    argp_err_exit_status = lethe_result_exit_code(LETHE_INVALID);
    argp_parse(&table, argc, argv, 0, NULL, out);
}
