/* E-3: the log that IMA keeps, replayed into PCR 10. There is no IMA here: the logs are made by
 * this test, field by field as the kernel writes them, and a software TPM is extended with them. */
#include "device_check.h"

#include "attest/ima.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/hash.h"

#define LOADER "/usr/bin/lethe"

/* ---- writing ----------------------------------------------------------------------------------
 */

struct log {
    struct buffer bytes;
    uint8_t pcr[32];
    size_t ends[16]; /* of entries */
    size_t count;
};

static void le32(struct buffer *out, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++)
        buffer_byte(out, (uint8_t)(number >> 8 * i));
}

static void extend(uint8_t pcr[32], const uint8_t with[32])
{
    uint8_t both[64];
    memcpy(both, pcr, 32);
    memcpy(both + 32, with, 32);
    sha256(both, sizeof both, pcr);
}

static void begin(struct log *log, const char *template_, bool is_violation)
{
    le32(&log->bytes, IMA_PCR);
    for (unsigned i = 0; i < 20; i++)
        buffer_byte(&log->bytes, is_violation ? 0 : (uint8_t)(0x40 + i));
    buffer_prefixed(&log->bytes, template_, strlen(template_));
}

static void end(struct log *log, const void *hashed, size_t size_bytes, bool is_violation)
{
    uint8_t digest[32];
    sha256(hashed, size_bytes, digest);
    if (is_violation)
        memset(digest, 0xff, sizeof digest);
    extend(log->pcr, digest);
    log->ends[log->count++] = log->bytes.size_bytes;
}

struct entry {
    const char *template_;
    const char *path;
    const char *algorithm; /* NULL: sha256 */
    uint8_t digest_byte;   /* all of it */
    size_t digest_bytes;   /* 0: 32 */
    bool is_violation;
};

static void add(struct log *log, const struct entry *e)
{
    static const struct {
        const char *name;
        unsigned more;
    } templates[] = {{"ima-ng", 0}, {"ima-sig", 1}, {"ima-buf", 1}, {"ima-modsig", 3}};
    CLEANUP(buffer_clear) struct buffer data = {0};
    CLEANUP(buffer_clear) struct buffer digest = {0};
    buffer_format(&digest, "%s:", e->algorithm != NULL ? e->algorithm : "sha256");
    buffer_byte(&digest, 0);
    for (size_t i = 0; i < (e->digest_bytes > 0 ? e->digest_bytes : 32); i++)
        buffer_byte(&digest, e->digest_byte);
    buffer_prefixed(&data, digest.bytes, digest.size_bytes);
    buffer_prefixed(&data, e->path, strlen(e->path) + 1);
    for (size_t i = 0; i < ARRAY_LEN(templates); i++)
        for (unsigned n = 0; n < templates[i].more && strcmp(e->template_, templates[i].name) == 0;
             n++)
            buffer_prefixed(&data, "\x03\x02signature", n == 1 ? 0 : 11);
    begin(log, e->template_, e->is_violation);
    buffer_prefixed(&log->bytes, data.bytes, data.size_bytes);
    end(log, data.bytes, data.size_bytes, e->is_violation);
}

/* The oldest: no length of the whole, SHA-1, and a path that is padded where it is hashed. */
static void add_oldest(struct log *log, const char *path, uint8_t digest_byte)
{
    uint8_t hashed[20 + 256] = {0};
    memset(hashed, digest_byte, 20);
    memcpy(hashed + 20, path, strlen(path));
    begin(log, "ima", false);
    buffer_append(&log->bytes, hashed, 20);
    buffer_prefixed(&log->bytes, path, strlen(path));
    end(log, hashed, sizeof hashed, false);
}

static void make_usual(struct log *log)
{
    static const struct entry entries[] = {
        {"ima-ng", "boot_aggregate", .digest_byte = 1},
        {"ima-ng", "/usr/lib/systemd/systemd", .digest_byte = 2},
        {"ima-sig", LOADER, .digest_byte = 0xaa},
        {"ima-buf", "kexec-cmdline", .digest_byte = 3},
        {"ima-modsig", "/lib/modules/a.ko", .digest_byte = 4},
        {"ima-ng", "/var/log/written", .is_violation = true},
        {"ima-ng", LOADER, .digest_byte = 0xbb},
        {"ima-ng", LOADER, .digest_byte = 0xaa}, /* again */
    };
    *log = (struct log){0};
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        add(log, &entries[i]);
    add_oldest(log, "/bin/old", 5);
}

/* ---- replaying --------------------------------------------------------------------------------
 */

static char loaders[ATTEST_LOADERS_MAX][72];
static struct ima_replay replay;

