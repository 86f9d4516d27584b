#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "crypto/hash.h"
#include "kms/backup_core.h"

#define COST_LOG2_N_MAX 20u
#define COST_RP_MAX 16u

void backup_chunks_clear(struct backup_chunks *chunks)
{
    aead_key_free(MOVE(chunks->key));
    guarded_clear(&chunks->plain);
    buffer_clear(&chunks->sealed);
}

lethe_result backup_chunks_key(struct backup_chunks *chunks, const struct lethe_secret *passphrase,
                               struct lethe_error *err)
{
    const uint8_t *salt = chunks->header + BACKUP_MAGIC_BYTES;
    const uint8_t *cost = salt + BACKUP_SALT_BYTES;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    if (cost[0] > COST_LOG2_N_MAX || cost[1] > COST_RP_MAX || cost[2] > COST_RP_MAX)
        return error_set(err, LETHE_INTEGRITY, "%s asks for more work than any has", BACKUP_NAME);
    const struct scrypt_input input = {
        .passphrase = passphrase,
        .salt = salt,
        .salt_bytes = BACKUP_SALT_BYTES,
        .log2_n = cost[0],
        .r = cost[1],
        .p = cost[2],
    };
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &key, err));
    lethe_result result = scrypt(&input, key, err);
    if (result == LETHE_INVALID)
        return error_set(err, LETHE_INTEGRITY, "%s has a cost that none has", BACKUP_NAME);
    TRY(result);
    return aead_key_create(lethe_secret_bytes_const(key), AEAD_KEY_BYTES, AEAD_BACKEND_BEST,
                           &chunks->key, err);
}

/* The key is of this backup alone, and the number of a chunk does not come twice. */
static void nonce_of(uint64_t index, bool last, uint8_t out[AEAD_NONCE_BYTES])
{
    const uint64_t number = htole64(index);
    const uint32_t mark = htole32(last ? 1 : 0);
    memcpy(out, &number, sizeof number);
    memcpy(out + sizeof number, &mark, sizeof mark);
}

lethe_result backup_chunk_write(struct backup_chunks *chunks, bool last, struct lethe_error *err)
{
    struct guarded *plain = &chunks->plain;
    uint8_t nonce[AEAD_NONCE_BYTES];
    TRY(guarded_result(plain, err));
    REQUIRE(plain->size_bytes <= BACKUP_CHUNK_MAX);
    const uint32_t size = htole32((uint32_t)plain->size_bytes);
    buffer_truncate(&chunks->sealed, 0);
    buffer_append(&chunks->sealed, &size, sizeof size);
    char *room = buffer_extend(&chunks->sealed, plain->size_bytes + AEAD_TAG_BYTES);
    TRY(buffer_result(&chunks->sealed, err));
    nonce_of(chunks->index++, last, nonce);
    const struct aead_message message = {
        .nonce = nonce,
        .aad = chunks->header,
        .aad_bytes = sizeof chunks->header,
        .in = plain->bytes,
        .out = room,
        .size_bytes = plain->size_bytes,
    };
    lethe_result result = aead_seal(chunks->key, &message, (uint8_t *)room + plain->size_bytes);
    if (result != LETHE_OK)
        return error_set(err, result, "sealing a backup");
    guarded_wipe(plain);
    return file_write(chunks->fd, BACKUP_NAME, chunks->sealed.bytes, chunks->sealed.size_bytes,
                      err);
}

static lethe_result read_sealed(struct backup_chunks *chunks, size_t *size_bytes,
                                struct lethe_error *err)
{
    uint32_t size;
    TRY(file_read_at(chunks->fd, BACKUP_NAME, chunks->offset, &size, sizeof size, err));
    size = le32toh(size);
    if (size > BACKUP_CHUNK_MAX)
        return error_set(err, LETHE_INTEGRITY, "%s was changed", BACKUP_NAME);
    buffer_truncate(&chunks->sealed, 0);
    char *room = buffer_extend(&chunks->sealed, size + AEAD_TAG_BYTES);
    TRY(buffer_result(&chunks->sealed, err));
    TRY(file_read_at(chunks->fd, BACKUP_NAME, chunks->offset + sizeof size, room,
                     size + AEAD_TAG_BYTES, err));
    chunks->offset += sizeof size + size + AEAD_TAG_BYTES;
    *size_bytes = size;
    return LETHE_OK;
}

static lethe_result open_sealed(struct backup_chunks *chunks, size_t size_bytes, bool last,
                                struct lethe_error *err)
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    guarded_wipe(&chunks->plain);
    uint8_t *room = guarded_extend(&chunks->plain, size_bytes);
    TRY(guarded_result(&chunks->plain, err));
    nonce_of(chunks->index, last, nonce);
    const struct aead_message message = {
        .nonce = nonce,
        .aad = chunks->header,
        .aad_bytes = sizeof chunks->header,
        .in = chunks->sealed.bytes,
        .out = room,
        .size_bytes = size_bytes,
    };
    return aead_open(chunks->key, &message, (const uint8_t *)chunks->sealed.bytes + size_bytes);
}

/* Which chunk is the last is not believed to the file's length: it opens as one or the other. */
lethe_result backup_chunk_read(struct backup_chunks *chunks, struct lethe_error *err)
{
    size_t size_bytes = 0;
    TRY(read_sealed(chunks, &size_bytes, err));
    lethe_result result = open_sealed(chunks, size_bytes, false, err);
    if (result == LETHE_INTEGRITY) {
        chunks->ended = true;
        result = open_sealed(chunks, size_bytes, true, err);
    }
    if (result != LETHE_OK)
        return error_set(err, result == LETHE_INTEGRITY ? LETHE_INTEGRITY : result,
                         chunks->index == 0
                             ? "%s does not open: the passphrase is another, or it was changed"
                             : "%s was changed",
                         BACKUP_NAME);
    chunks->index++;
    return LETHE_OK;
}

bool backup_leaves_out(const char *path)
{
    static const char keys[] = "keys/";
    char name[KEY_NAME_MAX + 1];
    enum key_kind kind;
    if (strcmp(path, "outbox") == 0 || strncmp(path, "outbox/", strlen("outbox/")) == 0 ||
        strcmp(path, "pin") == 0)
        return true;
    if (strncmp(path, keys, strlen(keys)) != 0)
        return false;
    size_t length = strcspn(path + strlen(keys), "/");
    if (length > KEY_NAME_MAX)
        return false;
    memcpy(name, path + strlen(keys), length);
    name[length] = '\0';
    return key_name_check_any(name, &kind, NULL) == LETHE_OK && kind == KEY_LOG_SIGNER;
}
