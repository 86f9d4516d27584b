/* The arena: what is lent, where blocks lie, and that nothing is lent twice or unwiped. */
#include "check.h"

#include <lethe/mem.h>

#include "../mem/fakes.h"
#include "arena_check.h"
#include "chance.h"
#include "pool/arena_pages.h"

#define PAGE ARENA_PAGE_BYTES
#define PAGES 512u

/* ---- sizes that are refused ------------------------------------------------------------------ */

static void sizes_that_cannot_be_lent_are_refused(void **state)
{
    static const uint64_t sizes[] = {
        0, 1, PAGE - 1, PAGE + 1, (uint64_t)1 << 43, UINT64_MAX, UINT64_MAX - PAGE + 1};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct pool_arena *arena;
        struct lethe_error err = {0};
        const struct pool_arena_options options = {.size_bytes = sizes[i]};
        assert_result(LETHE_INVALID, pool_arena_create(&options, &arena, &err));
        assert_null(arena);
        assert_non_null(strstr(err.text, "memory to lend"));
    }
}

static void more_than_the_machine_has_is_refused_before_it_is_asked_for(void **state)
{
    struct pool_arena *arena;
    struct lethe_error err = {0};
    const struct pool_arena_options options = {.size_bytes = (uint64_t)1 << 42};
    assert_result(LETHE_NO_MEMORY, pool_arena_create(&options, &arena, &err));
    assert_non_null(strstr(err.text, "on a machine with"));
}

/* Memory that may be swapped is not lent. */
static void what_cannot_be_locked_is_not_lent(void **state)
{
    struct pool_arena *arena;
    struct lethe_error err = {0};
    const struct pool_arena_options options = {.size_bytes = 16 * PAGE};
    fakes_install(NULL);
    host.mlock = mlock_fails;
    fake_read(swap_on_disk);
    assert_result(LETHE_UNPROTECTED, pool_arena_create(&options, &arena, &err));
    fakes_remove(NULL);
    assert_string_not_equal(err.hint, "");
    assert_int_equal(lethe_result_exit_code(LETHE_UNPROTECTED), 6);
}

static void blocks_that_no_lease_has_are_refused(void **state)
{
    static const struct {
        uint64_t blocks;
        uint32_t block_bytes;
    } wishes[] = {{0, 4096},          {1, 0},
                  {1, 2048},          {1, 4097},
                  {1, 12288},         {1, 2 << 20},
                  {1, 1u << 31},      {(uint64_t)1 << 32, 4096},
                  {UINT64_MAX, 4096}, {UINT64_MAX / 16 + 1, 4096}};
    struct check_arena *check = check_arena_create(PAGES, NULL);
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        struct arena_extents extents;
        assert_result(LETHE_INVALID, pool_arena_take(check->arena, wishes[i].blocks,
                                                     wishes[i].block_bytes, &extents, NULL));
    }
    assert_int_equal(check_counters(check).free_bytes, PAGES * PAGE);
    check_arena_free(check);
}

/* ---- how much there is ----------------------------------------------------------------------- */

static void all_can_be_lent_and_not_a_page_more(void **state)
{
    struct check_arena *check = check_arena_create(PAGES, NULL);
    struct arena_extents all, more;
    struct lethe_error err = {0};
    /* 510 pages of data have two pages of tags */
    assert_result(LETHE_NO_SPACE, pool_arena_take(check->arena, 511, PAGE, &all, &err));
    assert_null(strstr(err.text, "pieces"));
    assert_result(LETHE_NO_SPACE, pool_arena_take(check->arena, UINT32_MAX, 1 << 20, &all, &err));
    assert_ok(pool_arena_take(check->arena, 510, PAGE, &all, &err), &err);
    assert_int_equal(check_counters(check).free_bytes, 0);
    assert_int_equal(check_counters(check).used_bytes, PAGES * PAGE);
    assert_result(LETHE_NO_SPACE, pool_arena_take(check->arena, 1, PAGE, &more, &err));
    check_return(check, &all);
    assert_ok(pool_arena_take(check->arena, 510, PAGE, &all, &err), &err);
    check_return(check, &all);
    check_arena_free(check);
}

static void sizes_are_told_beforehand(void **state)
{
    assert_int_equal(pool_arena_bytes_for(1, PAGE), 2 * PAGE);
    assert_int_equal(pool_arena_bytes_for(256, PAGE), 257 * PAGE);
    assert_int_equal(pool_arena_bytes_for(257, PAGE), 259 * PAGE);
    assert_int_equal(pool_arena_bytes_for(3, 1 << 20), (3 << 20) + PAGE);
    assert_true(pool_arena_bytes_for((uint64_t)1 << 32, 4096) == UINT64_MAX);
    assert_true(pool_arena_bytes_for(UINT32_MAX, 1 << 20) > (uint64_t)UINT32_MAX << 20);
}

