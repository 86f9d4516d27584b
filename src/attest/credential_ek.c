/* Endorsement keys: which ones are taken, and whether a certificate is of one. */
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "attest/tpm2_core.h"
#include "base/error.h"
#include "crypto/rsa.h"
#include "crypto/x509.h"

/* A key that decrypts for its TPM alone what was wrapped for it, in the way that we wrap. */
static bool is_ek(const struct tpm2_public *ek)
{
    const uint32_t needed = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                            TPMA_OBJECT_DECRYPT;
    return (ek->attributes & (needed | TPMA_OBJECT_SIGN_ENCRYPT)) == needed &&
           ek->symmetric == TPM2_ALG_AES && ek->symmetric_bits == 128 &&
           ek->symmetric_mode == TPM2_ALG_CFB && ek->scheme == TPM2_ALG_NULL;
}

lethe_result tpm2_ek_read(const void *ek, size_t ek_bytes, struct tpm2_public *out,
                          struct lethe_error *err)
{
    enum attest_reason reason = tpm2_public_read(ek, ek_bytes, out);
    if (reason != ATTEST_VERIFIED)
        return error_set(err, LETHE_MALFORMED, "the endorsement key: %s",
                         attest_reason_sentence(reason));
    if (is_ek(out))
        return LETHE_OK;
    error_set(err, LETHE_DENIED,
              "this is no endorsement key of a TPM: its attributes are another "
              "kind of key's");
    error_hint(err,
               "a restricted, decrypting key with AES-128-CFB, as TCG's default templates make "
               "it: RSA 2048, or ECC P-256");
    return LETHE_DENIED;
}

/* ---- its certificate -------------------------------------------------------------------------
 */

static lethe_result not_its_certificate(struct lethe_error *err)
{
    return error_set(err, LETHE_DENIED, "the certificate is not of this endorsement key");
}

static lethe_result check_ecc(const struct tpm2_public *ek, const void *certificate,
                              size_t certificate_bytes, struct lethe_error *err)
{
    uint8_t point[TPM2_POINT_BYTES], raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes = 0;
    CLEANUP(x509_summary_clear) struct x509_summary summary = {0};
    TRY(x509_read(certificate, certificate_bytes, &summary, err));
    if (summary.key == NULL || sign_public_kind(summary.key) != SIGNATURE_ECDSA_P256 ||
        !tpm2_public_point(ek, point))
        return not_its_certificate(err);
    sign_public_raw(summary.key, raw, &raw_bytes);
    return raw_bytes == sizeof point && memcmp(raw, point, sizeof point) == 0
               ? LETHE_OK
               : not_its_certificate(err);
}

static lethe_result check_rsa(const struct tpm2_public *ek, const void *certificate,
                              size_t certificate_bytes, struct lethe_error *err)
{
    bool is_same = false;
    CLEANUP(rsa_public_free) struct rsa_public *key = NULL;
    TRY(rsa_public_create(ek->modulus.at, ek->modulus.size_bytes, tpm2_public_exponent(ek), &key,
                          err));
    TRY(rsa_is_of_certificate(key, certificate, certificate_bytes, &is_same, err));
    return is_same ? LETHE_OK : not_its_certificate(err);
}

/* One block after another: vendors of TPMs have more authorities than one call takes. */
static lethe_result read_roots(const char *pem, struct buffer *out, struct lethe_error *err)
{
    static const char end[] = "-----END CERTIFICATE-----";
    for (const char *behind; (behind = strstr(pem, end)) != NULL; pem = behind) {
        behind += sizeof end - 1;
        TRY(x509_pem_read(X509_PEM_CERTIFICATE, pem, (size_t)(behind - pem), out, err));
    }
    return out->size_bytes > 0
               ? buffer_result(out, err)
               : error_set(err, LETHE_MALFORMED, "there is no certificate among the roots");
}

static lethe_result check_chain(const void *certificate, size_t certificate_bytes,
                                const char *roots_pem, uint64_t now_s, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer chain = {0};
    CLEANUP(buffer_clear) struct buffer roots = {0};
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    TRY(error_context(err, read_roots(roots_pem, &roots, err), "roots of endorsement keys"));
    buffer_prefixed(&chain, certificate, certificate_bytes);
    TRY(buffer_result(&chain, err));
    const struct x509_check check = {.chain = chain.bytes,
                                     .chain_bytes = chain.size_bytes,
                                     .roots = roots.bytes,
                                     .roots_bytes = roots.size_bytes,
                                     .now_s = now_s};
    return x509_check_chain(&check, &leaf, err);
}

/* What is wrong with the certificate is one answer; what is wrong with us is not. */
static lethe_result deny(lethe_result result, struct lethe_error *err)
{
    bool is_about_it =
        result == LETHE_MALFORMED || result == LETHE_REVOKED || result == LETHE_INTEGRITY;
    char why[sizeof err->text];
    if (!is_about_it)
        return result;
    if (err == NULL)
        return LETHE_DENIED;
    memcpy(why, err->text, sizeof why);
    return error_set(err, LETHE_DENIED, "%s", why);
}

lethe_result tpm2_check_ek(const void *ek, size_t ek_bytes, const void *certificate,
                           size_t certificate_bytes, const char *roots_pem, uint64_t now_s,
                           struct lethe_error *err)
{
    struct tpm2_public parsed;
    lethe_result result = tpm2_ek_read(ek, ek_bytes, &parsed, err);
    if (result == LETHE_OK)
        result = parsed.type == TPM2_ALG_RSA
                     ? check_rsa(&parsed, certificate, certificate_bytes, err)
                     : check_ecc(&parsed, certificate, certificate_bytes, err);
    if (result == LETHE_OK)
        result = check_chain(certificate, certificate_bytes, roots_pem, now_s, err);
    return deny(error_context(err, result, "the endorsement key's certificate"), err);
}
