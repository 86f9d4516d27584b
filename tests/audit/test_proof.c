#include "crypto/crypto_check.h"

#include "audit/proof.h"
#include "base/json.h"
#include "base/text.h"
#include "check_files.h"

/* The tree of the vectors: leaf i is "entry-i". */
#define LEAVES 300u

static json_t *vectors;
static uint8_t leaves[LEAVES][MERKLE_HASH_BYTES];

static int start(void **state)
{
    struct lethe_error err = {0};
    if (start_crypto(state) != 0)
        return -1;
    struct buffer text = get_file(TEST_VECTORS "/tlog/vectors.json");
    assert_ok(json_parse(text.bytes, text.size_bytes, &vectors, &err), &err);
    buffer_clear(&text);
    for (unsigned i = 0; i < LEAVES; i++) {
        char entry[32];
        int length = snprintf(entry, sizeof entry, "entry-%u", i);
        merkle_leaf(entry, (size_t)length, leaves[i]);
    }
    return 0;
}

static int stop(void **state)
{
    json_decref(vectors);
    return 0;
}

/* Straight from the definition: a complete subtree over the leaves. */
static lethe_result hash_of(void *context, unsigned level, uint64_t index,
                            uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    struct merkle tree = {0};
    for (uint64_t i = index << level; i < (index + 1) << level; i++) {
        assert_true(i < LEAVES);
        merkle_append(&tree, leaves[i]);
    }
    merkle_root(&tree, out);
    return LETHE_OK;
}
static const struct proof_source source = {hash_of, NULL};

static struct proof_tree tree_of(uint64_t size)
{
    struct proof_tree tree = {.size = size};
    const char *hex =
        json_string_value(json_array_get(json_object_get(vectors, "roots_by_size"), size));
    assert_result(LETHE_OK, hex_decode(hex, strlen(hex), tree.root, sizeof tree.root));
    return tree;
}

static uint64_t member(const json_t *row, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(row, name));
}

static void assert_proof(const struct proof *made, const json_t *row)
{
    const json_t *expected = json_object_get(row, "Proof");
    assert_int_equal(made->count, json_array_size(expected));
    for (size_t i = 0; i < made->count; i++)
        assert_hex(json_string_value(json_array_get(expected, i)), made->hashes[i],
                   MERKLE_HASH_BYTES);
}

/* proofs are those of golang.org/x/mod/sumdb/tlog, hash by hash, and ours take them. */
static void inclusion_agrees_with_another_implementation(void **state)
{
    const json_t *rows = json_object_get(vectors, "inclusion");
    assert_int_equal(json_array_size(rows), 80);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct lethe_error err = {0};
        struct proof proof;
        const json_t *row = json_array_get(rows, i);
        uint64_t index = member(row, "Index");
        const struct proof_tree tree = tree_of(member(row, "Size"));
        assert_ok(proof_inclusion(&source, index, tree.size, &proof, &err), &err);
        assert_proof(&proof, row);
        assert_ok(proof_check_inclusion(&proof, leaves[index], index, &tree, &err), &err);
    }
}

static void consistency_agrees_with_another_implementation(void **state)
{
    const json_t *rows = json_object_get(vectors, "consistency");
    assert_int_equal(json_array_size(rows), 149);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct lethe_error err = {0};
        struct proof proof;
        const json_t *row = json_array_get(rows, i);
        const struct proof_tree old = tree_of(member(row, "Old"));
        const struct proof_tree tree = tree_of(member(row, "New"));
        assert_ok(proof_consistency(&source, old.size, tree.size, &proof, &err), &err);
        assert_proof(&proof, row);
        assert_ok(proof_check_consistency(&proof, &old, &tree, &err), &err);
    }
}

