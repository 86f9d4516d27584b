/* tests/store/fixture.h -- a store in a directory of its own, and shorthand for rows. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "check.h"

#include "store/store.h"

struct fixture {
    char directory[64]; /* in memory where the host has /dev/shm; removed by the teardown */
    char path[96];      /* the store in it; not made yet */
    struct lethe_error err;
};

/* cmocka setup and teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Every store of these tests has the same key, so that child processes can make it themselves. */
struct lethe_secret *test_key(uint8_t seed);

struct store *must_create(const char *path); /* made and formatted under test_key(1) */
struct store *must_open(const char *path);   /* opened and unlocked with it */
/* What opening and unlocking gives; closes again. */
lethe_result open_result(const char *path, struct lethe_error *err);

/* One row in a transaction of its own. */
void must_put(struct store *store, const char *path, const char *value);
void must_delete(struct store *store, const char *path);
/* Asserts the value and gives the version. */
uint64_t must_read(struct store *store, const char *path, const char *value);
/* "path@version path@version ..." of all rows with the prefix. */
const char *listing(struct store *store, const char *prefix);

/* Runs SQL on the file as someone without the key would. */
void tamper(const char *path, const char *sql);

/* Whole files, for putting old ones back; *bytes is freed with free(). */
size_t read_file(const char *path, uint8_t **bytes);
void write_file(const char *path, const void *bytes, size_t size_bytes);
/* "-wal" and "-shm" of the store. */
void remove_side_files(const char *path);
/* How often `needle` is in the files of the fixture's directory. */
size_t count_in_files(const struct fixture *fixture, const void *needle, size_t size_bytes);

/* Starts this program again with the arguments (NULL-terminated), and gives its pid. A fork alone
 * would not do: guarded memory is blind in a forked child. */
int spawn_self(const char *const *arguments);
/* waitpid's status. */
int wait_for(int pid);

#endif
