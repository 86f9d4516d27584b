/* tests/kms/engine_check.h -- an engine on a home of its own, and shorthand for what it does. */
#ifndef TESTS_KMS_ENGINE_CHECK_H
#define TESTS_KMS_ENGINE_CHECK_H

#include <stdlib.h>

#include "check.h"

#include "base/error.h"
#include "home.h"
#include "kms/change.h"
#include "kms/engine.h"

static struct lethe_error err;

struct room {
    struct home *home;
    struct keeper *keeper;
    struct engine *engine;
};

static int room_setup(void **state)
{
    struct room *room = calloc(1, sizeof *room);
    void *home;
    assert_non_null(room);
    assert_int_equal(0, home_setup(&home));
    room->home = home;
    must_make_home(room->home);
    room->keeper = must_open_home(room->home);
    assert_ok(engine_open(room->keeper, &room->engine, &err), &err);
    *state = room;
    return 0;
}

static int room_teardown(void **state)
{
    struct room *room = *state;
    void *home = room->home;
    engine_close(room->engine);
    if (room->keeper != NULL)
        must_close_home(room->keeper);
    free(room);
    return home_teardown(&home);
}
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_setup, room_teardown)

/* Closes the home, so that the log's files hold everything, and opens it again. */
__attribute__((unused)) static void reopen(struct room *room)
{
    engine_close(room->engine);
    must_close_home(room->keeper);
    room->keeper = must_open_home(room->home);
    assert_ok(engine_open(room->keeper, &room->engine, &err), &err);
}

__attribute__((unused)) static void must_make(struct room *room, const char *name,
                                              enum engine_type type)
{
    const struct engine_create_options options = {
        .type = type, .exportable = true, .plaintext_backup = true};
    bool existed;
    assert_ok(engine_create_key(room->engine, name, &options, &existed, &err), &err);
    assert_false(existed);
}

__attribute__((unused)) static void must_rotate(struct room *room, const char *name)
{
    assert_ok(engine_rotate(room->engine, name, &err), &err);
}

__attribute__((unused)) static struct engine_key must_get(struct room *room, const char *name)
{
    struct engine_key key;
    assert_ok(engine_get(room->engine, name, &key, &err), &err);
    return key;
}

/* A NUL behind, so that it can be compared as a text. */
__attribute__((unused)) static const char *text_of(struct guarded *guarded)
{
    guarded_append(guarded, "", 1);
    guarded->size_bytes--;
    return (const char *)guarded->bytes;
}

__attribute__((unused)) static lethe_result encrypt(struct room *room, const struct engine_use *use,
                                                    const char *plain, struct guarded *out)
{
    uint64_t version;
    struct engine_use with = *use;
    with.input = (struct engine_bytes){plain, strlen(plain)};
    guarded_wipe(out);
    return engine_encrypt(room->engine, &with, out, &version, &err);
}

__attribute__((unused)) static lethe_result decrypt(struct room *room, const struct engine_use *use,
                                                    const struct guarded *text, struct guarded *out)
{
    uint64_t version;
    struct engine_use with = *use;
    with.input = (struct engine_bytes){text->bytes, text->size_bytes};
    guarded_wipe(out);
    return engine_decrypt(room->engine, &with, out, &version, &err);
}

#endif
