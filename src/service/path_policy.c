#include "service/path_policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/validate.h"
#include "service/call.h"
#include "service/policies.h"

/* ---- words ----------------------------------------------------------------------------------- */

struct word {
    const char *text;
    unsigned can;
};
static const struct word capabilities[] = {
    {"create", CAN_CREATE}, {"read", CAN_READ}, {"update", CAN_UPDATE}, {"delete", CAN_DELETE},
    {"list", CAN_LIST},     {"sudo", CAN_SUDO}, {"deny", CAN_DENY},
};
#define CAN_WRITE (CAN_CREATE | CAN_READ | CAN_UPDATE | CAN_DELETE | CAN_LIST)
static const struct word levels[] = {
    {"deny", CAN_DENY},
    {"read", CAN_READ | CAN_LIST},
    {"write", CAN_WRITE},
    {"sudo", CAN_WRITE | CAN_SUDO},
};

static bool find_word(const struct word *words, size_t count, const char *text, size_t length,
                      unsigned *can)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i].text) == length && memcmp(words[i].text, text, length) == 0) {
            *can |= words[i].can;
            return true;
        }
    }
    return false;
}

lethe_result path_rule_allow(struct path_rule *rule, const char *capability, size_t length,
                             struct lethe_error *err)
{
    if (find_word(capabilities, ARRAY_LEN(capabilities), capability, length, &rule->can))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "unknown capability; there are create, read, update, delete, list, sudo and "
                     "deny");
}

lethe_result path_rule_allow_level(struct path_rule *rule, const char *level, size_t length,
                                   struct lethe_error *err)
{
    if (find_word(levels, ARRAY_LEN(levels), level, length, &rule->can))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "unknown level; there are deny, read, write and sudo");
}

lethe_result path_rule_unknown(const char *name, size_t length, struct lethe_error *err)
{
    char shown[64];
    text_sanitise(name, length, shown, sizeof shown);
    return error_set(err, LETHE_INVALID,
                     "'%s' is not enforced here, so it may not be said: a rule has capabilities",
                     shown);
}

/* ---- rules ----------------------------------------------------------------------------------- */

void path_rules_clear(struct path_rules *rules)
{
    free(rules->items);
    *rules = (struct path_rules){0};
}

static bool has_control(const char *path, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return true;
    }
    return false;
}

/* A star elsewhere would be a plain letter, and a template never filled in: such a rule, a refusal
 * among them, would silently be about nothing. */
static lethe_result check_path(const char *path, size_t length, struct lethe_error *err)
{
    const char *star = memchr(path, '*', length);
    if (length > PATH_RULE_MAX)
        return error_set(err, LETHE_INVALID, "a path of more than %u bytes", PATH_RULE_MAX);
    if (has_control(path, length))
        return error_set(err, LETHE_INVALID, "a control character in a path");
    if (star != NULL && star != path + length - 1)
        return error_set(err, LETHE_INVALID,
                         "'*' stands only at the end of a path; '+' is any one segment");
    if (memmem(path, length, "+*", 2) != NULL)
        return error_set(err, LETHE_INVALID, "'+*' in a path; '*' covers any number of segments");
    if (memmem(path, length, "{{", 2) != NULL)
        return error_set(err, LETHE_INVALID, "templates in paths are not supported");
    return LETHE_OK;
}

static lethe_result make_room(struct path_rules *rules, struct lethe_error *err)
{
    if (rules->count == PATH_RULES_MAX)
        return error_set(err, LETHE_INVALID, "more than %u paths in one policy", PATH_RULES_MAX);
    if (rules->count < rules->capacity)
        return LETHE_OK;
    size_t capacity = 2 * rules->capacity + 8;
    struct path_rule *grown = reallocarray(rules->items, capacity, sizeof *grown);
    if (grown == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the rules of a policy");
    rules->items = grown;
    rules->capacity = capacity;
    return LETHE_OK;
}

lethe_result path_rules_at(struct path_rules *rules, const char *path, size_t length,
                           struct path_rule **out, struct lethe_error *err)
{
    for (; length > 0 && *path == '/'; length--)
        path++;
    TRY(check_path(path, length, err));
    for (size_t i = 0; i < rules->count; i++) {
        *out = &rules->items[i];
        if (strlen((*out)->path) == length && memcmp((*out)->path, path, length) == 0)
            return LETHE_OK;
    }
    TRY(make_room(rules, err));
    *out = &rules->items[rules->count++];
    **out = (struct path_rule){0};
    memcpy((*out)->path, path, length);
    return LETHE_OK;
}

/* ---- JSON out -------------------------------------------------------------------------------- */

struct segment {
    const char *text;
    size_t length;
};
static struct segment next_segment(const char **at)
{
    size_t length = strcspn(*at, "/");
    struct segment segment = {*at, length};
    *at += length + ((*at)[length] == '/');
    return segment;
}

static bool is_any(struct segment segment)
{
    return segment.length == 1 && segment.text[0] == '+';
}

/* Whether another segment follows: "a/" has two, the second of them empty. */
static bool is_last(const char *path, struct segment segment)
{
    return segment.text + segment.length == path + strlen(path);
}

struct shape {
    size_t length, segments, any; /* any: segments that are "+" */
    size_t first_wildcard;        /* where; the length when there is none */
    bool is_prefix;
};
static struct shape shape_of(const char *path)
{
    struct shape shape = {.length = strlen(path), .first_wildcard = strlen(path)};
    const char *at = path;
    struct segment segment;
    do {
        segment = next_segment(&at);
        if (is_any(segment) && shape.any++ == 0)
            shape.first_wildcard = (size_t)(segment.text - path);
        shape.segments++;
    } while (!is_last(path, segment));
    shape.is_prefix = shape.length > 0 && path[shape.length - 1] == '*';
    if (shape.is_prefix && shape.any == 0)
        shape.first_wildcard = shape.length - 1;
    return shape;
}

/* Vault's order of what is more specific: the first wildcard later, no star at the end, fewer
 * segments that may be any, longer, greater as a text. */
static void put_rank(struct buffer *out, const char *path, const struct shape *shape)
{
    char rank[32];
    snprintf(rank, sizeof rank, "%04zu%c%04zu%04zu", shape->first_wildcard,
             shape->is_prefix ? '0' : '1', PATH_RULE_MAX + 1 - shape->any, shape->length);
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, rank);
    buffer_text(&text, path);
    buffer_text(out, "\"rank\":");
    if (text.failure == LETHE_OK)
        json_append_string(out, text.bytes, text.size_bytes);
    else
        out->failure = text.failure;
}

