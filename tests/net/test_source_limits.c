#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "net/source_limits.h"

static struct limits *limits;

static void begin(struct limits_options options)
{
    struct lethe_error err;
    assert_ok(limits_create(&options, &limits, &err), &err);
}

static void end(void)
{
    limits_free(limits);
    limits = NULL;
}

static struct source_key key_of(const char *text)
{
    struct source_key key;
    assert_true(source_of_text(text, &key));
    return key;
}

static struct limits_source *enter(const char *text, uint64_t now_ms)
{
    const char *why;
    struct source_key key = key_of(text);
    struct limits_source *source = limits_enter(limits, &key, now_ms, &why);
    assert_int_equal(source == NULL, why != NULL);
    return source;
}

static uint64_t penalise(const char *text, uint64_t now_ms)
{
    struct source_key key = key_of(text);
    return limits_penalise(limits, &key, now_ms);
}

static void sources_are_addresses_and_networks(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1", "::ffff:10.0.0.1", true}, /* how a dual listener shows it */
        {"2001:db8::1", "2001:db8::ffff:1", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::1", "unix", false},
        {"::1", "127.0.0.1", false},
        {"unix", "unix", true},
    };
    struct source_key key;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct source_key a = key_of(pairs[i].a);
        struct source_key b = key_of(pairs[i].b);
        assert_int_equal(memcmp(&a, &b, sizeof a) == 0, pairs[i].same);
    }
    assert_false(source_of_text("", &key));
    assert_false(source_of_text("10.0.0", &key));
    assert_false(source_of_text("Unix", &key));
}

static void address_and_text_agree(void **state)
{
    static const char *const texts[] = {"127.0.0.1", "203.0.113.9", "::1", "2001:db8::5"};
    struct source_key key, again;
    char text[SOURCE_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct sockaddr_storage address = {0};
        struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
        bool is_v4 = inet_pton(AF_INET, texts[i], &v4->sin_addr) == 1;
        if (!is_v4)
            assert_int_equal(inet_pton(AF_INET6, texts[i], &v6->sin6_addr), 1);
        address.ss_family = is_v4 ? AF_INET : AF_INET6;
        source_of_address(&address, &key, text);
        assert_string_equal(text, texts[i]);
        again = key_of(texts[i]);
        assert_memory_equal(&key, &again, sizeof key);
    }
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    source_of_address(&local, &key, text);
    assert_string_equal(text, "unix");
}

static void connections_are_counted(void **state)
{
    struct limits_source *held[3];
    begin((struct limits_options){
        .sources_max = 8, .connections_per_source = 3, .handshakes_per_second = 100});
    for (size_t i = 0; i < 3; i++)
        assert_non_null(held[i] = enter("10.0.0.1", 1000));
    assert_null(enter("10.0.0.1", 1000));
    assert_non_null(enter("10.0.0.2", 1000));
    limits_leave(limits, held[0]);
    assert_non_null(enter("10.0.0.1", 1000));
    assert_null(enter("10.0.0.1", 1000));
    end();
}

static void handshakes_come_at_a_rate(void **state)
{
    begin((struct limits_options){
        .sources_max = 8, .connections_per_source = 1000, .handshakes_per_second = 5});
    for (unsigned i = 0; i < 5; i++)
        assert_non_null(enter("10.0.0.1", 1000));
    assert_null(enter("10.0.0.1", 1000));
    assert_null(enter("10.0.0.1", 1199)); /* one each 200 ms */
    assert_non_null(enter("10.0.0.1", 1200));
    assert_null(enter("10.0.0.1", 1200));
    for (unsigned i = 0; i < 5; i++) /* a long rest saves up one second's worth */
        assert_non_null(enter("10.0.0.1", 100000));
    assert_null(enter("10.0.0.1", 100000));
    end();
}

