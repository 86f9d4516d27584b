#include "crypto/crypto_check.h"

#include "audit/merkle.h"
#include "base/json.h"
#include "check_files.h"
#include "crypto/hash.h"

static json_t *vectors(void)
{
    struct lethe_error err = {0};
    struct buffer text = get_file(TEST_VECTORS "/tlog/vectors.json");
    json_t *parsed = NULL;
    assert_ok(json_parse(text.bytes, text.size_bytes, &parsed, &err), &err);
    buffer_clear(&text);
    return parsed;
}

/* the tree is RFC 6962's, as golang.org/x/mod/sumdb/tlog makes it, for every size to 300. */
static void roots_are_those_of_another_implementation(void **state)
{
    json_t *root = vectors();
    const json_t *roots = json_object_get(root, "roots_by_size");
    struct merkle tree = {0};
    assert_int_equal(json_array_size(roots), 301);
    for (size_t size = 0; size < json_array_size(roots); size++) {
        uint8_t got[MERKLE_HASH_BYTES], leaf[MERKLE_HASH_BYTES];
        merkle_root(&tree, got);
        assert_hex(json_string_value(json_array_get(roots, size)), got, sizeof got);

        char entry[32];
        int length = snprintf(entry, sizeof entry, "entry-%zu", size);
        merkle_leaf(entry, (size_t)length, leaf);
        merkle_append(&tree, leaf);
        assert_int_equal(tree.leaves, size + 1);
    }
    json_decref(root);
}

/* A leaf can never pass for an inner node: RFC 6962 section 2.1 hashes them differently. */
static void leaves_and_nodes_are_told_apart(void **state)
{
    uint8_t a[MERKLE_HASH_BYTES], b[MERKLE_HASH_BYTES], root[MERKLE_HASH_BYTES];
    uint8_t both[2 * MERKLE_HASH_BYTES], forged[MERKLE_HASH_BYTES];
    struct merkle tree = {0};
    merkle_leaf("a", 1, a);
    merkle_leaf("b", 1, b);
    merkle_append(&tree, a);
    merkle_append(&tree, b);
    merkle_root(&tree, root);
    memcpy(both, a, sizeof a);
    memcpy(both + sizeof a, b, sizeof b);
    merkle_leaf(both, sizeof both, forged);
    assert_memory_not_equal(root, forged, sizeof root);
}

static void the_largest_entry_is_hashed(void **state)
{
    static uint8_t entry[MERKLE_ENTRY_MAX];
    static uint8_t hashed[1 + MERKLE_ENTRY_MAX];
    uint8_t leaf[MERKLE_HASH_BYTES], expected[MERKLE_HASH_BYTES];
    fill_random(entry, sizeof entry);
    memcpy(hashed + 1, entry, sizeof entry);
    sha256(hashed, sizeof hashed, expected);
    merkle_leaf(entry, sizeof entry, leaf);
    assert_memory_equal(leaf, expected, sizeof leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_another_implementation),
        cmocka_unit_test(leaves_and_nodes_are_told_apart),
        cmocka_unit_test(the_largest_entry_is_hashed),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
