/* cli/key_remote.h -- the commands about keys, for keys that a service keeps. */
#ifndef CLI_KEY_REMOTE_H
#define CLI_KEY_REMOTE_H

#include "kms/client.h"

LETHE_MUST_CHECK lethe_result key_remote_list(struct kms_client *client, bool json,
                                              struct lethe_error *err);
/* LETHE_EXISTS. */
LETHE_MUST_CHECK lethe_result key_remote_create(struct kms_client *client, const char *name,
                                                struct lethe_error *err);
LETHE_MUST_CHECK lethe_result key_remote_rotate(struct kms_client *client, const char *name,
                                                uint64_t *version, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result key_remote_schedule(struct kms_client *client, const char *name,
                                                  uint64_t every_s, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result key_remote_revoke(struct kms_client *client, const char *name,
                                                const char *reason, uint64_t *through,
                                                struct lethe_error *err);
/* Raises it first, unless `raise_to` is 0. */
LETHE_MUST_CHECK lethe_result key_remote_minimum(struct kms_client *client, const char *model,
                                                 uint64_t raise_to, uint64_t *minimum,
                                                 struct lethe_error *err);
/* Appends PEM of the newest version. */
LETHE_MUST_CHECK lethe_result key_remote_public(struct kms_client *client, const char *name,
                                                struct buffer *out, struct lethe_error *err);

#endif
