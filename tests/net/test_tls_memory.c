/* Connections for bulk when memory lacks: the Nth allocation fails, for every N. */
#include "check.h"

#include <stdlib.h>

#include "crypto/crypto.h"
#include "failing_memory.h"
#include "net/tls_core.h"
#include "tls_pair.h"

FAILS(calloc)
FAILS(malloc)

#define LONG_BYTES 60000u

static struct identity_files authority, server, client;
static struct tls_context *of_server, *of_client;
static uint8_t sent[LONG_BYTES], got[LONG_BYTES + 1];

static lethe_result say(struct side *side, size_t size_bytes)
{
    const struct iovec parts[] = {{sent, 32}, {sent + 32, size_bytes - 32}};
    size_t written;
    lethe_result result =
        tls_write_parts(side->connection, parts, 2, &written, &side->want, &side->err);
    return result != LETHE_OK ? result : tls_flush(side->connection, &side->want, &side->err);
}

static lethe_result hear(struct side *side, size_t *heard_bytes)
{
    lethe_result result;
    *heard_bytes = 0;
    do {
        size_t step;
        result = tls_read(side->connection, got + *heard_bytes, sizeof got - *heard_bytes, &step,
                          &side->want, &side->err);
        *heard_bytes += step;
    } while (result == LETHE_OK && side->want == TLS_DONE);
    return result;
}

/* LETHE_OK means that all of it arrived. */
static lethe_result exchange(struct side *a, struct side *b, size_t size_bytes)
{
    size_t heard_bytes;
    lethe_result result = say(a, size_bytes);
    if (result == LETHE_OK)
        result = hear(b, &heard_bytes);
    unsigned left = calls_left;
    calls_left = 0;
    if (result == LETHE_OK) {
        assert_int_equal(heard_bytes, size_bytes);
        assert_memory_equal(sent, got, size_bytes);
    }
    calls_left = left;
    return result;
}

static void every_allocation_may_fail(void **state)
{
    static const size_t sizes[] = {64, 4128, LONG_BYTES};
    unsigned n = 1;
    for (has_failed = true; has_failed; n++) {
        struct side a, b;
        lethe_result result = LETHE_OK;
        open_pair(tls_context_share(of_server), tls_context_share(of_client), "localhost", &a, &b);
        shake_hands(&a, &b);
        assert_true(is_done(&a) && is_done(&b));
        has_failed = false;
        calls_left = n;
        for (size_t i = 0; i < ARRAY_LEN(sizes) && result == LETHE_OK; i++) {
            result = exchange(&a, &b, sizes[i]);
            if (result == LETHE_OK)
                result = exchange(&b, &a, sizes[i]);
        }
        calls_left = 0;
        if (result != LETHE_OK && (!has_failed || result != LETHE_NO_MEMORY))
            fail_msg("allocation %u: %s: %s%s", n, lethe_result_name(result), a.err.text,
                     b.err.text);
        close_pair(&a, &b);
    }
    assert_true(n > 5);
}

/* A handshake takes thousands: some of them. Nobody is believed for want of memory, and mostly that
 * is what is said; but OpenSSL shows no certificate when it cannot build its chain. */
static void allocations_of_a_handshake_may_fail(void **state)
{
    unsigned starved = 0, refused = 0;
    has_failed = true;
    for (unsigned n = 1; has_failed; n += 31) {
        struct side a, b;
        open_pair(tls_context_share(of_server), tls_context_share(of_client), "localhost", &a, &b);
        has_failed = false;
        calls_left = n;
        shake_hands(&a, &b);
        calls_left = 0;
        if (!is_done(&a) || !is_done(&b)) {
            assert_true(has_failed && (a.result != LETHE_OK || b.result != LETHE_OK));
            starved += a.result == LETHE_NO_MEMORY || b.result == LETHE_NO_MEMORY;
            refused++;
        }
        close_pair(&a, &b);
    }
    assert_true(refused > 50 && starved > refused / 2);
}

static int make_contexts(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost", 10, &server);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    struct tls_options options = {.certificates_pem = server.certificate_pem,
                                  .key_pem = server.key_pem,
                                  .roots_pem = authority.certificate_pem,
                                  .client_proof = TLS_CLIENT_MUST,
                                  .bulk = true};
    of_server = pair_context(&options, true);
    options.certificates_pem = client.certificate_pem;
    options.key_pem = client.key_pem;
    of_client = pair_context(&options, false);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 37 + i / 251);
    return 0;
}

static int free_contexts(void **state)
{
    tls_context_free(of_server);
    tls_context_free(of_client);
    certificate_free(&authority);
    certificate_free(&server);
    certificate_free(&client);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(allocations_of_a_handshake_may_fail),
    };
    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
