#include "check.h"

#include "audit/note.h"
#include "crypto/crypto_check.h"
#include "pool/wire_core.h"
#include "terms.h"

static struct terms_signer control, stranger;

static int start(void **state)
{
    REQUIRE(start_crypto(state) == 0);
    terms_signer_make("lethe/control", &control);
    terms_signer_make("lethe/stranger", &stranger);
    return 0;
}

static int finish(void **state)
{
    terms_signer_free(&control);
    terms_signer_free(&stranger);
    return 0;
}

static void sign(const struct lease_terms *terms, struct buffer *out)
{
    struct lethe_error err;
    assert_ok(token_sign(terms, &control.signer, out, &err), &err);
}

static lethe_result open_with(const struct buffer *token, const struct terms_signer *by)
{
    struct lease_terms terms;
    return token_open(token->bytes, token->size_bytes, &by->signer.key, &terms, NULL);
}

static void assert_same_terms(const struct lease_terms *a, const struct lease_terms *b)
{
    CLEANUP(buffer_clear) struct buffer one = {0};
    CLEANUP(buffer_clear) struct buffer other = {0};
    lease_terms_write(a, &one);
    lease_terms_write(b, &other);
    assert_int_equal(one.size_bytes, other.size_bytes);
    assert_memory_equal(one.bytes, other.bytes, one.size_bytes);
}

static void what_was_signed_is_read(void **state)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lease_terms terms = terms_make(), read;
    struct lethe_error err;
    sign(&terms, &token);
    assert_true(token.size_bytes <= POOL_TOKEN_MAX);
    assert_ok(token_open(token.bytes, token.size_bytes, &control.signer.key, &read, &err), &err);
    assert_same_terms(&terms, &read);
    assert_string_equal(read.consumer, TERMS_CONSUMER);
    assert_int_equal(read.generation, 7);
}

/* The layout of docs/pool-protocol.md, laid out by hand, and a signature over label and bytes. */
static void the_layout_is_the_documents(void **state)
{
    static const char label[] = "lethe-pool-token/1";
    CLEANUP(buffer_clear) struct buffer token = {0};
    CLEANUP(buffer_clear) struct buffer expected = {0};
    struct lease_terms terms = terms_make();
    struct signature signature;
    uint8_t id[4];
    sign(&terms, &token);
    buffer_append(&expected, label, sizeof label); /* with its zero byte */
    buffer_append(&expected, "\1\0", 2);
    note_key_id(&control.signer.key, NOTE_TYPE_ED25519, id);
    buffer_append(&expected, id, 4);
    buffer_append(&expected, terms.lease.bytes, 16);
    buffer_append(&expected, terms.boot_id, 16);
    buffer_append(&expected, "\7\0\0\0\0\0\0\0", 8);
    buffer_append(&expected, "\0\0\x20\0\0\0\0\0", 8); /* 2 MiB */
    buffer_append(&expected, "\0\0\1\0", 4);
    buffer_append(&expected, "\x60\xea\0\0\0\0\0\0", 8);
    buffer_append(&expected, "\x80\xee\x36\0\0\0\0\0", 8);
    buffer_le64(&expected, terms.issued_ms);
    buffer_append(&expected, terms.nonce, 16);
    buffer_prefixed(&expected, TERMS_CONSUMER, strlen(TERMS_CONSUMER));
    buffer_append(&expected, "\4\0\0\0acme", 8);
    buffer_prefixed(&expected, TERMS_PROVIDER, strlen(TERMS_PROVIDER));
    assert_result(LETHE_OK, sign_message(control.pair, expected.bytes, expected.size_bytes,
                                         &signature, NULL));
    buffer_append(&expected, signature.bytes, 64);
    assert_int_equal(token.size_bytes + sizeof label, expected.size_bytes);
    assert_memory_equal(token.bytes, expected.bytes + sizeof label, token.size_bytes);
}

/* P-4: every bit is signed, and no part of a token is one. */
static void a_changed_or_cut_token_is_none(void **state)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lease_terms terms = terms_make();
    sign(&terms, &token);
    for (size_t bit = 0; bit < 8 * token.size_bytes; bit++) {
        token.bytes[bit / 8] ^= (char)(1 << bit % 8);
        lethe_result result = open_with(&token, &control);
        if (result != (bit < 16 ? LETHE_MALFORMED : LETHE_DENIED))
            fail_msg("bit %zu: %s", bit, lethe_result_name(result));
        token.bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    size_t whole = token.size_bytes;
    for (token.size_bytes = 0; token.size_bytes < whole; token.size_bytes++)
        assert_true(open_with(&token, &control) != LETHE_OK);
    buffer_byte(&token, 0);
    assert_result(LETHE_DENIED, open_with(&token, &control));
}

