/* E-4: credentials: what the keeper encrypts to a TPM is opened by that TPM, for the right key, and
 * by nobody else; by ours and by tpm2-tools. */
#include "device_check.h"

#include "base/text.h"
#include "crypto/crypto.h"

/* ---- credentials ------------------------------------------------------------------------------
 */

static void the_tpm_activates_ours(void **state)
{
    (void)state;
    need_tpm();
    struct publics publics;
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    get_publics(device, &publics);
    static const size_t sizes[] = {1, 16, 31, 32};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(sizes[i]);
        CLEANUP(lethe_secret_free) struct lethe_secret *got = NULL;
        CLEANUP(buffer_clear) struct buffer blob = {0};
        CLEANUP(buffer_clear) struct buffer seed = {0};
        assert_ok(tpm2_make_credential(publics.ek.bytes, publics.ek.size_bytes, publics.name,
                                       secret, &blob, &seed, &err),
                  &err);
        assert_ok(tpm2_device_activate(device, blob.bytes, blob.size_bytes, seed.bytes,
                                       seed.size_bytes, &got, &err),
                  &err);
        assert_true(lethe_secret_equal(secret, got));
    }
    clear_publics(&publics);
}

/* Made for another key's name, or changed anywhere: the TPM does not give it up. */
static void other_credentials_are_refused(void **state)
{
    (void)state;
    need_tpm();
    struct publics publics;
    struct lethe_secret *got;
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(32);
    CLEANUP(buffer_clear) struct buffer blob = {0};
    CLEANUP(buffer_clear) struct buffer seed = {0};
    CLEANUP(tpm2_device_close) struct tpm2_device *device = open_device();
    get_publics(device, &publics);
    publics.name[33] ^= 1;
    assert_ok(tpm2_make_credential(publics.ek.bytes, publics.ek.size_bytes, publics.name, secret,
                                   &blob, &seed, &err),
              &err);
    assert_result(LETHE_DENIED, tpm2_device_activate(device, blob.bytes, blob.size_bytes,
                                                     seed.bytes, seed.size_bytes, &got, &err));
    assert_null(got);
    publics.name[33] ^= 1;
    buffer_truncate(&blob, 0);
    buffer_truncate(&seed, 0);
    assert_ok(tpm2_make_credential(publics.ek.bytes, publics.ek.size_bytes, publics.name, secret,
                                   &blob, &seed, &err),
              &err);
    struct buffer *const parts[] = {&blob, &seed};
    for (size_t part = 0; part < 2; part++)
        for (size_t at = 0; at < parts[part]->size_bytes; at++) {
            parts[part]->bytes[at] ^= 0x04;
            assert_result(LETHE_DENIED,
                          tpm2_device_activate(device, blob.bytes, blob.size_bytes, seed.bytes,
                                               seed.size_bytes, &got, &err));
            parts[part]->bytes[at] ^= 0x04;
        }
    assert_result(LETHE_DENIED, tpm2_device_activate(device, blob.bytes, blob.size_bytes - 1,
                                                     seed.bytes, seed.size_bytes, &got, &err));
    assert_ok(tpm2_device_activate(device, blob.bytes, blob.size_bytes, seed.bytes, seed.size_bytes,
                                   &got, &err),
              &err);
    lethe_secret_free(got);
    clear_publics(&publics);
}

/* The tools' file: a magic number and a version, then both parts as the TPM takes them. */
static const uint8_t tools_header[] = {0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1};

/* tpm2_activatecredential, for each kind of endorsement key. */
static void the_tools_activate_ours(void **state)
{
    static const char *const kinds[] = {"ecc", "rsa"};
    (void)state;
    need_tpm();
    for (size_t i = 0; i < 2; i++) {
        char command[1024];
        uint8_t name[TPM2_NAME_BYTES];
        CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(32);
        CLEANUP(buffer_clear) struct buffer ek = {0};
        CLEANUP(buffer_clear) struct buffer ak = {0};
        CLEANUP(buffer_clear) struct buffer seed = {0};
        CLEANUP(buffer_clear) struct buffer credential = {0};
        CLEANUP(buffer_clear) struct buffer got = {0};
        snprintf(command, sizeof command,
                 "tpm2_createek -c c.ctx -G %s -u c.tss; tpm2_flushcontext -t;"
                 "tpm2_readpublic -c c.ctx -f tpmt -o c.ek; tpm2_flushcontext -t;"
                 "tpm2_createak -C c.ctx -c cak.ctx -G ecc -g sha256 -s ecdsa -u x;"
                 "tpm2_flushcontext -t; tpm2_readpublic -c cak.ctx -f tpmt -o c.ak;"
                 "tpm2_flushcontext -t",
                 kinds[i]);
        run(command);
        read_into("c.ek", &ek);
        read_into("c.ak", &ak);
        assert_ok(tpm2_key_name(ak.bytes, ak.size_bytes, name, &err), &err);
        buffer_append(&credential, tools_header, sizeof tools_header);
        assert_ok(
            tpm2_make_credential(ek.bytes, ek.size_bytes, name, secret, &credential, &seed, &err),
            &err);
        buffer_append(&credential, seed.bytes, seed.size_bytes);
        write_file("credential", credential.bytes, credential.size_bytes);
        run("tpm2_startauthsession --policy-session -S s.ctx; tpm2_policysecret -S s.ctx -c e;"
            "tpm2_activatecredential -c cak.ctx -C c.ctx -i credential -o got -P session:s.ctx;"
            "tpm2_flushcontext s.ctx; tpm2_flushcontext -t");
        read_into("got", &got);
        assert_int_equal(32, got.size_bytes);
        assert_memory_equal(lethe_secret_bytes(secret), got.bytes, 32);
    }
}

