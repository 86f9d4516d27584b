/* From a VEK's certificate to AMD's root. Which product it is follows from who issued it. */
#include <stdio.h>
#include <string.h>

#include "attest/anchors.h"
#include "attest/sevsnp_vek.h"
#include "base/cursor.h"
#include "crypto/x509_vendor.h"

struct anchor {
    const struct sevsnp_product *product;
    enum sevsnp_signing_key kind;
    const char *pem; /* intermediate and root */
    size_t pem_bytes;
};

struct chain {
    struct x509_vendor *vek, *intermediate, *root;
};
static void chain_clear(struct chain *chain)
{
    x509_vendor_free(chain->vek);
    x509_vendor_free(chain->intermediate);
    x509_vendor_free(chain->root);
}
static void chain_clear_at_scope_end(struct chain *chain)
{
    chain_clear(chain);
}

static lethe_result read_vek(const struct sevsnp_check *check, struct attest_claims *claims,
                             struct chain *chain, struct lethe_error *err)
{
    lethe_result result = x509_vendor_read(check->vek, check->vek_bytes, &chain->vek, err);
    if (result != LETHE_MALFORMED)
        return result;
    return sevsnp_deny(claims, ATTEST_CERTIFICATE, err, "no DER of a VCEK or VLEK (RFC 5280)");
}

static bool kind_of(const struct x509_vendor *vek, enum sevsnp_signing_key *kind)
{
    const char *name = x509_vendor_facts(vek)->common_name;
    *kind = strcmp(name, "SEV-VLEK") == 0 ? SEVSNP_VLEK : SEVSNP_VCEK;
    return *kind == SEVSNP_VLEK || strcmp(name, "SEV-VCEK") == 0;
}

static bool is_named(const char *name, const struct sevsnp_product *product,
                     enum sevsnp_signing_key kind)
{
    char expected[X509_VENDOR_NAME_SIZE];
    snprintf(expected, sizeof expected, kind == SEVSNP_VLEK ? "SEV-VLEK-%s" : "SEV-%s",
             product->name);
    return strcmp(name, expected) == 0;
}

/* False: nobody whom we know has issued it. */
static bool find_anchor(const struct sevsnp_check *check, const struct x509_vendor *vek,
                        enum sevsnp_signing_key kind, struct anchor *out)
{
    const struct anchor amd[] = {
#define ANCHOR_ROWS(product, name)                                                                 \
    {&sevsnp_products[product], SEVSNP_VCEK, (const char *)anchors_##name##_ask,                   \
     anchors_##name##_ask_bytes},                                                                  \
        {&sevsnp_products[product], SEVSNP_VLEK, (const char *)anchors_##name##_asvk,              \
         anchors_##name##_asvk_bytes},
        SEVSNP_ANCHORS(ANCHOR_ROWS)
#undef ANCHOR_ROWS
    };
    const struct anchor given = {
        sevsnp_product_named(check->anchors_product != NULL ? check->anchors_product : ""), kind,
        check->anchors, check->anchors != NULL ? strlen(check->anchors) : 0};
    const struct anchor *from = check->anchors != NULL ? &given : amd;
    size_t count = check->anchors != NULL ? 1 : ARRAY_LEN(amd);
    const char *issuer = x509_vendor_facts(vek)->issuer_common_name;
    for (size_t i = 0; i < count; i++) {
        if (from[i].product == NULL || from[i].kind != kind ||
            !is_named(issuer, from[i].product, kind))
            continue;
        *out = from[i];
        return true;
    }
    return false;
}

static lethe_result read_anchor(const struct anchor *anchor, struct chain *chain,
                                struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer list = {0};
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, anchor->pem, anchor->pem_bytes, &list, err));
    struct cursor at = cursor_over(list.bytes, list.size_bytes);
    struct x509_vendor **const places[] = {&chain->intermediate, &chain->root};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        uint32_t length;
        const uint8_t *der;
        if (cursor_le32(&at, &length) != LETHE_OK || cursor_bytes(&at, length, &der) != LETHE_OK)
            return error_set(err, LETHE_INVALID, "trust anchors are an intermediate and a root");
        TRY(x509_vendor_read(der, length, places[i], err));
    }
    return LETHE_OK;
}

static lethe_result read_crls(const struct sevsnp_check *check, struct buffer *list,
                              struct attest_claims *claims, struct lethe_error *err)
{
    if (check->crls_bytes == 0)
        return LETHE_OK;
    lethe_result result = x509_pem_read(X509_PEM_CRL, check->crls, check->crls_bytes, list, err);
    return result != LETHE_MALFORMED
               ? result
               : sevsnp_deny(claims, ATTEST_CRL, err, "no CRL in PEM, or more than %u",
                             X509_CHAIN_MAX);
}

static lethe_result check_chain(const struct sevsnp_check *check, const struct chain *chain,
                                struct sevsnp_vek *vek, struct attest_claims *claims,
                                struct lethe_error *err)
{
    static const enum attest_reason reasons[] = {
        [X509_VENDOR_ISSUER] = ATTEST_CHAIN,          [X509_VENDOR_ALGORITHM] = ATTEST_CHAIN,
        [X509_VENDOR_SIGNATURE] = ATTEST_CHAIN,       [X509_VENDOR_DATES] = ATTEST_CHAIN_DATES,
        [X509_VENDOR_REVOKED] = ATTEST_CHAIN_REVOKED, [X509_VENDOR_CRL] = ATTEST_CRL,
    };
    const struct x509_vendor *const certificates[] = {chain->vek, chain->intermediate, chain->root};
    CLEANUP(buffer_clear) struct buffer crls = {0};
    struct x509_vendor_verdict verdict;
    struct lethe_error why = {0};
    TRY(read_crls(check, &crls, claims, err));
    const struct x509_vendor_check links = {.chain = certificates,
                                            .count = ARRAY_LEN(certificates),
                                            .crls = crls.bytes,
                                            .crls_bytes = crls.size_bytes,
                                            .now_s = check->now_s};
    lethe_result result = x509_vendor_check_chain(&links, &verdict, &why);
    if (result == LETHE_DENIED)
        return sevsnp_deny(claims, reasons[verdict.fault], err, "%s", why.text);
    if (result != LETHE_OK)
        return error_set(err, result, "%s", why.text);
    vek->good_from_s = verdict.good_from_s;
    vek->good_until_s = verdict.good_until_s;
    return LETHE_OK;
}

lethe_result sevsnp_vek_verify(const struct sevsnp_check *check, struct attest_claims *claims,
                               struct sevsnp_vek *out, struct lethe_error *err)
{
    CLEANUP(chain_clear) struct chain chain = {0};
    struct anchor anchor;
    struct lethe_error why = {0};
    *out = (struct sevsnp_vek){0};
    TRY(read_vek(check, claims, &chain, err));
    if (!kind_of(chain.vek, &out->kind))
        return sevsnp_deny(claims, ATTEST_CERTIFICATE, err, "it is neither SEV-VCEK nor SEV-VLEK");
    if (!find_anchor(check, chain.vek, out->kind, &anchor))
        return sevsnp_deny(claims, ATTEST_CHAIN, err, "issued by %s",
                           x509_vendor_facts(chain.vek)->issuer_common_name);
    out->product = anchor.product;
    TRY(read_anchor(&anchor, &chain, err));
    TRY(check_chain(check, &chain, out, claims, err));
    lethe_result result = sevsnp_vek_read(chain.vek, out, &why);
    if (result == LETHE_MALFORMED)
        return sevsnp_deny(claims, ATTEST_CERTIFICATE, err, "%s", why.text);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "%s", why.text);
}
