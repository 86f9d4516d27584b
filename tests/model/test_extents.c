/* Shards that are parts of files: what a manifest may say of them, and what it may not; which files
 * and experts they make; and how bytes find their places. */
#include "split_manifests.h"

#include "chance.h"

static struct lethe_error err;

#define NONE ""
#define EXTENTS(ranges) ",\"extents\":[" ranges "]"
#define EXPERT(layer, index) ",\"expert\":{\"index\":" #index ",\"layer\":" #layer "}"

/* Two files and a whole one: of "m" two experts, their router and the rest; of "n" the rest of an
 * expert that lies in both. */
static const struct part good[] = {
    {"m", "dense", 40, EXTENTS("[0,10],[70,100]")},
    {"m", "router", 10, EXTENTS("[10,20]")},
    {"m", "expert", 30, EXPERT(0, 0) EXTENTS("[20,40],[60,70]")},
    {"m", "expert", 20, EXPERT(3, 17) EXTENTS("[40,60]")},
    {"n", "expert", 5, EXPERT(3, 17) EXTENTS("[5,10]")},
    {"n", "dense", 5, EXTENTS("[0,5]")},
    {"o", "expert", 9, EXPERT(2, 1)},
    {"z", "weights", 0, NONE},
};

static void what_is_read_is_written_again(void **state)
{
    struct manifest *m;
    CLEANUP(buffer_clear) struct buffer expected = {0};
    CLEANUP(buffer_clear) struct buffer found = {0};
    assert_ok(parse_parts(good, ARRAY_LEN(good), &m, &err), &err);
    write_parts(&expected, good, ARRAY_LEN(good));
    assert_ok(manifest_write(m, &found, &err), &err);
    assert_string_equal(found.bytes, expected.bytes);
    assert_int_equal(m->shards[0].extents.count, 2);
    assert_int_equal(m->shards[0].extents.items[1].at, 10);
    assert_int_equal(m->shards[7].extents.count, 0);
    assert_int_equal(m->shards[3].expert.index, 17);
    manifest_free(m);
}

static void files_are_made_of_their_shards(void **state)
{
    static const struct {
        const char *name;
        uint64_t size;
        size_t count;
        size_t first;
    } files[] = {{"m", 100, 4, 0}, {"n", 10, 2, 4}, {"o", 9, 1, 6}, {"z", 0, 1, 7}};
    struct manifest *m;
    assert_ok(parse_parts(good, ARRAY_LEN(good), &m, &err), &err);
    assert_int_equal(m->files.count, ARRAY_LEN(files));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const struct model_file *file = &m->files.items[i];
        assert_string_equal(file->name, files[i].name);
        assert_int_equal(file->size_bytes, files[i].size);
        assert_int_equal(file->shard_count, files[i].count);
        for (size_t j = 0; j < file->shard_count; j++)
            assert_int_equal(file->shards[j], files[i].first + j);
    }
    manifest_free(m);
}

static void experts_are_found(void **state)
{
    static const struct expert_id in_order[] = {{0, 0}, {2, 1}, {3, 17}};
    static const struct expert_id missing[] = {{0, 1}, {3, 16}, {3, 18}, {17, 3}, {4, 0}};
    struct manifest *m;
    assert_ok(parse_parts(good, ARRAY_LEN(good), &m, &err), &err);
    assert_int_equal(m->experts.count, ARRAY_LEN(in_order));
    for (size_t i = 0; i < ARRAY_LEN(in_order); i++)
        assert_ptr_equal(model_expert_at(&m->experts, in_order[i]), &m->experts.items[i]);
    for (size_t i = 0; i < ARRAY_LEN(missing); i++)
        assert_null(model_expert_at(&m->experts, missing[i]));
    const struct model_expert *expert = model_expert_at(&m->experts, in_order[2]);
    assert_int_equal(expert->shard_count, 2);
    assert_int_equal(expert->shards[0], 3);
    assert_int_equal(expert->shards[1], 4);
    assert_int_equal(expert->size_bytes, 25);
    manifest_free(m);
    assert_ok(parse_parts(&good[7], 1, &m, &err), &err);
    assert_null(model_expert_at(&m->experts, in_order[0]));
    manifest_free(m);
}

