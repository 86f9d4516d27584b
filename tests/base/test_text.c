#include "check.h"

#include "base/text.h"

static void hex_goes_there_and_back(void **state)
{
    char text[9];
    uint8_t bytes[4];
    hex_encode("\x00\x7f\xab\xff", 4, text);
    assert_string_equal(text, "007fabff");
    assert_result(LETHE_OK, hex_decode(text, 8, bytes, 4));
    assert_memory_equal(bytes, "\x00\x7f\xab\xff", 4);
    hex_encode("", 0, text);
    assert_string_equal(text, "");
}

static void hex_has_one_spelling(void **state)
{
    static const char *const bad[] = {"00",        "0000000g", "007FABFF",
                                      "007fabff0", "007fabf",  " 07fabff"};
    uint8_t bytes[4];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_MALFORMED, hex_decode(bad[i], strlen(bad[i]), bytes, 4));
}

/* RFC 4648 section 10. */
static void base64_vectors(void **state)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"},
                                          {"\xff\xef\xbe", "/+++"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *plain = rows[i][0];
        const char *encoded = rows[i][1];
        CLEANUP(buffer_clear) struct buffer buffer = {0};
        base64_append(&buffer, plain, strlen(plain));
        assert_int_equal(buffer.size_bytes, BASE64_LENGTH(strlen(plain)));
        assert_int_equal(buffer.size_bytes, strlen(encoded));
        assert_memory_equal(buffer.size_bytes > 0 ? buffer.bytes : "", encoded, strlen(encoded));

        uint8_t bytes[8];
        size_t size;
        assert_result(LETHE_OK,
                      base64_decode(encoded, strlen(encoded), bytes, strlen(plain), &size));
        assert_int_equal(size, strlen(plain));
        assert_memory_equal(bytes, plain, size);
    }
}

static void base64_has_one_spelling(void **state)
{
    static const char *const bad[] = {"Zg",   "Zg=",  "Zh==", "Zm9=",  "Zm9v\n", "Zg==Zg==", "=Zg=",
                                      "====", "Z===", "Zm-_", "Zm9v ", "Z g=",   "Zm9vYg==="};
    uint8_t bytes[32];
    size_t size;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_MALFORMED,
                      base64_decode(bad[i], strlen(bad[i]), bytes, sizeof bytes, &size));
    assert_result(LETHE_MALFORMED, base64_decode("Zm9v", 4, bytes, 2, &size));
}

/* Every byte at every place of the last groups: digits are taken, and nothing else. */
static void base64_takes_digits_only(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[6];
    size_t size;
    for (size_t at = 0; at < 8; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            const char *digit = byte == 0 ? NULL : strchr(digits, (int)byte);
            bool good = digit != NULL || (at == 7 && byte == '=');
            char text[] = "AAAAAAAA";
            text[at] = (char)byte;
            assert_result(good ? LETHE_OK : LETHE_MALFORMED,
                          base64_decode(text, 8, bytes, sizeof bytes, &size));
            if (digit != NULL) {
                uint32_t group = (uint32_t)(digit - digits) << (18 - 6 * (at % 4));
                const uint8_t *three = bytes + at / 4 * 3;
                assert_int_equal(group, three[0] << 16 | three[1] << 8 | three[2]);
            }
        }
    }
}

static void base64_comes_back_whatever_its_length(void **state)
{
    uint8_t plain[100], back[100];
    char text[BASE64_LENGTH(sizeof plain)];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 73 + 11);
    for (size_t length = 0; length <= sizeof plain; length++) {
        size_t size;
        base64_write(plain, length, text);
        assert_result(LETHE_OK, base64_decode(text, BASE64_LENGTH(length), back, length, &size));
        assert_int_equal(length, size);
        assert_memory_equal(plain, back, length);
        if (length > 0)
            assert_result(LETHE_MALFORMED,
                          base64_decode(text, BASE64_LENGTH(length), back, length - 1, &size));
    }
}

static void times_are_rfc_3339(void **state)
{
    static const struct {
        uint64_t ns;
        const char *seconds, *nanoseconds;
    } rows[] = {
        {0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"},
        {1709210096000000001u, "2024-02-29T12:34:56Z", "2024-02-29T12:34:56.000000001Z"},
        {UINT64_MAX, "2554-07-21T23:34:33Z", "2554-07-21T23:34:33.709551615Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[TIME_TEXT_SIZE];
        time_text_s(rows[i].ns, text);
        assert_string_equal(text, rows[i].seconds);
        time_text_ns(rows[i].ns, text);
        assert_string_equal(text, rows[i].nanoseconds);
        assert_true(time_parse_ns(text) == rows[i].ns);
    }
}

/* Every day of 400 years goes there and back; what no clock says gives the nearest that one does.
 */
static void times_are_read_back(void **state)
{
    char text[TIME_TEXT_SIZE];
    for (uint64_t day = 0; day < 146097; day++) {
        uint64_t ns = day * 86400 * 1000000000u + 86399999999999u;
        time_text_ns(ns, text);
        assert_true(time_parse_ns(text) == ns);
    }
    time_text_ns(UINT64_MAX, text);
    assert_true(time_parse_ns(text) == UINT64_MAX);
    assert_true(time_parse_ns("1969-12-31T23:59:59.999999999Z") == 0);
    assert_true(time_parse_ns("0000-00-00T00:00:00.000000000Z") == 0);
    assert_true(time_parse_ns("9999-99-99T99:99:99.999999999Z") == UINT64_MAX);
}

static void sizes_have_three_digits(void **state)
{
    static const struct {
        uint64_t size;
        const char *text;
    } rows[] = {{0, "0 B"},
                {417, "417 B"},
                {999, "999 B"},
                {1000, "0.977 KiB"},
                {1023, "0.999 KiB"},
                {1024, "1.00 KiB"},
                {10239, "10.0 KiB"},
                {102399, "100 KiB"},
                {1022975, "999 KiB"},
                {1023500, "0.976 MiB"},
                {1268778, "1.21 MiB"},
                {(uint64_t)4 << 30, "4.00 GiB"},
                {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[BYTES_TEXT_SIZE];
        bytes_text(rows[i].size, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_has_one_spelling),
        cmocka_unit_test(base64_vectors),
        cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(base64_takes_digits_only),
        cmocka_unit_test(base64_comes_back_whatever_its_length),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(times_are_read_back),
        cmocka_unit_test(sizes_have_three_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
