/* A backup of a home. First byte 0: the bytes are the file, but for the cost, which would take
 * long; otherwise they are what stands inside the only chunk. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/crypto.h"
#include "fuzz.h"
#include "kms/backup_core.h"

static struct lethe_secret *passphrase;
static int fd;

static void start(void)
{
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    REQUIRE(lethe_secret_create(8, &passphrase, NULL) == LETHE_OK);
    fd = memfd_create("backup", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
}

static void set_cost(uint8_t *header)
{
    memset(header + BACKUP_MAGIC_BYTES + BACKUP_SALT_BYTES, 1, 3);
}

static void put(const uint8_t *bytes, size_t size_bytes)
{
    static uint8_t copy[1 << 16];
    size_bytes = MIN(size_bytes, sizeof copy);
    if (size_bytes > 0)
        memcpy(copy, bytes, size_bytes);
    if (size_bytes >= BACKUP_HEADER_BYTES)
        set_cost(copy);
    REQUIRE(file_write(fd, "memory", copy, size_bytes, NULL) == LETHE_OK);
}

static void put_inside(const uint8_t *bytes, size_t size_bytes)
{
    CLEANUP(backup_chunks_clear) struct backup_chunks chunks = {.fd = fd};
    memcpy(chunks.header, BACKUP_MAGIC, BACKUP_MAGIC_BYTES);
    set_cost(chunks.header);
    REQUIRE(backup_chunks_key(&chunks, passphrase, NULL) == LETHE_OK);
    REQUIRE(file_write(fd, "memory", chunks.header, BACKUP_HEADER_BYTES, NULL) == LETHE_OK);
    guarded_append(&chunks.plain, bytes, MIN(size_bytes, BACKUP_CHUNK_MAX));
    REQUIRE(backup_chunk_write(&chunks, true, NULL) == LETHE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct backup_info info;
    if (passphrase == NULL)
        start();
    if (size == 0)
        return 0;
    REQUIRE(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    (data[0] == 0 ? put : put_inside)(data + 1, size - 1);
    lethe_result result = backup_check(fd, passphrase, &info, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_MALFORMED || result == LETHE_INTEGRITY);
    FUZZ_PROPERTY(result != LETHE_OK || strlen(info.log_key.name) < sizeof info.log_key.name);
    return 0;
}
