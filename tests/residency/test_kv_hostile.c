/* Stores that change, swap, repeat, lose or refuse blocks: what was not put there last is not
 * believed, and what fails is said. */
#include "vault.h"

/* ---- attacks --------------------------------------------------------------------------------- */

static uint8_t *changed; /* what an attack gives in place of what was put */

static const struct vault_put *give_changed(const struct vault_put *found)
{
    static struct vault_put other;
    free(changed);
    changed = malloc(found->size_bytes);
    assert_non_null(changed);
    memcpy(changed, found->bytes, found->size_bytes);
    other = *found;
    other.bytes = changed;
    return &other;
}

static const struct vault_put *flip(struct vault *vault, const struct vault_put *found)
{
    const struct vault_put *other = give_changed(found);
    changed[vault->argument] ^= 1;
    return other;
}

static const struct vault_put *zeros(struct vault *vault, const struct vault_put *found)
{
    const struct vault_put *other = give_changed(found);
    memset(changed, 0, found->size_bytes);
    return other;
}

static const struct vault_put *of_another_block(struct vault *vault, const struct vault_put *found)
{
    for (size_t i = 0; i < vault->count; i++)
        if (vault->puts[i].id.block != found->id.block &&
            memcmp(vault->puts[i].id.space, found->id.space, 16) == 0)
            return &vault->puts[i];
    fail_msg("no other block");
    return NULL;
}

static const struct vault_put *of_another_session(struct vault *vault,
                                                  const struct vault_put *found)
{
    for (size_t i = 0; i < vault->count; i++)
        if (vault->puts[i].id.block == found->id.block &&
            memcmp(vault->puts[i].id.space, found->id.space, 16) != 0)
            return &vault->puts[i];
    fail_msg("no other session");
    return NULL;
}

static const struct vault_put *the_first_ever(struct vault *vault, const struct vault_put *found)
{
    for (size_t i = 0; &vault->puts[i] != found; i++)
        if (id_equal(&vault->puts[i].id, &found->id))
            return &vault->puts[i];
    fail_msg("no older one");
    return NULL;
}

static const struct vault_put *the_same(struct vault *vault, const struct vault_put *found)
{
    return give_changed(found);
}

typedef const struct vault_put *attack_function(struct vault *, const struct vault_put *);

/* Two sessions, each with old and new versions of its blocks at the vault; then `attack`. */
static lethe_result read_under(struct kv_site *kv, attack_function *attack, size_t argument,
                               bool by_append)
{
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "bolt", "s1");
    bool same;
    must_append(kv, two, 13, 0, 8);
    must_append(kv, one, 12, 0, 8);
    for (unsigned round = 0; round < 2; round++) {
        assert_gather(kv, two, 13, 0, 8);
        assert_gather(kv, one, 12, 0, 8);
    }
    must_append(kv, two, 13, 8, 1);
    assert_gather(kv, two, 13, 0, 9);
    assert_ok(lethe_kv_truncate(one, 7, &kv->err), &kv->err);
    assert_gather(kv, two, 13, 4, 5);
    vault->attack = attack;
    vault->argument = argument;
    lethe_result result = by_append ? append_tokens(one, 12, 7, 1, &kv->err)
                                    : gather_is(one, 12, 0, 0, 4, &same, &kv->err);
    if (result == LETHE_INTEGRITY) {
        struct buffer durable = site_log_on_disk(kv->site);
        assert_int_equal(count_text(&durable, "\"event\":\"integrity_violation\""), 1);
        buffer_clear(&durable);
        assert_result(LETHE_CANCELLED, append_tokens(one, 12, 8, 1, NULL));
    }
    vault->attack = NULL;
    assert_gather(kv, two, 13, 0, 9); /* nobody else is concerned */
    must_end(kv, one);
    must_end(kv, two);
    leave_vault(kv, vault);
    free(changed);
    changed = NULL;
    return result;
}

/* P-12; the first row is the control. */
static void what_was_not_put_there_last_is_refused(void **state)
{
    static const struct {
        attack_function *attack;
        size_t argument;
        lethe_result expected;
    } rows[] = {
        {the_same, 0, LETHE_OK},
        {flip, 0, LETHE_INTEGRITY},
        {flip, BLOCK_BYTES / 2, LETHE_INTEGRITY},
        {flip, BLOCK_BYTES - 1, LETHE_INTEGRITY},
        {flip, BLOCK_BYTES, LETHE_INTEGRITY},
        {flip, BLOCK_BYTES + 15, LETHE_INTEGRITY},
        {zeros, 0, LETHE_INTEGRITY},
        {of_another_block, 0, LETHE_INTEGRITY},
        {of_another_session, 0, LETHE_INTEGRITY},
        {the_first_ever, 0, LETHE_INTEGRITY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned by_append = 0; by_append < 2; by_append++) {
            void *fresh = NULL;
            assert_int_equal(kv_setup(&fresh), 0);
            struct kv_site *kv = fresh;
            lethe_result result = read_under(kv, rows[i].attack, rows[i].argument, by_append != 0);
            if (result != rows[i].expected)
                fail_msg("row %zu: %s", i, lethe_result_name(result));
            assert_recorded(result == LETHE_OK ? 0 : 1, kv->site, "integrity_violation",
                            "session s1 in cache kv", "\"tenant\":\"acme\"");
            assert_recorded(result == LETHE_OK ? 0 : 1, kv->site, "session_ended",
                            "\"cause\":\"cancelled\"", "\"verified\":true");
            assert_int_equal(kv_teardown(&fresh), 0);
        }
}

/* What one thread reads while the session is condemned is wiped at the end of that read. */
static void a_condemned_session_is_wiped_behind_its_readers(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv_view view;
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 14, 0, 4);
    assert_ok(lethe_kv_read_begin(session, 0, &view, &kv->err), &kv->err);
    must_append(kv, session, 14, 4, 8);
    vault->attack = flip;
    bool same;
    assert_result(LETHE_INTEGRITY, gather_is(session, 14, 0, 4, 4, &same, &kv->err));
    assert_non_null(strstr(kv->err.text, "block 1 of session s1 in cache kv"));
    assert_true(view_is(&view, 14, 0, 0, 4));
    assert_int_equal(counters_of(kv).used_blocks, 1);
    lethe_kv_read_end(&view);
    assert_int_equal(counters_of(kv).used_blocks, 0);
    must_end(kv, session);
    leave_vault(kv, vault);
    free(changed);
    changed = NULL;
}

