/* policy/builtin_types.c -- what kind a value is of. */
#include "policy/builtin.h"

static lethe_result type_name(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    return builtin_value(call, value_text(call->arena, value_kind_name(operands[0]->kind)), out);
}

#define IS_KINDS(X)                                                                                \
    X(null, NULL)                                                                                  \
    X(boolean, BOOLEAN)                                                                            \
    X(number, NUMBER) X(string, STRING) X(array, ARRAY) X(object, OBJECT) X(set, SET)

#define DEFINE_IS(name, kind_name)                                                                 \
    static lethe_result is_##name(struct builtin_call *call, const struct value *const *operands,  \
                                  const struct value **out)                                        \
    {                                                                                              \
        return builtin_value(call, value_boolean(operands[0]->kind == VALUE_##kind_name), out);    \
    }
IS_KINDS(DEFINE_IS)

static const struct builtin table[] = {{.name = "type_name", .arity = 1, .call = type_name},
#define IS_ROW(kind, kind_name) {.name = "is_" #kind, .arity = 1, .call = is_##kind},
                                       IS_KINDS(IS_ROW)
#undef IS_ROW
};

BUILTIN_FAMILY(types, table);
