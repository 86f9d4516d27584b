/* KV caches with a store: what goes there is ciphertext, what comes back is what went there last,
 * or nothing; which blocks go is decided by the calls alone. */
#include "vault.h"

#include <dirent.h>

/* A cache of so many blocks over a vault. */
static struct vault *must_vault(struct kv_site *kv, uint64_t blocks)
{
    struct vault *vault = vault_create();
    must_cache_with(kv, blocks, &vault->table);
    return vault;
}

static void leave_vault(struct kv_site *kv, struct vault *vault)
{
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
    assert_int_equal(vault_kept(vault), 0); /* nothing is left behind there */
    vault_free(vault);
}

/* ---- out and back ---------------------------------------------------------------------------- */

static void assert_more_fits_than_there_are_blocks(struct kv_site *kv)
{
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "acme", "s2");
    for (uint64_t token = 0; token < 30; token++) {
        must_append(kv, one, 1, token, 1);
        must_append(kv, two, 2, token, 1);
    }
    for (unsigned round = 0; round < 3; round++) {
        assert_gather(kv, one, 1, 0, 30);
        assert_gather(kv, two, 2, 0, 30);
        assert_gather(kv, one, 1, 13, 1);
    }
    must_append(kv, one, 1, 30, 3);
    assert_gather(kv, one, 1, 28, 5);
    struct lethe_kv_counters counters = counters_of(kv);
    assert_true(counters.used_blocks <= 3);
    assert_true(counters.spills > 10 && counters.fetches > 10);
    assert_int_equal(counters.spilled_blocks + counters.used_blocks, 9 + 8);
    must_end(kv, one);
    must_end(kv, two);
    assert_int_equal(counters_of(kv).used_blocks, 0);
    assert_int_equal(counters_of(kv).spilled_blocks, 0);
}

static void a_store_in_memory_holds_what_does_not_fit(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 3);
    assert_more_fits_than_there_are_blocks(kv);
}

static void a_store_in_a_file_holds_what_does_not_fit(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_spill_file *file;
    struct lethe_kv_options options = cache_options(3);
    assert_ok(lethe_spill_file_create("/tmp", lethe_kv_spill_bytes(&options), 0, &file, &kv->err),
              &kv->err);
    const struct lethe_spill table = lethe_spill_file_table(file);
    must_cache_with(kv, 3, &table);
    assert_more_fits_than_there_are_blocks(kv);
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
    lethe_spill_file_free(file);
    lethe_spill_file_free(NULL);
}

/* A paused session can be spilled whole, its last block too, and goes on. */
static void a_paused_session_goes_on(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 2);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "bolt", "s1");
    must_append(kv, one, 3, 0, 6);
    must_append(kv, two, 4, 0, 8);
    assert_int_equal(counters_of(kv).spilled_blocks, 2);
    must_append(kv, one, 3, 6, 1);
    assert_gather(kv, one, 3, 0, 7);
    assert_gather(kv, two, 4, 0, 8);
    must_end(kv, one);
    must_end(kv, two);
}

static void a_view_holds_what_it_fetched_and_says_when_it_cannot(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view, other;
    must_spilling_cache(kv, 3);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "acme", "s2");
    must_append(kv, one, 5, 0, 12);
    must_append(kv, two, 6, 0, 4);
    assert_view(kv, one, 5, 0, 12);
    must_append(kv, one, 5, 12, 1);
    assert_result(LETHE_NO_MEMORY, lethe_kv_read_begin(one, 0, &view, &kv->err));
    assert_non_null(strstr(kv->err.hint, "try again later"));
    assert_gather(kv, one, 5, 0, 13);
    assert_ok(lethe_kv_truncate(one, 12, &kv->err), &kv->err);
    assert_ok(lethe_kv_read_begin(one, 1, &view, &kv->err), &kv->err);
    assert_result(LETHE_NO_MEMORY, lethe_kv_read_begin(two, 0, &other, &kv->err));
    assert_result(LETHE_NO_MEMORY, append_tokens(two, 6, 4, 1, &kv->err));
    assert_true(view_is(&view, 5, 1, 0, 12));
    lethe_kv_read_end(&view);
    must_append(kv, two, 6, 4, 1);
    assert_view(kv, two, 6, 0, 5);
    must_end(kv, one);
    must_end(kv, two);
}

static void over_its_budget_a_session_spills_its_oldest(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 8);
    struct lethe_kv *session =
        must_open_with(kv,
                       &(struct lethe_kv_session_options){
                           .tenant = "acme", .session = "s1", .budget_bytes = 2 * BLOCK_BYTES},
                       0);
    must_append(kv, session, 7, 0, 20);
    assert_int_equal(counters_of(kv).used_blocks, 2);
    assert_int_equal(vault->count, 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(vault->puts[i].id.block, i);
    assert_gather(kv, session, 7, 0, 20);
    assert_int_equal(counters_of(kv).used_blocks, 2);
    must_end(kv, session);
    leave_vault(kv, vault);
}

