/* Public keys and digests from other people: what is taken can be written again, and is then taken
 * as the same. */
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "crypto/tree.h"

#include "fuzz.h"

static void check_same_raw(const struct sign_public *a, const struct sign_public *b)
{
    uint8_t raw_a[SIGNATURE_PUBLIC_MAX_BYTES], raw_b[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t bytes_a, bytes_b;
    sign_public_raw(a, raw_a, &bytes_a);
    sign_public_raw(b, raw_b, &bytes_b);
    FUZZ_PROPERTY(sign_public_kind(a) == sign_public_kind(b) && bytes_a == bytes_b &&
                  memcmp(raw_a, raw_b, bytes_a) == 0);
}

/* Nothing stands before the block, and only white space behind it. */
static void check_one_block(const char *pem, size_t size)
{
    static const char begin[] = "-----BEGIN PUBLIC KEY-----", end[] = "-----END PUBLIC KEY-----";
    FUZZ_PROPERTY(size > sizeof begin && memcmp(pem, begin, sizeof begin - 1) == 0);
    const char *at = memmem(pem, size, end, sizeof end - 1);
    FUZZ_PROPERTY(at != NULL);
    for (at += sizeof end - 1; at < pem + size; at++)
        FUZZ_PROPERTY(*at != '\0' && strchr(" \t\r\n", *at) != NULL);
}

static void check_pem(const char *pem, size_t size)
{
    struct lethe_error err = {0};
    CLEANUP(sign_public_free) struct sign_public *key = NULL;
    CLEANUP(sign_public_free) struct sign_public *again = NULL;
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (sign_public_from_pem(pem, size, &key, &err) != LETHE_OK)
        return;
    check_one_block(pem, size);
    FUZZ_PROPERTY(sign_public_pem(key, &text, &err) == LETHE_OK);
    FUZZ_PROPERTY(sign_public_from_pem(text.bytes, text.size_bytes, &again, &err) == LETHE_OK);
    check_same_raw(key, again);
    struct signature signature;
    if (signature_from_bytes(pem, size, &signature, &err) == LETHE_OK)
        FUZZ_PROPERTY(sign_verify(key, "x", 1, &signature, &err) != LETHE_OK);
}

static void check_digest(const char *text)
{
    uint8_t digest[TREE_HASH_BYTES];
    char again[TREE_DIGEST_TEXT_SIZE];
    if (tree_digest_parse(text, digest) != LETHE_OK)
        return;
    tree_digest_text(digest, again);
    FUZZ_PROPERTY(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    CLEANUP(memory_free) char *text = strndup((const char *)data, size);
    FUZZ_PROPERTY(text != NULL);
    check_pem((const char *)data, size);
    check_digest(text);
    return 0;
}
