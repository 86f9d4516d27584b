/* How long evidence takes to be believed: a report of SEV-SNP with its whole chain, and with one
 * that was verified before. */
#include <fcntl.h>
#include <stdio.h>

#include "attest/sevsnp.h"
#include "base/file.h"
#include "bench.h"
#include "crypto/crypto.h"

#define ROUNDS 15u
#define CALLS 20u
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
    const struct bench_way ways[] = {{verify, &whole}, {verify, &cached}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    report("attest/sev-snp, whole chain", medians_s[0] / CALLS, WHOLE_TARGET_S, "time of 3 ms");
    report("attest/sev-snp, chain known", medians_s[1] / CALLS, CACHED_TARGET_S, "time of 0.8 ms");
    sevsnp_cache_free(cached.cache);
}
