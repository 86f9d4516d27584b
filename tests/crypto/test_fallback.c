/* Where intel-ipsec-mb is of no use, OpenSSL does the work. The library's own functions are
 * replaced here, as a CPU or a build that lacks something would change them; what is found is kept
 * for the life of a process, so each case is this program anew, called with the case's name. */
#include <dlfcn.h>

#include <intel-ipsec-mb.h>

#include "crypto_check.h"

#include "crypto/aead.h"
#include "crypto/tree_blocks.h"

static const struct lack {
    const char *name;
    bool no_manager;
    uint64_t features; /* taken away */
    int number;        /* the library's error */
    const char *reason;
} lacks[] = {
    {"nothing", .reason = NULL},
    {"aes", .features = IMB_FEATURE_AESNI, .reason = "no AES-NI"},
    {"clmul", .features = IMB_FEATURE_PCLMULQDQ, .reason = "no PCLMULQDQ"},
    {"safe-data", .features = IMB_FEATURE_SAFE_DATA, .reason = "SAFE_DATA"},
    {"self-test", .features = IMB_FEATURE_SELF_TEST_PASS, .reason = "self-test failed"},
    {"error", .number = IMB_ERR_NULL_MBMGR, .reason = "MGR"},
    {"memory", .no_manager = true, .reason = "out of memory"},
};
static const struct lack *lack = &lacks[0];

IMB_MGR *alloc_mb_mgr(uint64_t flags)
{
    IMB_MGR *(*real)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(RTLD_NEXT, "alloc_mb_mgr");
    return lack->no_manager ? NULL : real(flags);
}

void init_mb_mgr_auto(IMB_MGR *manager, IMB_ARCH *arch)
{
    void (*real)(IMB_MGR *, IMB_ARCH *) =
        (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(RTLD_NEXT, "init_mb_mgr_auto");
    real(manager, arch);
    manager->features &= ~lack->features;
    manager->imb_errno = lack->number;
}

/* ---- one case, in a process of its own ------------------------------------------------------- */

static bool works_and_names_the_reason(const char *reason)
{
    struct lethe_error err = {0};
    uint8_t key[AEAD_KEY_BYTES] = {0};
    struct aead_key *k = NULL;
    bool refused =
        aead_key_create(key, sizeof key, AEAD_BACKEND_IPSEC, &k, &err) == LETHE_UNAVAILABLE &&
        strstr(err.text, reason) != NULL && k == NULL;
    if (!refused)
        fprintf(stderr, "expected %s: %s\n", reason, err.text);
    return refused && aead_key_create(key, sizeof key, AEAD_BACKEND_BEST, &k, &err) == LETHE_OK &&
           strstr(aead_backend_name(AEAD_BACKEND_BEST), "OpenSSL") != NULL;
}

/* The digest of 128 blocks of zeros (fsverity 1.5). */
static bool digests_all_the_same(void)
{
    static const uint8_t zeros[128 * TREE_BLOCK_BYTES];
    uint8_t digest[TREE_HASH_BYTES];
    char text[TREE_DIGEST_TEXT_SIZE];
    if (tree_digest(zeros, sizeof zeros, 2, digest, NULL) != LETHE_OK)
        return false;
    tree_digest_text(digest, text);
    return strcmp(text, "fsverity-sha256:"
                        "2d15bd7832895de85aa3d5bdfb57251e27bbec75ff467408340ab3eba858a2e1") == 0;
}

static int run_case(const char *name)
{
    struct lethe_error err = {0};
    uint8_t hash[TREE_HASH_BYTES];
    static const uint8_t block[TREE_BLOCK_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
        if (strcmp(name, lacks[i].name) == 0)
            lack = &lacks[i];
    if (crypto_start(&err) != LETHE_OK || !digests_all_the_same())
        return 1;
    if (lack->reason == NULL)
        return 0;
    return works_and_names_the_reason(lack->reason) && !tree_hash_in_lanes(block, 1, hash) ? 0 : 1;
}

static const char *self;

static void openssl_steps_in(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++) {
        char command[512], output[512];
        snprintf(command, sizeof command, "'%s' %s 2>&1", self, lacks[i].name);
        if (run_tool(command, output, sizeof output) != 0)
            fail_msg("without %s: %s", lacks[i].name, output);
    }
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 2)
        return run_case(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_steps_in),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