/* tpm2_makecredential's, without a TPM at all ("-T none"). */
static void we_activate_the_tools(void **state)
{
    (void)state;
    need_tpm();
    char hex[2 * TPM2_NAME_BYTES + 1], command[512];
    struct publics publics;
    CLEANUP(buffer_clear) struct buffer credential = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *got = NULL;
    struct tpm2_device *device = open_device();
    get_publics(device, &publics);
    tpm2_device_close(device);
    /* The tool wants TPM2B_PUBLIC. */
    CLEANUP(buffer_clear) struct buffer sized = {0};
    buffer_byte(&sized, (uint8_t)(publics.ek.size_bytes >> 8));
    buffer_byte(&sized, (uint8_t)publics.ek.size_bytes);
    buffer_append(&sized, publics.ek.bytes, publics.ek.size_bytes);
    write_file("ours.ek", sized.bytes, sized.size_bytes);
    write_file("secret", "0123456789abcdef0123456789abcdef", 32);
    hex_encode(publics.name, sizeof publics.name, hex);
    snprintf(command, sizeof command,
             "tpm2_makecredential -T none -u ours.ek -s secret -n %s -o theirs", hex);
    run(command);
    read_into("theirs", &credential);
    const uint8_t *at = (const uint8_t *)credential.bytes + sizeof tools_header;
    size_t left = credential.size_bytes - sizeof tools_header;
    size_t blob_bytes = 2 + ((size_t)at[0] << 8 | at[1]);
    device = open_device();
    assert_ok(tpm2_device_activate(device, at, blob_bytes, at + blob_bytes, left - blob_bytes, &got,
                                   &err),
              &err);
    assert_memory_equal("0123456789abcdef0123456789abcdef", lethe_secret_bytes(got), 32);
    tpm2_device_close(device);
    clear_publics(&publics);
}

/* ---- endorsement keys and their certificates ---------------------------------------------------
 */

#define VECTORS TEST_VECTORS "/tpm2"
#define WHEN UINT64_C(1800000000) /* 2027 */
static const char *const ek_names[] = {"ecc", "rsa"};

struct certified {
    struct buffer ek, certificate, roots;
};

static void load_certified(const char *name, const char *roots, struct certified *out)
{
    *out = (struct certified){0};
    read_file(VECTORS, name, "ek", &out->ek);
    read_file(VECTORS, name, "der", &out->certificate);
    read_file(VECTORS, roots, "pem", &out->roots);
}

static void clear_certified(struct certified *certified)
{
    buffer_clear(&certified->ek);
    buffer_clear(&certified->certificate);
    buffer_clear(&certified->roots);
}

static lethe_result check_ek(const struct certified *c, uint64_t now_s)
{
    return tpm2_check_ek(c->ek.bytes, c->ek.size_bytes, c->certificate.bytes,
                         c->certificate.size_bytes, c->roots.bytes, now_s, &err);
}

static void certificates_are_of_their_key(void **state)
{
    (void)state;
    struct certified ecc, rsa;
    load_certified("ecc", "ca", &ecc);
    load_certified("rsa", "ca", &rsa);
    assert_ok(check_ek(&ecc, WHEN), &err);
    assert_ok(check_ek(&rsa, WHEN), &err);
    struct buffer kept = ecc.certificate;
    ecc.certificate = rsa.certificate;
    rsa.certificate = kept;
    assert_result(LETHE_DENIED, check_ek(&ecc, WHEN));
    assert_result(LETHE_DENIED, check_ek(&rsa, WHEN));
    clear_certified(&ecc);
    clear_certified(&rsa);
}

