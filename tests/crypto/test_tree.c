#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "check_files.h"
#include "crypto_check.h"

#include "base/json.h"
#include "crypto/tree_blocks.h"

#define EDGE (128u * TREE_BLOCK_BYTES) /* one block of hashes */

static void assert_digest(const char *expected_hex, const void *bytes, size_t size_bytes,
                          unsigned threads)
{
    struct lethe_error err = {0};
    uint8_t digest[TREE_HASH_BYTES];
    assert_ok(tree_digest(bytes, size_bytes, threads, digest, &err), &err);
    assert_hex(expected_hex, digest, sizeof digest);
}

static void digest_file(const char *path, uint64_t size_bytes, unsigned threads, char *hex)
{
    struct lethe_error err = {0};
    uint8_t digest[TREE_HASH_BYTES];
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    const struct tree_file file = {.fd = fd, .path = path, .size_bytes = size_bytes};
    assert_ok(tree_digest_file(&file, threads, digest, &err), &err);
    hex_encode(digest, sizeof digest, hex);
}

/* ---- vectors of fsverity 1.5 ----------------------------------------------------------------- */

/* What the vectors call shake128('fsv<size>'), or a byte in hex. */
static uint8_t *vector_data(const char *description, size_t size_bytes)
{
    char seed[64];
    uint8_t *data = malloc(size_bytes + 1);
    assert_non_null(data);
    if (sscanf(description, "shake128('%63[^']')", seed) != 1) {
        assert_result(LETHE_OK, hex_decode(description, strlen(description), data, size_bytes));
        return data;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(context, EVP_shake128(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(context, seed, strlen(seed)), 1);
    assert_int_equal(EVP_DigestFinalXOF(context, data, size_bytes), 1);
    EVP_MD_CTX_free(context);
    return data;
}

static void the_published_digests_come_out(void **state)
{
    struct lethe_error err = {0};
    struct buffer text = get_file(TEST_VECTORS "/fsverity/vectors.json");
    json_t *vectors, *vector;
    size_t index, checked = 0;
    assert_ok(json_parse(text.bytes, text.size_bytes, &vectors, &err), &err);
    json_array_foreach(vectors, index, vector)
    {
        const char *alg, *salt, *data, *digest;
        int block_size, size;
        assert_int_equal(json_unpack(vector, "{s:s,s:i,s:s,s:i,s:s,s:s}", "alg", &alg, "block_size",
                                     &block_size, "salt", &salt, "size", &size, "data", &data,
                                     "digest", &digest),
                         0);
        if (strcmp(alg, "sha256") != 0 || block_size != TREE_BLOCK_BYTES || salt[0] != '\0')
            continue;
        uint8_t *bytes = vector_data(data, (size_t)size);
        assert_digest(digest, bytes, (size_t)size, 1);
        assert_digest(digest, bytes, (size_t)size, 3);
        free(bytes);
        checked++;
    }
    assert_int_equal(checked, 8);
    json_decref(vectors);
    buffer_clear(&text);
}

/* ---- the real tool --------------------------------------------------------------------------- */

/* Random at both ends and at block edges, a hole in between. */
static char *sparse_file(uint64_t size_bytes)
{
    struct lethe_error err = {0};
    char *path = temp_path("file");
    uint8_t noise[3000];
    put_file(path, "", 0);
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    for (uint64_t at = 0; at < size_bytes; at += 1 + size_bytes / 3) {
        fill_random(noise, sizeof noise);
        assert_ok(file_write_at(fd, path, at, noise, MIN(sizeof noise, size_bytes - at), &err),
                  &err);
    }
    assert_ok(file_write_at(fd, path, size_bytes - 1, "\x7f", 1, &err), &err);
    return path;
}

static void assert_same_as_the_tool(const char *path, uint64_t size_bytes)
{
    char command[512], expected[128], got[2 * TREE_HASH_BYTES + 1];
    snprintf(command, sizeof command, "fsverity digest --compact '%s'", path);
    assert_int_equal(run_tool(command, expected, sizeof expected), 0);
    expected[strcspn(expected, "\n")] = '\0';
    for (unsigned threads = 1; threads <= 4; threads++) {
        digest_file(path, size_bytes, threads, got);
        assert_string_equal(got, expected);
    }
}

static void fsverity_computes_the_same(void **state)
{
    if (!have_tool("fsverity"))
        skip();
    static const uint64_t sizes[] = {
        1,
        TREE_BLOCK_BYTES - 1,
        TREE_BLOCK_BYTES,
        TREE_BLOCK_BYTES + 1,
        7 * TREE_BLOCK_BYTES + 5, /* too few for the lanes */
        EDGE - 1,
        EDGE,
        EDGE + 1,
        16 * EDGE - 1, /* a unit of work */
        16 * EDGE,
        16 * EDGE + 1,
        128 * EDGE - 1, /* a block of hashes of hashes */
        128 * EDGE,
        128 * EDGE + 1,
        33 * 16 * EDGE + 12345, /* more than one window of one thread */
    };
    char *empty = temp_path("empty");
    put_file(empty, "", 0);
    assert_same_as_the_tool(empty, 0);
    free(empty);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *path = sparse_file(sizes[i]);
        assert_same_as_the_tool(path, sizes[i]);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
}

/* ---- properties ------------------------------------------------------------------------------ */

static void lanes_and_single_blocks_agree(void **state)
{
    enum { BLOCKS = 300 };
    uint8_t *blocks = malloc(BLOCKS * TREE_BLOCK_BYTES);
    static uint8_t singly[BLOCKS * TREE_HASH_BYTES], in_lanes[BLOCKS * TREE_HASH_BYTES];
    fill_random(blocks, BLOCKS * TREE_BLOCK_BYTES);
    tree_hash_singly(blocks, BLOCKS, singly);
    for (size_t count = 0; count <= BLOCKS; count += 1 + count / 20) {
        memset(in_lanes, 0, sizeof in_lanes);
        if (!tree_hash_in_lanes(blocks, count, in_lanes)) {
            printf("intel-ipsec-mb is of no use on this CPU\n");
            skip();
        }
        assert_memory_equal(singly, in_lanes, count * TREE_HASH_BYTES);
        assert_true(lethe_is_zero(in_lanes + count * TREE_HASH_BYTES,
                                  sizeof in_lanes - count * TREE_HASH_BYTES));
    }
    free(blocks);
}

static void it_does_not_matter_how_hashes_are_pushed(void **state)
{
    struct lethe_error err = {0};
    const size_t size = 3 * 16 * EDGE + 5 * TREE_BLOCK_BYTES + 17;
    size_t count = size / TREE_BLOCK_BYTES + 1;
    uint8_t *bytes = malloc(size), *hashes = malloc(count * TREE_HASH_BYTES);
    uint8_t expected[TREE_HASH_BYTES], got[TREE_HASH_BYTES];
    for (size_t i = 0; i < size; i += 8)
        bytes[i] = (uint8_t)next_random();
    assert_ok(tree_digest(bytes, size, 2, expected, &err), &err);
    tree_hash_blocks(bytes, size, hashes);
    for (int round = 0; round < 20; round++) {
        static struct tree tree; /* finishing empties it */
        for (size_t done = 0, piece; done < count; done += piece) {
            piece = random_up_to(MIN(count - done, round % 2 ? 3000 : 60));
            tree_push(&tree, hashes + done * TREE_HASH_BYTES, piece);
        }
        tree_finish(&tree, size, got);
        assert_memory_equal(got, expected, sizeof got);
    }
    free(bytes);
    free(hashes);
}

static void any_changed_bit_changes_the_digest(void **state)
{
    struct lethe_error err = {0};
    static uint8_t bytes[3 * TREE_BLOCK_BYTES + 100];
    uint8_t before[TREE_HASH_BYTES], after[TREE_HASH_BYTES];
    assert_ok(tree_digest(bytes, sizeof bytes, 1, before, &err), &err);
    for (size_t at = 0; at < sizeof bytes; at += 61) {
        bytes[at] ^= 0x10;
        assert_ok(tree_digest(bytes, sizeof bytes, 1, after, &err), &err);
        assert_memory_not_equal(before, after, sizeof after);
        bytes[at] ^= 0x10;
    }
    /* The padding counts as zeros, but the size is part of the digest. */
    assert_ok(tree_digest(bytes, sizeof bytes - 1, 1, after, &err), &err);
    assert_memory_not_equal(before, after, sizeof after);
}

static void a_file_that_ends_early_is_noticed(void **state)
{
    static const uint64_t sizes[] = {1000, EDGE, 40 * EDGE};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct lethe_error err = {0};
        uint8_t digest[TREE_HASH_BYTES];
        char *path = sparse_file(sizes[i]);
        CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
        const struct tree_file file = {.fd = fd, .path = path, .size_bytes = sizes[i] + 1};
        assert_result(LETHE_INTEGRITY, tree_digest_file(&file, 2, digest, &err));
        assert_non_null(strstr(err.text, path));
        CLEANUP(fd_close) int closed = open(path, O_WRONLY | O_CLOEXEC);
        const struct tree_file unreadable = {.fd = closed, .path = path, .size_bytes = sizes[i]};
        assert_result(LETHE_IO, tree_digest_file(&unreadable, 2, digest, &err));
        free(path);
    }
}

static long peak_kib(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void memory_does_not_grow_with_the_file(void **state)
{
    char hex[2 * TREE_HASH_BYTES + 1];
    char *small = sparse_file(16 * EDGE), *large = sparse_file(600 * EDGE);
    digest_file(small, 16 * EDGE, 2, hex);
    long before = peak_kib();
    digest_file(large, 600 * EDGE, 2, hex); /* 300 MiB */
    assert_true(peak_kib() - before < 8 * 1024);
    free(small);
    free(large);
}

static void text_form_and_back(void **state)
{
    static const char *const bad[] = {
        "",
        "fsverity-sha256:",
        "sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
        "fsverity-sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af9",
        "fsverity-sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af955",
        "fsverity-sha256:3D248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
        "fsverity-sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af9 ",
        "fsverity-sha512:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
    };
    struct lethe_error err = {0};
    uint8_t digest[TREE_HASH_BYTES], back[TREE_HASH_BYTES];
    char text[TREE_DIGEST_TEXT_SIZE];
    assert_ok(tree_digest("", 0, 1, digest, &err), &err);
    tree_digest_text(digest, text);
    assert_string_equal(
        text, "fsverity-sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95");
    assert_result(LETHE_OK, tree_digest_parse(text, back));
    assert_memory_equal(digest, back, sizeof back);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_MALFORMED, tree_digest_parse(bad[i], back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_grow_with_the_file), /* first: it looks at the peak */
        cmocka_unit_test(the_published_digests_come_out),
        cmocka_unit_test(fsverity_computes_the_same),
        cmocka_unit_test(lanes_and_single_blocks_agree),
        cmocka_unit_test(it_does_not_matter_how_hashes_are_pushed),
        cmocka_unit_test(any_changed_bit_changes_the_digest),
        cmocka_unit_test(a_file_that_ends_early_is_noticed),
        cmocka_unit_test(text_form_and_back),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
