/* lethe kms check-config: what is in force, and what is doubtful. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/common_kms.h"

/* A number that no file can say stands for one that is worked out when it is used. */
static bool is_worked_out(const struct conf_row *row,
                          const struct serve_configuration *configuration)
{
    bool is_number = row->type <= CONF_COUNT;
    uint64_t value = 0;
    if (is_number)
        memcpy(&value, (const char *)configuration + row->offset, sizeof value);
    return is_number && value < row->min && !(row->has_off && value == row->off);
}

static void print_settings(const struct serve_configuration *configuration)
{
    const char *section = "";
    for (size_t i = 0; i < serve_configuration_table.count; i++) {
        const struct conf_row *row = &serve_configuration_table.rows[i];
        CLEANUP(buffer_clear) struct buffer value = {0};
        conf_row_text(row, configuration, &value);
        if (buffer_result(&value, NULL) != LETHE_OK || value.size_bytes == 0)
            continue;
        if (section != row->section)
            printf("%s[%s]\n", section[0] == '\0' ? "" : "\n", row->section);
        section = row->section;
        if (is_worked_out(row, configuration)) {
            printf("; %s is worked out from what the host has, unless set\n", row->key);
            continue;
        }
        bool is_default = (configuration->set >> i & 1) == 0;
        printf("%s = %s%s\n", row->key, value.bytes, is_default ? "    ; unless set" : "");
    }
}

static void count_doubt(void *context, bool is_error, const char *text)
{
    int *errors = context;
    *errors += is_error;
    fprintf(stderr, "lethe: %s: %s\n", is_error ? "error" : "warning", text);
}

COMMAND_FUNCTION(kms_check_config)
{
    struct serve_configuration configuration;
    TRY(common_kms_configuration(invocation, &configuration, err));
    print_settings(&configuration);
    fflush(stdout);
    int errors = 0;
    serve_configuration_check(&configuration, count_doubt, &errors);
    invocation->exit_code = errors == 0 ? 0 : 1;
    return LETHE_OK;
}
