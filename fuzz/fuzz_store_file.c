/* The store's file, with the key that its seeds were made with: whatever opens shows the rows of
 * one of the seeds, at its epoch. SQLite's own parser is in between, and is not believed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/crypto.h"
#include "store/store.h"

#include "fuzz.h"

/* What the seeds hold: path, version and value of each row. */
static const struct {
    uint64_t epoch;
    const char *listing;
} states[] = {
    {1, ""},
    {2, "keys/a@1=first "},
    {3, "keys/a@2=second keys/b@1=other "},
};

static struct lethe_secret *key;
static char directory[64];
static char path[96];

static void remove_directory(void)
{
    (void)!file_remove_tree(AT_FDCWD, directory, NULL);
}

static void start(void)
{
    const char *parent = getenv("TMPDIR");
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    REQUIRE(lethe_secret_create(STORE_KEY_BYTES, &key, NULL) == LETHE_OK);
    memset(lethe_secret_bytes(key), 7, STORE_KEY_BYTES);
    snprintf(directory, sizeof directory, "%.40s/lethe-fuzz-XXXXXX",
             parent != NULL && strlen(parent) < 40 ? parent : "/dev/shm");
    REQUIRE(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/store.db", directory);
    atexit(remove_directory);
}

static void write_file(const uint8_t *data, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, data, size_bytes) == (ssize_t)size_bytes);
    fd_close(fd);
    for (size_t i = 0; i < 2; i++) {
        char beside[sizeof path + 8];
        snprintf(beside, sizeof beside, "%s%s", path, i == 0 ? "-wal" : "-shm");
        unlink(beside);
    }
}

struct listing {
    struct store *store;
    struct buffer text;
};

static lethe_result list_row(void *context, const char *row, uint64_t version,
                             struct lethe_error *err)
{
    struct listing *listing = context;
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    uint64_t again = 0;
    TRY(store_get(listing->store, row, &value, &again, err));
    FUZZ_PROPERTY(again == version);
    buffer_format(&listing->text, "%s@%llu=", row, (unsigned long long)version);
    buffer_append(&listing->text, lethe_secret_bytes_const(value), lethe_secret_size(value));
    buffer_byte(&listing->text, ' ');
    return LETHE_OK;
}

static void check_rows(struct store *store)
{
    struct listing listing = {.store = store};
    lethe_result result = store_list(store, "", list_row, &listing, NULL);
    bool known = false;
    buffer_byte(&listing.text, '\0');
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        known = known || (store_epoch(store) == states[i].epoch &&
                          strcmp(listing.text.bytes, states[i].listing) == 0);
    FUZZ_PROPERTY(result == LETHE_OK && known);
    buffer_clear(&listing.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (key == NULL)
        start();
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(buffer_clear) struct buffer root = {0};
    write_file(data, size_bytes);
    if (store_open(path, false, &store, NULL) != LETHE_OK)
        return 0;
    (void)!store_meta_get(store, "root", &root, NULL);
    FUZZ_PROPERTY(root.size_bytes <= STORE_META_MAX);
    if (store_unlock(store, key, NULL) == LETHE_OK)
        check_rows(store);
    return 0;
}