static lethe_result replay_bytes(const struct log *log, const void *bytes, size_t size_bytes)
{
    replay = (struct ima_replay){.pcr = log->pcr, .loader_path = LOADER, .loaders = loaders};
    return ima_replay(bytes, size_bytes, &replay, &err);
}

static lethe_result replay_log(const struct log *log)
{
    return replay_bytes(log, log->bytes.bytes, log->bytes.size_bytes);
}

static void each_template_is_replayed(void **state)
{
    (void)state;
    struct log log;
    make_usual(&log);
    assert_ok(replay_log(&log), &err);
    assert_int_equal(9, replay.entries);
    assert_int_equal(1, replay.violations);
    assert_int_equal(2, replay.loader_count);
    char expected[72] = "sha256:";
    memset(expected + 7, 'a', 64);
    assert_string_equal(expected, loaders[0]);
    memset(expected + 7, 'b', 64);
    assert_string_equal(expected, loaders[1]);
    buffer_clear(&log.bytes);
}

/* The log goes on growing after it was quoted. */
static void what_was_not_quoted_says_nothing(void **state)
{
    (void)state;
    struct log log;
    make_usual(&log);
    const struct entry later = {"ima-ng", LOADER, .digest_byte = 0xcc};
    uint8_t quoted[32];
    memcpy(quoted, log.pcr, 32);
    add(&log, &later);
    memcpy(log.pcr, quoted, 32);
    assert_ok(replay_log(&log), &err);
    assert_int_equal(2, replay.loader_count);
    assert_int_equal(9, replay.entries);
    buffer_clear(&log.bytes);
}

static void a_log_that_is_cut_is_refused(void **state)
{
    (void)state;
    struct log log;
    make_usual(&log);
    for (size_t size = 0; size < log.bytes.size_bytes; size++)
        assert_result(LETHE_DENIED, replay_bytes(&log, log.bytes.bytes, size));
    for (size_t i = 0; i + 1 < log.count; i++) /* from the front */
        assert_result(LETHE_DENIED, replay_bytes(&log, log.bytes.bytes + log.ends[i],
                                                 log.bytes.size_bytes - log.ends[i]));
    buffer_clear(&log.bytes);
}

/* SHA-1 of an entry, and what stands in a violation, are in no PCR of the SHA-256 bank. */
static bool is_measured(const struct log *log, size_t at)
{
    for (size_t i = 0; i < log->count; i++) {
        size_t from = i == 0 ? 0 : log->ends[i - 1];
        if (at >= log->ends[i])
            continue;
        return !(at >= from + 4 && at < from + 24) && i != 5;
    }
    return true;
}

static void every_changed_byte_is_found(void **state)
{
    (void)state;
    struct log log;
    make_usual(&log);
    for (size_t at = 0; at < log.bytes.size_bytes; at++) {
        if (!is_measured(&log, at))
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            log.bytes.bytes[at] ^= (char)(1u << bit);
            assert_result(LETHE_DENIED, replay_log(&log));
            log.bytes.bytes[at] ^= (char)(1u << bit);
        }
    }
    assert_ok(replay_log(&log), &err);
    buffer_clear(&log.bytes);
}

static void entries_keep_their_order(void **state)
{
    (void)state;
    struct log log;
    make_usual(&log);
    for (size_t i = 0; i + 1 < log.count; i++) {
        size_t from = i == 0 ? 0 : log.ends[i - 1];
        CLEANUP(buffer_clear) struct buffer swapped = {0};
        buffer_append(&swapped, log.bytes.bytes, from);
        buffer_append(&swapped, log.bytes.bytes + log.ends[i], log.ends[i + 1] - log.ends[i]);
        buffer_append(&swapped, log.bytes.bytes + from, log.ends[i] - from);
        buffer_append(&swapped, log.bytes.bytes + log.ends[i + 1],
                      log.bytes.size_bytes - log.ends[i + 1]);
        assert_int_equal(log.bytes.size_bytes, swapped.size_bytes);
        assert_result(LETHE_DENIED, replay_bytes(&log, swapped.bytes, swapped.size_bytes));
        CLEANUP(buffer_clear) struct buffer without = {0}; /* and without this one */
        buffer_append(&without, log.bytes.bytes, from);
        buffer_append(&without, log.bytes.bytes + log.ends[i], log.bytes.size_bytes - log.ends[i]);
        assert_result(LETHE_DENIED, replay_bytes(&log, without.bytes, without.size_bytes));
    }
    buffer_clear(&log.bytes);
}

/* What was measured is no violation, and the other way round. */
static void a_measurement_cannot_be_hidden(void **state)
{
    (void)state;
    struct log log;
    make_usual(&log);
    memset(log.bytes.bytes + log.ends[1] + 4, 0, 20); /* the loader's */
    assert_result(LETHE_DENIED, replay_log(&log));
    buffer_clear(&log.bytes);
    make_usual(&log);
    log.bytes.bytes[log.ends[4] + 4] = 1;
    assert_result(LETHE_DENIED, replay_log(&log));
    buffer_clear(&log.bytes);
}