/* ---- what may not be said -------------------------------------------------------------------- */

/* With `part` in the place of one of the good ones. */
static void assert_refused(size_t index, const struct part *part, const char *why)
{
    struct part parts[ARRAY_LEN(good)];
    struct manifest *m;
    memcpy(parts, good, sizeof good);
    parts[index] = *part;
    err = (struct lethe_error){0};
    lethe_result result = parse_parts(parts, ARRAY_LEN(parts), &m, &err);
    assert_null(m);
    if (result != LETHE_MALFORMED || err.code != LETHE_MALFORMED || strstr(err.text, why) == NULL)
        fail_msg("%s, %s: %s: \"%s\" does not say \"%s\"", part->kind, part->part,
                 lethe_result_name(result), err.text, why);
}

static void bad_ranges_are_refused(void **state)
{
    static const struct {
        size_t index;
        struct part part;
        const char *why;
    } cases[] = {
        {1, {"m", "router", 11, EXTENTS("[10,21]")}, "two shards hold the same part"},
        {1, {"m", "router", 11, EXTENTS("[9,20]")}, "two shards hold the same part"},
        {3, {"m", "expert", 20, EXPERT(3, 17) EXTENTS("[20,40]")}, "two shards hold the same part"},
        {1, {"m", "router", 9, EXTENTS("[10,19]")}, "no shard holds a part"},
        {1, {"m", "router", 9, EXTENTS("[11,20]")}, "no shard holds a part"},
        {5, {"n", "dense", 4, EXTENTS("[1,5]")}, "no shard holds a part"},
        {0, {"m", "dense", 30, EXTENTS("[70,100]")}, "no shard holds a part"},
        {1, {"n", "router", 10, EXTENTS("[10,20]")}, "no shard holds a part"}, /* of m */
        {0, {"m", "dense", 40, EXTENTS("[70,100],[0,10]")}, "behind the one before"},
        {0, {"m", "dense", 40, EXTENTS("[0,10],[9,39]")}, "behind the one before"},
        {1, {"m", "router", 10, EXTENTS("[10,15],[15,20]")}, "behind the one before"},
        {1, {"m", "router", 20, EXTENTS("[10,20],[10,20]")}, "behind the one before"},
        {1, {"m", "router", 10, EXTENTS("[10,10],[11,21]")}, "empty"},
        {1, {"m", "router", 10, EXTENTS("[20,10]")}, "empty"},
        {1, {"m", "router", 10, EXTENTS("")}, "0 ranges"},
        {1, {"m", "router", 10, EXTENTS("[10]")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("[10,20,30]")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("[]")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("{}")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("10,20")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("[\"10\",20]")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("[10.0,20]")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("[-10,0]")}, "not two places"},
        {1, {"m", "router", 10, EXTENTS("[null,20]")}, "not two places"},
        {1, {"m", "router", 2, EXTENTS("[9007199254740990,9007199254740992]")}, "not two places"},
        {1, {"m", "router", 1, EXTENTS("[9007199254740990,9007199254740991]")}, "no shard holds"},
        {1, {"m", "router", 11, EXTENTS("[10,20]")}, "field 'size'"},
        {1, {"m", "router", 9, EXTENTS("[10,20]")}, "field 'size'"},
        {1, {"m", "router", 0, EXTENTS("[10,20]")}, "field 'size'"},
        {1, {"m", "router", 10, NONE}, "no field 'extents'"},
        {6, {"z", "weights", 0, NONE}, "no field 'extents'"},
        {7, {"z", "weights", 9, EXTENTS("[0,9]")}, "no other shard"},
        {7, {"m/z", "weights", 0, NONE}, "'name'"},
        {1, {"m", "router", 10, ",\"extents\":{}"}, "extents"},
        {1, {"m", "router", 10, ",\"extents\":[10,20]"}, "not two places"},
        {1, {"m", "router", 10, ",\"extents\":null"}, "extents"},
        {1, {"m", "router", 10, EXTENTS("[10,20]") EXTENTS("[10,20]")}, "already"},
        {1, {"m", "router", 10, ",\"ranges\":[[10,20]]"}, "does not know"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i].index, &cases[i].part, cases[i].why);
}