/* ---- where blocks lie ------------------------------------------------------------------------ */

static void write_everywhere(struct pool_arena *arena, const struct arena_extents *extents,
                             uint8_t mark)
{
    for (uint64_t i = 0; i < extents->blocks; i++) {
        memset(pool_arena_block(arena, extents, i), mark ^ (int)(i & 0x7f), extents->block_bytes);
        memset(pool_arena_tag(arena, extents, i), (mark ^ (int)(i & 0x7f)) + 1, ARENA_TAG_BYTES);
    }
}

static void read_everywhere(struct pool_arena *arena, const struct arena_extents *extents,
                            uint8_t mark)
{
    for (uint64_t i = 0; i < extents->blocks; i++) {
        const uint8_t *data = pool_arena_block(arena, extents, i);
        const uint8_t *tag = pool_arena_tag(arena, extents, i);
        uint8_t expected = mark ^ (uint8_t)(i & 0x7f);
        assert_int_equal(data[0], expected);
        assert_memory_equal(data, data + 1, extents->block_bytes - 1);
        assert_int_equal(tag[0], (uint8_t)(expected + 1));
        assert_memory_equal(tag, tag + 1, ARENA_TAG_BYTES - 1);
    }
}

/* No block or tag lies on another's, whatever the sizes. */
static void blocks_and_tags_do_not_overlap(void **state)
{
    static const struct {
        uint64_t blocks;
        uint32_t block_bytes;
    } sizes[] = {{1, PAGE},  {255, PAGE},  {256, PAGE}, {257, PAGE},
                 {5, 65536}, {1, 1 << 20}, {3, 8192}};
    struct check_arena *check = check_arena_create(2048, NULL);
    struct arena_extents taken[ARRAY_LEN(sizes)];
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_ok(
            pool_arena_take(check->arena, sizes[i].blocks, sizes[i].block_bytes, &taken[i], &err),
            &err);
        write_everywhere(check->arena, &taken[i], (uint8_t)(0x80 + i));
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        read_everywhere(check->arena, &taken[i], (uint8_t)(0x80 + i));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        check_return(check, &taken[i]);
    check_arena_free(check);
}

/* Every other lease goes: what is free lies in pieces, which one lease can have together. */
static void a_lease_may_lie_in_pieces(void **state)
{
    struct check_arena *check = check_arena_create(PAGES, NULL);
    struct arena_extents small[64], large;
    struct lethe_error err = {0};
    for (size_t i = 0; i < 64; i++)
        assert_ok(pool_arena_take(check->arena, 7, PAGE, &small[i], &err), &err);
    for (size_t i = 0; i < 64; i += 2)
        check_return(check, &small[i]);
    assert_result(LETHE_NO_SPACE, pool_arena_take(check->arena, 3, 65536, &large, &err));
    assert_non_null(strstr(err.text, "in too many pieces"));
    assert_result(LETHE_NO_SPACE,
                  pool_arena_take(check->arena, 256, PAGE, &large, &err)); /* 33 runs */
    assert_int_equal(check_counters(check).free_bytes, 256 * PAGE);
    assert_ok(pool_arena_take(check->arena, 120, 8192, &large, &err), &err);
    assert_true(large.count > 20 && large.count <= ARENA_EXTENTS_MAX);
    for (size_t i = 0; i < large.tag_run; i++)
        assert_int_equal(large.runs[i].pages % 2, 0);
    write_everywhere(check->arena, &large, 0x55);
    for (size_t i = 1; i < 64; i += 2)
        write_everywhere(check->arena, &small[i], 0xaa);
    read_everywhere(check->arena, &large, 0x55);
    for (size_t i = 1; i < 64; i += 2)
        check_return(check, &small[i]);
    check_return(check, &large);
    check_arena_free(check);
}

/* ---- the map of pages, against a model ------------------------------------------------------- */

#define MODEL_PAGES 1000u
#define MODEL_LEASES 40u

struct model {
    struct page_map map;
    uint8_t owner[MODEL_PAGES]; /* 0: free */
    struct arena_extents leases[MODEL_LEASES];
    bool held[MODEL_LEASES];
    uint32_t free_pages;
};

