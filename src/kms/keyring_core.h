/* kms/keyring_core.h -- what keyring.c (names, reading) and keyring_change.c (writing) share, and
 * who takes whole keys out and in (engine_backup.c). */
#ifndef KMS_KEYRING_CORE_H
#define KMS_KEYRING_CORE_H

#include "kms/key_rows.h"

#define KEYRING_PREFIX "keys/"
#define KEYRING_PATH_MAX (sizeof KEYRING_PREFIX + KEY_NAME_MAX + 24)

void keyring_key_path(const char *name, char out[KEYRING_PATH_MAX]);
void keyring_version_path(const char *name, uint64_t version, char out[KEYRING_PATH_MAX]);

/* LETHE_INTEGRITY. */
lethe_result keyring_damaged(const char *name, struct lethe_error *err);
/* LETHE_REVOKED. */
lethe_result keyring_refuse_destroyed(const char *name, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keyring_read_key(struct store *store, const char *name,
                                               struct key_row *out, struct lethe_error *err);
/* *row keeps what *out borrows from. */
LETHE_MUST_CHECK lethe_result keyring_read_version(struct store *store, const char *name,
                                                   uint64_t version, struct lethe_secret **row,
                                                   struct version_row *out,
                                                   struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keyring_write_key(struct store *store, const char *name,
                                                const struct key_row *key, struct lethe_error *err);
/* Over what row->written says; 0: over nothing. */
LETHE_MUST_CHECK lethe_result keyring_write_version(struct store *store, const char *name,
                                                    uint64_t version, const struct version_row *row,
                                                    struct lethe_error *err);
/* Deletes versions from `first` up to, and without, `end`. */
LETHE_MUST_CHECK lethe_result keyring_drop_versions(struct store *store, const char *name,
                                                    uint64_t first, uint64_t end,
                                                    struct lethe_error *err);
/* Whether a key of this name may be of this type. LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result keyring_check_type(const char *name, enum engine_type type,
                                                 struct lethe_error *err);
/* The oldest version that is there. */
static inline uint64_t keyring_oldest(const struct key_row *key)
{
    return key->min_available > 0 ? key->min_available : 1;
}

#endif
