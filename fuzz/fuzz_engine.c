/* Texts that clients send for named keys: ciphertexts, signatures, HMACs, backups. The first byte
 * says which. The keys are random, so nothing that comes from outside opens or verifies. The last
 * kind is sealed here first, so that what is inside a backup is read too. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "fuzz.h"
#include "kms/change.h"
#include "kms/engine.h"

#define INSIDE_MAX 8192u

static char directory[64], store_path[96], audit_path[96], lock_path[96], root_path[96];
static struct keeper *keeper;
static struct engine *engine;
static struct aead_key *backup_key;
static const char *const names[] = {"aes", "chacha", "ed", "p256", "p384"};

static void finish(void)
{
    aead_key_free(backup_key);
    engine_close(engine);
    (void)!keeper_close(keeper, NULL);
    (void)!file_remove_tree(AT_FDCWD, directory, NULL);
}

static void make_paths(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.40s/lethe-fuzz-XXXXXX",
             parent != NULL && strlen(parent) < 40 ? parent : "/dev/shm");
    REQUIRE(mkdtemp(directory) != NULL);
    snprintf(store_path, sizeof store_path, "%s/store.db", directory);
    snprintf(audit_path, sizeof audit_path, "%s/audit", directory);
    snprintf(lock_path, sizeof lock_path, "%s/lock", directory);
    snprintf(root_path, sizeof root_path, "%s/root.key", directory);
}

static void open_home(void)
{
    const struct keeper_options options = {.store_path = store_path,
                                           .audit_directory = audit_path,
                                           .lock_path = lock_path,
                                           .node = "node-1",
                                           .actor = "fuzz",
                                           .passphrase_fd = -1};
    struct root_spec root = {.kind = ROOT_FILE, .passphrase_fd = -1};
    snprintf(root.where, sizeof root.where, "%s", root_path);
    REQUIRE(keeper_create(&options, &root, NULL) == LETHE_OK);
    REQUIRE(keeper_open(&options, &keeper, NULL) == LETHE_OK);
    REQUIRE(engine_open(keeper, &engine, NULL) == LETHE_OK);
}

/* The first backup makes the key that the others are sealed under. */
static void read_backup_key(void)
{
    CLEANUP(guarded_clear) struct guarded backup = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    REQUIRE(engine_backup(engine, names[0], &backup, NULL) == LETHE_OK);
    REQUIRE(store_get(keeper_store(keeper), "engine/backup-key", &row, NULL, NULL) == LETHE_OK);
    REQUIRE(aead_key_create(lethe_secret_bytes_const(row) + 1, 32, AEAD_BACKEND_BEST, &backup_key,
                            NULL) == LETHE_OK);
}

static void start(void)
{
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    make_paths();
    open_home();
    atexit(finish);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct engine_create_options options = {
            .type = (enum engine_type)i, .exportable = true, .plaintext_backup = true};
        bool existed;
        REQUIRE(engine_create_key(engine, names[i], &options, &existed, NULL) == LETHE_OK);
    }
    read_backup_key();
}

static void require_refused(lethe_result result)
{
    FUZZ_PROPERTY(result == LETHE_MALFORMED || result == LETHE_INTEGRITY ||
                  result == LETHE_INVALID);
}

static void try_decrypt(const char *text, size_t length)
{
    for (size_t i = 0; i < 2; i++) {
        const struct engine_use use = {
            .name = names[i], .input = {text, length}, .as_base64 = i == 0, .renew = i == 1};
        CLEANUP(guarded_clear) struct guarded out = {0};
        uint64_t version;
        require_refused(engine_decrypt(engine, &use, &out, &version, NULL));
        FUZZ_PROPERTY(out.size_bytes == 0);
    }
}

static void try_verify(const char *text, size_t length)
{
    for (size_t i = 2; i < 2 * ARRAY_LEN(names); i++) {
        const struct engine_use use = {.name = names[i % ARRAY_LEN(names)],
                                       .input = {"input", 5},
                                       .proof = {text, length},
                                       .how.jws = i >= ARRAY_LEN(names)};
        bool valid = false;
        lethe_result result = engine_verify(engine, &use, &valid, NULL);
        FUZZ_PROPERTY(!valid);
        if (result != LETHE_OK)
            require_refused(result);
    }
}

static void try_hmac(const char *text, size_t length)
{
    const struct engine_use use = {.name = names[0],
                                   .input = {"input", 5},
                                   .proof = {text, length},
                                   .how.digest = DIGEST_SHA2_256};
    bool valid = false;
    lethe_result result = engine_verify_hmac(engine, &use, &valid, NULL);
    FUZZ_PROPERTY(!valid);
    if (result != LETHE_OK)
        require_refused(result);
}

static void try_restore(const char *text, size_t length)
{
    char name[ENGINE_NAME_MAX + 1];
    const struct engine_restore what = {.backup = {text, length}, .force = true};
    require_refused(engine_restore(engine, &what, NULL));
    require_refused(engine_backup_name(engine, what.backup, name, NULL));
}

/* What is restored is a key like any other. */
static void try_restore_inside(const char *text, size_t length)
{
    static const char domain[] = "lethe-key-backup/1";
    static uint8_t sealed[INSIDE_MAX + 28];
    static char base64[BASE64_LENGTH(sizeof sealed)];
    struct engine_key key;
    if (length > INSIDE_MAX)
        return;
    const struct aead_message message = {.nonce = sealed,
                                         .aad = domain,
                                         .aad_bytes = sizeof domain - 1,
                                         .in = text,
                                         .out = sealed + 12,
                                         .size_bytes = length};
    REQUIRE(aead_seal(backup_key, &message, sealed + 12 + length) == LETHE_OK);
    base64_write(sealed, length + 28, base64);
    const struct engine_restore what = {
        .name = "restored", .backup = {base64, BASE64_LENGTH(length + 28)}, .force = true};
    lethe_result result = engine_restore(engine, &what, NULL);
    if (result != LETHE_OK)
        require_refused(result);
    else
        FUZZ_PROPERTY(engine_get(engine, "restored", &key, NULL) == LETHE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const char *text, size_t length) = {
        try_decrypt, try_verify, try_hmac, try_restore, try_restore_inside};
    if (engine == NULL)
        start();
    if (size > 0)
        tries[data[0] % ARRAY_LEN(tries)]((const char *)data + 1, size - 1);
    return 0;
}
