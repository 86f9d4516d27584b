#include "pool_ledger.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "bench.h"
#include "pool/tenancy.h"
#include "pool/terms.h" /* the tests' */
#include "pool_link.h"

#define CONSUMERS 1000u
#define LEASES (16u * CONSUMERS)
#define BLOCKS 4u /* of a lease */
#define CONNECTIONS 500u
#define SETTLE_US 200000u

/* ---- memory ---------------------------------------------------------------------------------- */

static uint64_t memory_of(pid_t pid)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (file_read_all(AT_FDCWD, path, 65536, &text, NULL) != LETHE_OK || text.bytes == NULL)
        bench_fail("what a process has in memory cannot be read", NULL);
    buffer_byte(&text, '\0');
    const char *line = strstr(text.bytes, "\nPrivate_Dirty:");
    return line != NULL ? strtoull(line + strlen("\nPrivate_Dirty:"), NULL, 10) * 1024 : 0;
}

/* Of the heap; the arena is none of it. */
static uint64_t allocated_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void is_over(void *context, void *owner, uint32_t channel, enum lease_cause cause)
{
}

static void is_cut(void *context, void *owner)
{
}

static void has_changed(void *context)
{
}

/* Tags lie in it too, 16 bytes a block, in pages of the lease's own. */
static uint64_t arena_bytes(void)
{
    return LEASES * pool_arena_bytes_for(BLOCKS, POOL_BLOCK_MIN);
}

static struct tenancy *open_tenancy(const struct terms_signer *signer,
                                    const struct lease_terms *like)
{
    struct lethe_error err = {0};
    struct tenancy *tenancy = NULL;
    struct tenancy_options options = {.arena = {.size_bytes = arena_bytes()},
                                      .provider = like->provider,
                                      .over = is_over,
                                      .cut = is_cut,
                                      .changed = has_changed};
    memcpy(options.boot_id, like->boot_id, sizeof options.boot_id);
    if (tenancy_create(&options, &tenancy, &err) != LETHE_OK)
        bench_fail("no tenancy", &err);
    tenancy_trust(tenancy, &signer->signer.key);
    return tenancy;
}

static struct attachment *attach(struct tenancy *tenancy, const struct terms_signer *signer,
                                 struct lease_terms *terms, uint32_t number)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lethe_error err = {0};
    struct tenancy_attached attached;
    const struct tenancy_who who = {.consumer = terms->consumer, .channel = number + 1};
    memcpy(terms->lease.bytes, &number, sizeof number);
    snprintf(terms->consumer, sizeof terms->consumer, "spiffe://pool.test/tenant/acme/node-%u",
             number % CONSUMERS);
    if (tenancy_grant(tenancy, terms, 1000, &err) != LETHE_OK ||
        token_sign(terms, &signer->signer, &token, &err) != LETHE_OK ||
        tenancy_attach(tenancy, &who, token.bytes, token.size_bytes, 1000, &attached, &err) !=
            LETHE_OK)
        bench_fail("no lease", &err);
    return attached.attachment;
}

static void report_leases(uint64_t beyond_bytes)
{
    const double lease_bytes = (double)beyond_bytes / LEASES;
    bench_report(&(struct bench_result){.name = "pool/bookkeeping of a lease",
                                        .value = lease_bytes,
                                        .unit = "B",
                                        .against = "1 KiB, tags of blocks apart",
                                        .ratio = lease_bytes / 1024,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

void pool_ledger_leases(void)
{
    struct terms_signer signer;
    struct lease_terms terms = terms_make();
    struct attachment **attachments = calloc(LEASES, sizeof(struct attachment *));
    if (attachments == NULL)
        bench_fail("no memory", NULL);
    terms.block_bytes = POOL_BLOCK_MIN;
    terms.bytes = BLOCKS * POOL_BLOCK_MIN;
    terms_signer_make("lethe/control", &signer);
    uint64_t before_bytes = allocated_bytes();
    struct tenancy *tenancy = open_tenancy(&signer, &terms);
    for (uint32_t i = 0; i < LEASES; i++)
        attachments[i] = attach(tenancy, &signer, &terms, i);
    report_leases(allocated_bytes() - before_bytes);
    for (uint32_t i = 0; i < LEASES; i++)
        tenancy_detach(tenancy, attachments[i]);
    tenancy_free(tenancy);
    terms_signer_free(&signer);
    free(attachments);
}

/* ---- connections ----------------------------------------------------------------------------- */

void pool_ledger_connections(pid_t provider, uint16_t port, struct tls_context *tls)
{
    static struct pool_link links[CONNECTIONS];
    uint64_t before_bytes = memory_of(provider);
    for (size_t i = 0; i < CONNECTIONS; i++)
        pool_link_open(&links[i], port, tls);
    usleep(SETTLE_US);
    double grown_bytes = (double)memory_of(provider) - (double)before_bytes;
    bench_report(&(struct bench_result){.name = "pool/memory of an idle connection",
                                        .value = grown_bytes / CONNECTIONS / 1024,
                                        .unit = "KiB"});
    for (size_t i = 0; i < CONNECTIONS; i++)
        pool_link_close(&links[i]);
}
