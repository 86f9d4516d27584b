/* E-1: each field of a quote, a signature and a key, at its edges. */
#include "recorded.h"

#include "crypto/crypto.h"

/* ---- edges of each field ----------------------------------------------------------------------
 */

struct edge {
    size_t at, size_bytes;
    uint64_t value; /* big-endian */
    enum attest_reason expected;
};

static void put(void *bytes, const struct edge *edge)
{
    for (size_t i = 0; i < edge->size_bytes; i++)
        ((uint8_t *)bytes)[edge->at + i] = (uint8_t)(edge->value >> 8 * (edge->size_bytes - 1 - i));
}

/* Fields are judged before the signature is: it does not fit, where they are fine. */
static void fields_of_a_quote_have_edges(void **state)
{
    static const struct edge edges[] = {
        {0, 4, 0, ATTEST_MAGIC},
        {0, 4, 0xff544348, ATTEST_MAGIC},
        {0, 4, 0xffffffff, ATTEST_MAGIC},
        {4, 2, 0x8017, ATTEST_TYPE}, /* certify */
        {4, 2, 0x8019, ATTEST_TYPE},
        {4, 2, 0, ATTEST_TYPE},
        {6, 2, 0, ATTEST_MALFORMED},
        {6, 2, 33, ATTEST_MALFORMED},
        {6, 2, 35, ATTEST_MALFORMED},
        {6, 2, 0xffff, ATTEST_SIZE},
        {8, 2, 4, ATTEST_MALFORMED}, /* SHA-1 */
        {8, 2, 12, ATTEST_MALFORMED},
        {42, 2, 65, ATTEST_MALFORMED},
        {42, 2, 0xffff, ATTEST_SIZE},
        {76, 8, UINT64_C(1) << 53, ATTEST_MALFORMED},
        {76, 8, (UINT64_C(1) << 53) - 1, ATTEST_SIGNATURE},
        {76, 8, UINT64_MAX, ATTEST_MALFORMED},
        {84, 4, 0xffffffff, ATTEST_SIGNATURE},
        {88, 4, 0xffffffff, ATTEST_SIGNATURE},
        {92, 1, 0, ATTEST_SIGNATURE},
        {92, 1, 2, ATTEST_MALFORMED},
        {92, 1, 255, ATTEST_MALFORMED},
        {101, 4, 0, ATTEST_PCR_SELECTION},
        {101, 4, 2, ATTEST_PCR_SELECTION},
        {101, 4, 0xffffffff, ATTEST_PCR_SELECTION},
        {105, 2, 4, ATTEST_PCR_SELECTION},
        {105, 2, 12, ATTEST_PCR_SELECTION},
        {107, 1, 0, ATTEST_PCR_SELECTION},
        {107, 1, 2, ATTEST_PCR_SELECTION},
        {107, 1, 4, ATTEST_SIZE}, /* takes the length behind it along */
        {107, 1, 5, ATTEST_PCR_SELECTION},
        {107, 1, 255, ATTEST_PCR_SELECTION},
        {108, 3, 0, ATTEST_SIGNATURE},
        {111, 2, 0, ATTEST_MALFORMED},
        {111, 2, 31, ATTEST_MALFORMED},
        {111, 2, 33, ATTEST_SIZE},
        {111, 2, 0xffff, ATTEST_SIZE},
    };
    struct evidence_files *files = *state;
    uint8_t quote[145];
    struct tpm2_check check = files->check;
    assert_int_equal(sizeof quote, files->quote.size_bytes);
    check.quote = quote;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(quote, files->quote.bytes, sizeof quote);
        put(quote, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
}

static void fields_of_an_ecc_key_have_edges(void **state)
{
    static const struct edge edges[] = {
        {0, 2, 8, ATTEST_ALGORITHM}, /* keyed hash */
        {0, 2, 0, ATTEST_ALGORITHM},
        {2, 2, 4, ATTEST_ALGORITHM},
        {4, 4, 0, ATTEST_KEY_ATTRIBUTES},
        {4, 4, 0xffffffff, ATTEST_KEY_ATTRIBUTES},
        {4, 4, 0x00050070, ATTEST_KEY_ATTRIBUTES}, /* not fixedTPM */
        {4, 4, 0x00050062, ATTEST_KEY_ATTRIBUTES}, /* not fixedParent */
        {4, 4, 0x00050052, ATTEST_KEY_ATTRIBUTES}, /* made elsewhere */
        {4, 4, 0x00040072, ATTEST_KEY_ATTRIBUTES}, /* not restricted */
        {4, 4, 0x00010072, ATTEST_KEY_ATTRIBUTES}, /* does not sign */
        {4, 4, 0x00070072, ATTEST_KEY_ATTRIBUTES}, /* decrypts too */
        {4, 4, 0x00050072, ATTEST_VERIFIED},
        {8, 2, 1, ATTEST_MALFORMED}, /* a policy of one byte; what follows is shifted */
        {8, 2, 0xffff, ATTEST_SIZE},
        {10, 2, 6, ATTEST_ALGORITHM}, /* AES: two more fields are read */
        {10, 2, 0x26, ATTEST_ALGORITHM},
        {12, 2, 0x10, ATTEST_ALGORITHM}, /* NULL: one field fewer, what follows is shifted */
        {12, 2, 0x1a, ATTEST_ALGORITHM}, /* ECDAA */
        {14, 2, 4, ATTEST_ALGORITHM},    /* SHA-1 */
        {16, 2, 4, ATTEST_ALGORITHM},    /* P-384 */
        {18, 2, 7, ATTEST_ALGORITHM},
        {20, 2, 0, ATTEST_SIZE},
        {20, 2, 0xffff, ATTEST_SIZE},
        {54, 2, 31, ATTEST_SIZE},
        {54, 2, 33, ATTEST_SIZE},
        {22, 8, 0, ATTEST_SIGNATURE}, /* not on the curve */
    };
    struct evidence_files *files = *state;
    uint8_t ak[88];
    struct tpm2_check check = files->check;
    assert_int_equal(sizeof ak, files->ak.size_bytes);
    check.ak = ak;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(ak, files->ak.bytes, sizeof ak);
        put(ak, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
}

static void fields_of_an_rsa_key_have_edges(void **state)
{
    static const struct edge edges[] = {
        {12, 2, 0x15, ATTEST_ALGORITHM}, /* RSAES */
        {12, 2, 0x16, ATTEST_ALGORITHM}, /* RSAPSS: the signature is not */
        {12, 2, 0x18, ATTEST_ALGORITHM}, /* ECDSA */
        {14, 2, 4, ATTEST_ALGORITHM},
        {16, 2, 1024, ATTEST_MALFORMED},
        {16, 2, 0, ATTEST_MALFORMED},
        {16, 2, 0xffff, ATTEST_MALFORMED},
        {18, 4, 65537, ATTEST_VERIFIED},
        {18, 4, 3, ATTEST_SIGNATURE},
        {18, 4, 0xffffffff, ATTEST_SIGNATURE},
        {22, 2, 255, ATTEST_MALFORMED},
        {22, 2, 257, ATTEST_SIZE},
        {24, 1, 0x7f, ATTEST_SIGNATURE}, /* a modulus of 2,047 bits */
        {279, 1, 0, ATTEST_SIGNATURE},   /* even */
    };
    struct evidence_files *files = *state;
    uint8_t ak[280];
    struct tpm2_check check = files[1].check;
    assert_int_equal(sizeof ak, files[1].ak.size_bytes);
    check.ak = ak;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(ak, files[1].ak.bytes, sizeof ak);
        put(ak, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
}

static void fields_of_a_signature_have_edges(void **state)
{
    static const struct edge edges[] = {
        {0, 2, 0x14, ATTEST_ALGORITHM}, {0, 2, 0x1a, ATTEST_ALGORITHM}, {0, 2, 0, ATTEST_ALGORITHM},
        {2, 2, 4, ATTEST_ALGORITHM},    {2, 2, 12, ATTEST_ALGORITHM},   {4, 2, 0, ATTEST_SIZE},
        {4, 2, 0xffff, ATTEST_SIZE},    {38, 2, 31, ATTEST_SIZE},       {38, 2, 33, ATTEST_SIZE},
        {40, 8, 0, ATTEST_SIGNATURE},
    };
    struct evidence_files *files = *state;
    uint8_t signature[72];
    struct tpm2_check check = files->check;
    assert_int_equal(sizeof signature, files->signature.size_bytes);
    check.signature = signature;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(signature, files->signature.bytes, sizeof signature);
        put(signature, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
    memset(signature + 6, 0, 32); /* r and s of zero */
    memset(signature + 40, 0, 32);
    assert_reason(ATTEST_SIGNATURE, &check);
}

/* A leading zero may be left out, and none may be added. */
static void numbers_of_a_signature_are_padded(void **state)
{
    struct evidence_files *files = *state;
    uint8_t longer[73];
    struct tpm2_check check = files->check;
    memcpy(longer, files->signature.bytes, 4);
    longer[4] = 0, longer[5] = 33, longer[6] = 0;
    memcpy(longer + 7, files->signature.bytes + 6, 66);
    check.signature = longer, check.signature_bytes = sizeof longer;
    assert_reason(ATTEST_SIGNATURE, &check);
}

int main(void)
{
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, load, unload)
    const struct CMUnitTest tests[] = {
        WITH_FILES(fields_of_a_quote_have_edges),      WITH_FILES(fields_of_an_ecc_key_have_edges),
        WITH_FILES(fields_of_an_rsa_key_have_edges),   WITH_FILES(fields_of_a_signature_have_edges),
        WITH_FILES(numbers_of_a_signature_are_padded),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
