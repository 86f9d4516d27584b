/* How far a rotation has come (K-7): what is reported is what an operator reads. */
#include "engine_check.h"

#include "kms/usage.h"

static lethe_result show(void *context, const struct usage *usage, struct lethe_error *error)
{
    buffer_format(context, "%s v%llu %llu;", usage->model, (unsigned long long)usage->count.version,
                  (unsigned long long)usage->count.shards);
    return LETHE_OK;
}

static void assert_usage(struct room *room, const char *key, const char *expected)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "");
    assert_ok(usage_read(room->keeper, key, show, &text, &err), &err);
    assert_string_equal(expected, text.bytes);
}

static lethe_result add_up(void *context, const struct usage *usage, struct lethe_error *error)
{
    struct usage_count *total = context;
    if (usage->count.version == total->version)
        total->shards += usage->count.shards;
    return LETHE_OK;
}

static uint64_t shards_of(struct room *room, uint64_t version)
{
    struct usage_count total = {.version = version};
    assert_ok(usage_read(room->keeper, "k", add_up, &total, &err), &err);
    return total.shards;
}

static void a_rotation_can_be_followed_to_its_end(void **state)
{
    struct room *room = *state;
    const struct usage_count before[] = {{1, 100}};
    const struct usage_count half[] = {{1, 40}, {2, 60}};
    const struct usage_count after[] = {{2, 100}};
    must_make(room, "k", ENGINE_AES256_GCM96);
    must_rotate(room, "k");
    assert_ok(usage_report(room->keeper, "k", "acme/llama", before, 1, &err), &err);
    assert_ok(usage_report(room->keeper, "k", "acme/vad", before, 1, &err), &err);
    assert_int_equal(200, shards_of(room, 1));
    assert_ok(usage_report(room->keeper, "k", "acme/llama", half, 2, &err), &err);
    assert_int_equal(140, shards_of(room, 1));
    assert_int_equal(60, shards_of(room, 2));
    assert_ok(usage_report(room->keeper, "k", "acme/llama", after, 1, &err), &err);
    assert_ok(usage_report(room->keeper, "k", "acme/vad", NULL, 0, &err), &err);
    assert_ok(usage_report(room->keeper, "k", "acme/vad", NULL, 0, &err), &err);
    assert_usage(room, "k", "acme/llama v2 100;");
    assert_int_equal(0, shards_of(room, 1));
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct usage_count bad[] = {{0, 1}, {2, 1}, {1, 0}, {UINT64_MAX, 1}};
    struct room *room = *state;
    struct usage_count many[USAGE_VERSIONS_MAX + 1];
    char longest[USAGE_MODEL_MAX + 2];
    must_make(room, "k", ENGINE_AES256_GCM96);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, usage_report(room->keeper, "k", "m", &bad[i], 1, &err));
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct usage_count){1, 1};
    assert_result(LETHE_LIMIT, usage_report(room->keeper, "k", "m", many, ARRAY_LEN(many), &err));
    assert_result(LETHE_NOT_FOUND, usage_report(room->keeper, "none", "m", many, 1, &err));
    assert_result(LETHE_INVALID, usage_report(room->keeper, "k", "", many, 1, &err));
    assert_result(LETHE_INVALID, usage_report(room->keeper, "k", "a b", many, 1, &err));
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_result(LETHE_INVALID, usage_report(room->keeper, "k", longest, many, 1, &err));
    assert_usage(room, "k", "");
    longest[USAGE_MODEL_MAX] = '\0';
    assert_ok(usage_report(room->keeper, "k", longest, many, USAGE_VERSIONS_MAX, &err), &err);
}

static void the_same_again_is_not_written(void **state)
{
    struct room *room = *state;
    const struct usage_count counts[] = {{1, 100}};
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_ok(usage_report(room->keeper, "k", "m", counts, 1, &err), &err);
    uint64_t epoch = store_epoch(keeper_store(room->keeper));
    for (size_t i = 0; i < 10; i++)
        assert_ok(usage_report(room->keeper, "k", "m", counts, 1, &err), &err);
    assert_int_equal(epoch, store_epoch(keeper_store(room->keeper)));
}

static void with_a_key_goes_what_was_said_of_it(void **state)
{
    struct room *room = *state;
    const struct usage_count counts[] = {{1, 100}};
    const bool yes = true;
    const struct engine_config config = {.deletion_allowed = &yes};
    must_make(room, "k", ENGINE_AES256_GCM96);
    must_make(room, "k2", ENGINE_AES256_GCM96);
    assert_ok(usage_report(room->keeper, "k", "m", counts, 1, &err), &err);
    assert_ok(usage_report(room->keeper, "k2", "m", counts, 1, &err), &err);
    assert_ok(engine_configure(room->engine, "k", &config, &err), &err);
    assert_ok(engine_delete(room->engine, "k", &err), &err);
    assert_usage(room, "k", "");
    assert_usage(room, "k2", "m v1 100;");
}

static void strange_rows_are_no_reports(void **state)
{
    struct usage_row row = {.reported_s = 5, .model = "m", .counts = {{1, 2}, {3, 4}}, .count = 2};
    struct usage_row read;
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    usage_row_format(&row, &bytes);
    assert_result(LETHE_OK, usage_row_parse(bytes.bytes, bytes.size_bytes, &read));
    assert_memory_equal(&row, &read, sizeof row);
    for (size_t size = 0; size < bytes.size_bytes; size++)
        assert_result(size == bytes.size_bytes - 16 ? LETHE_OK : LETHE_MALFORMED,
                      usage_row_parse(bytes.bytes, size, &read));
    bytes.bytes[0] = 2;
    assert_result(LETHE_MALFORMED, usage_row_parse(bytes.bytes, bytes.size_bytes, &read));
    bytes.bytes[0] = 1;
    bytes.bytes[13] = '\0';
    assert_result(LETHE_MALFORMED, usage_row_parse(bytes.bytes, bytes.size_bytes, &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(a_rotation_can_be_followed_to_its_end),
        IN_ROOM(what_cannot_be_is_refused),
        IN_ROOM(the_same_again_is_not_written),
        IN_ROOM(with_a_key_goes_what_was_said_of_it),
        cmocka_unit_test(strange_rows_are_no_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
