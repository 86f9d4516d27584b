/* E-1, E-4: evidence made with a software TPM, by us and by tpm2-tools, and what is refused of it.
 */
#include "device_check.h"

#include "crypto/crypto.h"

static struct tpm2_check check_of(const struct tpm2_quote *quote, const struct publics *publics)
{
    return (struct tpm2_check){.quote = quote->quote.bytes,
                               .quote_bytes = quote->quote.size_bytes,
                               .signature = quote->signature.bytes,
                               .signature_bytes = quote->signature.size_bytes,
                               .ak = publics->ak.bytes,
                               .ak_bytes = publics->ak.size_bytes,
                               .pcrs = quote->pcrs};
}

/* ---- tpm2-tools ------------------------------------------------------------------------------ */

#define NONCE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void tool_keys(void)
{
    run("tpm2_createek -c ek.ctx -G ecc -u ek.tss; tpm2_flushcontext -t;"
        "for s in ecdsa rsassa; do"
        " if [ $s = ecdsa ]; then k=ecc; else k=rsa; fi;"
        " tpm2_createak -C ek.ctx -c $s.ctx -G $k -g sha256 -s $s -u x; tpm2_flushcontext -t;"
        " tpm2_readpublic -c $s.ctx -f tpmt -o $s.ak; tpm2_flushcontext -t;"
        "done");
}

static void tool_quote(const char *scheme, struct evidence_files *files)
{
    char command[512];
    snprintf(command, sizeof command,
             "tpm2_quote -c %s.ctx -l sha256:0,7,16 -q " NONCE " -g sha256 -m %s.quote"
             " -s %s.signature -o %s.pcrs -F values; tpm2_flushcontext -t",
             scheme, scheme, scheme, scheme);
    run(command);
    load_files(files, tpm.directory, scheme, PCRS_RECORDED);
}

static lethe_result verify(const struct tpm2_check *check, enum attest_reason *reason)
{
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    lethe_result result = tpm2_verify(check, &claims, &err);
    *reason = claims.reason;
    return result;
}

static void assert_reason(enum attest_reason expected, const struct tpm2_check *check)
{
    enum attest_reason reason;
    lethe_result result = verify(check, &reason);
    if (reason != expected)
        fail_msg("got %s instead of %s", attest_reason_code(reason), attest_reason_code(expected));
    assert_result(expected == ATTEST_VERIFIED ? LETHE_OK : LETHE_DENIED, result);
}

/* An extended PCR shows; old values, old signatures and old quotes do not go with new ones. */
static void quotes_of_the_tools(void **state)
{
    static const char *const schemes[] = {"ecdsa", "rsassa"};
    (void)state;
    need_tpm();
    tool_keys();
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct evidence_files before = {0}, after = {0};
        tool_quote(schemes[i], &before);
        assert_reason(ATTEST_VERIFIED, &before.check);
        run("tpm2_pcrextend 16:sha256=" NONCE);
        tool_quote(schemes[i], &after);
        assert_reason(ATTEST_VERIFIED, &after.check);
        assert_memory_equal(before.check.pcrs.values[7], after.check.pcrs.values[7], 32);
        assert_memory_not_equal(before.check.pcrs.values[16], after.check.pcrs.values[16], 32);
        struct tpm2_check mixed = after.check;
        mixed.pcrs = before.check.pcrs;
        assert_reason(ATTEST_PCR_DIGEST, &mixed);
        mixed = after.check;
        mixed.signature = before.check.signature;
        mixed.signature_bytes = before.check.signature_bytes;
        assert_reason(ATTEST_SIGNATURE, &mixed);
        mixed = after.check;
        mixed.quote = before.check.quote;
        assert_reason(ATTEST_SIGNATURE, &mixed);
        free_files(&before);
        free_files(&after);
    }
}

/* ---- our own --------------------------------------------------------------------------------- */

static void quotes_of_our_own(void **state)
{
    (void)state;
    need_tpm();
    struct publics publics;
    struct tpm2_quote quote;
    const uint32_t many = 0xffffff; /* three readings */
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    get_publics(device, &publics);
    assert_ok(tpm2_check_ak(publics.ak.bytes, publics.ak.size_bytes, &err), &err);
    assert_int_equal(0, publics.certificate.size_bytes);
    assert_ok(tpm2_device_quote(device, many, "binding", 7, &quote, &err), &err);
    struct tpm2_check check = check_of(&quote, &publics);
    check.binding = "binding", check.binding_bytes = 7, check.pcr_mask = many;
    assert_reason(ATTEST_VERIFIED, &check);
    check.binding = "bindinh";
    assert_reason(ATTEST_BINDING, &check);
    tpm2_quote_clear(&quote);
    assert_result(LETHE_INVALID, tpm2_device_quote(device, 0, "b", 1, &quote, &err));
    assert_result(LETHE_INVALID, tpm2_device_quote(device, 1u << 24, "b", 1, &quote, &err));
    assert_result(LETHE_INVALID, tpm2_device_quote(device, 1, "b", 65, &quote, &err));
    clear_publics(&publics);
}

