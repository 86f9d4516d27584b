/* policy/builtin_runtime.c -- opa.runtime */
#include "policy/builtin.h"

/* Nothing of this process, least of all its environment, unless who evaluates gives it. */
static lethe_result opa_runtime(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    const struct value *runtime = call->world->runtime;
    return builtin_value(call, runtime != NULL ? runtime : &value_empty_object, out);
}

static const struct builtin table[] = {
    {.name = "opa.runtime", .arity = 0, .call = opa_runtime},
};
BUILTIN_FAMILY(runtime, table);