static void model_take(struct model *model, size_t at)
{
    static const uint32_t units[] = {1, 1, 2, 16, 64};
    uint32_t unit = units[chance(ARRAY_LEN(units))];
    struct page_wish wish = {.data_pages = (uint64_t)unit * (1 + chance(8)),
                             .block_pages = unit,
                             .tag_pages = 1 + chance(3)};
    struct arena_extents *lease = &model->leases[at];
    model->held[at] = page_map_take(&model->map, &wish, lease);
    uint64_t data = 0, tags = 0;
    for (size_t i = 0; i < lease->count && model->held[at]; i++) {
        const struct arena_extent *run = &lease->runs[i];
        (i < lease->tag_run ? &data : &tags)[0] += run->pages;
        assert_true(i >= lease->tag_run || run->pages % unit == 0);
        for (uint32_t page = 0; page < run->pages; page++) {
            assert_int_equal(model->owner[run->first_page + page], 0);
            model->owner[run->first_page + page] = (uint8_t)(at + 1);
        }
    }
    if (!model->held[at])
        return;
    assert_true(data == wish.data_pages && tags == wish.tag_pages);
    model->free_pages -= (uint32_t)(data + tags);
}

static void model_put(struct model *model, size_t at)
{
    const struct arena_extents *lease = &model->leases[at];
    for (size_t i = 0; i < lease->count; i++) {
        page_map_put(&model->map, &lease->runs[i]);
        memset(model->owner + lease->runs[i].first_page, 0, lease->runs[i].pages);
        model->free_pages += lease->runs[i].pages;
    }
    model->held[at] = false;
}

/* Whatever is taken and put back, no page is given to two. */
static void no_page_is_given_to_two(void **state)
{
    static struct model model;
    struct arena_extents refused = {0};
    size_t taken = 0;
    model.free_pages = MODEL_PAGES;
    assert_ok(page_map_create(MODEL_PAGES, &model.map, NULL), &(struct lethe_error){0});
    for (size_t step = 0; step < 200000; step++) {
        size_t at = chance(MODEL_LEASES);
        if (model.held[at])
            model_put(&model, at);
        else
            model_take(&model, at);
        taken += model.held[at];
        assert_int_equal(model.map.free_pages, model.free_pages);
    }
    assert_true(taken > 50000);
    for (size_t at = 0; at < MODEL_LEASES; at++)
        if (model.held[at])
            model_put(&model, at);
    const struct page_wish more = {.data_pages = MODEL_PAGES, .block_pages = 1, .tag_pages = 1};
    const struct page_wish all = {.data_pages = MODEL_PAGES - 1, .block_pages = 1, .tag_pages = 1};
    assert_false(page_map_take(&model.map, &more, &refused));
    assert_true(page_map_take(&model.map, &all, &refused));
    assert_int_equal(refused.count, 2);
    page_map_clear(&model.map);
}

/* ---- wiped before it is lent again ----------------------------------------------------------- */

/* P-6: what comes back is wiped and read back before anybody can have it. The arena is full of
 * marks, so that whatever is taken next lies where marks were. */
static void what_comes_back_is_zero_before_it_is_lent_again(void **state)
{
    struct check_arena *check = check_arena_create(PAGES, NULL);
    struct arena_extents extents;
    struct lethe_error err = {0};
    for (size_t round = 0; round < 3; round++) {
        assert_ok(pool_arena_take(check->arena, 510, PAGE, &extents, &err), &err);
        assert_true(lethe_is_zero(pool_arena_block(check->arena, &extents, 0), PAGES * PAGE));
        write_everywhere(check->arena, &extents, 0x77);
        check_return(check, &extents);
        assert_true(check->verified);
    }
    assert_int_equal(check_counters(check).wiped_bytes_total, 3 * PAGES * PAGE);
    check_arena_free(check);
}

static void wipe_nothing(void *memory, size_t size_bytes)
{
}

/* The control: without the wipe the bytes are there, the check sees them, and nobody gets them. */
static void without_a_wipe_the_check_finds_the_bytes(void **state)
{
    struct check_arena *check = check_arena_create(PAGES, wipe_nothing);
    struct arena_extents extents, other;
    struct lethe_error err = {0};
    assert_ok(pool_arena_take(check->arena, 255, PAGE, &extents, &err), &err);
    write_everywhere(check->arena, &extents, 0x77);
    check_return(check, &extents);
    assert_false(check->verified);
    read_everywhere(check->arena, &extents, 0x77);
    assert_int_equal(check_counters(check).unwiped_bytes, 256 * PAGE);
    assert_int_equal(check_counters(check).free_bytes, 256 * PAGE);
    assert_result(LETHE_NO_SPACE, pool_arena_take(check->arena, 256, PAGE, &other, &err));
    assert_ok(pool_arena_take(check->arena, 255, PAGE, &other, &err), &err);
    assert_ptr_not_equal(pool_arena_block(check->arena, &other, 0),
                         pool_arena_block(check->arena, &extents, 0));
    check_arena_free(check);
}

static uint8_t *planted_at;

static void wipe_and_plant(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    if ((uint8_t *)memory <= planted_at && planted_at < (uint8_t *)memory + size_bytes)
        *planted_at = 1;
}