/* Every index of every size, and every pair of sizes, to a size that has all shapes. */
static void every_size_is_proved(void **state)
{
    struct lethe_error err = {0};
    struct proof proof;
    for (uint64_t size = 0; size <= 70; size++) {
        const struct proof_tree tree = tree_of(size);
        for (uint64_t index = 0; index < size; index++) {
            assert_ok(proof_inclusion(&source, index, size, &proof, &err), &err);
            assert_ok(proof_check_inclusion(&proof, leaves[index], index, &tree, &err), &err);
        }
        for (uint64_t old_size = 0; old_size <= size; old_size++) {
            const struct proof_tree old = tree_of(old_size);
            assert_ok(proof_consistency(&source, old_size, size, &proof, &err), &err);
            assert_ok(proof_check_consistency(&proof, &old, &tree, &err), &err);
        }
    }
}

/* ---- what must be refused -------------------------------------------------------------------- */

static void assert_not_included(const struct proof *proof, const uint8_t *leaf, uint64_t index,
                                const struct proof_tree *tree)
{
    assert_result(LETHE_INTEGRITY, proof_check_inclusion(proof, leaf, index, tree, NULL));
}

/* one changed bit anywhere, another place, another size, a hash too few or too many. */
static void a_changed_inclusion_proof_is_refused(void **state)
{
    static const uint64_t sizes[] = {2, 7, 8, 13, 64, 65, 300};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        const struct proof_tree tree = tree_of(sizes[s]);
        for (uint64_t index = 0; index < tree.size; index += 1 + tree.size / 7) {
            struct proof good;
            assert_result(LETHE_OK, proof_inclusion(&source, index, tree.size, &good, NULL));
            assert_result(LETHE_OK,
                          proof_check_inclusion(&good, leaves[index], index, &tree, NULL));
            struct proof bad = good;
            for (size_t bit = 0; bit < good.count * 256; bit++) {
                bad.hashes[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
                assert_not_included(&bad, leaves[index], index, &tree);
                bad.hashes[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
            }
            for (uint64_t other = 0; other <= tree.size; other++) {
                if (other != index)
                    assert_not_included(&good, leaves[index], other, &tree);
            }
            assert_not_included(&good, leaves[(index + 1) % tree.size], index, &tree);
            bad.count = good.count - 1;
            assert_not_included(&bad, leaves[index], index, &tree);
            bad.count = good.count + 1;
            memcpy(bad.hashes[good.count], good.hashes[0], MERKLE_HASH_BYTES);
            assert_not_included(&bad, leaves[index], index, &tree);
        }
    }
}

static void a_proof_of_another_size_is_refused(void **state)
{
    struct proof proof;
    for (uint64_t size = 2; size <= 70; size++) {
        assert_result(LETHE_OK, proof_inclusion(&source, 1, size, &proof, NULL));
        for (uint64_t claimed = 2; claimed <= 70; claimed++) {
            struct proof_tree tree = tree_of(claimed); /* the right root for the claim */
            if (claimed != size)
                assert_not_included(&proof, leaves[1], 1, &tree);
        }
    }
}

static void assert_not_consistent(const struct proof *proof, const struct proof_tree *old,
                                  const struct proof_tree *tree)
{
    assert_result(LETHE_INTEGRITY, proof_check_consistency(proof, old, tree, NULL));
}

static void a_changed_consistency_proof_is_refused(void **state)
{
    for (uint64_t size = 1; size <= 40; size++) {
        const struct proof_tree tree = tree_of(size);
        for (uint64_t old_size = 0; old_size <= size; old_size++) {
            const struct proof_tree old = tree_of(old_size);
            struct proof good;
            assert_result(LETHE_OK, proof_consistency(&source, old_size, size, &good, NULL));
            assert_result(LETHE_OK, proof_check_consistency(&good, &old, &tree, NULL));
            struct proof bad = good;
            for (size_t bit = 0; bit < good.count * 256; bit += 7) {
                bad.hashes[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
                assert_not_consistent(&bad, &old, &tree);
                bad.hashes[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
            }
            bad.count = good.count + 1;
            memset(bad.hashes[good.count], 0x5a, MERKLE_HASH_BYTES);
            assert_not_consistent(&bad, &old, &tree);
            if (good.count > 0) {
                bad.count = good.count - 1;
                assert_not_consistent(&bad, &old, &tree);
                memmove(bad.hashes[0], bad.hashes[1], bad.count * MERKLE_HASH_BYTES);
                assert_not_consistent(&bad, &old, &tree);
            }
            assert_not_consistent(&good, &tree, &(struct proof_tree){.size = old_size - 1});
        }
    }
}

/* A log whose older part was changed shows neither the old root nor the new one. */
static void another_old_root_is_refused(void **state)
{
    for (uint64_t old_size = 0; old_size <= 40; old_size++) {
        struct proof proof;
        const struct proof_tree tree = tree_of(40);
        struct proof_tree old = tree_of(old_size);
        assert_result(LETHE_OK, proof_consistency(&source, old_size, 40, &proof, NULL));
        old.root[31] ^= 1;
        assert_not_consistent(&proof, &old, &tree);
        old.root[31] ^= 1;
        for (uint64_t claimed = 0; claimed <= 41; claimed++) {
            old.size = claimed;
            if (claimed != old_size)
                assert_not_consistent(&proof, &old, &tree);
        }
    }
}

static lethe_result any_hash(void *context, unsigned level, uint64_t index,
                             uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    assert_true(level < 63 && index < PROOF_SIZE_MAX >> level);
    memset(out, (int)level, MERKLE_HASH_BYTES);
    return LETHE_OK;
}

/* The largest tree needs no more hashes than a proof can hold; beyond it nothing is tried. */
static void the_largest_tree_fits(void **state)
{
    const struct proof_source anything = {any_hash, NULL};
    struct proof proof;
    const uint64_t max = PROOF_SIZE_MAX;
    assert_result(LETHE_OK, proof_inclusion(&anything, 0, max, &proof, NULL));
    assert_int_equal(proof.count, 63);
    assert_result(LETHE_OK, proof_consistency(&anything, max - 2, max, &proof, NULL));
    assert_true(proof.count > 60 && proof.count <= PROOF_HASHES_MAX);
    assert_result(LETHE_INVALID, proof_inclusion(&anything, 0, max + 1, &proof, NULL));
    assert_result(LETHE_INVALID, proof_inclusion(&anything, 5, 5, &proof, NULL));
    assert_result(LETHE_INVALID, proof_consistency(&anything, 1, UINT64_MAX, &proof, NULL));
    assert_result(LETHE_INVALID, proof_consistency(&anything, 6, 5, &proof, NULL));
    const struct proof_tree huge = {.size = UINT64_MAX};
    assert_not_included(&proof, leaves[0], UINT64_MAX - 1, &huge);
    assert_not_consistent(&proof, &(struct proof_tree){.size = UINT64_MAX - 1}, &huge);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static struct audit_key note_key(void)
{
    struct lethe_error err = {0};
    struct audit_key key;
    const json_t *note = json_object_get(vectors, "note");
    const char *text = json_string_value(json_object_get(note, "vkey"));
    assert_ok(audit_key_parse(text, strlen(text), &key, &err), &err);
    return key;
}

/* The proof of record 123 of the 300 whose checkpoint golang.org/x/mod/sumdb/note signed. */
static struct buffer good_text(void)
{
    struct buffer out = {0};
    struct proof_text text = {.index = 123};
    text.note = json_string_value(json_object_get(json_object_get(vectors, "note"), "signed"));
    text.note_bytes = strlen(text.note);
    assert_result(LETHE_OK, proof_inclusion(&source, 123, LEAVES, &text.proof, NULL));
    proof_text_append(&text, &out);
    return out;
}

static const struct proof_record entry = {"entry-123", 9};

static lethe_result check_text(const char *bytes, size_t size_bytes,
                               const struct proof_record *record)
{
    struct proof_text text;
    struct audit_checkpoint checkpoint;
    const struct audit_key key = note_key();
    TRY(proof_text_parse(bytes, size_bytes, &text, NULL));
    return proof_text_check(&text, &key, record, &checkpoint, NULL);
}

static void a_text_is_checked_in_full(void **state)
{
    struct buffer text = good_text();
    struct buffer extra = {0};
    assert_result(LETHE_OK, check_text(text.bytes, text.size_bytes, &entry));
    assert_result(LETHE_INTEGRITY,
                  check_text(text.bytes, text.size_bytes, &(struct proof_record){"entry-124", 9}));
    buffer_format(&extra, "c2sp.org/tlog-proof@v1\nextra aGVsbG8=\n%s",
                  strchr(text.bytes, '\n') + 1);
    assert_result(LETHE_OK, check_text(extra.bytes, extra.size_bytes, &entry));
    buffer_clear(&extra);
    buffer_clear(&text);
}

/* Every bit of the text and every shorter one. */
static void a_changed_text_is_refused(void **state)
{
    struct buffer text = good_text();
    for (size_t bit = 0; bit < text.size_bytes * 8; bit++) {
        text.bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(check_text(text.bytes, text.size_bytes, &entry), LETHE_OK);
        text.bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t size = 0; size < text.size_bytes; size++)
        assert_int_not_equal(check_text(text.bytes, size, &entry), LETHE_OK);
    assert_result(LETHE_OK, check_text(text.bytes, text.size_bytes, &entry));
    buffer_clear(&text);
}

static void growth_goes_through_its_text(void **state)
{
    struct lethe_error err = {0};
    struct buffer text = {0};
    struct proof_growth growth = {.old_size = 77}, read;
    struct audit_checkpoint old = {.records = 77}, newest;
    const struct audit_key key = note_key();
    const struct proof_tree tree = tree_of(77);
    memcpy(old.root, tree.root, sizeof old.root);
    growth.note = json_string_value(json_object_get(json_object_get(vectors, "note"), "signed"));
    growth.note_bytes = strlen(growth.note);
    assert_ok(proof_consistency(&source, 77, LEAVES, &growth.proof, &err), &err);
    proof_growth_append(&growth, &text);
    assert_true(proof_is_growth(text.bytes, text.size_bytes));
    assert_ok(proof_growth_parse(text.bytes, text.size_bytes, &read, &err), &err);
    assert_ok(proof_growth_check(&read, &key, &old, &newest, &err), &err);
    assert_int_equal(newest.records, LEAVES);
    old.root[0] ^= 1;
    assert_result(LETHE_INTEGRITY, proof_growth_check(&read, &key, &old, &newest, NULL));
    old.root[0] ^= 1;
    old.records = 78;
    assert_result(LETHE_INTEGRITY, proof_growth_check(&read, &key, &old, &newest, NULL));
    for (size_t size = 0; size < text.size_bytes; size++) {
        assert_int_not_equal(proof_growth_parse(text.bytes, size, &read, NULL) == LETHE_OK
                                 ? proof_growth_check(&read, &key, &old, &newest, NULL)
                                 : LETHE_MALFORMED,
                             LETHE_OK);
    }
    buffer_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inclusion_agrees_with_another_implementation),
        cmocka_unit_test(consistency_agrees_with_another_implementation),
        cmocka_unit_test(every_size_is_proved),
        cmocka_unit_test(a_changed_inclusion_proof_is_refused),
        cmocka_unit_test(a_proof_of_another_size_is_refused),
        cmocka_unit_test(a_changed_consistency_proof_is_refused),
        cmocka_unit_test(another_old_root_is_refused),
        cmocka_unit_test(the_largest_tree_fits),
        cmocka_unit_test(a_text_is_checked_in_full),
        cmocka_unit_test(a_changed_text_is_refused),
        cmocka_unit_test(growth_goes_through_its_text),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