static void requests_come_at_a_rate(void **state)
{
    uint64_t wait_ms;
    begin((struct limits_options){.sources_max = 8,
                                  .connections_per_source = 10,
                                  .handshakes_per_second = 10,
                                  .requests_per_second = 2});
    struct limits_source *source = enter("10.0.0.1", 1000);
    assert_true(limits_allow(limits, source, 1000, &wait_ms));
    assert_true(limits_allow(limits, source, 1000, &wait_ms));
    assert_false(limits_allow(limits, source, 1000, &wait_ms));
    assert_true(limits_allow(limits, source, 1500, &wait_ms));
    assert_false(limits_allow(limits, source, 1500, &wait_ms));
    end();
}

/* K-11: a typo costs nothing; who goes on failing is told to wait, and is heard meanwhile. */
static void penalties_begin_late_and_double(void **state)
{
    uint64_t wait_ms;
    uint64_t now_ms = 5000;
    begin((struct limits_options){.sources_max = 8,
                                  .connections_per_source = 1000,
                                  .handshakes_per_second = 1000,
                                  .penalty_ms = 1000});
    struct limits_source *source = enter("10.0.0.1", now_ms);
    assert_non_null(enter("10.0.0.2", now_ms));
    for (unsigned i = 0; i < PENALTY_FREE; i++)
        assert_int_equal(penalise("10.0.0.1", now_ms), 0);
    for (uint64_t length_ms = 1000; length_ms < 200000; length_ms *= 2) {
        assert_int_equal(penalise("10.0.0.1", now_ms), MIN(length_ms, (uint64_t)PENALTY_MAX_MS));
        assert_true(limits_allow(limits, source, now_ms, &wait_ms));
        assert_non_null(enter("10.0.0.1", now_ms));
    }
    assert_int_equal(penalise("10.0.0.2", now_ms), 0); /* others do not wait */
    now_ms += 59999;
    assert_int_equal(penalise("10.0.0.1", now_ms), PENALTY_MAX_MS);
    now_ms++;
    for (unsigned i = 0; i < PENALTY_FREE; i++) /* another minute */
        assert_int_equal(penalise("10.0.0.1", now_ms), 0);
    assert_int_equal(penalise("10.0.0.1", now_ms), PENALTY_MAX_MS);
    now_ms += 24 * 3600 * 1000;
    for (unsigned i = 0; i < PENALTY_FREE; i++)
        assert_int_equal(penalise("10.0.0.1", now_ms), 0);
    assert_int_equal(penalise("10.0.0.1", now_ms), 1000);  /* after a long time the first again */
    assert_int_equal(penalise("198.51.100.1", now_ms), 0); /* never seen */
    end();
}

/* A flood of addresses pushes out those that are gone, none that is connected or penalised. */
static void table_keeps_who_matters(void **state)
{
    begin((struct limits_options){.sources_max = 4,
                                  .connections_per_source = 2,
                                  .handshakes_per_second = 1000,
                                  .penalty_ms = 60000});
    struct limits_source *here = enter("10.0.0.1", 1000);
    limits_leave(limits, enter("10.0.0.2", 1000));
    for (unsigned i = 0; i < PENALTY_FREE; i++)
        assert_int_equal(penalise("10.0.0.2", 1000), 0);
    assert_int_equal(penalise("10.0.0.2", 1000), 60000);
    for (unsigned i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.1.%u.%u", i / 256, i % 256);
        limits_leave(limits, enter(text, 1000 + i));
    }
    assert_int_equal(penalise("10.0.0.2", 2000), 60000); /* not forgotten */
    assert_non_null(enter("10.0.0.1", 2000));
    assert_null(enter("10.0.0.1", 2000)); /* the first still counts */
    limits_leave(limits, here);
    assert_non_null(enter("10.0.0.1", 2000));
    assert_non_null(enter("10.0.0.7", 2000));
    assert_non_null(enter("10.0.0.8", 2000));
    assert_non_null(
        enter("10.0.0.9", 2000)); /* takes the place of the penalised one: all else is taken */
    assert_null(enter("10.0.0.10", 2000));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_addresses_and_networks),
        cmocka_unit_test(address_and_text_agree),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(handshakes_come_at_a_rate),
        cmocka_unit_test(requests_come_at_a_rate),
        cmocka_unit_test(penalties_begin_late_and_double),
        cmocka_unit_test(table_keeps_who_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
