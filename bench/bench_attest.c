/* How long evidence takes to be believed: a report of SEV-SNP with its whole chain, and with one
 * that was verified before. */
#include <fcntl.h>
#include <stdio.h>

#include "attest/sevsnp.h"
#include "base/file.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "crypto/x509_vendor.h"

#define ROUNDS 15u
#define CALLS 20u
#define SIGNED_BYTES 0x2a0u
#define SAMPLES_NOW_S UINT64_C(1750000000)
#define WHOLE_TARGET_S 3e-3
#define CACHED_TARGET_S 0.8e-3

static void verify(void *context)
{
    const struct sevsnp_check *check = context;
    for (unsigned i = 0; i < CALLS; i++) {
        struct lethe_error err = {0};
        CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
        if (sevsnp_verify(check, &claims, &err) != LETHE_OK)
            bench_fail("a report that is not believed", &err);
    }
}

/* What no cache spares: one verification, of a signature that does not fit. */
static void verify_bare(void *context)
{
    static const uint8_t message[SIGNED_BYTES];
    static const uint8_t fixed[96] = {1, [48] = 1};
    struct signature signature;
    if (signature_from_fixed(SIGNATURE_ECDSA_P384, fixed, sizeof fixed, &signature, NULL) !=
        LETHE_OK)
        bench_fail("no signature", NULL);
    for (unsigned i = 0; i < CALLS; i++)
        if (sign_verify(context, message, sizeof message, &signature, NULL) != LETHE_INTEGRITY)
            bench_fail("a signature that fits", NULL);
}

static struct sign_public *read_key(const struct buffer *vek)
{
    struct lethe_error err = {0};
    CLEANUP(x509_vendor_free) struct x509_vendor *certificate = NULL;
    struct sign_public *key = NULL;
    if (x509_vendor_read(vek->bytes, vek->size_bytes, &certificate, &err) != LETHE_OK ||
        x509_vendor_key(certificate, &key, &err) != LETHE_OK)
        bench_fail("no key", &err);
    return key;
}

static void read_sample(const char *name, struct buffer *out)
{
    struct lethe_error err = {0};
    char path[512];
    snprintf(path, sizeof path, TEST_VECTORS "/sevsnp/%s", name);
    if (file_read_all(AT_FDCWD, path, 16384, out, &err) != LETHE_OK)
        bench_fail("no sample", &err);
}

static void report(const char *name, double each_s, double target_s, const char *against)
{
    bench_report(&(struct bench_result){.name = name,
                                        .value = each_s * 1e3,
                                        .unit = "ms",
                                        .against = against,
                                        .ratio = each_s / target_s,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

void bench_attest(void)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    CLEANUP(buffer_clear) struct buffer vek = {0};
    if (crypto_start(&err) != LETHE_OK)
        bench_fail("no cryptography", &err);
    read_sample("trustee-test-report.bin", &bytes);
    read_sample("trustee-test-vcek.der", &vek);
    struct sevsnp_check whole = {.report = bytes.bytes,
                                 .report_bytes = bytes.size_bytes,
                                 .vek = vek.bytes,
                                 .vek_bytes = vek.size_bytes,
                                 .now_s = SAMPLES_NOW_S};
    struct sevsnp_check cached = whole;
    if (sevsnp_cache_create(64, &cached.cache, &err) != LETHE_OK)
        bench_fail("no cache", &err);
    CLEANUP(sign_public_free) struct sign_public *key = read_key(&vek);
    const struct bench_way ways[] = {{verify, &whole}, {verify, &cached}, {verify_bare, key}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    report("attest/sev-snp, whole chain", medians_s[0] / CALLS, WHOLE_TARGET_S, "time of 3 ms");
    report("attest/sev-snp, chain known", medians_s[1] / CALLS, CACHED_TARGET_S, "time of 0.8 ms");
    bench_report(&(struct bench_result){.name = "attest/sev-snp, P-384 alone",
                                        .value = medians_s[2] / CALLS * 1e3,
                                        .unit = "ms",
                                        .against = "time of a report whose chain is known",
                                        .ratio = medians_s[2] / medians_s[1]});
    sevsnp_cache_free(cached.cache);
}
