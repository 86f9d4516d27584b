#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/release.h"

/* ---- members by a table ---------------------------------------------------------------------- */

enum member_kind { MEMBER_TEXT, MEMBER_NUMBER, MEMBER_OBJECT, MEMBER_ARRAY };
struct member {
    const char *name;
    enum member_kind kind;
    bool optional;
    void *target;
    size_t capacity; /* of a text, its NUL included */
};

static lethe_result refuse(const char *name, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "the request: %s is missing, or not what it should be",
                     name);
}

static lethe_result take_text(const struct json_piece *value, const struct member *member)
{
    size_t length;
    char *out = member->target;
    TRY(json_piece_text(value, out, member->capacity - 1, &length));
    out[length] = '\0';
    return LETHE_OK;
}

static lethe_result take_piece(const struct json_piece *value, const struct member *member)
{
    enum json_piece_kind kind =
        member->kind == MEMBER_OBJECT ? JSON_PIECE_OBJECT : JSON_PIECE_ARRAY;
    *(struct json_piece *)member->target = *value;
    return value->kind == kind ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take(const struct json_piece *value, const struct member *member)
{
    switch (member->kind) {
    case MEMBER_TEXT:
        return take_text(value, member);
    case MEMBER_NUMBER:
        return json_piece_unsigned(value, member->target);
    default:
        return take_piece(value, member);
    }
}

static const struct member *member_named(const struct member *members,
                                         const struct json_piece *name)
{
    for (; members->name != NULL; members++) {
        if (json_piece_is(name, members->name))
            return members;
    }
    return NULL;
}

/* Every member of the object is one of the table's, once; and none of the table's is missing. */
static lethe_result read_members(const struct json_piece *object, const struct member *members,
                                 struct lethe_error *err)
{
    struct json_piece name, value;
    unsigned seen = 0;
    if (object->kind != JSON_PIECE_OBJECT)
        return refuse("an object", err);
    struct json_walk walk = json_walk_over(object);
    while (json_walk_next(&walk, &name, &value) == LETHE_OK) {
        const struct member *member = member_named(members, &name);
        if (member == NULL)
            return error_set(err, LETHE_MALFORMED, "the request has a member that is not known");
        unsigned bit = 1u << (member - members);
        if ((seen & bit) != 0 || take(&value, member) != LETHE_OK)
            return refuse(member->name, err);
        seen |= bit;
    }
    for (size_t i = 0; members[i].name != NULL; i++) {
        if (!members[i].optional && (seen & 1u << i) == 0)
            return refuse(members[i].name, err);
    }
    return LETHE_OK;
}

/* ---- request and shards ---------------------------------------------------------------------- */

static lethe_result count_shards(struct release_request *request, struct lethe_error *err)
{
    struct json_piece name, value;
    struct json_walk walk = json_walk_over(&request->shards);
    request->shard_count = 0;
    while (json_walk_next(&walk, &name, &value) == LETHE_OK)
        request->shard_count++;
    if (request->shard_count > 0 && request->shard_count <= RELEASE_SHARDS_MAX)
        return LETHE_OK;
    return error_set(err, LETHE_MALFORMED, "the request: shards are 1 to %u", RELEASE_SHARDS_MAX);
}

#define TEXT_MEMBER(name, field)                                                                   \
    {                                                                                              \
        name, MEMBER_TEXT, false, (field), sizeof(field)                                           \
    }

lethe_result release_request_read(const char *text, size_t length, struct release_request *out,
                                  struct lethe_error *err)
{
    struct json_piece document;
    *out = (struct release_request){0};
    const struct member members[] = {
        TEXT_MEMBER("principal", out->principal),
        TEXT_MEMBER("operation", out->operation),
        TEXT_MEMBER("model_id", out->model),
        TEXT_MEMBER("tenant", out->tenant),
        TEXT_MEMBER("tier", out->tier),
        TEXT_MEMBER("purpose", out->purpose),
        {"release", MEMBER_NUMBER, false, &out->release, 0},
        {"engine", MEMBER_OBJECT, true, &out->engine, 0},
        {"shards", MEMBER_ARRAY, false, &out->shards, 0},
        {0},
    };
    if (length > RELEASE_REQUEST_MAX)
        return error_set(err, LETHE_MALFORMED, "the request is longer than %zu bytes",
                         RELEASE_REQUEST_MAX);
    TRY(json_scan(text, length, &document, err));
    TRY(read_members(&document, members, err));
    if (out->engine.length > RELEASE_ENGINE_MAX)
        return error_set(err, LETHE_MALFORMED, "the request: engine is longer than %zu bytes",
                         RELEASE_ENGINE_MAX);
    return count_shards(out, err);
}

/* Records name shards by their ids, a list of them in one text: each stands there as it is, once.
 */
static bool is_id(const char *id)
{
    for (const char *at = id; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || *at == ',')
            return false;
    }
    return *id != '\0';
}

lethe_result release_shard_next(struct json_walk *walk, struct release_shard *out,
                                struct lethe_error *err)
{
    char aad[RELEASE_AAD_MAX / 3 * 4 + 8];
    struct json_piece name, value;
    const struct member members[] = {
        TEXT_MEMBER("id", out->id),
        TEXT_MEMBER("wrapped", out->wrapped),
        TEXT_MEMBER("aad", aad),
        {0},
    };
    lethe_result result = json_walk_next(walk, &name, &value);
    if (result != LETHE_OK)
        return result;
    TRY(read_members(&value, members, err));
    if (!is_id(out->id))
        return refuse("id", err);
    if (base64_decode(aad, strlen(aad), out->aad, sizeof out->aad, &out->aad_bytes) != LETHE_OK)
        return refuse("aad", err);
    return LETHE_OK;
}