static void bad_experts_are_refused(void **state)
{
    static const struct {
        struct part part; /* for shard 3 */
        const char *why;
    } cases[] = {
        {{"m", "expert", 20, EXTENTS("[40,60]")}, "belongs to shards of the kind"},
        {{"m", "dense", 20, EXPERT(3, 17) EXTENTS("[40,60]")}, "belongs to shards of the kind"},
        {{"m", "expert", 20, EXPERT(0, 0) EXTENTS("[40,60]")}, "two shards of one file"},
        {{"m", "expert", 20, EXPERT(-1, 17) EXTENTS("[40,60]")}, "layer"},
        {{"m", "expert", 20, EXPERT(3, 65536) EXTENTS("[40,60]")}, "over 65535"},
        {{"m", "expert", 20, EXPERT(65536, 17) EXTENTS("[40,60]")}, "over 65535"},
        {{"m", "expert", 20, EXPERT("3", 17) EXTENTS("[40,60]")}, "layer"},
        {{"m", "expert", 20, ",\"expert\":{\"index\":17}" EXTENTS("[40,60]")}, "layer"},
        {{"m", "expert", 20, ",\"expert\":{}" EXTENTS("[40,60]")}, "index"},
        {{"m", "expert", 20, ",\"expert\":17" EXTENTS("[40,60]")}, "expert"},
        {{"m", "expert", 20, ",\"expert\":[3,17]" EXTENTS("[40,60]")}, "expert"},
        {{"m", "expert", 20,
          ",\"expert\":{\"index\":17,\"layer\":3,\"part\":1}" EXTENTS("[40,60]")},
         "does not know"},
        {{"m", "expert", 20, EXPERT(3, 17) EXPERT(3, 17) EXTENTS("[40,60]")}, "already"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(3, &cases[i].part, cases[i].why);
}

/* A shard of every second byte, as often as is allowed, and once more. */
static lethe_result parse_many_ranges(size_t count, struct manifest **out)
{
    CLEANUP(buffer_clear) struct buffer even = {0};
    CLEANUP(buffer_clear) struct buffer odd = {0};
    for (size_t i = 0; i < count; i++) {
        const char *before = i == 0 ? ",\"extents\":[" : ",";
        buffer_format(&even, "%s[%zu,%zu]", before, 2 * i, 2 * i + 1);
        buffer_format(&odd, "%s[%zu,%zu]", before, 2 * i + 1, 2 * i + 2);
    }
    buffer_text(&even, "]");
    buffer_text(&odd, "]");
    assert_ok(buffer_result(&even, &err), &err);
    assert_ok(buffer_result(&odd, &err), &err);
    const struct part parts[] = {{"m", "dense", count, odd.bytes},
                                 {"m", "router", count, even.bytes}};
    return parse_parts(parts, 2, out, &err);
}

static void ranges_are_counted(void **state)
{
    struct manifest *m;
    assert_ok(parse_many_ranges(SHARD_EXTENTS_MAX, &m), &err);
    assert_int_equal(m->files.items[0].size_bytes, 2 * SHARD_EXTENTS_MAX);
    manifest_free(m);
    assert_result(LETHE_MALFORMED, parse_many_ranges(SHARD_EXTENTS_MAX + 1, &m));
    assert_non_null(strstr(err.text, "instead of 1 to"));
}

/* ---- bytes and their places ------------------------------------------------------------------ */

#define FILE_BYTES 5000u
#define LISTS 5u

/* Every byte of the file belongs to one of the lists; runs of one owner become one range. */
static void deal(struct extent_list lists[LISTS], unsigned owner_of[FILE_BYTES])
{
    for (unsigned begin = 0, end; begin < FILE_BYTES; begin = end) {
        end = begin + 1 + (unsigned)chance(chance(2) == 0 ? 3 : 300);
        end = MIN(end, FILE_BYTES);
        unsigned owner = (unsigned)chance(LISTS);
        for (unsigned i = begin; i < end; i++)
            owner_of[i] = owner;
        assert_ok(extent_list_add(&lists[owner], begin, end, &err), &err);
    }
}

/* What was gathered byte by byte, by another way than the code has. */
static size_t expect_plaintext(unsigned owner, const unsigned owner_of[FILE_BYTES],
                               const uint8_t *file, uint8_t *out)
{
    size_t count = 0;
    for (unsigned i = 0; i < FILE_BYTES; i++)
        if (owner_of[i] == owner)
            out[count++] = file[i];
    return count;
}

static void check_list(const struct extent_list *list, unsigned owner, const unsigned *owner_of,
                       const uint8_t *file, uint8_t *again)
{
    uint8_t expected[FILE_BYTES];
    uint8_t found[FILE_BYTES];
    size_t size = expect_plaintext(owner, owner_of, file, expected);
    assert_int_equal(extent_list_bytes(list), size);
    for (size_t at = 0, step; at < size; at += step) {
        step = 1 + chance(700);
        step = MIN(step, size - at);
        extent_list_gather(list, at, found + at, step, file);
        extent_list_scatter(list, at, found + at, step, again);
        struct extent piece = extent_piece(list, at, step);
        assert_true(extent_bytes(&piece) > 0 && extent_bytes(&piece) <= step);
        assert_int_equal(owner_of[piece.begin], owner);
        assert_int_equal(extent_list_before(list, piece.begin), at);
    }
    assert_memory_equal(found, expected, size);
    for (size_t i = 1; i < list->count; i++)
        assert_true(list->items[i - 1].end < list->items[i].begin);
}

static void any_split_is_put_together_again(void **state)
{
    chance_seed_by_time();
    for (unsigned round = 0; round < 200; round++) {
        struct extent_list lists[LISTS] = {0};
        unsigned owner_of[FILE_BYTES];
        uint8_t file[FILE_BYTES];
        uint8_t again[FILE_BYTES] = {0};
        for (unsigned i = 0; i < FILE_BYTES; i++)
            file[i] = (uint8_t)chance(256);
        deal(lists, owner_of);
        for (unsigned i = 0; i < LISTS; i++)
            check_list(&lists[i], i, owner_of, file, again);
        assert_memory_equal(again, file, FILE_BYTES);
        for (unsigned i = 0; i < LISTS; i++)
            extent_list_clear(&lists[i]);
    }
}

static void no_ranges_are_the_whole_file(void **state)
{
    const struct extent_list whole = {0};
    struct extent piece = extent_piece(&whole, 17, 4);
    assert_int_equal(piece.begin, 17);
    assert_int_equal(piece.end, 21);
    assert_int_equal(extent_list_before(&whole, 17), 17);
    piece = extent_piece(&whole, 0, 0);
    assert_int_equal(extent_bytes(&piece), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_again),
        cmocka_unit_test(files_are_made_of_their_shards),
        cmocka_unit_test(experts_are_found),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(bad_experts_are_refused),
        cmocka_unit_test(ranges_are_counted),
        cmocka_unit_test(any_split_is_put_together_again),
        cmocka_unit_test(no_ranges_are_the_whole_file),
    };
    return cmocka_run_group_tests_name("extents", tests, NULL, NULL);
}
