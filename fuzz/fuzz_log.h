/* fuzz/fuzz_log.h -- the log that targets spoil: the same bytes whenever it is made. */
#ifndef FUZZ_FUZZ_LOG_H
#define FUZZ_FUZZ_LOG_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

#include "fuzz.h"

#define FUZZ_LOG_NODE "fuzz"
#define FUZZ_LOG_RECORDS 5u /* in two groups: two of them, and three */

/* A directory in memory, where the host has one; nobody removes it when the target crashes. */
static inline char *fuzz_directory(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    REQUIRE(asprintf(&path, "%s/lethe-fuzz-XXXXXX", parent != NULL ? parent : "/dev/shm") > 0);
    REQUIRE(mkdtemp(path) != NULL);
    return path;
}

static inline void fuzz_directory_remove(const char *path)
{
    REQUIRE(file_remove_tree(AT_FDCWD, path, NULL) == LETHE_OK);
}

static inline void fuzz_write(const char *directory, const char *name, const void *bytes,
                              size_t size_bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes, size_bytes) == (ssize_t)size_bytes);
    fd_close(fd);
}

static inline lethe_result fuzz_log_sign(void *context, const void *bytes, size_t size_bytes,
                                         uint8_t signature[64], struct lethe_error *err)
{
    struct signature made;
    TRY(sign_message(context, bytes, size_bytes, &made, err));
    memcpy(signature, made.bytes, 64);
    return LETHE_OK;
}

static inline uint64_t fuzz_log_now_ns(void *context)
{
    return 1795176000000000000; /* 2026-11-20T12:00:00Z */
}

static inline struct sign_pair *fuzz_log_pair(void)
{
    struct sign_pair *pair = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *seed = NULL;
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    REQUIRE(lethe_secret_create(32, &seed, NULL) == LETHE_OK);
    memset(lethe_secret_bytes(seed), 'f', 32);
    REQUIRE(sign_pair_create(SIGNATURE_ED25519, seed, &pair, NULL) == LETHE_OK);
    return pair;
}

static inline struct audit_key fuzz_log_key(const struct sign_pair *pair)
{
    struct audit_key key = {.name = "lethe/" FUZZ_LOG_NODE};
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
    memcpy(key.public_key, raw, sizeof key.public_key);
    return key;
}

/* Makes the log in a directory that is there; gives its key. */
static inline struct audit_key fuzz_log_make(const char *directory)
{
    static const struct audit_who who = {"uid:1000", "default", ""};
    static const struct clock_source clock = {fuzz_log_now_ns, fuzz_log_now_ns, NULL};
    struct sign_pair *pair = fuzz_log_pair();
    struct audit_log *log = NULL;
    const struct audit_options options = {
        .directory = directory,
        .node = FUZZ_LOG_NODE,
        .clock = &clock,
        .signer = {.sign = fuzz_log_sign, .context = pair, .key = fuzz_log_key(pair)}};
    REQUIRE(audit_open(&options, &log, NULL) == LETHE_OK);
    struct audit_event events[FUZZ_LOG_RECORDS];
    for (unsigned i = 0; i < FUZZ_LOG_RECORDS; i++)
        events[i] = audit_key_used("default.vad.hot", i + 1, "decrypt", "granted", 1);
    REQUIRE(audit_commit_all(log, &who, events, 2, NULL) == LETHE_OK);
    REQUIRE(audit_commit_all(log, &who, events + 2, FUZZ_LOG_RECORDS - 2, NULL) == LETHE_OK);
    REQUIRE(audit_close(log, NULL) == LETHE_OK);
    sign_pair_free(pair);
    return options.signer.key;
}

#endif