static void certificates_lead_to_a_root(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct certified c;
        load_certified(ek_names[i], "other-ca", &c); /* of the same name */
        assert_result(LETHE_DENIED, check_ek(&c, WHEN));
        CLEANUP(buffer_clear) struct buffer right = {0};
        CLEANUP(buffer_clear) struct buffer other = {0};
        read_file(VECTORS, "ca", "pem", &right);
        read_file(VECTORS, "other-ca", "pem", &other);
        for (int n = 0; n < 20; n++) /* more than one call reads */
            buffer_append(&c.roots, other.bytes, other.size_bytes);
        buffer_append(&c.roots, right.bytes, right.size_bytes);
        assert_ok(check_ek(&c, WHEN), &err);
        assert_result(LETHE_DENIED, check_ek(&c, UINT64_C(1600000000))); /* not valid yet */
        assert_result(LETHE_DENIED, check_ek(&c, UINT64_C(9000000000))); /* expired */
        buffer_clear(&c.roots);
        buffer_text(&c.roots, "none");
        assert_result(LETHE_DENIED, check_ek(&c, WHEN));
        clear_certified(&c);
    }
}

static void every_changed_bit_of_a_certificate_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct certified c;
        load_certified(ek_names[i], "ca", &c);
        for (size_t bit = 0; bit < 8 * c.certificate.size_bytes; bit += 3) {
            c.certificate.bytes[bit / 8] ^= (char)(1 << bit % 8);
            assert_result(LETHE_DENIED, check_ek(&c, WHEN));
            c.certificate.bytes[bit / 8] ^= (char)(1 << bit % 8);
        }
        assert_ok(check_ek(&c, WHEN), &err);
        c.certificate.size_bytes--;
        assert_result(LETHE_DENIED, check_ek(&c, WHEN));
        clear_certified(&c);
    }
}

static lethe_result encrypt_to(const struct buffer *ek)
{
    static const uint8_t name[TPM2_NAME_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(32);
    CLEANUP(buffer_clear) struct buffer blob = {0};
    CLEANUP(buffer_clear) struct buffer seed = {0};
    lethe_result result =
        tpm2_make_credential(ek->bytes, ek->size_bytes, name, secret, &blob, &seed, &err);
    assert_int_equal(result == LETHE_OK ? 2 + 34 + 34 : 0, blob.size_bytes);
    assert_int_equal(result == LETHE_OK, seed.size_bytes > 0);
    return result;
}

static void other_keys_are_not_encrypted_to(void **state)
{
    static const char *const names[] = {"ecdsa", "rsassa", "unrestricted"};
    static const uint8_t name[TPM2_NAME_BYTES];
    (void)state;
    CLEANUP(buffer_clear) struct buffer key = {0};
    CLEANUP(buffer_clear) struct buffer blob = {0};
    CLEANUP(buffer_clear) struct buffer seed = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        read_file(VECTORS, names[i], "ak", &key);
        assert_result(LETHE_DENIED, encrypt_to(&key));
    }
    read_file(VECTORS, "ecc", "ek", &key);
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(33);
    assert_result(LETHE_INVALID, tpm2_make_credential(key.bytes, key.size_bytes, name, secret,
                                                      &blob, &seed, &err));
}

/* A bit of it changed: refused, or it is another key (its policy, an attribute that says nothing of
 * how it decrypts, its modulus). Cut or longer: refused. */
static void every_field_of_an_endorsement_key_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(buffer_clear) struct buffer ek = {0};
        read_file(VECTORS, ek_names[i], "ek", &ek);
        assert_ok(encrypt_to(&ek), &err);
        static const size_t fields[] = {0, 1, 2, 3, 8, 9, 42, 43, 44, 45, 46, 47, 48, 49};
        for (size_t f = 0; f < ARRAY_LEN(fields); f++)
            for (unsigned bit = 0; bit < 8; bit++) {
                ek.bytes[fields[f]] ^= (char)(1u << bit);
                assert_true(encrypt_to(&ek) != LETHE_OK);
                ek.bytes[fields[f]] ^= (char)(1u << bit);
            }
        if (i == 0) { /* a point beside the curve */
            ek.bytes[ek.size_bytes - 1] ^= 1;
            assert_result(LETHE_MALFORMED, encrypt_to(&ek));
            ek.bytes[ek.size_bytes - 1] ^= 1;
        }
        size_t whole = ek.size_bytes;
        for (ek.size_bytes = 0; ek.size_bytes < whole; ek.size_bytes++)
            assert_result(LETHE_MALFORMED, encrypt_to(&ek));
        buffer_byte(&ek, 0);
        assert_result(LETHE_MALFORMED, encrypt_to(&ek));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_of_their_key),
        cmocka_unit_test(certificates_lead_to_a_root),
        cmocka_unit_test(every_changed_bit_of_a_certificate_is_found),
        cmocka_unit_test(other_keys_are_not_encrypted_to),
        cmocka_unit_test(every_field_of_an_endorsement_key_counts),
        cmocka_unit_test(the_tpm_activates_ours),
        cmocka_unit_test(other_credentials_are_refused),
        cmocka_unit_test(the_tools_activate_ours),
        cmocka_unit_test(we_activate_the_tools),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