static void put_can(struct buffer *out, unsigned can)
{
    const char *comma = "";
    /* Whatever else is said of the path. */
    if (can & CAN_DENY)
        can = CAN_DENY;
    buffer_text(out, "\"can\":{");
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
        if ((can & capabilities[i].can) == 0)
            continue;
        buffer_format(out, "%s\"%s\":true", comma, capabilities[i].text);
        comma = ",";
    }
    buffer_text(out, "}");
}

static void put_exact(struct buffer *out, const struct path_rule *rule, const struct shape *shape)
{
    json_append_string(out, rule->path, shape->length);
    buffer_text(out, ":{");
    put_can(out, rule->can);
    buffer_text(out, "}");
}

static void put_prefix(struct buffer *out, const struct path_rule *rule, const struct shape *shape)
{
    buffer_text(out, "{\"prefix\":");
    json_append_string(out, rule->path, shape->length - 1);
    buffer_text(out, ",");
    put_rank(out, rule->path, shape);
    buffer_text(out, ",");
    put_can(out, rule->can);
    buffer_text(out, "}");
}

/* {"count": n, "literals": [[index, text], ...]}, and with a star at the end {"tail": text}: how
 * segment count - 1 begins. */
static void put_segments(struct buffer *out, const struct path_rule *rule,
                         const struct shape *shape)
{
    const char *at = rule->path;
    const char *comma = "";
    buffer_format(out, "{\"count\":%zu,\"literals\":[", shape->segments);
    for (size_t i = 0; i + shape->is_prefix < shape->segments; i++) {
        struct segment segment = next_segment(&at);
        if (is_any(segment))
            continue;
        buffer_format(out, "%s[%zu,", comma, i);
        json_append_string(out, segment.text, segment.length);
        buffer_text(out, "]");
        comma = ",";
    }
    buffer_text(out, "],");
    if (shape->is_prefix) {
        struct segment tail = next_segment(&at);
        buffer_text(out, "\"tail\":");
        json_append_string(out, tail.text, tail.length - 1);
        buffer_text(out, ",");
    }
    put_rank(out, rule->path, shape);
    buffer_text(out, ",");
    put_can(out, rule->can);
    buffer_text(out, "}");
}

enum kind { EXACT, PREFIX, SEGMENTS, KIND_COUNT };
static const struct {
    const char *open, *close;
    void (*put)(struct buffer *out, const struct path_rule *rule, const struct shape *shape);
} kinds[KIND_COUNT] = {
    [EXACT] = {"{\"exact\":{", "}", put_exact},
    [PREFIX] = {",\"prefixes\":[", "]", put_prefix},
    [SEGMENTS] = {",\"segments\":[", "]}", put_segments},
};

static enum kind kind_of(const struct shape *shape)
{
    if (shape->any > 0)
        return SEGMENTS;
    return shape->is_prefix ? PREFIX : EXACT;
}

static void put_kind(struct buffer *out, const struct path_rules *rules, enum kind kind)
{
    const char *comma = "";
    buffer_text(out, kinds[kind].open);
    for (size_t i = 0; i < rules->count; i++) {
        struct shape shape = shape_of(rules->items[i].path);
        if (kind_of(&shape) != kind)
            continue;
        buffer_text(out, comma);
        kinds[kind].put(out, &rules->items[i], &shape);
        comma = ",";
    }
    buffer_text(out, kinds[kind].close);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool is_json(const char *text, size_t length)
{
    static const char blanks[] = {' ', '\t', '\r', '\n'};
    size_t i = 0;
    while (i < length && memchr(blanks, text[i], sizeof blanks) != NULL)
        i++;
    return i < length && text[i] == '{';
}

lethe_result path_policy_parse(const char *text, size_t length, struct buffer *json,
                               struct lethe_error *err)
{
    CLEANUP(path_rules_clear) struct path_rules rules = {0};
    if (length > PATH_POLICY_BYTES_MAX)
        return error_set(err, LETHE_MALFORMED, "a policy of more than %zu KiB",
                         PATH_POLICY_BYTES_MAX >> 10);
    if (!text_is_utf8(text, length))
        return error_set(err, LETHE_MALFORMED, "the policy is not UTF-8");
    lethe_result result = is_json(text, length) ? path_policy_read_json(text, length, &rules, err)
                                                : path_policy_read_hcl(text, length, &rules, err);
    if (result != LETHE_OK)
        return result == LETHE_INVALID ? LETHE_MALFORMED : result;
    for (enum kind kind = EXACT; kind < KIND_COUNT; kind++)
        put_kind(json, &rules, kind);
    return buffer_result(json, err);
}
