/* tests/kms/home.h -- a home in a directory of its own, with its root file beside it. */
#ifndef TESTS_KMS_HOME_H
#define TESTS_KMS_HOME_H

#include "../store/fixture.h"

#include "kms/keeper.h"

struct home {
    char store[128];
    char audit[128];
    char lock[128];
    char root_file[128];
    struct root_spec root;
    struct keeper_options options;
};

/* Names below `directory`; makes nothing. Root: a file. */
void home_init(struct home *home, const char *directory);
void must_make_home(const struct home *home);
struct keeper *must_open_home(const struct home *home);
void must_close_home(struct keeper *keeper);
/* Opens and closes again. */
lethe_result home_result(const struct home *home, struct lethe_error *err);

/* Removes a home with its root file. */
void remove_home(const struct home *home);
/* A copy of store.db, audit/ and the root file as `<name>.saved` beside them, and back. What is not
 * named is left as it is. */
enum part { PART_STORE = 1, PART_LOG = 2, PART_BOTH = 3, PART_ROOT = 4, PART_ALL = 7 };
void save_home(const struct home *home);
void put_back(const struct home *home, enum part part);

/* How many records hold `event` and the text `with` (NULL: any). */
size_t count_records(const struct home *home, const char *event, const char *with);
/* Chain, tree and checkpoints, by the verifier that has only files and public key. */
void assert_log_verifies(const struct home *home);

/* Wraps and unwraps a data key under "default.m.hot", with the associated data `shard`. */
lethe_result wrap_one(struct keeper *keeper, const char *key, struct buffer *wrapped,
                      struct lethe_error *err);
lethe_result unwrap_one(struct keeper *keeper, const char *key, const char *wrapped,
                        struct lethe_error *err);

int home_setup(void **state); /* *state: a struct home in a fresh directory, not made yet */
int home_teardown(void **state);
#define ON_HOME(test) cmocka_unit_test_setup_teardown(test, home_setup, home_teardown)

#endif
