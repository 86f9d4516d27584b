/* What golang.org/x/mod (sumdb/note, sumdb/tlog) says of good and bad notes and proofs, and what we
 * say of them: tests/vectors/tlog/verdicts.json. */
#include "audit_check.h"

#include "audit/prover.h"
#include "base/json.h"
#include "base/text.h"

#define LEAVES 9
#define CHANGES 6

static json_t *verdicts;
static struct audit_key go_key;
static uint8_t leaves[LEAVES][MERKLE_HASH_BYTES];

static json_t *read_json(const char *path)
{
    struct lethe_error err = {0};
    json_t *json = NULL;
    struct buffer text = get_file(path);
    assert_ok(json_parse(text.bytes, text.size_bytes, &json, &err), &err);
    buffer_clear(&text);
    return json;
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    assert_non_null(text);
    return text;
}

static void parse_key(const char *text, struct audit_key *out)
{
    struct lethe_error err = {0};
    assert_ok(audit_key_parse(text, strlen(text), out, &err), &err);
}

static int start(void **state)
{
    if (start_in_memory(state) != 0)
        return -1;
    verdicts = read_json(TEST_VECTORS "/tlog/verdicts.json");
    json_t *vectors = read_json(TEST_VECTORS "/tlog/vectors.json");
    parse_key(text_of(json_object_get(vectors, "note"), "vkey"), &go_key);
    json_decref(vectors);
    for (int i = 0; i < LEAVES; i++) {
        char entry[32];
        int length = snprintf(entry, sizeof entry, "entry-%d", i);
        merkle_leaf(entry, (size_t)length, leaves[i]);
    }
    return 0;
}

static int stop(void **state)
{
    json_decref(verdicts);
    return 0;
}

/* ---- notes ----------------------------------------------------------------------------------- */

/* Go takes base64 with spare bits, and looks at the first of several signatures by one key only. */
static bool we_are_stricter(const char *what)
{
    static const char *const stricter[] = {"spare bits", "a bad signature behind the good one",
                                           "random"};
    for (size_t i = 0; i < ARRAY_LEN(stricter); i++) {
        if (strcmp(what, stricter[i]) == 0)
            return true;
    }
    return false;
}

/* nothing passes here that does not pass there; and what passes there passes here, but
 * for what is named above. */
static void notes_have_the_verdict_of_go(void **state)
{
    size_t i, good = 0, bad = 0;
    json_t *row;
    json_array_foreach(json_object_get(verdicts, "notes"), i, row)
    {
        const char *what = text_of(row, "what"), *encoded = text_of(row, "note");
        char note[32768];
        size_t size_bytes;
        struct audit_checkpoint checkpoint;
        bool theirs = json_is_true(json_object_get(row, "good"));
        assert_result(LETHE_OK,
                      base64_decode(encoded, strlen(encoded), note, sizeof note, &size_bytes));
        lethe_result result = audit_checkpoint_open(note, size_bytes, &go_key, &checkpoint, NULL);
        bool ours = result == LETHE_OK;
        if (ours != theirs && (ours || !we_are_stricter(what)))
            fail_msg("row %zu, %s: Go says %d, we say %s", i, what, theirs,
                     lethe_result_name(result));
        good += ours;
        bad += !ours;
    }
    assert_true(good >= 10 && bad >= 100);
}

/* ---- proofs ---------------------------------------------------------------------------------- */

static void range_root(uint64_t first, uint64_t count, uint8_t out[MERKLE_HASH_BYTES])
{
    struct merkle tree = {0};
    for (uint64_t i = first; i < first + count; i++)
        merkle_append(&tree, leaves[i]);
    merkle_root(&tree, out);
}

static lethe_result hash_of(void *context, unsigned level, uint64_t index,
                            uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    range_root(index << level, (uint64_t)1 << level, out);
    return LETHE_OK;
}

static struct proof_tree tree_of(uint64_t size)
{
    struct proof_tree tree = {.size = size};
    range_root(0, size, tree.root);
    return tree;
}

/* The changes of the file: none, the first away, the last away, one behind, one before, reversed.
 */
static struct proof changed(const struct proof *proof, int change)
{
    struct proof out = {.count = 0};
    const struct proof_tree one = tree_of(1);
    bool first_away = change == 1, last_away = change == 2, reversed = change == 5;
    if (change == 4)
        memcpy(out.hashes[out.count++], one.root, MERKLE_HASH_BYTES);
    for (size_t i = 0; i < proof->count; i++) {
        if ((first_away && i == 0) || (last_away && i + 1 == proof->count))
            continue;
        memcpy(out.hashes[out.count++], proof->hashes[reversed ? proof->count - 1 - i : i],
               MERKLE_HASH_BYTES);
    }
    if (change == 3)
        memcpy(out.hashes[out.count++], one.root, MERKLE_HASH_BYTES);
    return out;
}

/* Proofs that were made for one place, changed, and checked at another. */
struct trial {
    uint64_t size, place; /* of the tree, and the record or the older size */
    int change;
    uint64_t claimed_size, claimed_place;
};

