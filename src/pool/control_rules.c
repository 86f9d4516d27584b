#include "pool/control_rules.h"

#include <fcntl.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

#define POLICY_MAX ((size_t)1 << 20)
#define DATA_MAX ((size_t)64 << 20)
#define DECISION_STEPS 1000000u
#define DECISION_BYTES ((size_t)16 << 20)
#define DECISION_MS 250u

static lethe_result read_file(const char *path, size_t max_bytes, struct buffer *out,
                              struct lethe_error *err)
{
    TRY(file_read_all(AT_FDCWD, path, max_bytes, out, err));
    return buffer_result(out, err);
}

static lethe_result prepare(const struct lethe_policy_module *module, const struct buffer *data,
                            struct lethe_policy **out, struct lethe_error *err)
{
    const struct lethe_policy_options options = {.modules = module,
                                                 .module_count = 1,
                                                 .data = data->bytes,
                                                 .data_size_bytes = data->size_bytes,
                                                 .limits = {.steps = DECISION_STEPS,
                                                            .memory_bytes = DECISION_BYTES,
                                                            .time_ms = DECISION_MS}};
    return lethe_policy_prepare(&options, out, err);
}

lethe_result control_rules_load(const struct control_rules *rules, struct lethe_policy **out,
                                struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0}, data = {0};
    struct lethe_policy_module module = {.name = "pool.rego",
                                         .text = (const char *)builtin_pool_policy,
                                         .size_bytes = builtin_pool_policy_bytes};
    *out = NULL;
    if (rules->policy != NULL) {
        TRY(read_file(rules->policy, POLICY_MAX, &text, err));
        module = (struct lethe_policy_module){rules->policy, text.bytes == NULL ? "" : text.bytes,
                                              text.size_bytes};
    }
    if (rules->data != NULL)
        TRY(error_context(err, read_file(rules->data, DATA_MAX, &data, err), "the pool's data"));
    return prepare(&module, &data, out, err);
}