static void the_key_is_kept(void **state)
{
    (void)state;
    need_tpm();
    struct publics first, second;
    struct stat status;
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    get_publics(device, &first);
    assert_int_equal(0, stat(key_path, &status));
    assert_int_equal(0600, status.st_mode & 0777);
    tpm2_device_close(device);
    device = open_device();
    get_publics(device, &second);
    assert_memory_equal(first.name, second.name, TPM2_NAME_BYTES);
    assert_int_equal(first.ek.size_bytes, second.ek.size_bytes);
    assert_memory_equal(first.ek.bytes, second.ek.bytes, first.ek.size_bytes);
    clear_publics(&first);
    clear_publics(&second);
}

static void without_a_key_nothing_is_quoted(void **state)
{
    (void)state;
    need_tpm();
    char elsewhere[160];
    struct tpm2_quote quote;
    struct tpm2_device *device;
    snprintf(elsewhere, sizeof elsewhere, "%s/none.key", tpm.directory);
    assert_ok(tpm2_device_open(tpm.tcti, elsewhere, &device, &err), &err);
    assert_result(LETHE_NOT_FOUND, tpm2_device_quote(device, 1, "b", 1, &quote, &err));
    assert_int_equal(0, quote.quote.size_bytes);
    tpm2_device_close(device);
}

/* Each byte of the key's file: none is loaded as another key, and none replaces it silently. */
static void a_damaged_key_is_refused(void **state)
{
    (void)state;
    need_tpm();
    CLEANUP(buffer_clear) struct buffer good = {0};
    tpm2_device_close(open_device());
    assert_ok(file_read_all(AT_FDCWD, key_path, 4096, &good, &err), &err);
    char damaged[160];
    struct tpm2_device *device;
    snprintf(damaged, sizeof damaged, "%s/damaged.key", tpm.directory);
    assert_ok(tpm2_device_open(tpm.tcti, damaged, &device, &err), &err);
    for (size_t at = 0; at < good.size_bytes; at += 101) { /* each time an RSA key is made */
        good.bytes[at] ^= 0x10;
        assert_ok(
            file_write_atomic(AT_FDCWD, damaged, good.bytes, good.size_bytes, 0600, true, &err),
            &err);
        lethe_result result = tpm2_device_ensure_key(device, &err);
        assert_true(result == LETHE_DENIED || result == LETHE_INTEGRITY);
        assert_true(err.hint[0] != '\0');
        good.bytes[at] ^= 0x10;
    }
    for (size_t size = 0; size < good.size_bytes; size += 13) {
        assert_ok(file_write_atomic(AT_FDCWD, damaged, good.bytes, size, 0600, true, &err), &err);
        assert_result(LETHE_INTEGRITY, tpm2_device_ensure_key(device, &err));
    }
    tpm2_device_close(device);
}

static void no_tpm_is_said(void **state)
{
    (void)state;
    struct tpm2_device *device;
    assert_result(LETHE_UNAVAILABLE,
                  tpm2_device_open("swtpm:path=/nonexistent/s", "/tmp/none", &device, &err));
    assert_null(device);
    assert_true(err.hint[0] != '\0');
}

static void counters_of(struct tpm2_counters *out)
{
    struct publics publics;
    struct tpm2_quote quote;
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    get_publics(device, &publics);
    assert_ok(tpm2_device_quote(device, 1, "b", 1, &quote, &err), &err);
    const struct tpm2_check check = check_of(&quote, &publics);
    assert_ok(tpm2_verify(&check, &claims, &err), &err);
    *out = (struct tpm2_counters){claims.clock_ms, claims.reset_count, claims.restart_count};
    tpm2_quote_clear(&quote);
    clear_publics(&publics);
}

