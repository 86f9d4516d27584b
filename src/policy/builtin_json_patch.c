/* policy/builtin_json_patch.c -- json.patch (RFC 6902)
 *
 * As OPA has it: a path may also be an array of keys of any kind, and lead through sets, whose
 * elements are their own keys. An operation that cannot be done makes the result undefined. */
#include <string.h>

#include "policy/builtin_json.h"

/* A number, or its text without zeros in front; "-" is the index behind the last. */
static bool array_index(const struct value *key, uint32_t count, uint32_t *out)
{
    int64_t index = 0;
    if (value_is_text(key, "-")) {
        *out = count;
        return true;
    }
    if (key->kind == VALUE_NUMBER && !number_to_int64(&key->number, &index))
        return false;
    if (key->kind == VALUE_STRING) {
        if (key->count == 0 || key->count > 9 || (key->count > 1 && key->string[0] == '0') ||
            strspn(key->string, "0123456789") != key->count)
            return false;
        for (uint32_t i = 0; i < key->count; i++)
            index = index * 10 + (key->string[i] - '0');
    }
    bool is_index = key->kind == VALUE_NUMBER || key->kind == VALUE_STRING;
    *out = (uint32_t)index;
    return is_index && index >= 0 && index <= count;
}

static const struct value *child(const struct value *container, const struct value *key)
{
    uint32_t index;
    if (container->kind != VALUE_ARRAY)
        return value_get(container, key);
    if (!array_index(key, container->count, &index) || index == container->count)
        return NULL;
    return container->items[index];
}

/* ---- one container, changed: NULL when it cannot be, or the arena has failed ---- */

/* With `skip` elements from `index` on left out, and `value`, unless NULL, put there. */
static const struct value *splice(struct arena *arena, const struct value *list, uint32_t index,
                                  uint32_t skip, const struct value *value)
{
    struct value_list items = {0};
    bool good = true;
    for (uint32_t i = 0; i < index; i++)
        good = good && value_list_append(arena, &items, list->items[i]);
    if (value != NULL)
        good = good && value_list_append(arena, &items, value);
    for (uint32_t i = index + skip; i < list->count; i++)
        good = good && value_list_append(arena, &items, list->items[i]);
    if (!good)
        return NULL;
    return list->kind == VALUE_SET ? value_set(arena, &items) : value_array(arena, &items);
}

static const struct value *insert(struct arena *arena, const struct value *container,
                                  const struct value *key, const struct value *value)
{
    uint32_t index;
    switch (container->kind) {
    case VALUE_OBJECT:
        return value_with(arena, container, key, value);
    case VALUE_SET:
        return value_equal(key, value) ? splice(arena, container, 0, 0, value) : NULL;
    case VALUE_ARRAY:
        return array_index(key, container->count, &index)
                   ? splice(arena, container, index, 0, value)
                   : NULL;
    default:
        return NULL;
    }
}

