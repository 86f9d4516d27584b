/* home/common.h -- what several commands do the same way. */
#ifndef CLI_COMMON_H
#define CLI_COMMON_H

#include <sys/types.h>

#include "base/json.h"
#include "cli/command.h"
#include "home/home.h"
#include "model/model.h"

/* --passphrase-fd, -1 when it was not given. */
LETHE_MUST_CHECK lethe_result common_passphrase_fd(const struct invocation *invocation, int *out,
                                                   struct lethe_error *err);
/* --threads, 0 when it was not given. */
LETHE_MUST_CHECK lethe_result common_threads(const struct invocation *invocation, unsigned *out,
                                             struct lethe_error *err);
/* Says on stderr what opening the home has tidied up after. */
void common_report_settled(const struct home *home);
LETHE_MUST_CHECK lethe_result common_open_home(const struct invocation *invocation,
                                               struct home **out, struct lethe_error *err);
/* Checks the signature with the home's own signer of the model's tenant. */
LETHE_MUST_CHECK lethe_result common_check_signature(struct home *home, struct model *model,
                                                     struct lethe_error *err);
/* --v0, or --v0-compatible as OPA calls it. */
bool common_is_v0(const struct invocation *invocation);
/* "sha256:<64 hex>", for records. */
#define COMMON_DIGEST_SIZE (sizeof "sha256:" + 64)
void common_digest_text(const uint8_t digest[32], char out[COMMON_DIGEST_SIZE]);
/* Appends the text that a command line names: a file, a pipe, or stdin for "-". Not for secrets. */
LETHE_MUST_CHECK lethe_result common_read_text(const char *path, size_t max_bytes,
                                               struct buffer *out, struct lethe_error *err);
/* Says on stderr that copies of the root file made before open the home no more, if that is so. */
void common_report_new_root(struct home *home, const struct key_outcome *outcome);
/* Text to `path`, or to stdout for NULL and "-"; never over an existing file. */
LETHE_MUST_CHECK lethe_result common_write_text(const char *path, const struct buffer *text,
                                                mode_t mode, struct lethe_error *err);

/* "lethe-keys/1" on stdout: the document of `key list --json`, wherever the keys are. */
LETHE_MUST_CHECK lethe_result common_print_keys(json_t *rows, struct lethe_error *err);

#endif