static void refuse_one(struct log *log, const char *what)
{
    assert_result(LETHE_DENIED, replay_log(log));
    if (strstr(err.text, what) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, what);
    buffer_clear(&log->bytes);
    *log = (struct log){0};
}

static void other_entries_are_refused(void **state)
{
    (void)state;
    struct log log = {0};
    add(&log, &(struct entry){"ima-ngv2", "/bin/a"});
    refuse_one(&log, "template");
    add(&log, &(struct entry){"ima", "/bin/a"}); /* of another form */
    refuse_one(&log, "");
    add(&log, &(struct entry){"ima-ng", "/bin/a"});
    log.bytes.bytes[0] = 11;
    refuse_one(&log, "PCR");
    add(&log, &(struct entry){"ima-sig", "/bin/a"});
    memcpy(log.bytes.bytes + 28, "ima-ng\0", 7); /* a field too many */
    refuse_one(&log, "");
    add(&log, &(struct entry){"ima-ng", LOADER, .algorithm = ""});
    refuse_one(&log, "algorithm");
    add(&log, &(struct entry){"ima-ng", LOADER, .algorithm = "sha\"256"});
    refuse_one(&log, "algorithm");
    add(&log, &(struct entry){"ima-ng", LOADER, .algorithm = "muchlongerthanany"});
    refuse_one(&log, "algorithm");
}

static void lengths_are_not_believed(void **state)
{
    static const uint32_t lengths[] = {
        0,       1,       15,      16,      255,        256,        4096,       4097,
        0x40000, 0x40001, 0x80000, 0x80001, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe};
    (void)state;
    struct log log;
    make_usual(&log);
    static const size_t fields[] = {24, 34, 38, 83};
    for (size_t f = 0; f < ARRAY_LEN(fields); f++)
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            uint8_t kept[4];
            uint8_t *at = (uint8_t *)log.bytes.bytes + fields[f];
            memcpy(kept, at, 4);
            for (unsigned byte = 0; byte < 4; byte++)
                at[byte] = (uint8_t)(lengths[i] >> 8 * byte);
            if (memcmp(kept, at, 4) != 0)
                assert_result(LETHE_DENIED, replay_log(&log));
            memcpy(at, kept, 4);
        }
    buffer_clear(&log.bytes);
}

static void a_path_hides_nothing(void **state)
{
    (void)state;
    struct log log = {0};
    CLEANUP(buffer_clear) struct buffer data = {0};
    uint8_t digest[40] = "sha256:";
    buffer_prefixed(&data, digest, sizeof digest);
    buffer_prefixed(&data, LOADER "\0/bin/other", sizeof LOADER + 11);
    begin(&log, "ima-ng", false);
    buffer_prefixed(&log.bytes, data.bytes, data.size_bytes);
    end(&log, data.bytes, data.size_bytes, false);
    refuse_one(&log, "NUL");
}

/* Longer or shorter ones name no reference value; too many of them are not let out of sight. */
static void loaders_are_named_once_each(void **state)
{
    (void)state;
    struct log log = {0};
    add_oldest(&log, LOADER, 0x11);
    add(&log, &(struct entry){"ima-ng", LOADER, "sha512", 0x22, 64});
    add(&log, &(struct entry){"ima-ng", LOADER, "sha256", 0x33, 31});
    add(&log, &(struct entry){"ima-ng", LOADER, "sha256", 0x33, 33});
    add(&log, &(struct entry){"ima-ng", "/usr/bin/leth", .digest_byte = 1});
    add(&log, &(struct entry){"ima-ng", "/usr/bin/lethe2", .digest_byte = 1});
    add(&log, &(struct entry){"ima-ng", LOADER, "sha1", 0, 20, .is_violation = true});
    assert_ok(replay_log(&log), &err);
    assert_int_equal(4, replay.loader_count); /* two of the same beginning are one */
    assert_string_equal("sha1:1111111111111111111111111111111111111111", loaders[0]);
    for (size_t i = 0; i < replay.loader_count; i++)
        assert_true(strncmp(loaders[i], "sha256:", 7) != 0 || strlen(loaders[i]) != 71);
    for (uint8_t i = 0; i < ATTEST_LOADERS_MAX - 4; i++)
        add(&log, &(struct entry){"ima-ng", LOADER, .digest_byte = (uint8_t)(0x80 + i)});
    assert_ok(replay_log(&log), &err);
    assert_int_equal(ATTEST_LOADERS_MAX, replay.loader_count);
    add(&log, &(struct entry){"ima-ng", LOADER, .digest_byte = 0xff});
    refuse_one(&log, "too many");
}

