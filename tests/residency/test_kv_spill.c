/* KV caches with a store: what goes there is ciphertext, what comes back is what went there last,
 * or nothing; which blocks go is decided by the calls alone. */
#include "vault.h"

#include "crypto/block_seal.h"
#include "residency/kv_core.h"

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

/* A cache of two blocks, whose store has room for three, and a session that fills both. */
static struct lethe_kv *must_fill_the_store(struct kv_site *kv)
{
    const struct lethe_kv_options options = cache_options(2);
    assert_ok(lethe_spill_memory_create(3 * lethe_kv_spill_bytes(&options), &kv->memory, &kv->err),
              &kv->err);
    kv->spill = lethe_spill_memory_table(kv->memory);
    must_cache_with(kv, 2, &kv->spill);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 5, 0, 20);
    assert_int_equal(counters_of(kv).spilled_blocks, 3);
    return session;
}

static const char store_is_full[] = "1552 bytes are needed, 0 of 4656 are available";

/* RP-002: all of it can still be read, block by block, and none of it moves for that. */
static void what_a_full_store_has_is_gathered_where_it_is(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv *session = must_fill_the_store(kv);
    struct lethe_error *err = &kv->err;
    for (unsigned round = 0; round < 2; round++) {
        assert_result(LETHE_NO_SPACE, append_tokens(session, 5, 20, 1, err));
        assert_non_null(strstr(err->text, store_is_full));
        *err = (struct lethe_error){.text = "as it was"};
        assert_gather(kv, session, 5, 0, 20);
        assert_gather(kv, session, 5, 6, 3);
        assert_string_equal(err->text, "as it was");
    }
    assert_ok(lethe_kv_gather(session, 0, 0, 4, NULL, NULL, err), err);
    assert_int_equal(counters_of(kv).spilled_blocks, 3);
    assert_int_equal(counters_of(kv).fetches, 0);
    assert_true(lethe_is_zero(lethe_region_bytes(kv->cache->plain), BLOCK_BYTES));
    must_end(kv, session);
}

/* What a view needs all at once does not fit; the words are the store's. */
static void a_view_of_what_a_full_store_has_does_not_fit(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    struct lethe_kv *session = must_fill_the_store(kv);
    assert_result(LETHE_NO_MEMORY, lethe_kv_read_begin(session, 0, &view, &kv->err));
    assert_int_equal(kv->err.code, LETHE_NO_MEMORY);
    assert_non_null(strstr(kv->err.text, store_is_full));
    assert_null(view.inside);
    assert_result(LETHE_NO_MEMORY, lethe_kv_read_begin(session, 0, &view, NULL));
    assert_gather(kv, session, 5, 0, 20);
    must_end(kv, session);
}

/* Nor does a gather wait for who holds all blocks. */
static void what_is_spilled_is_gathered_while_others_hold_all_blocks(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    must_spilling_cache(kv, 2);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "bolt", "s1");
    must_append(kv, two, 6, 0, 7);
    must_append(kv, one, 5, 0, 8);
    assert_ok(lethe_kv_read_begin(one, 0, &view, &kv->err), &kv->err);
    assert_gather(kv, two, 6, 0, 7);
    assert_int_equal(counters_of(kv).spilled_blocks, 2);
    assert_true(view_is(&view, 5, 0, 0, 8));
    lethe_kv_read_end(&view);
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

/* P-12: no two blocks, and no two versions of one, are under one key stream. */
static void no_nonce_comes_twice(void **state)
{
    struct kv_site *kv = *state;
    CLEANUP(block_key_free) struct block_key *key = NULL;
    static const struct block_place places[] = {
        {1, 1, 64}, {1, 2, 64}, {2, 1, 64}, {0, 1, 64}, {1, (uint64_t)1 << 32, 64}};
    uint8_t plain[64] = {0}, sealed[ARRAY_LEN(places)][64 + AEAD_TAG_BYTES];
    assert_ok(block_key_create(KV_SPILL_LABEL, &key, &kv->err), &kv->err);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        assert_result(LETHE_OK, block_seal(key, &places[i], plain, sealed[i], sealed[i] + 64));
        for (size_t j = 0; j < i; j++) /* of zeros, the key stream itself */
            assert_int_not_equal(memcmp(sealed[i], sealed[j], 16), 0);
    }
}

/* P-12: what a store has of the time before a reset is of another key. */
static void a_reset_session_spills_as_another(void **state)
{
    struct kv_site *kv = *state;
    struct vault *vault = must_vault(kv, 1);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 1, 0, 8);
    size_t before = vault->count;
    assert_ok(lethe_kv_reset(session, &kv->err), &kv->err);
    must_append(kv, session, 2, 0, 8);
    assert_true(before > 0 && vault->count > before);
    assert_int_not_equal(memcmp(vault->puts[0].id.space, vault->puts[before].id.space,
                                sizeof vault->puts[0].id.space),
                         0);
    assert_gather(kv, session, 2, 0, 8);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(a_store_in_memory_holds_what_does_not_fit),
        kv_test(a_store_in_a_file_holds_what_does_not_fit),
        kv_test(a_paused_session_goes_on),
        kv_test(a_view_holds_what_it_fetched_and_says_when_it_cannot),
        kv_test(what_a_full_store_has_is_gathered_where_it_is),
        kv_test(a_view_of_what_a_full_store_has_does_not_fit),
        kv_test(what_is_spilled_is_gathered_while_others_hold_all_blocks),
        kv_test(over_its_budget_a_session_spills_its_oldest),
        kv_test(a_window_drops_what_is_spilled),
        kv_test(truncating_reaches_what_is_spilled),
        kv_test(a_store_sees_ciphertext_only),
        kv_test(no_nonce_comes_twice),
        kv_test(a_reset_session_spills_as_another),
        kv_test(the_same_calls_evict_the_same_blocks),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
