/* cli/pool_options.h -- which control plane a command asks, and who asks: by its options, the
 * environment, or [pool] of pool.conf, in this order, each setting for itself. */
#ifndef CLI_POOL_OPTIONS_H
#define CLI_POOL_OPTIONS_H

#include "cli/command.h"
#include "cli/pool_configuration.h"
#include "pool/caller.h"

/* Rows for commands.c. */
/* clang-format off */
#define POOL_CREDENTIAL_OPTIONS                                                                    \
    {"config", 0, "FILE", "settings (default: pool.conf in the home)", false},                     \
    {"ca", 0, "FILE", "whom to believe (PEM)", false},                                             \
    {"certificate", 0, "FILE", "the certificate that says who this is (PEM)", false},              \
    {"key", 0, "FILE", "the certificate's key (PEM, mode 0600)", false}
#define POOL_CLIENT_OPTIONS                                                                        \
    {"control", 0, "HOST:PORT", "where the pool's control plane is", false},                       \
    {"control-id", 0, "SPIFFE", "who it must prove to be", false},                                 \
    POOL_CREDENTIAL_OPTIONS
/* clang-format on */

/* Of --config, else of the home's pool.conf, which need not be there. */
LETHE_MUST_CHECK lethe_result pool_options_configuration(const struct invocation *invocation,
                                                         struct pool_configuration *out,
                                                         struct lethe_error *err);
/* What options and environment say over `settings`. LETHE_INVALID: a text is too long. */
LETHE_MUST_CHECK lethe_result pool_options_credentials(const struct invocation *invocation,
                                                       struct pool_credentials *settings,
                                                       struct lethe_error *err);
/* Both, and nothing missing: LETHE_INVALID with a hint. */
LETHE_MUST_CHECK lethe_result pool_options_client(const struct invocation *invocation,
                                                  struct pool_client_settings *out,
                                                  struct lethe_error *err);
/* Every file is named. LETHE_INVALID with a hint; `section` of pool.conf is for that. */
LETHE_MUST_CHECK lethe_result pool_options_require(const struct pool_credentials *files,
                                                   const char *section, struct lethe_error *err);
/* A context out of the files; a server asks everybody for a certificate. The key is in guarded
 * memory only. LETHE_INVALID: a file is not named; LETHE_UNPROTECTED: others can read the key;
 * LETHE_MALFORMED. */
struct pool_tls {
    const struct pool_credentials *credentials;
    const char *section; /* of pool.conf, for hints */
    bool server;
};
LETHE_MUST_CHECK lethe_result pool_tls_context(const struct pool_tls *wanted,
                                               struct tls_context **out, struct lethe_error *err);
/* Who asks the control plane that options, environment and pool.conf name. */
LETHE_MUST_CHECK lethe_result pool_options_caller(const struct invocation *invocation,
                                                  enum wire_role role, struct caller **out,
                                                  struct lethe_error *err);

#endif
