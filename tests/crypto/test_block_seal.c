#include "crypto_check.h"

#include "crypto/block_seal.h"

#define LABEL "lethe-test-seal/1"
#define OTHER_LABEL "lethe-test-seal/12"
#define BYTES 4096u

struct site {
    struct block_key *key, *other;
    struct lethe_secret *secret;
    struct lethe_error err;
    uint8_t plain[BYTES], sealed[BYTES], out[BYTES], tag[AEAD_TAG_BYTES];
};
static const struct block_place here = {7, 3, BYTES};
static const uint8_t space[BLOCK_SPACE_BYTES] = "sixteen bytes ab";

static int set_up(void **state)
{
    static struct site site;
    site = (struct site){0};
    assert_ok(crypto_start(&site.err), &site.err);
    assert_ok(lethe_secret_create(AEAD_KEY_BYTES, &site.secret, &site.err), &site.err);
    memset(lethe_secret_bytes(site.secret), 5, AEAD_KEY_BYTES);
    assert_ok(block_key_restore(LABEL, site.secret, space, &site.key, &site.err), &site.err);
    memset(site.plain, 'p', BYTES);
    assert_result(LETHE_OK, block_seal(site.key, &here, site.plain, site.sealed, site.tag));
    *state = &site;
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;
    block_key_free(site->key);
    block_key_free(site->other);
    lethe_secret_free(site->secret);
    return 0;
}

static void must_not_open(struct site *site, const struct block_key *key,
                          const struct block_place *place)
{
    memset(site->out, 1, BYTES);
    assert_result(LETHE_INTEGRITY, block_open(key, place, site->sealed, site->tag, site->out));
    assert_true(lethe_is_zero(site->out, place->size_bytes));
}

/* P-12: opens where it was sealed and nowhere else; what does not open is wiped. */
static void it_opens_in_its_place_alone(void **state)
{
    struct site *site = *state;
    static const struct block_place others[] = {
        {6, 3, BYTES}, {8, 3, BYTES},      {7, 2, BYTES},
        {7, 4, BYTES}, {7, 3, BYTES - 16}, {7, 3 + ((uint64_t)1 << 32), BYTES},
        {3, 7, BYTES},
    };
    assert_result(LETHE_OK, block_open(site->key, &here, site->sealed, site->tag, site->out));
    assert_memory_equal(site->out, site->plain, BYTES);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        must_not_open(site, site->key, &others[i]);
}

/* P-12: not with another key, another space or another use's label. */
static void it_opens_for_its_owner_alone(void **state)
{
    struct site *site = *state;
    uint8_t other_space[BLOCK_SPACE_BYTES] = "sixteen bytes ac";
    assert_ok(block_key_restore(LABEL, site->secret, other_space, &site->other, &site->err),
              &site->err);
    must_not_open(site, site->other, &here);
    block_key_free(MOVE(site->other));
    assert_ok(block_key_restore(OTHER_LABEL, site->secret, space, &site->other, &site->err),
              &site->err);
    must_not_open(site, site->other, &here);
    block_key_free(MOVE(site->other));
    assert_ok(block_key_create(LABEL, &site->other, &site->err), &site->err);
    must_not_open(site, site->other, &here);
    block_key_free(MOVE(site->other));
    assert_ok(block_key_restore(LABEL, site->secret, space, &site->other, &site->err), &site->err);
    assert_result(LETHE_OK, block_open(site->other, &here, site->sealed, site->tag, site->out));
}

static void every_changed_byte_is_seen(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < BYTES; i += 61) {
        site->sealed[i] ^= 0x40;
        must_not_open(site, site->key, &here);
        site->sealed[i] ^= 0x40;
    }
    for (size_t i = 0; i < AEAD_TAG_BYTES; i++) {
        site->tag[i] ^= 1;
        must_not_open(site, site->key, &here);
        site->tag[i] ^= 1;
    }
    assert_result(LETHE_OK, block_open(site->key, &here, site->sealed, site->tag, site->out));
}

static void it_seals_and_opens_in_place(void **state)
{
    struct site *site = *state;
    uint8_t tag[AEAD_TAG_BYTES];
    memcpy(site->out, site->plain, BYTES);
    assert_result(LETHE_OK, block_seal(site->key, &here, site->out, site->out, tag));
    assert_memory_equal(site->out, site->sealed, BYTES);
    assert_memory_equal(tag, site->tag, sizeof tag);
    assert_result(LETHE_OK, block_open(site->key, &here, site->out, tag, site->out));
    assert_memory_equal(site->out, site->plain, BYTES);
}

static void two_keys_are_two(void **state)
{
    struct site *site = *state;
    CLEANUP(block_key_free) struct block_key *one = NULL;
    assert_ok(block_key_create(LABEL, &one, &site->err), &site->err);
    assert_ok(block_key_create(LABEL, &site->other, &site->err), &site->err);
    assert_memory_not_equal(block_key_space(one), block_key_space(site->other), BLOCK_SPACE_BYTES);
}

#define BLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(it_opens_in_its_place_alone),
        BLOCK_TEST(it_opens_for_its_owner_alone),
        BLOCK_TEST(every_changed_byte_is_seen),
        BLOCK_TEST(it_seals_and_opens_in_place),
        BLOCK_TEST(two_keys_are_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
