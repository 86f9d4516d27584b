#include "policy/compile_state.h"
#include "policy/lex.h"

static bool is_name(const struct value *key)
{
    return value_is(key, VALUE_STRING) && key->count > 0 &&
           lex_name_length(key->string, key->count) == key->count;
}

static void print_key(struct buffer *out, const struct value *key)
{
    if (is_name(key)) {
        buffer_text(out, ".");
        buffer_append(out, key->string, key->count);
    } else {
        buffer_text(out, "[");
        value_print_term(key, out);
        buffer_text(out, "]");
    }
}

const char *tree_path(struct arena *arena, const struct plan_node *node)
{
    const struct value *keys[2 * PATH_PARTS_MAX];
    size_t count = 0;
    for (; node->parent != NULL && count < ARRAY_LEN(keys); node = node->parent)
        keys[count++] = node->key;
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "data");
    while (count > 0)
        print_key(&text, keys[--count]);
    const struct value *value = value_buffer(arena, &text);
    return value == NULL ? "data" : value->string;
}

const struct tree_node *tree_package(const struct compiler *c, const struct term *package)
{
    const struct plan_node *node = &c->root->plan;
    for (size_t i = 1; i < package->parts.count && node != NULL; i++)
        node = plan_child(node, package->parts.items[i]->value);
    return (const struct tree_node *)node;
}
