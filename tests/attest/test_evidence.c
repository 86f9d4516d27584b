/* Evidence as it travels: made, read, and verified for one binding (E-3). */
#include "fake_tsm.h"

#include "attest/evidence.h"
#include "base/text.h"
#include "crypto/hash.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TPM2_REST ",\"signature\":\"AAAA\",\"ak\":\"AAAA\""
#define TPM2 "{\"kind\":\"tpm2\",\"quote\":\"AAAA\"" TPM2_REST
#define SNP "{\"kind\":\"sev-snp\",\"report\":\"AAAA\",\"vek\":\"AAAA\"}"

static uint8_t binding[ATTEST_BINDING_BYTES]; /* 0 to 31: what the recorded quotes are over */

/* ---- reading --------------------------------------------------------------------------------- */

static void what_is_not_evidence_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"kind\":1}",
        "{\"kind\":\"sgx\"}",
        "{\"kind\":\"sev-snp\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"AAAA\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"AAAA\",\"vek\":1}",
        "{\"kind\":\"sev-snp\",\"report\":\"\",\"vek\":\"AAAA\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"AAA\",\"vek\":\"AAAA\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"AAB=\",\"vek\":\"AAAA\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"A-_A\",\"vek\":\"AAAA\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"AA A\",\"vek\":\"AAAA\"}",
        "{\"kind\":\"sev-snp\",\"report\":\"AAAA\",\"vek\":\"AAAA\",\"x\":1}",
        "{\"kind\":\"sev-snp\",\"report\":\"AAAA\",\"report\":\"AAAA\",\"vek\":\"AAAA\"}",
        SNP "x",
        TPM2 "}",
        TPM2 ",\"pcrs\":[]}",
        TPM2 ",\"pcrs\":{\"24\":\"" A64 "\"}}",
        TPM2 ",\"pcrs\":{\"00\":\"" A64 "\"}}",
        TPM2 ",\"pcrs\":{\"0\":\"aa\"}}",
        TPM2 ",\"pcrs\":{\"0\":1}}",
        TPM2 ",\"pcrs\":{},\"vouched\":1}",
        TPM2 ",\"pcrs\":{},\"vouched\":{}}",
        TPM2 ",\"pcrs\":{},\"vouched\":" TPM2 ",\"pcrs\":{}}}",
        TPM2 ",\"pcrs\":{},\"ima_log\":\"\"}",
        TPM2 ",\"pcrs\":{},\"event_log\":\"AAAA\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct evidence e;
        struct lethe_error err = {0};
        if (evidence_read(texts[i], strlen(texts[i]), &e, &err) != LETHE_MALFORMED)
            fail_msg("%s is read", texts[i]);
        assert_null(e.storage.bytes);
    }
}

static void parts_are_decoded(void **state)
{
    static const char text[] = "{\"vouched\":" SNP ",\"kind\":\"tpm2\",\"quote\":\"AQ==\","
                               "\"signature\":\"AgM=\",\"ak\":\"BAUG\",\"ima_log\":\"Bw==\","
                               "\"pcrs\":{\"23\":\"" A64 "\"}}";
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    struct evidence e;
    struct lethe_error err = {0};
    assert_ok(evidence_read(text, strlen(text), &e, &err), &err);
    assert_int_equal(e.kind, ATTEST_TPM2);
    assert_int_equal(e.tpm2.quote_bytes, 1);
    assert_memory_equal(e.tpm2.quote, "\1", 1);
    assert_int_equal(e.tpm2.signature_bytes, 2);
    assert_memory_equal(e.tpm2.signature, "\2\3", 2);
    assert_int_equal(e.tpm2.ak_bytes, 3);
    assert_memory_equal(e.tpm2.ak, "\4\5\6", 3);
    assert_memory_equal(e.tpm2.ima_log, "\7", 1);
    assert_int_equal(e.tpm2.pcrs.mask, 1 << 23);
    assert_int_equal(e.tpm2.pcrs.values[23][31], 0xaa);
    assert_ptr_equal(e.tpm2.vouched, &e.sevsnp);
    assert_int_equal(e.sevsnp.report_bytes, 3);
    sha256(text, strlen(text), digest);
    hex_encode(digest, sizeof digest, hex);
    assert_memory_equal(e.digest, "sha256:", 7);
    assert_string_equal(e.digest + 7, hex);
    evidence_clear(&e);
}

