/* cli/kms_call.h -- calls of operators: of a service that is named, or by the admin socket of the
 * one on this machine. */
#ifndef CLI_KMS_CALL_H
#define CLI_KMS_CALL_H

#include "cli/command.h"
#include "home/configuration.h"
#include "kms/client.h"
#include "kms/client_json.h"
#include "service/admin_client.h"

#define KMS_ADMIN_SOCKET "admin.sock" /* in the home's run/ */

struct kms_call {
    struct kms_client *client; /* one of the two */
    struct admin_client *admin;
    struct guarded request; /* what is sent with the next call, and wiped behind it */
    struct guarded answer;
    bool is_proven; /* it is shown something that says who asks */
};
/* By --kms and what goes with it, the environment, lethe.conf, or the home's admin socket. */
LETHE_MUST_CHECK lethe_result kms_call_open(const struct invocation *invocation,
                                            struct kms_call *out, struct lethe_error *err);
void kms_call_close(struct kms_call *call);
static inline void kms_call_close_at_scope_end(struct kms_call *call)
{
    kms_call_close(call);
}

/* What settings say of a service: borrowed. */
void kms_call_client_options(const struct kms_settings *kms, struct kms_client_options *out);

/* `path` is below /v1/, decoded; `query` (encoded) may be NULL. HTTP_GET, POST, DELETE, LIST. The
 * answer, empty for 204, is valid until the next call. Results as kms_client_call(). */
LETHE_MUST_CHECK lethe_result kms_call_do(struct kms_call *call, enum http_method method,
                                          const char *path, const char *query,
                                          struct lethe_error *err);
/* The same, and the answer as JSON. LETHE_MALFORMED: it is none. */
LETHE_MUST_CHECK lethe_result kms_call_ask(struct kms_call *call, enum http_method method,
                                           const char *path, struct json_piece *answer,
                                           struct lethe_error *err);
/* An answer without end. */
LETHE_MUST_CHECK lethe_result kms_call_follow(struct kms_call *call, const char *path,
                                              uint64_t idle_ms, http_piece *piece, void *context,
                                              struct lethe_error *err);

/* ---- in and out ------------------------------------------------------------------------------ */

/* Appends all of a file, or of stdin for "-": perhaps a secret. LETHE_LIMIT beyond HTTP_BODY_MAX.
 */
LETHE_MUST_CHECK lethe_result kms_read_all(const char *path, struct guarded *out,
                                           struct lethe_error *err);
/* To stdout, past the buffers of the C library, in which it would be left behind. */
LETHE_MUST_CHECK lethe_result kms_write_out(const void *bytes, size_t size_bytes,
                                            struct lethe_error *err);
/* What an answer says, for people: "data", or all of it, a line for each member; a list's names one
 * on each line; with `json` as it came. What is no JSON is written as it is. */
LETHE_MUST_CHECK lethe_result kms_print_answer(const struct guarded *answer, bool json,
                                               struct lethe_error *err);
/* Whether kms_write_secret() could make it: asked before a secret is made that nobody gets.
 * LETHE_EXISTS; or what is wrong with the directory that it is to lie in. */
LETHE_MUST_CHECK lethe_result kms_check_output(const char *file, struct lethe_error *err);
/* A text of an answer that is a secret: into a new file of mode 0600, with a line's end behind it.
 */
LETHE_MUST_CHECK lethe_result kms_write_secret(const struct json_piece *answer, const char *path,
                                               const char *file, struct lethe_error *err);
/* Puts every value of an option that may be repeated, as a list. Nothing when it was not given. */
void kms_put_list(struct guarded *request, const char *name, const struct invocation *invocation,
                  const char *option);
/* Puts the value of an option, when it was given. */
void kms_put_option(struct guarded *request, const char *name, const struct invocation *invocation,
                    const char *option);
/* One text of an answer, unescaped and alone. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result kms_print_field(const struct guarded *answer, const char *path,
                                              struct lethe_error *err);

#endif
