/* Secrets from outside: the root file, a systemd credential, a passphrase on a descriptor. Each
 * input is tried as all three. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/crypto.h"
#include "kms/root.h"
#include "kms/secret_file.h"

#include "fuzz.h"

static char directory[64];
static char path[96];
static struct buffer record;        /* of the root whose file is among the seeds */
static struct buffer original_file; /* and that file */

static lethe_result always_the_same(void *context, void *out, size_t size_bytes)
{
    memset(out, 0x5a, size_bytes);
    return LETHE_OK;
}

static void remove_directory(void)
{
    (void)!file_remove_tree(AT_FDCWD, directory, NULL);
    buffer_clear(&record);
    buffer_clear(&original_file);
}

static void start(void)
{
    static const struct random_source random = {always_the_same, NULL};
    struct root_spec spec = {.kind = ROOT_FILE, .passphrase_fd = -1};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    snprintf(directory, sizeof directory, "/dev/shm/lethe-fuzz-XXXXXX");
    REQUIRE(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/root", directory);
    memcpy(spec.where, path, strlen(path) + 1);
    REQUIRE(root_create(&spec, &random, &record, &key, NULL) == LETHE_OK);
    REQUIRE(file_read_all(AT_FDCWD, path, 4096, &original_file, NULL) == LETHE_OK);
    REQUIRE(setenv("CREDENTIALS_DIRECTORY", directory, 1) == 0);
    atexit(remove_directory);
}

static void write_file(const void *bytes, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes, size_bytes) == (ssize_t)size_bytes);
    fd_close(fd);
}

/* There is one root file for a root: no other byte opens it. */
static void try_root(const uint8_t *data, size_t size_bytes)
{
    struct root_spec spec;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    bool same = size_bytes == original_file.size_bytes &&
                memcmp(data, original_file.bytes, size_bytes) == 0;
    bool opened = root_open(&record, -1, &spec, &key, NULL) == LETHE_OK;
    FUZZ_PROPERTY(opened == same);
    FUZZ_PROPERTY(opened || key == NULL);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What is read is part of the input, without white space around it. */
static void try_credential(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *read = NULL;
    if (secret_credential_read("root", &read, NULL) != LETHE_OK)
        return;
    const uint8_t *bytes = lethe_secret_bytes_const(read);
    size_t length = lethe_secret_size(read);
    FUZZ_PROPERTY(length > 0 && !is_space(bytes[0]) && !is_space(bytes[length - 1]));
    const uint8_t *at = memmem(data, size_bytes, bytes, length);
    FUZZ_PROPERTY(at != NULL);
    for (const uint8_t *p = data; p < data + size_bytes; p++)
        FUZZ_PROPERTY(is_space(*p) || (p >= at && p < at + length));
}

/* The first line, if it is not too long; what is behind it is left. */
static void try_passphrase(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *line = NULL;
    CLEANUP(fd_close) int fd = memfd_create("passphrase", MFD_CLOEXEC);
    const uint8_t *newline = size_bytes > 0 ? memchr(data, '\n', size_bytes) : NULL;
    size_t length = newline != NULL ? (size_t)(newline - data) : size_bytes;
    REQUIRE(fd >= 0 && write(fd, data, size_bytes) == (ssize_t)size_bytes &&
            lseek(fd, 0, SEEK_SET) == 0);
    bool read = secret_passphrase_read(fd, false, &line, NULL) == LETHE_OK;
    FUZZ_PROPERTY(read == (length > 0 && length <= PASSPHRASE_MAX));
    if (!read)
        return;
    FUZZ_PROPERTY(lethe_secret_size(line) == length &&
                  memcmp(lethe_secret_bytes_const(line), data, length) == 0);
    FUZZ_PROPERTY(lseek(fd, 0, SEEK_CUR) == (off_t)(length + (newline != NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (record.bytes == NULL)
        start();
    write_file(data, size_bytes);
    try_root(data, size_bytes);
    try_credential(data, size_bytes);
    try_passphrase(data, size_bytes);
    return 0;
}
