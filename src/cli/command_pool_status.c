/* lethe pool status: what the control plane knows. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/pool_options.h"
#include "cli/pool_status.h"
#include "pool/caller.h"

static lethe_result check_format(const json_t *status, struct lethe_error *err)
{
    const char *format = json_string_value(json_object_get(status, "format"));
    if (format == NULL || strcmp(format, "lethe-pool-status/1") != 0)
        return error_set(err, LETHE_MALFORMED,
                         "the control plane's status is of another format than "
                         "lethe-pool-status/1");
    return LETHE_OK;
}

static lethe_result form(const struct invocation *invocation, const char *text, size_t size_bytes,
                         struct buffer *out, struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *status = NULL;
    TRY(json_parse(text, size_bytes, &status, err));
    TRY(check_format(status, err));
    if (option_given(invocation, "metrics"))
        return pool_metrics(status, out, err);
    if (!option_given(invocation, "json"))
        return pool_table(status, out, err);
    buffer_append(out, text, size_bytes);
    buffer_text(out, "\n");
    return buffer_result(out, err);
}

COMMAND_FUNCTION(pool_status)
{
    struct caller_reply reply;
    CLEANUP(caller_close) struct caller *caller = NULL;
    CLEANUP(buffer_clear) struct buffer index = {0}, out = {0};
    if (option_given(invocation, "json") && option_given(invocation, "metrics"))
        return error_set(err, LETHE_INVALID, "--json and --metrics are two forms of the same");
    TRY(pool_options_caller(invocation, WIRE_OPERATOR, &caller, err));
    wire_byte_write(0, &index);
    TRY(caller_ask(caller, WIRE_STATUS, &index, &reply, err));
    TRY(form(invocation, (const char *)reply.data.at, cursor_left(&reply.data), &out, err));
    return common_write_text(NULL, &out, 0644, err);
}