static void a_restart_shows(void **state)
{
    (void)state;
    need_tpm();
    struct tpm2_counters before, same, after;
    counters_of(&before);
    counters_of(&same);
    assert_int_equal(before.reset_count, same.reset_count);
    assert_true(tpm2_counters_go_on(&before, &same));
    stop_tpm(&tpm);
    assert_true(start_tpm(&tpm));
    counters_of(&after);
    assert_true(after.reset_count > before.reset_count);
    assert_true(tpm2_counters_go_on(&same, &after));
    assert_false(tpm2_counters_go_on(&after, &same));
}

/* ---- a certificate in the TPM ------------------------------------------------------------------
 */

/* Larger than one reading, and with room behind it. */
static void certificates_come_from_the_tpm(void **state)
{
    (void)state;
    need_tpm();
    uint8_t der[1500];
    struct publics publics;
    for (size_t i = 0; i < sizeof der; i++)
        der[i] = (uint8_t)i;
    memcpy(der, (const uint8_t[]){0x30, 0x82, 0x05, 0x00}, 4); /* 1,284 bytes in all */
    write_file("nv", der, sizeof der);
    run("tpm2_nvdefine 0x01c0000a -C o -s 1500 -a 'authread|ownerread|ownerwrite|authwrite';"
        "tpm2_nvwrite 0x01c0000a -C o -i nv");
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    get_publics(device, &publics);
    assert_int_equal(1284, publics.certificate.size_bytes);
    assert_memory_equal(der, publics.certificate.bytes, 1284);
    tpm2_device_close(device);
    device = NULL;
    run("tpm2_nvundefine 0x01c0000a -C o");
    clear_publics(&publics);
}

/* A TPM with a certificate for its RSA key only: that key is the one to enroll with. */
static void the_certified_key_is_chosen(void **state)
{
    (void)state;
    need_tpm();
    struct tpm2_device *device;
    struct publics publics;
    char other_path[160];
    snprintf(other_path, sizeof other_path, "%s/rsa.key", tpm.directory);
    write_file("nv", "\x30\x82\x00\x02\x01\x02", 6);
    run("tpm2_nvdefine 0x01c00002 -C o -s 6 -a 'ownerread|ownerwrite'; tpm2_nvwrite 0x01c00002 -C o"
        " -i nv");
    assert_ok(tpm2_device_open(tpm.tcti, other_path, &device, &err), &err);
    assert_ok(tpm2_device_ensure_key(device, &err), &err);
    get_publics(device, &publics);
    assert_int_equal(1, publics.ek.bytes[1]); /* TPM_ALG_RSA */
    assert_int_equal(6, publics.certificate.size_bytes);
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(32);
    CLEANUP(lethe_secret_free) struct lethe_secret *got = NULL;
    CLEANUP(buffer_clear) struct buffer blob = {0};
    CLEANUP(buffer_clear) struct buffer seed = {0};
    assert_ok(tpm2_make_credential(publics.ek.bytes, publics.ek.size_bytes, publics.name, secret,
                                   &blob, &seed, &err),
              &err);
    tpm2_device_close(device);
    run("tpm2_nvundefine 0x01c00002 -C o");
    assert_ok(tpm2_device_open(tpm.tcti, other_path, &device, &err), &err);
    assert_ok(tpm2_device_activate(device, blob.bytes, blob.size_bytes, seed.bytes, seed.size_bytes,
                                   &got, &err),
              &err); /* found again, below the RSA key */
    assert_true(lethe_secret_equal(secret, got));
    tpm2_device_close(device);
    clear_publics(&publics);
}

/* ---- last, for it makes another TPM of it ------------------------------------------------------
 */

static void a_cleared_tpm_is_another_one(void **state)
{
    (void)state;
    need_tpm();
    tpm2_device_close(open_device());
    run("tpm2_clear");
    struct tpm2_device *device;
    assert_ok(tpm2_device_open(tpm.tcti, key_path, &device, &err), &err);
    assert_result(LETHE_DENIED, tpm2_device_ensure_key(device, &err));
    assert_non_null(strstr(err.hint, "enroll"));
    tpm2_device_close(device);
    assert_int_equal(0, unlink(key_path));
    tpm2_device_close(open_device());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_of_the_tools),
        cmocka_unit_test(without_a_key_nothing_is_quoted),
        cmocka_unit_test(quotes_of_our_own),
        cmocka_unit_test(the_key_is_kept),
        cmocka_unit_test(a_damaged_key_is_refused),
        cmocka_unit_test(no_tpm_is_said),
        cmocka_unit_test(a_restart_shows),
        cmocka_unit_test(certificates_come_from_the_tpm),
        cmocka_unit_test(the_certified_key_is_chosen),
        cmocka_unit_test(a_cleared_tpm_is_another_one),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
