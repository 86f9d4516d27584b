/* kms/backup_core.h -- the chunks of a backup, for backup.c and backup_restore.c. */
#ifndef KMS_BACKUP_CORE_H
#define KMS_BACKUP_CORE_H

#include "base/cursor.h"
#include "crypto/aead.h"
#include "kms/backup.h"
#include "mem/guarded.h"

#define BACKUP_MAGIC "lethe-backup/1\n"
#define BACKUP_MAGIC_BYTES (sizeof BACKUP_MAGIC - 1)
#define BACKUP_SALT_BYTES 16u
#define BACKUP_HEADER_BYTES (BACKUP_MAGIC_BYTES + BACKUP_SALT_BYTES + 3)
#define BACKUP_CHUNK_MAX ((size_t)64 << 10) /* of plaintext */
#define BACKUP_NAME "the backup"            /* in errors about the file */

struct backup_chunks {
    int fd;
    uint64_t offset; /* of what is read next */
    struct aead_key *key;
    uint8_t header[BACKUP_HEADER_BYTES];
    uint64_t index;
    bool ended; /* the chunk that was read is the last */
    struct guarded plain;
    struct buffer sealed;
};
void backup_chunks_clear(struct backup_chunks *chunks);
static inline void backup_chunks_clear_at_scope_end(struct backup_chunks *chunks)
{
    backup_chunks_clear(chunks);
}

/* Derives the key from passphrase and header. LETHE_INTEGRITY for a cost that nobody here sets. */
LETHE_MUST_CHECK lethe_result backup_chunks_key(struct backup_chunks *chunks,
                                                const struct lethe_secret *passphrase,
                                                struct lethe_error *err);
/* Writes chunks->plain as one chunk, and empties it. */
LETHE_MUST_CHECK lethe_result backup_chunk_write(struct backup_chunks *chunks, bool last,
                                                 struct lethe_error *err);
/* Reads the next chunk into chunks->plain. */
LETHE_MUST_CHECK lethe_result backup_chunk_read(struct backup_chunks *chunks,
                                                struct lethe_error *err);
/* Rows that belong to the log of the home that they are in. */
bool backup_leaves_out(const char *path);

#endif
