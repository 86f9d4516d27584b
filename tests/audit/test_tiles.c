#include <fcntl.h>
#include <sys/stat.h>

#include "audit_check.h"

#include "audit/prover.h"
#include "audit/tiles.h"
#include "base/json.h"
#include "base/text.h"

#define LEAVES 300u

static uint8_t leaves[70000][MERKLE_HASH_BYTES];

static void make_leaves(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(leaves); i++) {
        char entry[32];
        int length = snprintf(entry, sizeof entry, "entry-%u", i);
        merkle_leaf(entry, (size_t)length, leaves[i]);
    }
}

struct place {
    char *path;
    int directory;
    struct tiles *tiles;
};

static struct place fresh_place(void)
{
    struct lethe_error err = {0};
    struct place place = {.path = temp_path("tiles")};
    assert_int_equal(mkdir(place.path, 0700), 0);
    place.directory = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place.directory >= 0);
    assert_ok(tiles_open(place.directory, &place.tiles, &err), &err);
    return place;
}

static void leave(struct place *place)
{
    tiles_close(place->tiles);
    close(place->directory);
    free(place->path);
}

static lethe_result append(struct place *place, uint64_t first, size_t count)
{
    return tiles_append(place->tiles, first, (const uint8_t(*)[MERKLE_HASH_BYTES])leaves[first],
                        count, NULL);
}

static void assert_root(struct place *place, uint64_t size)
{
    struct lethe_error err = {0};
    struct merkle tree = {0};
    uint8_t expected[MERKLE_HASH_BYTES], root[MERKLE_HASH_BYTES];
    for (uint64_t i = 0; i < size; i++)
        merkle_append(&tree, leaves[i]);
    merkle_root(&tree, expected);
    assert_ok(tiles_root(place->tiles, size, root, &err), &err);
    assert_memory_equal(root, expected, sizeof root);
}

/* the tiles are those that golang.org/x/mod/sumdb/tlog makes for 300 leaves, byte for byte; a
 * tile that is not full has the same bytes under the full one's name. */
static void tiles_are_those_of_another_implementation(void **state)
{
    struct lethe_error err = {0};
    struct buffer text = get_file(TEST_VECTORS "/tlog/vectors.json");
    json_t *vectors = NULL;
    assert_ok(json_parse(text.bytes, text.size_bytes, &vectors, &err), &err);
    const json_t *rows = json_object_get(vectors, "tiles_for_300");
    struct place place = fresh_place();
    assert_result(LETHE_OK, append(&place, 0, LEAVES));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char name[64];
        uint8_t digest[SHA256_BYTES];
        size_t width = (size_t)json_integer_value(json_object_get(row, "W"));
        const char *tile = json_string_value(json_object_get(row, "Tlogtiles"));
        snprintf(name, sizeof name, "%.*s", (int)strcspn(tile, "."), tile);
        struct buffer content = log_file(place.path, name);
        assert_true(content.size_bytes >= width * MERKLE_HASH_BYTES);
        sha256(content.bytes, width * MERKLE_HASH_BYTES, digest);
        assert_hex(json_string_value(json_object_get(row, "Sha256")), digest, sizeof digest);
        buffer_clear(&content);
    }
    assert_true(json_array_size(rows) > 2);
    json_decref(vectors);
    buffer_clear(&text);
    leave(&place);
}

/* However the leaves come, the tiles are the same, at three levels of them. */
static void pieces_of_any_size_come_to_the_same(void **state)
{
    struct place place = fresh_place();
    static const size_t pieces[] = {1, 255, 1, 256, 257, 3, 511, 64, 1000};
    uint64_t size = 0;
    for (size_t i = 0; size < 66000; i = (i + 1) % ARRAY_LEN(pieces)) {
        assert_result(LETHE_OK, append(&place, size, pieces[i]));
        size += pieces[i];
    }
    assert_root(&place, size);
    assert_root(&place, 65536);
    assert_root(&place, 65535);
    assert_root(&place, 256);
    assert_root(&place, 1);
    assert_root(&place, 0);
    assert_result(LETHE_OK, append(&place, 0, 70000)); /* what is there, and more */
    assert_root(&place, 70000);
    leave(&place);
}

static void a_gap_is_refused_and_can_be_filled(void **state)
{
    uint8_t root[MERKLE_HASH_BYTES];
    struct place place = fresh_place();
    assert_result(LETHE_OK, append(&place, 0, 10));
    assert_result(LETHE_NOT_FOUND, append(&place, 11, 5));
    assert_result(LETHE_NOT_FOUND, tiles_root(place.tiles, 16, root, NULL));
    assert_root(&place, 10);
    assert_result(LETHE_OK, append(&place, 10, 6));
    assert_root(&place, 16);
    assert_result(LETHE_NOT_FOUND, tiles_root(place.tiles, 17, root, NULL));
    leave(&place);
}