/* ---- with a quote -----------------------------------------------------------------------------
 */

static void pcr_10_is_extended(const struct log *log)
{
    char command[160], hex[65];
    for (size_t i = 0; i < log->count; i++) {
        uint8_t digest[32];
        size_t from = i == 0 ? 0 : log->ends[i - 1];
        const uint8_t *data = (const uint8_t *)log->bytes.bytes + from + 24;
        size_t name_bytes = data[0];
        bool is_violation = log->bytes.bytes[from + 4] == 0;
        data += 4 + name_bytes + 4;
        sha256(data, (size_t)((const uint8_t *)log->bytes.bytes + log->ends[i] - data), digest);
        if (is_violation)
            memset(digest, 0xff, 32);
        hex_encode(digest, 32, hex);
        snprintf(command, sizeof command, "tpm2_pcrextend 10:sha256=%s", hex);
        run(command);
    }
}

static lethe_result verify(const struct tpm2_check *check, struct attest_claims *claims)
{
    attest_claims_clear(claims);
    return tpm2_verify(check, claims, &err);
}

static void a_quote_covers_the_log(void **state)
{
    static const struct entry entries[] = {{"ima-ng", "boot_aggregate", .digest_byte = 1},
                                           {"ima-sig", LOADER, .digest_byte = 0xaa},
                                           {"ima-ng", "/tmp/x", .is_violation = true}};
    (void)state;
    need_tpm();
    struct log log = {0};
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        add(&log, &entries[i]);
    pcr_10_is_extended(&log);
    struct publics publics;
    struct tpm2_quote quote;
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    get_publics(device, &publics);
    assert_ok(tpm2_device_quote(device, 1u << 10 | 1, "b", 1, &quote, &err), &err);
    struct tpm2_check check = {.quote = quote.quote.bytes,
                               .quote_bytes = quote.quote.size_bytes,
                               .signature = quote.signature.bytes,
                               .signature_bytes = quote.signature.size_bytes,
                               .ak = publics.ak.bytes,
                               .ak_bytes = publics.ak.size_bytes,
                               .pcrs = quote.pcrs,
                               .loader_path = LOADER};
    char without[ATTEST_MEASUREMENT_SIZE], with[ATTEST_MEASUREMENT_SIZE];
    assert_ok(verify(&check, &claims), &err);
    assert_false(claims.ima_replayed);
    strcpy(without, claims.measurement);
    check.ima_log = log.bytes.bytes, check.ima_log_bytes = log.bytes.size_bytes;
    assert_ok(verify(&check, &claims), &err);
    assert_true(claims.ima_replayed);
    assert_int_equal(1, claims.loader_count);
    assert_int_equal(1, claims.ima_violations);
    assert_non_null(strstr(claims.json.bytes, "\"ima_violations\":1"));
    strcpy(with, claims.measurement);
    assert_string_not_equal(without, with); /* PCR 10 is not in it */
    check.ima_log_bytes = log.ends[1];
    assert_result(LETHE_DENIED, verify(&check, &claims));
    assert_int_equal(ATTEST_IMA_LOG, claims.reason);
    assert_false(claims.ima_replayed);
    check.ima_log_bytes = 0;
    assert_result(LETHE_DENIED, verify(&check, &claims));
    check.ima_log_bytes = TPM2_IMA_LOG_MAX + 1;
    assert_result(LETHE_DENIED, verify(&check, &claims));
    assert_int_equal(ATTEST_SIZE, claims.reason);
    tpm2_quote_clear(&quote);
    assert_ok(tpm2_device_quote(device, 1, "b", 1, &quote, &err), &err);
    check.quote = quote.quote.bytes, check.quote_bytes = quote.quote.size_bytes;
    check.signature = quote.signature.bytes, check.signature_bytes = quote.signature.size_bytes;
    check.pcrs = quote.pcrs, check.ima_log_bytes = log.bytes.size_bytes;
    assert_result(LETHE_DENIED, verify(&check, &claims));
    assert_int_equal(ATTEST_IMA_LOG, claims.reason); /* 10 is not in this quote */
    tpm2_quote_clear(&quote);
    clear_publics(&publics);
    buffer_clear(&log.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_template_is_replayed),
        cmocka_unit_test(what_was_not_quoted_says_nothing),
        cmocka_unit_test(a_log_that_is_cut_is_refused),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(entries_keep_their_order),
        cmocka_unit_test(a_measurement_cannot_be_hidden),
        cmocka_unit_test(other_entries_are_refused),
        cmocka_unit_test(lengths_are_not_believed),
        cmocka_unit_test(a_path_hides_nothing),
        cmocka_unit_test(loaders_are_named_once_each),
        cmocka_unit_test(a_quote_covers_the_log),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
