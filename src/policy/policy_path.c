#include "policy/policy.h"

#include <string.h>

#include "policy/lex.h"

/* Of the JSON string that `text` begins with, quotes included; 0: none. */
static size_t string_length(const char *text)
{
    if (text[0] != '"')
        return 0;
    for (size_t i = 1; text[i] != '\0'; i++) {
        if (text[i] == '"')
            return i + 1;
        if (text[i] == '\\' && text[++i] == '\0')
            return 0;
    }
    return 0;
}

/* `.name`. */
static lethe_result take_name(struct arena *arena, const char **text, const struct value **out)
{
    size_t length = lex_name_length(*text + 1, strlen(*text + 1));
    if (length == 0)
        return LETHE_INVALID;
    *out = value_string(arena, *text + 1, length);
    *text += 1 + length;
    return arena_result(arena, NULL);
}

/* `["any text"]`. */
static lethe_result take_bracket(struct arena *arena, const char **text, const struct value **out)
{
    size_t length = string_length(*text + 1);
    if (length == 0 || (*text)[1 + length] != ']')
        return LETHE_INVALID;
    if (value_parse_json(arena, *text + 1, length, out, NULL) != LETHE_OK)
        return arena->failure != LETHE_OK ? arena->failure : LETHE_INVALID;
    *text += 1 + length + 1;
    return LETHE_OK;
}

lethe_result policy_path_parse(struct arena *arena, const char *text, struct policy_path *out)
{
    out->count = 0;
    if (strncmp(text, "data", 4) != 0)
        return LETHE_INVALID;
    text += 4;
    while (*text != '\0') {
        if (out->count == POLICY_PATH_MAX || (*text != '.' && *text != '['))
            return LETHE_INVALID;
        TRY((*text == '.' ? take_name : take_bracket)(arena, &text, &out->keys[out->count]));
        out->count++;
    }
    return out->count > 0 ? LETHE_OK : LETHE_INVALID;
}

bool policy_path_is_rule(const struct plan *plan, const struct policy_path *path)
{
    const struct plan_node *node = plan->root;
    for (size_t i = 0; i < path->count; i++) {
        node = plan_child(node, path->keys[i]);
        if (node == NULL)
            return false;
        if (node->rules != NULL)
            return node->rules->argument_count == 0;
    }
    return false;
}