/* A tile of a tail that was cut, and a torn hash, are written over. */
static void what_is_different_is_replaced(void **state)
{
    struct place place = fresh_place();
    uint8_t wrong[40][MERKLE_HASH_BYTES];
    fill_random(wrong, sizeof wrong);
    assert_result(LETHE_OK, append(&place, 0, 100));
    assert_result(LETHE_OK,
                  tiles_append(place.tiles, 100, (const uint8_t(*)[MERKLE_HASH_BYTES])wrong,
                               ARRAY_LEN(wrong), NULL));
    char *path = path_join(place.path, "tile/0/000");
    assert_int_equal(truncate(path, 139 * MERKLE_HASH_BYTES + 5), 0);
    free(path);
    assert_result(LETHE_OK, append(&place, 100, 200));
    assert_root(&place, 300);
    leave(&place);
}

static void names_are_those_of_the_specification(void **state)
{
    char name[TILES_NAME_SIZE];
    static const struct {
        unsigned level;
        uint64_t number;
        const char *name;
    } rows[] = {
        {0, 0, "tile/0/000"},
        {1, 999, "tile/1/999"},
        {0, 1000, "tile/0/x001/000"},
        {2, 1234067, "tile/2/x001/x234/067"},
        {0, TILES_SIZE_MAX / TILES_WIDTH, "tile/0/x036/x028/x797/x018/x963/967"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        tiles_name(rows[i].level, rows[i].number, name);
        assert_string_equal(name, rows[i].name);
    }
}

static void odd_files_are_refused(void **state)
{
    uint8_t root[MERKLE_HASH_BYTES];
    struct place place = fresh_place();
    assert_result(LETHE_OK, append(&place, 0, 10));
    char *path = path_join(place.path, "tile/0/000");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody is held up by it */
    assert_result(LETHE_INTEGRITY, tiles_root(place.tiles, 10, root, NULL));
    assert_result(LETHE_INTEGRITY, append(&place, 0, 10));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_not_equal(tiles_root(place.tiles, 10, root, NULL), LETHE_OK);
    assert_int_not_equal(append(&place, 0, 10), LETHE_OK);
    free(path);
    leave(&place);
}

/* ---- the prover over a log ------------------------------------------------------------------- */

static struct prover *must_open_prover(const struct node *node)
{
    struct lethe_error err = {0};
    struct prover *prover = NULL;
    assert_ok(prover_open(node->options.directory, &node->options.signer.key, &prover, &err), &err);
    return prover;
}

/* Every record of a real log, its tiles missing at first: the proof leads from the line to the
 * signed root. */
static void every_record_of_a_log_is_proved(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < 30; i++)
        must_commit_group(log, 10);
    must_close(log);
    struct prover *prover = must_open_prover(node);
    struct buffer lines = log_file(node->options.directory, log_files[0]);
    for (uint64_t seq = 0; seq < 300; seq++) {
        struct lethe_error err = {0};
        struct proof_text text;
        struct audit_checkpoint checkpoint;
        const char *line;
        size_t length = nth_line(&lines, seq, &line);
        const struct proof_record record = {line, length - 1};
        assert_ok(prover_inclusion(prover, seq, &text, &err), &err);
        assert_ok(proof_text_check(&text, &node->options.signer.key, &record, &checkpoint, &err),
                  &err);
    }
    struct proof_text text;
    assert_result(LETHE_NOT_FOUND, prover_inclusion(prover, 300, &text, NULL));
    buffer_clear(&lines);
    prover_close(prover);
    node_free(node);
}

/* What someone else signed is not proved: a fork of the same name and length. */
static void a_fork_is_told_from_growth(void **state)
{
    struct proof_growth growth;
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    must_commit_group(log, 20);
    must_close(log);
    struct prover *prover = must_open_prover(node);
    struct audit_checkpoint old = *prover_checkpoint(prover);
    assert_result(LETHE_OK, prover_growth(prover, &old, &growth, NULL));
    old.root[0] ^= 1;
    assert_result(LETHE_INTEGRITY, prover_growth(prover, &old, &growth, NULL));
    old.records = 7;
    assert_result(LETHE_INTEGRITY, prover_growth(prover, &old, &growth, NULL));
    old.records = 21;
    assert_result(LETHE_INTEGRITY, prover_growth(prover, &old, &growth, NULL));
    prover_close(prover);
    struct node *other = node_create("beta", node->options.directory);
    assert_result(LETHE_INTEGRITY,
                  prover_open(node->options.directory, &other->options.signer.key, &prover, NULL));
    node_free(other);
    node_free(node);
}

static int start(void **state)
{
    if (start_in_memory(state) != 0)
        return -1;
    make_leaves();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_are_those_of_another_implementation),
        cmocka_unit_test(pieces_of_any_size_come_to_the_same),
        cmocka_unit_test(a_gap_is_refused_and_can_be_filled),
        cmocka_unit_test(what_is_different_is_replaced),
        cmocka_unit_test(names_are_those_of_the_specification),
        cmocka_unit_test(odd_files_are_refused),
        cmocka_unit_test(every_record_of_a_log_is_proved),
        cmocka_unit_test(a_fork_is_told_from_growth),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
