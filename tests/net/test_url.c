#include "check.h"

#include "net/url.h"

static void good_addresses(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *path;
    } cases[] = {
        {"https://keys.example.org", "keys.example.org", 8200, ""},
        {"HTTPS://keys.example.org/", "keys.example.org", 8200, ""},
        {"https://127.0.0.1:1/", "127.0.0.1", 1, ""},
        {"https://[::1]:65535", "::1", 65535, ""},
        {"https://[2001:db8::1]/v1///", "2001:db8::1", 8200, "/v1"},
        {"https://a:8200/vault/a%20b", "a", 8200, "/vault/a%20b"},
        {"https://xn--mnchen-3ya.example", "xn--mnchen-3ya.example", 8200, ""},
    };
    struct url url;
    struct lethe_error err;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_ok(url_parse(cases[i].text, &url, &err), &err);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.path, cases[i].path);
    }
}

static void bad_addresses(void **state)
{
    static const char *const texts[] = {
        "",
        "keys.example.org",
        "http://keys.example.org",
        "https:/keys.example.org",
        "https://",
        "https://:8200",
        "https:///v1",
        "https://user@keys.example.org",
        "https://user:password@keys.example.org",
        "https://keys.example.org:",
        "https://keys.example.org:0",
        "https://keys.example.org:65536",
        "https://keys.example.org:123456",
        "https://keys.example.org:-1",
        "https://keys.example.org:+1",
        "https://keys.example.org:8200x",
        "https://[::1",
        "https://::1",
        "https://[::1]x:1",
        "https://[]",
        "https://[127.0.0.1]",
        "https://[::g]",
        "https://1.2.3",
        "https://1.2.3.256",
        "https://a..b",
        "https://.a",
        "https://-a.b",
        "https://a-.b",
        "https://a_b",
        "https://a b",
        "https://a\n",
        "https://a?x=1",
        "https://a#x",
        "https://a/b?x=1",
        "https://a/b#x",
        "https://a/b c",
        "https://a/b\"c",
        "https://a/\xc3\xa4",
        "https://a/\x7f",
        "https://0123456789012345678901234567890123456789012345678901234567890123.b",
    };
    struct url url;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct lethe_error err = {0};
        if (url_parse(texts[i], &url, &err) != LETHE_INVALID)
            fail_msg("accepted: %s", texts[i]);
        assert_true(err.text[0] != '\0');
        assert_null(strstr(err.text, "password@"));
    }
}

static void lengths_are_limited(void **state)
{
    struct url url;
    char text[2048] = "https://a/";
    memset(text + 10, 'b', 1022);
    text[10 + 1022] = '\0';
    assert_result(LETHE_OK, url_parse(text, &url, NULL));
    assert_int_equal(strlen(url.path), 1023);
    strcat(text, "b");
    assert_result(LETHE_INVALID, url_parse(text, &url, NULL));
    memset(text + 8, 'a', 300);
    text[308] = '\0';
    assert_result(LETHE_INVALID, url_parse(text, &url, NULL));
}

static void addresses_to_listen_on(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *path;
        bool is_public;
    } cases[] = {
        {"127.0.0.1:8200", "127.0.0.1", 8200, "", false},
        {"127.255.0.1:0", "127.255.0.1", 0, "", false},
        {"[::1]:1", "::1", 1, "", false},
        {"127.0.0.1", "127.0.0.1", 8200, "", false},
        {"0.0.0.0:8200", "0.0.0.0", 8200, "", true},
        {"[::]:8200", "::", 8200, "", true},
        {"10.0.0.1:8200", "10.0.0.1", 8200, "", true},
        {"[::ffff:127.0.0.1]:8200", "::ffff:127.0.0.1", 8200, "", true}, /* not worth a rule */
        {"unix:/run/lethe/s", "", 0, "/run/lethe/s", false},
    };
    static const char *const refused[] = {
        "",
        ":8200",
        "localhost:8200",
        "*:8200",
        "127.0.0.1:99999",
        "::1:8200",
        "unix:",
        "unix:a",
        ("unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "23456789012345678901234567"),
    };
    struct url url;
    struct lethe_error err;
    bool is_public;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_ok(url_parse_listen(cases[i].text, &url, &is_public, &err), &err);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.path, cases[i].path);
        assert_int_equal(is_public, cases[i].is_public);
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (url_parse_listen(refused[i], &url, &is_public, NULL) != LETHE_INVALID)
            fail_msg("accepted: %s", refused[i]);
}

static void decoding(void **state)
{
    static const struct {
        const char *text;
        bool plus;
        const char *decoded; /* NULL: refused */
    } cases[] = {
        {"a", false, "a"},       {"", false, ""},
        {"%41%62", false, "Ab"}, {"a+b", false, "a+b"},
        {"a+b", true, "a b"},    {"a%2Bb", true, "a+b"},
        {"a%2fb", false, "a/b"}, {"%c3%a4", false, "\xc3\xa4"},
        {"%25", false, "%"},     {"%", false, NULL},
        {"%4", false, NULL},     {"%4g", false, NULL},
        {"%g4", false, NULL},    {"a%00b", false, NULL},
        {"a%0ab", false, NULL},  {"a%7f", false, NULL},
        {"a\nb", false, NULL},   {"%%41", false, NULL},
        {"%-1", false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[64] = "untouched";
        size_t length = strlen(cases[i].text);
        lethe_result result = url_decode(cases[i].text, length, cases[i].plus, out, &length);
        assert_result(cases[i].decoded != NULL ? LETHE_OK : LETHE_MALFORMED, result);
        if (cases[i].decoded == NULL)
            continue;
        assert_string_equal(out, cases[i].decoded);
        assert_int_equal(length, strlen(cases[i].decoded));
    }
    char out[8];
    size_t length;
    assert_result(LETHE_MALFORMED, url_decode("%41", 2, false, out, &length)); /* not beyond */
}

static void encoding_and_back(void **state)
{
    char every[256];
    for (unsigned i = 1; i < 256; i++)
        every[i - 1] = (char)i;
    every[255] = '\0';
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    url_encode_part(&encoded, every + 31); /* from the space on */
    assert_result(LETHE_OK, buffer_result(&encoded, NULL));
    assert_null(strpbrk(encoded.bytes, "/?#& +=\"<>"));
    char decoded[1024];
    size_t length;
    assert_result(LETHE_MALFORMED,
                  url_decode(encoded.bytes, encoded.size_bytes, false, decoded, &length)); /* DEL */
    CLEANUP(buffer_clear) struct buffer harmless = {0};
    url_encode_part(&harmless, "a b/c?d=\xc3\xa4~");
    assert_string_equal(harmless.bytes, "a%20b%2Fc%3Fd%3D%C3%A4~");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(lengths_are_limited),
        cmocka_unit_test(addresses_to_listen_on),
        cmocka_unit_test(decoding),
        cmocka_unit_test(encoding_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
