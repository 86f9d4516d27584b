/* The JSON of Vault's policies: {"path": {"...": {"capabilities": [...]}}}. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/validate.h"
#include "service/path_policy.h"

static lethe_result read_capabilities(const json_t *list, struct path_rule *rule,
                                      struct lethe_error *err)
{
    size_t index;
    json_t *word;
    if (!json_is_array(list))
        return error_set(err, LETHE_INVALID, "capabilities are a list of texts");
    json_array_foreach((json_t *)list, index, word)
    {
        if (!json_is_string(word))
            return error_set(err, LETHE_INVALID, "capabilities are a list of texts");
        TRY(path_rule_allow(rule, json_string_value(word), json_string_length(word), err));
    }
    return LETHE_OK;
}

static lethe_result read_rule(const json_t *body, struct path_rule *rule, struct lethe_error *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(body))
        return error_set(err, LETHE_INVALID, "a rule is an object with capabilities");
    json_object_foreach((json_t *)body, name, value)
    {
        if (strcmp(name, "capabilities") == 0)
            TRY(read_capabilities(value, rule, err));
        else if (strcmp(name, "policy") == 0 && json_is_string(value))
            TRY(path_rule_allow_level(rule, json_string_value(value), json_string_length(value),
                                      err));
        else if (strcmp(name, "comment") != 0)
            return path_rule_unknown(name, strlen(name), err);
    }
    return LETHE_OK;
}

static lethe_result read_paths(const json_t *paths, struct path_rules *out, struct lethe_error *err)
{
    const char *path;
    json_t *body;
    if (!json_is_object(paths))
        return error_set(err, LETHE_INVALID, "\"path\" is an object of rules by path");
    json_object_foreach((json_t *)paths, path, body)
    {
        struct path_rule *rule;
        char shown[64];
        TRY(path_rules_at(out, path, strlen(path), &rule, err));
        text_sanitise(path, strlen(path), shown, sizeof shown);
        TRY(error_context(err, read_rule(body, rule, err), "path \"%s\"", shown));
    }
    return LETHE_OK;
}

lethe_result path_policy_read_json(const char *text, size_t length, struct path_rules *out,
                                   struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *policy = NULL;
    const char *name;
    json_t *value, *paths;
    size_t index;
    TRY(json_parse(text, length, &policy, err));
    json_object_foreach(policy, name, value)
    {
        if (strcmp(name, "name") == 0)
            continue;
        if (strcmp(name, "path") != 0)
            return path_rule_unknown(name, strlen(name), err);
        if (!json_is_array(value)) {
            TRY(read_paths(value, out, err));
            continue;
        }
        json_array_foreach(value, index, paths) TRY(read_paths(paths, out, err));
    }
    return LETHE_OK;
}
