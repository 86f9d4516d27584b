#include "cli/common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/thread.h"
#include "cli/kms_options.h"

lethe_result common_passphrase_fd(const struct invocation *invocation, int *out,
                                  struct lethe_error *err)
{
    int64_t fd;
    TRY(option_number(invocation, "passphrase-fd", 0, 1024, -1, &fd, err));
    *out = (int)fd;
    return LETHE_OK;
}

bool common_is_v0(const struct invocation *invocation)
{
    return option_given(invocation, "v0") || option_given(invocation, "v0-compatible");
}

lethe_result common_threads(const struct invocation *invocation, unsigned *out,
                            struct lethe_error *err)
{
    int64_t threads;
    TRY(option_number(invocation, "threads", 1, THREADS_MAX + 1, 0, &threads, err));
    *out = (unsigned)threads;
    return LETHE_OK;
}

void common_report_settled(const struct home *home)
{
    size_t runs = home->settled_runs;
    if (runs > 0)
        fprintf(stderr,
                "lethe: %zu earlier run%s ended without a supervisor; see lethe audit show\n", runs,
                runs == 1 ? "" : "s");
}

lethe_result common_open_home(const struct invocation *invocation, struct home **out,
                              struct lethe_error *err)
{
    int passphrase_fd;
    *out = NULL;
    TRY(common_passphrase_fd(invocation, &passphrase_fd, err));
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(home_open(NULL, passphrase_fd, &home, err));
    if (kms_options_known(invocation)) {
        struct kms_settings settings = home->configuration.kms;
        TRY(kms_options_read(invocation, &settings, err));
        TRY(home_connect(home, &settings, err));
    }
    common_report_settled(home);
    *out = MOVE(home);
    return LETHE_OK;
}

lethe_result common_check_signature(struct home *home, struct model *model, struct lethe_error *err)
{
    return model_check_own_signature(model, home_keys(home), false, err);
}

void common_digest_text(const uint8_t digest[32], char out[COMMON_DIGEST_SIZE])
{
    char hex[2 * 32 + 1];
    hex_encode(digest, 32, hex);
    snprintf(out, COMMON_DIGEST_SIZE, "sha256:%s", hex);
}

/* Pipes are fine here, unlike in a home or a model: whoever names one has something to say by it.
 */
lethe_result common_read_text(const char *path, size_t max_bytes, struct buffer *out,
                              struct lethe_error *err)
{
    struct stat status;
    if (strcmp(path, "-") == 0)
        return file_read_to_end(STDIN_FILENO, "standard input", max_bytes, out, err);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s", path);
    if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
        return error_set(err, LETHE_INVALID, "%s is neither a file nor a pipe", path);
    return file_read_to_end(fd, path, max_bytes, out, err);
}

void common_report_new_root(struct home *home, const struct key_outcome *outcome)
{
    const struct root_spec *root = keeper_root(home->keeper);
    if (outcome->new_root_key)
        fprintf(stderr,
                "lethe: the root key in %s is another one now: a copy of that file made before no "
                "longer opens this home. Make a new copy, and destroy the old one\n",
                root->where);
}

lethe_result common_write_text(const char *path, const struct buffer *text, mode_t mode,
                               struct lethe_error *err)
{
    if (path != NULL && strcmp(path, "-") != 0)
        return file_write_atomic(AT_FDCWD, path, text->bytes, text->size_bytes, mode, false, err);
    fwrite(text->bytes, 1, text->size_bytes, stdout);
    return LETHE_OK;
}

lethe_result common_print_keys(json_t *rows, struct lethe_error *err)
{
    CLEANUP(json_decref)
    json_t *all = json_pack("{s:s, s:O}", "format", "lethe-keys/1", "keys", rows);
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (all == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the list of keys");
    TRY(json_canonical(all, &text, err));
    printf("%s\n", text.bytes);
    return LETHE_OK;
}
