/* Secrets from outside: a systemd credential, and a passphrase on a descriptor. Each input is tried
 * as both. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/crypto.h"
#include "kms/secret_file.h"

#include "fuzz.h"

static char directory[64];
static char path[96];

static void remove_directory(void)
{
    (void)!file_remove_tree(AT_FDCWD, directory, NULL);
}

static void start(void)
{
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    snprintf(directory, sizeof directory, "/dev/shm/lethe-fuzz-XXXXXX");
    REQUIRE(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/credential", directory);
    REQUIRE(setenv("CREDENTIALS_DIRECTORY", directory, 1) == 0);
    atexit(remove_directory);
}

static void write_file(const void *bytes, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes, size_bytes) == (ssize_t)size_bytes);
    fd_close(fd);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What is read is part of the input, without white space around it. */
static void try_credential(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *read = NULL;
    if (secret_credential_read("credential", &read, NULL) != LETHE_OK)
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
    if (directory[0] == '\0')
        start();
    write_file(data, size_bytes);
    try_credential(data, size_bytes);
    try_passphrase(data, size_bytes);
    return 0;
}