static void a_window_drops_what_is_spilled(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv *session = must_open_with(
        kv,
        &(struct lethe_kv_session_options){.tenant = "acme", .session = "s1", .window_tokens = 10},
        0);
    must_append(kv, session, 8, 0, 41);
    uint64_t first, end;
    assert_result(LETHE_OK, lethe_kv_range(session, 0, &first, &end));
    assert_int_equal(first, 28);
    assert_gather(kv, session, 8, 28, 13);
    assert_int_equal(vault_kept(vault), counters_of(kv).spilled_blocks);
    must_end(kv, session);
    leave_vault(kv, vault);
}

/* Z-4: the rest of a block that was spilled is wiped too, and the store's copy is no longer of use.
 */
static void truncating_reaches_what_is_spilled(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 2);
    struct lethe_kv_view view;
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 9, 0, 20);
    assert_true(counters_of(kv).spilled_blocks >= 3);
    assert_ok(lethe_kv_truncate(session, 2, &kv->err), &kv->err);
    assert_int_equal(counters_of(kv).spilled_blocks, 0);
    assert_int_equal(vault_kept(vault), 0);
    assert_ok(lethe_kv_read_begin(session, 2, &view, &kv->err), &kv->err);
    assert_true(view_is(&view, 9, 2, 0, 2));
    assert_true(lethe_is_zero((const uint8_t *)view.spans[0].keys + 2 * ROW_BYTES, 2 * ROW_BYTES));
    lethe_kv_read_end(&view);
    assert_ok(lethe_kv_reset(session, &kv->err), &kv->err);
    must_append(kv, session, 10, 0, 20);
    assert_gather(kv, session, 10, 0, 20);
    must_end(kv, session);
    leave_vault(kv, vault);
}

/* P-12: nothing of a row is at the store, nor who it is; and no two puts are alike. */
static void a_store_sees_ciphertext_only(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 1);
    struct lethe_kv *session = must_open_kv(kv, "acme", "very-secret-name");
    must_append(kv, session, 11, 0, 12);
    assert_gather(kv, session, 11, 0, 12);
    assert_true(vault->count >= 8);
    for (size_t i = 0; i < vault->count; i++) {
        const struct vault_put *put = &vault->puts[i];
        for (size_t at = 0; at + 8 <= put->size_bytes; at++)
            for (uint64_t token = 0; token < 12; token++) {
                uint64_t word = row_word(11, 0, 0, token, 0);
                assert_int_not_equal(memcmp(put->bytes + at, &word, 8), 0);
            }
        assert_null(memmem(put->id.space, sizeof put->id.space, "very", 4));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(memcmp(put->bytes, vault->puts[j].bytes, put->size_bytes), 0);
    }
    must_end(kv, session);
    leave_vault(kv, vault);
}

/* ---- which go -------------------------------------------------------------------------------- */

/* Numbers the spaces by their first put. */
static size_t put_order(const struct vault *vault, char *out, size_t capacity)
{
    size_t length = 0;
    for (size_t i = 0; i < vault->count; i++) {
        size_t first = 0, number = 0;
        while (memcmp(vault->puts[first].id.space, vault->puts[i].id.space, 16) != 0)
            first++;
        for (size_t j = 0; j < first; j++) {
            size_t k = 0;
            while (memcmp(vault->puts[k].id.space, vault->puts[j].id.space, 16) != 0)
                k++;
            number += k == j;
        }
        length += (size_t)snprintf(out + length, capacity - length, "%c%u ", (int)('a' + number),
                                   (unsigned)vault->puts[i].id.block);
    }
    return length;
}

static void play(struct kv_site *kv, char *order, size_t capacity)
{
    struct vault *vault = must_vault(kv, 4);
    struct lethe_kv *a = must_open_kv(kv, "acme", "a"), *b = must_open_kv(kv, "acme", "b");
    struct lethe_kv_view view;
    must_append(kv, a, 1, 0, 8); /* a0 a1 */
    must_append(kv, b, 2, 0, 8); /* b0 b1 */
    assert_gather(kv, a, 1, 0, 1);
    must_append(kv, b, 2, 8, 1); /* a1 goes: a0 was read, b0 and b1 were written since */
    must_append(kv, b, 2, 9, 1);
    assert_gather(kv, b, 2, 0, 1);
    must_append(kv, a, 1, 8, 1);                                     /* b1 */
    assert_ok(lethe_kv_read_begin(b, 0, &view, &kv->err), &kv->err); /* a0 makes room for b1 */
    lethe_kv_read_end(&view);
    must_append(kv, a, 1, 9, 7); /* of b0, b1 and b2, of one call: the first, b0 */
    must_end(kv, a);
    must_end(kv, b);
    (void)put_order(vault, order, capacity);
    leave_vault(kv, vault);
}

static void the_same_calls_evict_the_same_blocks(void **state)
{
    struct kv_site *kv = *state;
    char first[256] = "", again[256] = "";
    play(kv, first, sizeof first);
    play(kv, again, sizeof again);
    assert_string_equal(first, "a1 b1 a0 b0 ");
    assert_string_equal(first, again);
    assert_recorded(8, kv->site, "cache_evicted", "\"cause\":\"spilled\"", "\"verified\":true");
}

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

