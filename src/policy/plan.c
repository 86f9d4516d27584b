#include "policy/plan.h"

const struct plan_node *plan_child(const struct plan_node *node, const struct value *key)
{
    for (size_t low = 0, high = node->child_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = value_compare(key, node->children[middle]->key);
        if (order == 0)
            return node->children[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
