/* Another implementation of Tink's streams reads our shards with an exported keyset, and we read
 * what it writes; the digests in the manifest are those of `fsverity digest`. */
#include "tink_tool.h"

#define SAMPLE TEST_VECTORS "/models/silero_vad_16k.safetensors"

static void the_reader_proves_itself(void **state)
{
    const char *arguments[] = {"/usr/bin/python3", READER, "vectors", TEST_VECTORS "/tink", NULL};
    assert_int_equal(run_program(arguments), 0);
}

static void it_reads_our_shards(void **state)
{
    struct fixture *f = *state;
    char aad[512];
    must_encrypt(f, SAMPLE, AT(f, "model"));
    struct model *model = must_open(f, AT(f, "model"));
    export_keyset(f, model, 0, AT(f, "keyset"), aad);
    const char *shard = AT(f, "model/shards/0000.tink");
    assert_int_equal(reader("open", AT(f, "keyset"), aad, shard, AT(f, "out")), 0);
    assert_same_file(AT(f, "out"), SAMPLE);

    aad[strlen(aad) - 1] ^= 1; /* another size in the associated data */
    assert_int_equal(reader("open", AT(f, "keyset"), aad, shard, AT(f, "out")), 3);
    model_close(model);
}

/* A shard written by the other one, in place of ours: the key, the associated data and the sizes
 * are the same, so it loads as ours did. */
static void we_read_its_shards(void **state)
{
    struct fixture *f = *state;
    char aad[512];
    must_encrypt(f, SAMPLE, AT(f, "model"));
    struct model *model = must_open(f, AT(f, "model"));
    export_keyset(f, model, 0, AT(f, "keyset"), aad);
    const char *shard = AT(f, "model/shards/0000.tink");
    assert_int_equal(rename(shard, AT(f, "ours")), 0);
    assert_int_equal(reader("seal", AT(f, "keyset"), aad, SAMPLE, shard), 0);
    must_load_equal(f, model, 0, SAMPLE);
    /* ... but it is not the one that was signed. */
    assert_result(LETHE_INTEGRITY, model_verify_cipher(model, &two_threads, &f->err));
    assert_result(LETHE_INTEGRITY, model_verify(model, &f->keys->source, &two_threads, &f->err));
    assert_non_null(strstr(f->err.text, "not those that were signed"));
    model_close(model);
}

static void digests_are_those_of_fsverity(void **state)
{
    struct fixture *f = *state;
    if (access("/usr/bin/fsverity", X_OK) != 0) {
        print_message("fsverity is not installed\n");
        skip();
    }
    must_encrypt(f, SAMPLE, AT(f, "model"));
    struct model *model = must_open(f, AT(f, "model"));
    char expected[128] = "";
    FILE *tool = popen("/usr/bin/fsverity digest --compact " SAMPLE, "r");
    assert_non_null(tool);
    assert_non_null(fgets(expected, sizeof expected, tool));
    assert_int_equal(pclose(tool), 0);
    char digest[2 * TREE_HASH_BYTES + 2];
    hex_encode(model_manifest(model)->shards[0].digest, TREE_HASH_BYTES, digest);
    assert_string_equal(strcat(digest, "\n"), expected);
    model_close(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_proves_itself),
        TEST(it_reads_our_shards),
        TEST(we_read_its_shards),
        TEST(digests_are_those_of_fsverity),
    };
    return cmocka_run_group_tests_name("interop", tests, NULL, NULL);
}
