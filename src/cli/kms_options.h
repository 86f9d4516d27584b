/* cli/kms_options.h -- which key service a command asks: by its options, the environment, or
 * lethe.conf, in this order, each setting for itself. */
#ifndef CLI_KMS_OPTIONS_H
#define CLI_KMS_OPTIONS_H

#include "cli/command.h"
#include "home/configuration.h"

/* Rows for commands.c. Where --key means something else, lethe.conf and the environment name the
 * certificate's key. */
/* clang-format off */
#define KMS_OPTIONS_BUT_KEY                                                                        \
    {"kms", 0, "URL", "keys come from this service: https://HOST:PORT", false},                    \
    {"ca", 0, "FILE", "whom to believe that it is the service (PEM; default: the system's)", false}, \
    {"token-file", 0, "FILE", "the token to show it (mode 0600)", false},                          \
    {"certificate", 0, "FILE", "the certificate that says who this is (PEM)", false}
#define KMS_OPTIONS                                                                                \
    KMS_OPTIONS_BUT_KEY,                                                                           \
    {"key", 0, "FILE", "the certificate's key (PEM, mode 0600)", false}
/* For who opens models: keys are released to machines that have proven what they run. */
#define ATTEST_TPM_OPTIONS                                                                         \
    {"tpm", 0, "TCTI", "tpm2: the way to the TPM (default: device:/dev/tpmrm0)", false},           \
    {"attest-key", 0, "FILE", "tpm2: its attestation key (default: attest.key in the home)", false}
#define ATTEST_DEVICE_OPTIONS                                                                      \
    ATTEST_TPM_OPTIONS,                                                                            \
    {"ima-log", 0, "FILE", "tpm2: what IMA has measured (default: the kernel's)", false},          \
    {"vek", 0, "FILE", "sev-snp: the chip's certificate, where the host gives none", false}
#define ATTEST_OPTIONS                                                                             \
    {"attest", 0, "KIND", "tpm2 or sev-snp: what this machine proves to get keys", false},         \
    ATTEST_DEVICE_OPTIONS
/* clang-format on */

/* Whether the command has these options at all. */
bool kms_options_known(const struct invocation *invocation);
/* `settings` is what lethe.conf says, and becomes what holds. LETHE_INVALID: a text is too long. */
LETHE_MUST_CHECK lethe_result kms_options_read(const struct invocation *invocation,
                                               struct kms_settings *settings,
                                               struct lethe_error *err);

#endif