/* CI-006, P-12; the first row is the control. */
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

/* The one descriptor of this process that leads to a file without a name in /tmp. */
static int nameless_file(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int fd = -1;
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char target[256] = "";
        if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0 &&
            strncmp(target, "/tmp/", 5) == 0 && strstr(target, "(deleted)") != NULL)
            fd = atoi(entry->d_name);
    }
    closedir(directory);
    assert_true(fd >= 0);
    return fd;
}

static void a_file_that_is_cut_or_changed_is_noticed(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_spill_file *file;
    struct lethe_kv_options options = cache_options(1);
    size_t slot = lethe_kv_spill_bytes(&options);
    bool same;
    assert_ok(lethe_spill_file_create("/tmp", slot, 3 * slot, &file, &kv->err), &kv->err);
    const struct lethe_spill table = lethe_spill_file_table(file);
    must_cache_with(kv, 1, &table);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 18, 0, 12);
    assert_gather(kv, session, 18, 0, 12);
    assert_int_equal(ftruncate(nameless_file(), 0), 0);
    lethe_result result = gather_is(session, 18, 0, 0, 4, &same, &kv->err);
    assert_true(result == LETHE_LOST || result == LETHE_INTEGRITY); /* or what is now a hole */
    must_end(kv, session);

    session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 19, 0, 8);
    for (off_t at = 0; at < (off_t)(3 * slot); at += (off_t)slot)
        assert_int_equal(pwrite(nameless_file(), "x", 1, at + 5), 1);
    assert_result(LETHE_INTEGRITY, gather_is(session, 19, 0, 0, 4, &same, &kv->err));
    must_end(kv, session);

    session = must_open_kv(kv, "acme", "s1");
    assert_result(LETHE_NO_SPACE, append_tokens(session, 20, 0, 20, &kv->err));
    assert_non_null(strstr(kv->err.text, "are needed, 0 of 4656 are available"));
    must_end(kv, session);
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
    lethe_spill_file_free(file);
}

static void stores_refuse_what_they_cannot_keep(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_error *err = &kv->err;
    const struct lethe_spill_id one = {.block = 1}, two = {.block = 2};
    uint8_t bytes[64] = {1}, out[64];
    struct lethe_spill_file *file;
    struct lethe_spill_memory *memory;
    assert_result(LETHE_INVALID, lethe_spill_file_create("/tmp", 0, 0, &file, err));
    assert_result(LETHE_INVALID, lethe_spill_file_create("/tmp", 64, 63, &file, err));
    assert_result(LETHE_NOT_FOUND, lethe_spill_file_create("/nowhere", 64, 0, &file, err));
    assert_null(file);
    assert_ok(lethe_spill_file_create("/tmp", 64, 64, &file, err), err);
    assert_ok(lethe_spill_memory_create(64, &memory, err), err);
    const struct lethe_spill tables[] = {lethe_spill_file_table(file),
                                         lethe_spill_memory_table(memory)};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        const struct lethe_spill *table = &tables[i];
        void *context = table->context;
        assert_result(LETHE_NOT_FOUND, table->get(context, &one, out, 64, err));
        assert_ok(table->put(context, &one, bytes, 64, err), err);
        bytes[0]++;
        assert_ok(table->put(context, &one, bytes, 64, err), err); /* in place of the first */
        assert_result(LETHE_NO_SPACE, table->put(context, &two, bytes, 64, err));
        assert_ok(table->get(context, &one, out, 64, err), err);
        assert_memory_equal(out, bytes, 64);
        table->drop(context, &two);
        table->drop(context, &one);
        table->drop(context, &one);
        assert_result(LETHE_NOT_FOUND, table->get(context, &one, out, 64, err));
        assert_ok(table->put(context, &two, bytes, 64, err), err);
    }
    assert_result(LETHE_INVALID, tables[0].put(file, &one, bytes, 65, err));
    assert_int_equal(ftruncate(nameless_file(), 63), 0);
    assert_result(LETHE_NOT_FOUND, tables[0].get(file, &two, out, 64, err));
    lethe_spill_file_free(file);
    lethe_spill_memory_free(memory);
    lethe_spill_memory_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(a_store_in_memory_holds_what_does_not_fit),
        kv_test(a_store_in_a_file_holds_what_does_not_fit),
        kv_test(a_paused_session_goes_on),
        kv_test(a_view_holds_what_it_fetched_and_says_when_it_cannot),
        kv_test(over_its_budget_a_session_spills_its_oldest),
        kv_test(a_window_drops_what_is_spilled),
        kv_test(truncating_reaches_what_is_spilled),
        kv_test(a_store_sees_ciphertext_only),
        kv_test(the_same_calls_evict_the_same_blocks),
        cmocka_unit_test(what_was_not_put_there_last_is_refused),
        kv_test(a_condemned_session_is_wiped_behind_its_readers),
        kv_test(a_store_may_fail_at_every_call),
        kv_test(a_lost_block_is_said_to_be_lost),
        kv_test(a_file_that_is_cut_or_changed_is_noticed),
        kv_test(stores_refuse_what_they_cannot_keep),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
