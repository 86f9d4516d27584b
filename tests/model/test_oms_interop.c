/* Model signatures beside other programs: an independent verifier and signer, and openssl. */
#include "oms_signing.h"

#define TOOL "/usr/bin/python3 " TEST_VECTORS "/../model/oms_verify.py "

static bool oracle_is_there(void)
{
    char output[256];
    if (run_tool("/usr/bin/python3 -c 'import cryptography' 2>&1", output, sizeof output) == 0)
        return true;
    printf("/usr/bin/python3 has no module cryptography (Debian: python3-cryptography)\n");
    return false;
}

/* Exit status of the oracle; its words are shown when they are not what the test expects. */
static void expect_oracle(bool accept, const char *arguments)
{
    char command[2048], output[1024];
    snprintf(command, sizeof command, TOOL "%s 2>&1", arguments);
    if ((run_tool(command, output, sizeof output) == 0) != accept)
        fail_msg("%s: %s", arguments, output);
}

/* The oracle itself accepts what upstream signed and refuses changed copies of it. */
static void the_oracle_is_proven_on_upstream_fixtures(void **state)
{
    if (!oracle_is_there())
        skip();
    expect_oracle(true, "prove " TEST_VECTORS "/oms");
}

static void write_public(const struct sign_pair *pair, const char *path)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer pem = {0};
    assert_ok(sign_public_pem(sign_pair_public(pair), &pem, &err), &err);
    put_file(path, pem.bytes, pem.size_bytes);
}

/* With an empty file as one more, when `files` says so: the other method. */
static void sign_here(const char *directory, const struct sign_pair *pair, size_t count,
                      const struct oms_file *files)
{
    struct lethe_error err = {0};
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    CLEANUP(memory_free) char *path = path_join(directory, "model.sig");
    assert_ok(oms_hash_files(&(struct oms_work){.dir_fd = fd}, files, count, &list, &err), &err);
    bundle_of_list(&list, pair, &bundle);
    put_file(path, bundle.bytes, bundle.size_bytes);
}

static void the_oracle_judges(const char *directory, const char *public_path)
{
    char arguments[1500];
    CLEANUP(memory_free) char *path = path_join(directory, "a.b");
    CLEANUP(memory_free) char *extra = path_join(directory, "extra");
    CLEANUP(buffer_clear) struct buffer before = get_file(path);
    snprintf(arguments, sizeof arguments, "verify %s %s", directory, public_path);
    expect_oracle(true, arguments);
    put_file(path, before.bytes, before.size_bytes - 1);
    expect_oracle(false, arguments);
    put_file(path, before.bytes, before.size_bytes);
    put_file(extra, "", 0);
    expect_oracle(false, arguments);
    assert_int_equal(unlink(extra), 0);
    expect_oracle(true, arguments);
}

static void the_oracle_accepts_ours(void **state)
{
    static const struct oms_file with_empty[] = {
        {"a/b", 5000}, {"a/c", 1}, {"a.b", 999}, {"empty", 0}};
    if (!oracle_is_there())
        skip();
    CLEANUP(memory_free) char *directory = model_directory();
    CLEANUP(memory_free) char *public_path = temp_path("key.pem");
    CLEANUP(memory_free) char *empty = path_join(directory, "empty");
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    write_public(pair, public_path);
    sign_here(directory, pair, ARRAY_LEN(model_files), model_files);
    the_oracle_judges(directory, public_path);
    put_file(empty, "", 0);
    sign_here(directory, pair, ARRAY_LEN(with_empty), with_empty);
    the_oracle_judges(directory, public_path);
}

static lethe_result verify_here(const char *directory, const char *public_path)
{
    struct lethe_error err = {0};
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(memory_free) char *path = path_join(directory, "model.sig");
    CLEANUP(buffer_clear) struct buffer bundle = get_file(path);
    CLEANUP(sign_public_free) struct sign_public *key = public_from_file(public_path);
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    TRY(oms_open(bundle.bytes, bundle.size_bytes, key, &list, &err));
    TRY(oms_check_cover(&list, model_files, ARRAY_LEN(model_files), &err));
    return oms_check_content(&list, &(struct oms_work){.dir_fd = fd}, &err);
}

static void ours_accepts_the_oracle(void **state)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    static const char *const methods[] = {"files", "shards"};
    if (!oracle_is_there())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(curves) * ARRAY_LEN(methods); i++) {
        char arguments[1500];
        CLEANUP(memory_free) char *directory = model_directory();
        CLEANUP(memory_free) char *public_path = temp_path("key.pem");
        CLEANUP(memory_free) char *path = path_join(directory, "a/b");
        snprintf(arguments, sizeof arguments, "sign %s %s %s %s", directory, curves[i / 2],
                 methods[i % 2], public_path);
        expect_oracle(true, arguments);
        assert_result(LETHE_OK, verify_here(directory, public_path));
        CLEANUP(buffer_clear) struct buffer content = get_file(path);
        content.bytes[4321] ^= 1;
        put_file(path, content.bytes, content.size_bytes);
        assert_result(LETHE_INTEGRITY, verify_here(directory, public_path));
    }
}

/* `openssl dgst` over what we say is signed: no parser of ours or of the oracle in between. */
static void openssl_accepts_our_signature(void **state)
{
    if (!have_tool("openssl"))
        skip();
    struct lethe_error err = {0};
    char command[2048], output[256];
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *public_path = path_join(directory, "key.pem");
    CLEANUP(memory_free) char *pae_path = path_join(directory, "pae");
    CLEANUP(memory_free) char *signature_path = path_join(directory, "signature");
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    struct signature signature;
    oms_pae("{}", 2, &encoded);
    assert_ok(sign_message(pair, encoded.bytes, encoded.size_bytes, &signature, &err), &err);
    write_public(pair, public_path);
    put_file(pae_path, encoded.bytes, encoded.size_bytes);
    put_file(signature_path, signature.bytes, signature.size_bytes);
    snprintf(command, sizeof command, "openssl dgst -sha256 -verify %s -signature %s %s 2>&1",
             public_path, signature_path, pae_path);
    assert_int_equal(run_tool(command, output, sizeof output), 0);
    assert_string_equal(output, "Verified OK\n");
    put_file(pae_path, "DSSEv1 28 application/vnd.in-toto+json 2 []", 43);
    assert_int_not_equal(run_tool(command, output, sizeof output), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oracle_is_proven_on_upstream_fixtures),
        cmocka_unit_test(the_oracle_accepts_ours),
        cmocka_unit_test(ours_accepts_the_oracle),
        cmocka_unit_test(openssl_accepts_our_signature),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