/* One bit that comes back between wipe and check, at the first and the last place that there is. */
static void one_byte_that_is_not_zero_keeps_the_pages_back_for_good(void **state)
{
    for (size_t end = 0; end < 2; end++) {
        struct check_arena *check = check_arena_create(PAGES, wipe_and_plant);
        struct arena_extents extents, good, more;
        struct lethe_error err = {0};
        assert_ok(pool_arena_take(check->arena, 100, PAGE, &extents, &err), &err);
        assert_ok(pool_arena_take(check->arena, 100, PAGE, &good, &err), &err);
        planted_at = end == 0 ? pool_arena_block(check->arena, &extents, 0)
                              : pool_arena_tag(check->arena, &extents, 0) + PAGE - 1;
        check_return(check, &extents);
        assert_false(check->verified);
        check_return(check, &good);
        assert_true(check->verified);
        assert_int_equal(check_counters(check).unwiped_bytes, 101 * PAGE);
        assert_int_equal(check_counters(check).free_bytes, (PAGES - 101) * PAGE);
        for (size_t taken = 0; taken < PAGES; taken++) {
            if (pool_arena_take(check->arena, 1, PAGE, &more, NULL) != LETHE_OK)
                break;
            assert_true(lethe_is_zero(pool_arena_block(check->arena, &more, 0), PAGE));
            assert_ptr_not_equal(pool_arena_block(check->arena, &more, 0), planted_at);
        }
        check_arena_free(check);
    }
}

/* Who writes into what is not lent to him is found by an arena that is told to look. */
static void a_suspicious_arena_sets_aside_what_was_written_while_it_was_free(void **state)
{
    struct check_arena *check = check_arena_create_suspicious(64);
    struct arena_extents extents, again;
    struct lethe_error err = {0};
    assert_ok(pool_arena_take(check->arena, 3, PAGE, &extents, &err), &err);
    uint8_t *block = pool_arena_block(check->arena, &extents, 2);
    check_return(check, &extents);
    *block = 1;
    assert_ok(pool_arena_take(check->arena, 3, PAGE, &again, &err), &err);
    assert_ptr_not_equal(pool_arena_block(check->arena, &again, 2), block);
    assert_int_equal(check_counters(check).unwiped_bytes, 4 * PAGE);
    assert_int_equal(check_counters(check).used_bytes, 4 * PAGE);
    check_return(check, &again);
    check_arena_free(check);
}

/* ---- its end --------------------------------------------------------------------------------- */

static struct {
    unsigned reports;
    bool verified;
    uint64_t size_bytes;
} ended;

static void on_region_wiped(void *context, const struct lethe_wipe_report *report)
{
    ended.reports++;
    ended.verified = report->verified;
    ended.size_bytes = report->size_bytes;
}

static void all_of_it_is_wiped_when_it_ends(void **state)
{
    lethe_mem_observe(&(struct lethe_mem_observer){.region_wiped = on_region_wiped});
    struct check_arena *check = check_arena_create(PAGES, NULL);
    struct arena_extents given_back, kept;
    struct lethe_error err = {0};
    assert_ok(pool_arena_take(check->arena, 100, PAGE, &given_back, &err), &err);
    assert_ok(pool_arena_take(check->arena, 100, PAGE, &kept, &err), &err);
    write_everywhere(check->arena, &given_back, 1);
    write_everywhere(check->arena, &kept, 2);
    pool_arena_give_back(check->arena, &given_back, &given_back);
    check_arena_free(check); /* what was given back is told before */
    lethe_mem_observe(NULL);
    assert_int_equal(ended.reports, 1);
    assert_true(ended.verified);
    assert_int_equal(ended.size_bytes, PAGES * PAGE);
    pool_arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_cannot_be_lent_are_refused),
        cmocka_unit_test(more_than_the_machine_has_is_refused_before_it_is_asked_for),
        cmocka_unit_test(what_cannot_be_locked_is_not_lent),
        cmocka_unit_test(blocks_that_no_lease_has_are_refused),
        cmocka_unit_test(all_can_be_lent_and_not_a_page_more),
        cmocka_unit_test(sizes_are_told_beforehand),
        cmocka_unit_test(blocks_and_tags_do_not_overlap),
        cmocka_unit_test(a_lease_may_lie_in_pieces),
        cmocka_unit_test(no_page_is_given_to_two),
        cmocka_unit_test(what_comes_back_is_zero_before_it_is_lent_again),
        cmocka_unit_test(without_a_wipe_the_check_finds_the_bytes),
        cmocka_unit_test(one_byte_that_is_not_zero_keeps_the_pages_back_for_good),
        cmocka_unit_test(a_suspicious_arena_sets_aside_what_was_written_while_it_was_free),
        cmocka_unit_test(all_of_it_is_wiped_when_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