static const struct proof_source source = {hash_of, NULL};

static bool includes(const struct trial *trial)
{
    struct proof made;
    assert_result(LETHE_OK, proof_inclusion(&source, trial->place, trial->size, &made, NULL));
    const struct proof proof = changed(&made, trial->change);
    const struct proof_tree tree = tree_of(trial->claimed_size);
    return proof_check_inclusion(&proof, leaves[trial->place], trial->claimed_place, &tree, NULL) ==
           LETHE_OK;
}

static bool grows(const struct trial *trial)
{
    struct proof made;
    assert_result(LETHE_OK, proof_consistency(&source, trial->place, trial->size, &made, NULL));
    const struct proof proof = changed(&made, trial->change);
    const struct proof_tree tree = tree_of(trial->claimed_size);
    const struct proof_tree old = tree_of(trial->claimed_place);
    return proof_check_consistency(&proof, &old, &tree, NULL) == LETHE_OK;
}

static bool is_row(const json_t *row, const struct trial *trial)
{
    const uint64_t expected[] = {trial->size, trial->place, (uint64_t)trial->change,
                                 trial->claimed_size, trial->claimed_place};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        if ((uint64_t)json_integer_value(json_array_get(row, i)) != expected[i])
            return false;
    }
    return true;
}

/* Rows are in the order of the loops, so that one look ahead is enough. Places count from `first`.
 */
static void compare_all(const char *kind, uint64_t first,
                        bool (*accepts)(const struct trial *trial))
{
    const json_t *table = json_object_get(verdicts, kind);
    const json_t *rows = json_object_get(table, "accepted");
    size_t next = 0, tried = 0;
    struct trial t;
    for (t.size = 1; t.size <= LEAVES; t.size++)
        for (t.place = first; t.place < t.size + first; t.place++)
            for (t.change = 0; t.change < CHANGES; t.change++)
                for (t.claimed_size = 1; t.claimed_size <= LEAVES; t.claimed_size++)
                    for (t.claimed_place = first; t.claimed_place < t.claimed_size + first;
                         t.claimed_place++, tried++) {
                        bool theirs = is_row(json_array_get(rows, next), &t);
                        next += theirs;
                        if (accepts(&t) != theirs)
                            fail_msg("%s of %llu in %llu, change %d, as %llu in %llu: Go says %d",
                                     kind, (unsigned long long)t.place, (unsigned long long)t.size,
                                     t.change, (unsigned long long)t.claimed_place,
                                     (unsigned long long)t.claimed_size, theirs);
                    }
    assert_int_equal(tried, json_integer_value(json_object_get(table, "tried")));
    assert_int_equal(next, json_array_size(rows));
    assert_true(next > 50);
}

/* */
static void proofs_have_the_verdict_of_go(void **state)
{
    compare_all("inclusion", 0, includes);
    compare_all("consistency", 1, grows);
}

/* ---- the other way --------------------------------------------------------------------------- */

/* However often it is looked at: what is written depends on nothing else. */
static uint64_t noon_ns(void *context)
{
    return 1795176000000000000; /* 2026-11-20T12:00:00Z */
}

/* Four records: two groups, of one and of three. */
static struct node *log_at_noon(void)
{
    struct node *node = node_fresh("alpha");
    node->clock = (struct clock_source){noon_ns, noon_ns, NULL};
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_commit_group(log, 3);
    must_close(log);
    must_verify(node, 4);
    return node;
}

/* key, checkpoint and proof as a log of ours has them, which Go took: still the same. */
static void what_go_took_of_ours_is_what_we_write(void **state)
{
    const json_t *ours = json_object_get(verdicts, "ours");
    struct node *node = log_at_noon();
    struct lethe_error err = {0};
    struct prover *prover = NULL;
    struct proof_text text;
    struct buffer proof = {0}, vkey = {0};
    struct log_copy files = log_take(node->options.directory);
    const char *line;
    size_t length = nth_line(&files.files[0], 2, &line);
    audit_key_text(&node->options.signer.key, &vkey);
    assert_string_equal(vkey.bytes, text_of(ours, "vkey"));
    assert_string_equal(files.files[2].bytes, text_of(ours, "note"));
    assert_int_equal(length - 1, strlen(text_of(ours, "line")));
    assert_memory_equal(line, text_of(ours, "line"), length - 1);
    assert_ok(prover_open(node->options.directory, &node->options.signer.key, &prover, &err), &err);
    assert_ok(prover_inclusion(prover, 2, &text, &err), &err);
    proof_text_append(&text, &proof);
    assert_string_equal(proof.bytes, text_of(ours, "proof"));
    buffer_clear(&proof);
    buffer_clear(&vkey);
    log_copy_clear(&files);
    prover_close(prover);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_have_the_verdict_of_go),
        cmocka_unit_test(proofs_have_the_verdict_of_go),
        cmocka_unit_test(what_go_took_of_ours_is_what_we_write),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
