/* What connections for bulk hold while they have nothing to do, and what they leave behind. */
#include "check.h"

#include "../crypto/memory_search.h"
#include "crypto/crypto.h"
#include "net/tls_core.h"
#include "tls_pair.h"

static struct identity_files authority, server, client;

static struct tls_context *context_of(const struct identity_files *identity)
{
    const struct tls_options options = {.certificates_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .roots_pem = authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    return pair_context(&options, identity == &server);
}

static void open_sides(struct side *a, struct side *b)
{
    open_pair(context_of(&server), context_of(&client), "localhost", a, b);
    shake_hands(a, b);
    assert_true(is_done(a) && is_done(b));
}

/* Each marker is another one. */
static uint8_t next_random_byte(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint8_t)((state * 0x2545f4914f6cdd1d) >> 56);
}

static void exchange(struct side *a, struct side *b, const uint8_t *bytes, uint8_t *out,
                     size_t size_bytes)
{
    size_t written, got = 0, step;
    assert_result(LETHE_OK, tls_write(a->connection, bytes, size_bytes, &written, &a->want, NULL));
    assert_int_equal(written, size_bytes);
    assert_result(LETHE_OK, tls_flush(a->connection, &a->want, NULL));
    assert_int_equal(a->want, TLS_DONE);
    do {
        assert_result(LETHE_OK, tls_read(b->connection, out + got, size_bytes + 1 - got, &step,
                                         &b->want, NULL));
        got += step;
    } while (b->want == TLS_DONE);
    assert_int_equal(got, size_bytes);
}

/* Z-6: of short and of long messages. */
static void nothing_of_a_message_stays(void **state)
{
    static const size_t sizes[] = {32, 4128, 8000, 9000, 16384, 60000};
    struct side a, b;
    static uint8_t bytes[60001], out[60001];
    open_sides(&a, &b);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t marker[32];
        for (size_t j = 0; j < sizeof marker; j++)
            marker[j] = next_random_byte();
        struct needle needle = needle_of(marker, sizeof marker);
        memcpy(bytes + (sizes[i] - sizeof marker) / 2, marker, sizeof marker);
        lethe_wipe(marker, sizeof marker);
        exchange(&a, &b, bytes, out, sizes[i]);
        assert_int_equal(count_in_own_memory(&needle), 2); /* ours */
        lethe_wipe(bytes, sizeof bytes);
        lethe_wipe(out, sizeof out);
        if (count_in_own_memory(&needle) != 0)
            fail_msg("a message of %zu bytes is still in memory", sizes[i]);
    }
    close_pair(&a, &b);
}

static void what_is_staged_is_guarded_and_wiped(void **state)
{
    struct side a, b;
    uint8_t marker[32], out[64];
    size_t written, got;
    for (size_t j = 0; j < sizeof marker; j++)
        marker[j] = next_random_byte();
    struct needle needle = needle_of(marker, sizeof marker);
    open_sides(&a, &b);
    assert_result(LETHE_OK,
                  tls_write(a.connection, marker, sizeof marker, &written, &a.want, NULL));
    lethe_wipe(marker, sizeof marker);
    assert_int_equal(count_in_own_memory(&needle), 1);
    assert_int_not_equal(lethe_region_protections(a.connection->staging.region) & LETHE_LOCKED, 0);
    assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
    assert_int_equal(count_in_own_memory(&needle), 0);
    assert_result(LETHE_OK, tls_read(b.connection, out, sizeof out, &got, &b.want, NULL));
    lethe_wipe(out, sizeof out);
    /* Nor when it is never sent. */
    assert_result(LETHE_OK,
                  tls_write(a.connection, "0123456789abcdef", 16, &written, &a.want, NULL));
    struct guarded staging = a.connection->staging;
    close_pair(&a, &b);
    assert_true(lethe_is_zero(staging.bytes, 16));
}

static void idle_connections_hold_no_batches(void **state)
{
    struct side a, b;
    static uint8_t bytes[60001], out[60001];
    open_sides(&a, &b);
    for (size_t size = 100; size <= 60000; size += 59900) {
        exchange(&a, &b, bytes, out, size);
        assert_null(a.connection->wire.out.bytes);
        assert_null(a.connection->staging.bytes);
        assert_null(b.connection->wire.in.bytes);
        assert_false(tls_pending(b.connection));
    }
    close_pair(&a, &b);
}

/* More connections than may keep OpenSSL's buffers go on as well, and give their places back. */
static void places_of_keepers_are_given_back(void **state)
{
    enum { PAIRS = TLS_KEEPERS_MAX / 2 + 3 };
    static struct side a[PAIRS], b[PAIRS];
    static uint8_t bytes[101], out[101];
    for (unsigned round = 0; round < 2; round++) {
        unsigned keepers = 0;
        for (size_t i = 0; i < PAIRS; i++) {
            open_sides(&a[i], &b[i]);
            exchange(&a[i], &b[i], bytes, out, 100);
            keepers += a[i].connection->is_keeper + b[i].connection->is_keeper;
        }
        assert_int_equal(keepers, TLS_KEEPERS_MAX);
        for (size_t i = 0; i < PAIRS; i++)
            close_pair(&a[i], &b[i]);
    }
}

static int make_identities(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost", 10, &server);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    return 0;
}

static int free_identities(void **state)
{
    certificate_free(&authority);
    certificate_free(&server);
    certificate_free(&client);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_a_message_stays),
        cmocka_unit_test(what_is_staged_is_guarded_and_wiped),
        cmocka_unit_test(idle_connections_hold_no_batches),
        cmocka_unit_test(places_of_keepers_are_given_back),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
