#include "cli/kms_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Nothing secret is in any of them: a token and a key are named by their files. */
static const struct {
    const char *option;
    const char *variable;
    size_t offset;
} sources[] = {
    {"kms", "LETHE_KMS_ADDR", offsetof(struct kms_settings, address)},
    {"ca", "LETHE_KMS_CA", offsetof(struct kms_settings, ca)},
    {"token-file", "LETHE_KMS_TOKEN_FILE", offsetof(struct kms_settings, token_file)},
    {"certificate", "LETHE_KMS_CERTIFICATE", offsetof(struct kms_settings, certificate)},
    {"key", "LETHE_KMS_KEY", offsetof(struct kms_settings, key)},
    {"reference", "LETHE_KMS_REFERENCE", offsetof(struct kms_settings, service_reference)},
    {"machine", "LETHE_KMS_MACHINE", offsetof(struct kms_settings, service_machine)},
    {"attest", "LETHE_ATTEST", offsetof(struct kms_settings, attest)},
    {"tpm", "LETHE_TPM", offsetof(struct kms_settings, tpm)},
    {"attest-key", "LETHE_ATTEST_KEY", offsetof(struct kms_settings, attest_key)},
    {"ima-log", "LETHE_IMA_LOG", offsetof(struct kms_settings, ima_log)},
    {"vek", "LETHE_VEK", offsetof(struct kms_settings, vek)},
};

static bool has_option(const struct command *command, const char *name)
{
    const struct option *option = command->options;
    while (option != NULL && option->name != NULL && strcmp(option->name, name) != 0)
        option++;
    return option != NULL && option->name != NULL;
}

bool kms_options_known(const struct invocation *invocation)
{
    return has_option(invocation->command, "kms");
}

/* `verify --key` is the public key of a signer. */
static bool is_ours(const struct invocation *invocation, const char *option)
{
    return strcmp(option, "key") != 0 || strcmp(invocation->command->name, "verify") != 0;
}

lethe_result kms_options_read(const struct invocation *invocation, struct kms_settings *settings,
                              struct lethe_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const char *option = sources[i].option;
        const char *text = NULL;
        if (is_ours(invocation, option) && has_option(invocation->command, option))
            text = option_text(invocation, option);
        if (text == NULL)
            text = getenv(sources[i].variable);
        if (text == NULL || text[0] == '\0')
            continue;
        if (strlen(text) >= CONF_TEXT_SIZE)
            return error_set(err, LETHE_INVALID, "--%s or %s has more than %u characters", option,
                             sources[i].variable, CONF_TEXT_SIZE - 1);
        strcpy((char *)settings + sources[i].offset, text);
    }
    return LETHE_OK;
}
