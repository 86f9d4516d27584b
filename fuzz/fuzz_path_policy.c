/* Whatever path_policy_parse() takes is JSON that a policy's data can hold, with the same rules
 * when it is said again as JSON; what it refuses leaves nothing. */
#include <string.h>

#include "base/json.h"
#include "service/path_policy.h"
#include "service/policies.h"

#include "fuzz.h"

static void check_can(const json_t *rule)
{
    const char *name;
    json_t *value;
    json_t *can = json_object_get(rule, "can");
    FUZZ_PROPERTY(json_is_object(can));
    json_object_foreach(can, name, value) FUZZ_PROPERTY(json_is_true(value));
    FUZZ_PROPERTY(json_object_get(can, "deny") == NULL || json_object_size(can) == 1);
}

static const char *text_of(const json_t *rule, const char *name)
{
    return json_string_value(json_object_get(rule, name));
}

/* Every rule has a rank of its own: the same path twice is one rule. */
static void check_ranked(const json_t *rules)
{
    size_t index, other;
    json_t *rule, *second;
    json_array_foreach((json_t *)rules, index, rule)
    {
        check_can(rule);
        json_array_foreach((json_t *)rules, other, second) FUZZ_PROPERTY(
            index == other || strcmp(text_of(rule, "rank"), text_of(second, "rank")) != 0);
    }
}

/* A star never reaches what is compared as text. */
static void check_no_star(const json_t *policy)
{
    size_t index;
    json_t *rule;
    const char *path;
    json_object_foreach(json_object_get(policy, "exact"), path, rule)
    {
        check_can(rule);
        FUZZ_PROPERTY(strchr(path, '*') == NULL && path[0] != '/');
    }
    json_array_foreach(json_object_get(policy, "prefixes"), index, rule)
        FUZZ_PROPERTY(strchr(text_of(rule, "prefix"), '*') == NULL);
    json_array_foreach(json_object_get(policy, "segments"), index, rule)
    {
        const char *tail = text_of(rule, "tail");
        FUZZ_PROPERTY(tail == NULL || strpbrk(tail, "*/") == NULL);
        FUZZ_PROPERTY(json_array_size(json_object_get(rule, "literals")) <
                      (size_t)json_integer_value(json_object_get(rule, "count")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    CLEANUP(json_decref) json_t *policy = NULL;
    struct lethe_error err = {0};
    if (path_policy_parse((const char *)data, size, &json, &err) != LETHE_OK) {
        FUZZ_PROPERTY(json.size_bytes == 0 && err.text[0] != '\0');
        return 0;
    }
    FUZZ_PROPERTY(json_parse(json.bytes, json.size_bytes, &policy, &err) == LETHE_OK);
    check_no_star(policy);
    check_ranked(json_object_get(policy, "prefixes"));
    check_ranked(json_object_get(policy, "segments"));
    return 0;
}
