/* kms/backup.h -- everything that a home's store holds, in one file under a passphrase.
 *
 * A backup is a sequence of chunks (AES-256-GCM under a key that scrypt stretches from the
 * passphrase; numbered, and the last one marked), so that none can be changed, moved, left out or
 * cut off. It says at which epoch the store was, and how far the log went. What belongs to the log
 * stays with the log: its key, and how store and log watch each other. It is restored into a home
 * that was just made, whose log is a new one and names what was restored. Format: docs/formats.md,
 * "Backup of a home". Thread rule: as kms/keeper.h. */
#ifndef KMS_BACKUP_H
#define KMS_BACKUP_H

#include "kms/keeper.h"

#define BACKUP_PASSPHRASE_BYTES_MIN 8u

struct backup_options {
    const struct lethe_secret *passphrase;
    unsigned log2_n; /* scrypt's cost; 0: 17, which takes 128 MiB and some tenths of a second */
};

struct backup_info {
    uint64_t epoch;       /* of the store */
    uint64_t made_s;      /* Unix time */
    uint64_t log_records; /* how far the log went, its root, and who signs it */
    uint8_t log_root[32];
    struct audit_key log_key;
    uint64_t rows;
};

/* Writes to `fd` from where it stands; not synced. On record (home_backed_up) before the first
 * byte. A file that a failure left is no backup: its end is missing. LETHE_INVALID: a passphrase
 * that is too short. */
LETHE_MUST_CHECK lethe_result backup_write(struct keeper *keeper,
                                           const struct backup_options *options, int fd,
                                           struct backup_info *out, struct lethe_error *err);
/* Reads all of it, from the start of a regular file, and checks every byte: without a home to put
 * it in, as fuzzing does. LETHE_INTEGRITY: it was changed or cut, or the passphrase is another;
 * LETHE_MALFORMED: it is no backup. */
LETHE_MUST_CHECK lethe_result backup_check(int fd, const struct lethe_secret *passphrase,
                                           struct backup_info *out, struct lethe_error *err);
/* Puts its rows into a home that was just made, in one transaction whose record is home_restored.
 * `least_epoch` is what the log shows that went with the store (struct audit_report, epoch), 0 when
 * there is none: LETHE_DENIED for an older backup, which would bring back what was revoked since.
 * LETHE_EXISTS: the home has keys of its own. All or nothing. */
LETHE_MUST_CHECK lethe_result backup_restore(struct keeper *keeper, int fd,
                                             const struct lethe_secret *passphrase,
                                             uint64_t least_epoch, struct backup_info *out,
                                             struct lethe_error *err);

#endif