static void parts_have_limits(void **state)
{
    static const struct {
        const char *before, *after;
        size_t most;
    } parts[] = {
        {"{\"kind\":\"sev-snp\",\"vek\":\"AAAA\",\"report\":\"", "\"}", SEVSNP_REPORT_BYTES},
        {"{\"kind\":\"sev-snp\",\"report\":\"AAAA\",\"vek\":\"", "\"}", 16384},
        {"{\"kind\":\"tpm2\",\"pcrs\":{}" TPM2_REST ",\"quote\":\"", "\"}", TPM2_QUOTE_MAX},
        {"{\"kind\":\"tpm2\",\"pcrs\":{},\"quote\":\"AAAA\",\"ak\":\"AAAA\",\"signature\":\"",
         "\"}", TPM2_SIGNATURE_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct evidence e;
            struct buffer json = {0};
            char *zeros = calloc(1, parts[i].most + 1);
            buffer_text(&json, parts[i].before);
            base64_append(&json, zeros, parts[i].most + over);
            buffer_text(&json, parts[i].after);
            assert_int_equal(evidence_read(json.bytes, json.size_bytes, &e, NULL),
                             over == 0 ? LETHE_OK : LETHE_MALFORMED);
            evidence_clear(&e);
            buffer_clear(&json);
            free(zeros);
        }
    }
    struct evidence e;
    char *blank = malloc(EVIDENCE_TEXT_MAX + 1);
    memset(blank, ' ', EVIDENCE_TEXT_MAX + 1);
    memcpy(blank, SNP, strlen(SNP));
    assert_result(LETHE_MALFORMED, evidence_read(blank, EVIDENCE_TEXT_MAX + 1, &e, NULL));
    assert_result(LETHE_OK, evidence_read(blank, EVIDENCE_TEXT_MAX, &e, NULL));
    evidence_clear(&e);
    free(blank);
}

/* ---- a guest's ------------------------------------------------------------------------------- */

static void make(const struct evidence_options *options, struct buffer *json)
{
    struct lethe_error err = {0};
    struct evidence_maker *maker = NULL;
    assert_ok(evidence_maker_open(options, &maker, &err), &err);
    const struct evidence_source *source = evidence_maker_source(maker);
    assert_int_equal(source->kind, options->kind);
    assert_ok(source->produce(source->context, binding, 0, json, &err), &err);
    evidence_maker_close(maker);
}

/* Whom to believe: the tests' own root. */
struct belief {
    struct buffer anchors;
    struct evidence_trust trust;
};
static void belief_make(struct belief *b)
{
    struct certificate_spec root = root_spec();
    struct certificate_spec middle = intermediate_spec("SEV-Milan");
    *b = (struct belief){0};
    pki_anchors(&middle, &root, &b->anchors);
    b->trust = (struct evidence_trust){
        .now_s = PKI_NOW_S, .snp_anchors = b->anchors.bytes, .snp_anchors_product = "Milan"};
}

static void assert_verdict(enum attest_reason expected, const struct buffer *json,
                           const struct evidence_trust *trust)
{
    struct evidence e;
    struct lethe_error err = {0};
    struct attest_claims claims = {0};
    assert_ok(evidence_read(json->bytes, json->size_bytes, &e, &err), &err);
    lethe_result result = evidence_verify(&e, trust, binding, &claims, &err);
    if (claims.reason != expected)
        fail_msg("%s: %s", attest_reason_code(claims.reason), (const char *)err.text);
    assert_int_equal(result, expected == ATTEST_VERIFIED ? LETHE_OK : LETHE_DENIED);
    assert_int_equal(claims.verified, expected == ATTEST_VERIFIED);
    attest_claims_clear(&claims);
    evidence_clear(&e);
}

static void a_guest_shows_what_it_is(void **state)
{
    CLEANUP(memory_free) char *root = temp_dir();
    struct certificate_spec spec = vek_spec(&machines[0]);
    struct buffer der = {0}, json = {0};
    struct belief b;
    belief_make(&b);
    tsm_reset();
    pki_make(&spec, &der);
    put_table(&tsm.table, guid_vcek, der.bytes, der.size_bytes);
    const struct evidence_options options = {.kind = ATTEST_SEV_SNP, .tsm_root = root};
    make(&options, &json);
    assert_verdict(ATTEST_VERIFIED, &json, &b.trust);
    binding[0] ^= 1;
    assert_verdict(ATTEST_BINDING, &json, &b.trust);
    binding[0] ^= 1;
    b.trust.now_s += 2 * PKI_DAY_S;
    assert_verdict(ATTEST_CHAIN_DATES, &json, &b.trust);
    b.trust.now_s -= 2 * PKI_DAY_S;
    b.trust.snp_anchors = NULL;
    assert_verdict(ATTEST_CHAIN, &json, &b.trust);
    buffer_clear(&json);
    buffer_clear(&der);
    buffer_clear(&b.anchors);
}

