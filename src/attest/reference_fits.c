/* Whether claims are those that a reference value asks for, and what differs first. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/attest.h"
#include "base/text.h"

#define DIGEST_BYTES 32u

static bool differs(char why[ATTEST_WHY_SIZE], const char *format, ...) PRINTF_LIKE(2, 3);
static bool differs(char why[ATTEST_WHY_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, ATTEST_WHY_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static bool fit_pcrs(const struct attest_reference *r, const struct attest_claims *claims,
                     char why[ATTEST_WHY_SIZE])
{
    char found[2 * DIGEST_BYTES + 1], expected[2 * DIGEST_BYTES + 1];
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        if ((r->pcr_mask >> i & 1) == 0)
            continue;
        if ((claims->pcr_mask >> i & 1) == 0)
            return differs(why, "PCR %u was not quoted", i);
        if (memcmp(r->pcrs[i], claims->pcrs[i], DIGEST_BYTES) == 0)
            continue;
        hex_encode(claims->pcrs[i], DIGEST_BYTES, found);
        hex_encode(r->pcrs[i], DIGEST_BYTES, expected);
        return differs(why, "PCR %u is %s, expected %s", i, found, expected);
    }
    return true;
}

unsigned attest_reference_distance(const struct attest_reference *r,
                                   const struct attest_claims *claims)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        bool is_meant = (r->pcr_mask >> i & 1) != 0, is_quoted = (claims->pcr_mask >> i & 1) != 0;
        count += is_meant && (!is_quoted || memcmp(r->pcrs[i], claims->pcrs[i], DIGEST_BYTES) != 0);
    }
    return count;
}

static bool is_loader(const struct attest_reference *r, const char *loader)
{
    for (size_t i = 0; i < r->loader_count; i++)
        if (strcmp(r->loaders[i], loader) == 0)
            return true;
    return false;
}

/* Every one that ran: a machine that once ran another loader may still have what it left. */
static bool fit_loaders(const struct attest_reference *r, const struct attest_claims *claims,
                        char why[ATTEST_WHY_SIZE])
{
    if (r->loader_count == 0)
        return true;
    if (!claims->ima_replayed)
        return differs(why, "there is no IMA log that says which loader ran");
    if (claims->ima_violations > 0) /* such an entry could be renamed: no digest covers it */
        return differs(why, "the IMA log has %u files that changed while they were measured",
                       (unsigned)claims->ima_violations);
    if (claims->loader_count == 0)
        return differs(why, "the IMA log names no loader");
    for (size_t i = 0; i < claims->loader_count; i++)
        if (!is_loader(r, claims->loaders[i]))
            return differs(why, "the loader is %s, which is not among the expected",
                           claims->loaders[i]);
    return true;
}

static bool fit_tcb(const struct attest_tcb *least, const struct attest_tcb *tcb,
                    char why[ATTEST_WHY_SIZE])
{
    const struct {
        const char *name;
        uint8_t least, found;
    } parts[] = {
        {"fmc", least->fmc, tcb->fmc},
        {"bootloader", least->bootloader, tcb->bootloader},
        {"tee", least->tee, tcb->tee},
        {"snp", least->snp, tcb->snp},
        {"microcode", least->microcode, tcb->microcode},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].found < parts[i].least)
            return differs(why, "TCB: %s is %u, expected at least %u", parts[i].name,
                           parts[i].found, parts[i].least);
    return true;
}

static bool fit_report(const struct attest_reference *r, const struct attest_claims *claims,
                       char why[ATTEST_WHY_SIZE])
{
    if (r->measurement[0] == '\0')
        return r->kind != ATTEST_SEV_SNP || differs(why, "no measurement is expected");
    if (!claims->has_report)
        return differs(why, "no report vouches for the TPM");
    if (strcmp(r->measurement, claims->report_measurement) != 0)
        return differs(why, "measurement is %s, expected %s", claims->report_measurement,
                       r->measurement);
    if (claims->vmpl > r->vmpl_max)
        return differs(why, "VMPL is %u, expected at most %u", claims->vmpl, r->vmpl_max);
    return fit_tcb(&r->least_tcb, &claims->tcb, why);
}

bool attest_reference_fits(const struct attest_reference *r, const struct attest_claims *claims,
                           char why[ATTEST_WHY_SIZE])
{
    why[0] = '\0';
    if (!claims->verified)
        return differs(why, "the evidence was not verified");
    if (r->revoked_s != 0)
        return differs(why, "the reference value was revoked");
    if (r->kind != claims->kind)
        return differs(why, "kind is %s, expected %s", attest_kind_name(claims->kind),
                       attest_kind_name(r->kind));
    if (r->kind == ATTEST_TPM2 && (!fit_pcrs(r, claims, why) || !fit_loaders(r, claims, why)))
        return false;
    return fit_report(r, claims, why);
}