/* P-12: what is only looked at, since nothing can make way for it, is believed no more. */
static void what_is_read_without_a_block_is_checked(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    bool same;
    must_append(kv, session, 14, 0, 12);
    vault->failure = LETHE_NO_SPACE;
    vault->fail_at = vault->calls + 1; /* the put that makes room */
    assert_ok(gather_is(session, 14, 0, 0, 4, &same, &kv->err), &kv->err);
    assert_true(same);
    vault->fail_at = vault->calls + 1;
    vault->attack = flip;
    assert_result(LETHE_INTEGRITY, gather_is(session, 14, 0, 0, 4, &same, &kv->err));
    assert_int_equal(vault->count, 1);
    assert_non_null(strstr(kv->err.text, "block 0 of session s1 in cache kv"));
    assert_recorded(1, kv->site, "integrity_violation", "session s1 in cache kv");
    assert_result(LETHE_CANCELLED, append_tokens(session, 14, 12, 1, NULL));
    assert_int_equal(counters_of(kv).used_blocks, 0);
    must_end(kv, session);
    leave_vault(kv, vault);
    free(changed);
    changed = NULL;
}

/* when the record cannot be made durable, the session is condemned all the same. */
static void what_cannot_be_recorded_is_said(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 1);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    bool same;
    must_append(kv, session, 14, 0, 8);
    vault->attack = zeros;
    atomic_store(&kv->site->log_fails, true);
    assert_result(LETHE_INTEGRITY, gather_is(session, 14, 0, 0, 4, &same, &kv->err));
    assert_non_null(strstr(kv->err.hint, "nor could that be recorded"));
    assert_result(LETHE_CANCELLED, append_tokens(session, 14, 8, 1, NULL));
    atomic_store(&kv->site->log_fails, false);
    must_end(kv, session);
    leave_vault(kv, vault);
    free(changed);
    changed = NULL;
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Whatever fails, and at whichever call: the result says so, and afterwards all is as it was. */
static bool survives_failure(struct kv_site *kv, unsigned at, lethe_result failure,
                             lethe_result expected)
{
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "acme", "s2");
    vault->fail_at = at;
    vault->failure = failure;
    uint64_t ends[2] = {0};
    for (unsigned i = 0; i < 40; i++) {
        struct lethe_kv *session = i % 2 != 0 ? two : one;
        lethe_result result = append_layer(session, 15 + i % 2, 0, ends[i % 2], 1, &kv->err);
        bool same = true;
        if (result == LETHE_OK)
            ends[i % 2]++;
        if (result == LETHE_OK && i % 7 == 0)
            result = gather_is(session, 15 + i % 2, 0, 0, ends[i % 2], &same, &kv->err);
        assert_true(result == LETHE_OK ? same : result == expected);
    }
    bool failed = vault->calls >= at;
    vault->fail_at = 0;
    for (unsigned i = 0; i < 2; i++) {
        bool same;
        assert_ok(gather_is(i != 0 ? two : one, 15 + i, 0, 0, ends[i], &same, &kv->err), &kv->err);
        assert_true(same);
    }
    must_end(kv, one);
    must_end(kv, two);
    leave_vault(kv, vault);
    return failed;
}

/* W-2 */
static void a_store_may_fail_at_every_call(void **state)
{
    struct kv_site *kv = *state;
    static const struct {
        lethe_result failure, expected;
    } rows[] = {{LETHE_IO, LETHE_IO},
                {LETHE_UNAVAILABLE, LETHE_UNAVAILABLE},
                {LETHE_NO_SPACE, LETHE_NO_SPACE},
                {LETHE_BUSY, LETHE_BUSY},
                {LETHE_CANCELLED, LETHE_IO},
                {(lethe_result)99, LETHE_IO}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned at = 1;
        while (survives_failure(kv, at, rows[i].failure, rows[i].expected))
            at++;
        assert_true(at > 10);
    }
}

static void a_lost_block_is_said_to_be_lost(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    bool same;
    must_append(kv, session, 17, 0, 12);
    vault->fail_at = vault->calls + 2; /* the get, behind the put that makes room for it */
    vault->failure = LETHE_NOT_FOUND;
    assert_result(LETHE_LOST, gather_is(session, 17, 0, 0, 12, &same, &kv->err));
    assert_string_equal(kv->err.text, "block 0 of session s1 in cache kv: the store has lost it");
    assert_gather(kv, session, 17, 4, 8);
    must_end(kv, session);
    leave_vault(kv, vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_put_there_last_is_refused),
        kv_test(a_condemned_session_is_wiped_behind_its_readers),
        kv_test(what_is_read_without_a_block_is_checked),
        kv_test(what_cannot_be_recorded_is_said),
        kv_test(a_store_may_fail_at_every_call),
        kv_test(a_lost_block_is_said_to_be_lost),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