static void a_certificate_may_come_from_a_file(void **state)
{
    CLEANUP(memory_free) char *root = temp_dir();
    CLEANUP(memory_free) char *file = temp_path("vek");
    struct certificate_spec spec = vek_spec(&machines[0]);
    struct lethe_error err = {0};
    struct buffer der = {0}, pem = {0}, json = {0};
    struct belief b;
    belief_make(&b);
    tsm_reset();
    pki_make(&spec, &der);
    x509_pem_append(X509_PEM_CERTIFICATE, der.bytes, der.size_bytes, &pem);
    struct evidence_options options = {.kind = ATTEST_SEV_SNP, .tsm_root = root};
    struct evidence_maker *maker = NULL;
    assert_ok(evidence_maker_open(&options, &maker, &err), &err);
    const struct evidence_source *source = evidence_maker_source(maker);
    assert_result(LETHE_UNAVAILABLE, source->produce(source->context, binding, 0, &json, &err));
    assert_int_not_equal(err.hint[0], 0);
    evidence_maker_close(maker);
    assert_int_equal(json.size_bytes, 0);
    options.vek_path = file;
    for (unsigned i = 0; i < 2; i++) {
        put_file(file, i == 0 ? der.bytes : pem.bytes, i == 0 ? der.size_bytes : pem.size_bytes);
        make(&options, &json);
        assert_verdict(ATTEST_VERIFIED, &json, &b.trust);
        buffer_clear(&json);
    }
    buffer_clear(&der);
    buffer_clear(&pem);
    buffer_clear(&b.anchors);
}

/* ---- a TPM's --------------------------------------------------------------------------------- */

static void put_member(struct buffer *json, const char *name, const char *kind)
{
    char path[512];
    struct lethe_error err = {0};
    struct buffer bytes = {0};
    snprintf(path, sizeof path, TEST_VECTORS "/tpm2/%s.%s", "ecdsa", kind);
    assert_ok(file_read_all(AT_FDCWD, path, 4096, &bytes, &err), &err);
    buffer_format(json, ",\"%s\":\"", name);
    base64_append(json, bytes.bytes, bytes.size_bytes);
    buffer_text(json, "\"");
    buffer_clear(&bytes);
}

/* PCRs 0, 7 and 16, recorded one behind the other. */
static void put_pcrs(struct buffer *json)
{
    struct lethe_error err = {0};
    struct buffer values = {0};
    char hex[3][65];
    assert_ok(file_read_all(AT_FDCWD, TEST_VECTORS "/tpm2/ecdsa.pcrs", 96, &values, &err), &err);
    for (size_t i = 0; i < 3; i++)
        hex_encode(values.bytes + 32 * i, 32, hex[i]);
    buffer_format(json, ",\"pcrs\":{\"0\":\"%s\",\"7\":\"%s\",\"16\":\"%s\"}", hex[0], hex[1],
                  hex[2]);
    buffer_clear(&values);
}

static void a_recorded_quote_is_verified(void **state)
{
    struct buffer json = {0};
    struct evidence_trust trust = {.now_s = PKI_NOW_S, .pcr_mask = 1u << 0 | 1u << 7};
    buffer_text(&json, "{\"kind\":\"tpm2\"");
    put_member(&json, "quote", "quote");
    put_member(&json, "signature", "signature");
    put_member(&json, "ak", "ak");
    put_pcrs(&json);
    buffer_text(&json, "}");
    assert_verdict(ATTEST_VERIFIED, &json, &trust);
    binding[31] ^= 1;
    assert_verdict(ATTEST_BINDING, &json, &trust);
    binding[31] ^= 1;
    trust.pcr_mask |= 1u << 4;
    assert_verdict(ATTEST_PCR_SELECTION, &json, &trust);
    buffer_clear(&json);
}

static int start(void **state)
{
    for (size_t i = 0; i < sizeof binding; i++)
        binding[i] = (uint8_t)i;
    return pki_start(state);
}

static int stop(void **state)
{
    buffer_clear(&tsm.table);
    return pki_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_evidence_is_refused),
        cmocka_unit_test(parts_are_decoded),
        cmocka_unit_test(parts_have_limits),
        cmocka_unit_test(a_guest_shows_what_it_is),
        cmocka_unit_test(a_certificate_may_come_from_a_file),
        cmocka_unit_test(a_recorded_quote_is_verified),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