static uint32_t set_place(const struct value *set, const struct value *key)
{
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (value_compare(set->items[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The element that is there under the key becomes `value`; NULL: goes. */
static const struct value *replace(struct arena *arena, const struct value *container,
                                   const struct value *key, const struct value *value)
{
    uint32_t index = 0;
    if (child(container, key) == NULL)
        return NULL;
    if (container->kind == VALUE_OBJECT)
        return value != NULL ? value_with(arena, container, key, value)
                             : value_without(arena, container, key);
    if (container->kind == VALUE_SET)
        index = set_place(container, key);
    else if (!array_index(key, container->count, &index))
        return NULL;
    return splice(arena, container, index, 1, value);
}

/* ---- at a path ---- */

struct patching {
    struct builtin_call *call;
    const struct value *document; /* NULL: its root was removed */
};

/* The containers on the way to the last key of a path, the root first. */
struct way {
    const struct value *containers[VALUE_DEPTH_MAX + 1];
    uint32_t count;
};

/* What cannot be done is LETHE_NOT_FOUND until json_patch() makes it undefined. */
static lethe_result find_way(const struct patching *patching, const struct value *path,
                             struct way *way)
{
    const struct value *at = patching->document;
    way->count = 0;
    for (uint32_t i = 0; i < path->count; i++) {
        if (at == NULL || at->depth == 0)
            return LETHE_NOT_FOUND;
        TRY(builtin_spend(patching->call, value_weight(path->items[i])));
        REQUIRE(way->count < ARRAY_LEN(way->containers));
        way->containers[way->count++] = at;
        at = i + 1 < path->count ? child(at, path->items[i]) : NULL;
    }
    return LETHE_OK;
}

static lethe_result get(const struct patching *patching, const struct value *path,
                        const struct value **out)
{
    struct way way;
    *out = patching->document;
    TRY(find_way(patching, path, &way));
    if (way.count > 0)
        *out = child(way.containers[way.count - 1], path->items[way.count - 1]);
    return *out != NULL ? LETHE_OK : LETHE_NOT_FOUND;
}

static lethe_result changed(struct patching *patching, const struct value *value,
                            const struct value **out)
{
    *out = value;
    TRY(arena_result(patching->call->arena, NULL));
    return value != NULL ? LETHE_OK : LETHE_NOT_FOUND;
}

typedef const struct value *(*container_change)(struct arena *arena, const struct value *container,
                                                const struct value *key, const struct value *value);

/* Changes the innermost container, and puts each where its former self was. */
static lethe_result change(struct patching *patching, const struct value *path,
                           container_change how, const struct value *value)
{
    struct arena *arena = patching->call->arena;
    struct way way;
    TRY(find_way(patching, path, &way));
    const struct value *now = value;
    for (uint32_t i = way.count; i-- > 0;) {
        TRY(builtin_spend(patching->call, 1 + way.containers[i]->count / 8));
        TRY(changed(patching, how(arena, way.containers[i], path->items[i], now), &now));
        how = replace;
    }
    patching->document = now;
    return LETHE_OK;
}

static lethe_result remove_at(struct patching *patching, const struct value *path)
{
    if (patching->document == NULL)
        return LETHE_NOT_FOUND;
    return change(patching, path, replace, NULL);
}

/* ---- operations ---- */

struct operation {
    const struct value *path, *from; /* arrays of keys */
    const struct value *value;
};

static lethe_result op_add(struct patching *patching, const struct operation *operation)
{
    return change(patching, operation->path, insert, operation->value);
}

static lethe_result op_remove(struct patching *patching, const struct operation *operation)
{
    return remove_at(patching, operation->path);
}

static lethe_result op_replace(struct patching *patching, const struct operation *operation)
{
    TRY(remove_at(patching, operation->path));
    return op_add(patching, operation);
}

static lethe_result op_copy(struct patching *patching, const struct operation *operation)
{
    const struct value *value;
    TRY(get(patching, operation->from, &value));
    return change(patching, operation->path, insert, value);
}

static lethe_result op_move(struct patching *patching, const struct operation *operation)
{
    const struct value *value;
    TRY(get(patching, operation->from, &value));
    TRY(remove_at(patching, operation->from));
    return change(patching, operation->path, insert, value);
}

static lethe_result op_test(struct patching *patching, const struct operation *operation)
{
    const struct value *value;
    TRY(get(patching, operation->path, &value));
    TRY(builtin_spend(patching->call, value_weight(operation->value)));
    return value_equal(value, operation->value) ? LETHE_OK : LETHE_NOT_FOUND;
}

static const struct {
    const char *name;
    bool has_from, has_value;
    lethe_result (*apply)(struct patching *patching, const struct operation *operation);
} operations[] = {
    {"add", false, true, op_add},         {"remove", false, false, op_remove},
    {"replace", false, true, op_replace}, {"move", true, false, op_move},
    {"copy", true, false, op_copy},       {"test", false, true, op_test},
};

static lethe_result path_member(struct builtin_call *call, const struct value *object,
                                const char *name, const struct value **out)
{
    const struct value *path = value_get_text(object, name);
    if (path == NULL)
        return LETHE_NOT_FOUND;
    TRY(json_path(call, path, out));
    return *out != NULL ? LETHE_OK : LETHE_NOT_FOUND;
}

static lethe_result apply(struct patching *patching, const struct value *object)
{
    const struct value *name = value_get_text(object, "op");
    struct operation operation = {.value = value_get_text(object, "value")};
    for (size_t i = 0; name != NULL && i < ARRAY_LEN(operations); i++) {
        if (!value_is_text(name, operations[i].name))
            continue;
        TRY(path_member(patching->call, object, "path", &operation.path));
        if (operations[i].has_from)
            TRY(path_member(patching->call, object, "from", &operation.from));
        if (operations[i].has_value && operation.value == NULL)
            return LETHE_NOT_FOUND;
        return operations[i].apply(patching, &operation);
    }
    return LETHE_NOT_FOUND;
}

lethe_result json_patch(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    struct patching patching = {.call = call, .document = operands[0]};
    for (uint32_t i = 0; i < operands[1]->count; i++) {
        TRY(builtin_spend(call, 1));
        lethe_result result = apply(&patching, operands[1]->items[i]);
        if (result == LETHE_NOT_FOUND)
            return builtin_undefined(out);
        TRY(result);
    }
    *out = patching.document;
    return LETHE_OK;
}