/* Another key, also one that says it is the same: the id is no proof. */
static void another_keys_token_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lease_terms terms = terms_make();
    struct lethe_error err;
    struct audit_signer liar = stranger.signer;
    sign(&terms, &token);
    assert_result(LETHE_DENIED, open_with(&token, &stranger));
    buffer_truncate(&token, 0);
    liar.key = control.signer.key; /* the other's id, its own signature */
    assert_ok(token_sign(&terms, &liar, &token, &err), &err);
    assert_result(LETHE_DENIED, open_with(&token, &control));
}

/* What the key signed for another purpose is no token: it lacks the label. */
static void other_signatures_of_the_key_are_worth_nothing(void **state)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lease_terms terms = terms_make();
    struct signature signature;
    sign(&terms, &token);
    assert_result(LETHE_OK,
                  sign_message(control.pair, token.bytes, token.size_bytes - 64, &signature, NULL));
    memcpy(token.bytes + token.size_bytes - 64, signature.bytes, 64);
    assert_result(LETHE_DENIED, open_with(&token, &control));
}

static void spoil_block_bytes(struct lease_terms *terms)
{
    terms->block_bytes = 3 * 4096;
    terms->bytes = 3 * 4096;
}
static void spoil_bytes(struct lease_terms *terms)
{
    terms->bytes += 4096;
}
static void spoil_nothing_lent(struct lease_terms *terms)
{
    terms->bytes = 0;
}
static void spoil_too_many_blocks(struct lease_terms *terms)
{
    terms->block_bytes = POOL_BLOCK_MIN;
    terms->bytes = ((uint64_t)POOL_BLOCKS_MAX + 1) * POOL_BLOCK_MIN;
}
static void spoil_ttl(struct lease_terms *terms)
{
    terms->ttl_ms = POOL_TTL_MAX_MS + 1;
}
static void spoil_short_ttl(struct lease_terms *terms)
{
    terms->ttl_ms = POOL_TTL_MIN_MS - 1;
}
static void spoil_life(struct lease_terms *terms)
{
    terms->life_ms = 0;
}
static void spoil_generation(struct lease_terms *terms)
{
    terms->generation = 0;
}
static void spoil_lease(struct lease_terms *terms)
{
    memset(&terms->lease, 0, sizeof terms->lease);
}
static void spoil_consumer(struct lease_terms *terms)
{
    strcpy(terms->consumer, "trainer");
}
static void spoil_tenant(struct lease_terms *terms) /* P-15 */
{
    strcpy(terms->tenant, "other");
}
static void spoil_provider(struct lease_terms *terms)
{
    terms->provider[0] = '\0';
}

static void terms_that_no_grant_has_are_refused(void **state)
{
    static void (*const spoils[])(struct lease_terms * terms) = {
        spoil_block_bytes, spoil_bytes,  spoil_nothing_lent, spoil_too_many_blocks,
        spoil_ttl,         spoil_life,   spoil_generation,   spoil_lease,
        spoil_consumer,    spoil_tenant, spoil_provider,     spoil_short_ttl};
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        CLEANUP(buffer_clear) struct buffer token = {0};
        struct lease_terms terms = terms_make();
        spoils[i](&terms);
        sign(&terms, &token);
        if (open_with(&token, &control) != LETHE_MALFORMED)
            fail_msg("terms %zu were taken", i);
    }
}

static void ids_are_hex(void **state)
{
    static const char *const bad[] = {"",
                                      "11",
                                      "00000000000000000000000000000000",
                                      "1111111111111111111111111111111",
                                      "111111111111111111111111111111111",
                                      "1111111111111111111111111111111G",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    struct lease_id id;
    char text[LEASE_ID_HEX_SIZE];
    assert_result(LETHE_OK, lease_id_from_hex("0123456789abcdef00112233445566ff", &id, NULL));
    lease_id_hex(&id, text);
    assert_string_equal(text, "0123456789abcdef00112233445566ff");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, lease_id_from_hex(bad[i], &id, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_read),
        cmocka_unit_test(the_layout_is_the_documents),
        cmocka_unit_test(a_changed_or_cut_token_is_none),
        cmocka_unit_test(another_keys_token_is_refused),
        cmocka_unit_test(other_signatures_of_the_key_are_worth_nothing),
        cmocka_unit_test(terms_that_no_grant_has_are_refused),
        cmocka_unit_test(ids_are_hex),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
