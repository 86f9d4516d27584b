/* attest/sevsnp_report.h -- the fields of a report, and what differs between products. Not for
 * other rooms. */
#ifndef ATTEST_SEVSNP_REPORT_H
#define ATTEST_SEVSNP_REPORT_H

#include "attest/sevsnp.h"

#define SEVSNP_SIGNED_BYTES 0x2a0u
#define SEVSNP_MEASUREMENT_BYTES 48u
#define SEVSNP_CHIP_BYTES 64u
#define SEVSNP_TCB_BYTES 8u
#define SEVSNP_NUMBER_BYTES 72u /* r and s, little-endian */
#define SEVSNP_VERSION_CPU 3u   /* the first that names the CPU */

/* ---- products -------------------------------------------------------------------------------- */

enum sevsnp_product_kind { SEVSNP_MILAN, SEVSNP_GENOA, SEVSNP_TURIN, SEVSNP_PRODUCTS };
#define SEVSNP_TCB_PARTS 5u /* in the order of struct attest_tcb */
#define SEVSNP_ABSENT 0xffu
struct sevsnp_product {
    const char *name;
    uint8_t tcb_at[SEVSNP_TCB_PARTS]; /* byte of each part; SEVSNP_ABSENT */
    size_t hwid_bytes;                /* of its VCEKs: the first bytes of CHIP_ID */
};
extern const struct sevsnp_product sevsnp_products[SEVSNP_PRODUCTS];
const struct sevsnp_product *sevsnp_product_named(const char *name);               /* or NULL */
const struct sevsnp_product *sevsnp_product_of_cpu(uint8_t family, uint8_t model); /* or NULL */
/* False: a byte is not zero that is no part of it. */
bool sevsnp_tcb_read(const struct sevsnp_product *product, const uint8_t bytes[SEVSNP_TCB_BYTES],
                     struct attest_tcb *out);
/* The part's name and level ("microcode"), for texts; NULL behind the last. */
const char *sevsnp_tcb_part(const struct attest_tcb *tcb, size_t part, uint8_t *level);

/* ---- reports --------------------------------------------------------------------------------- */

enum sevsnp_signing_key { SEVSNP_VCEK = 0, SEVSNP_VLEK = 1 };
struct sevsnp_build {
    uint8_t build, minor, major;
};
struct sevsnp_report { /* pointers are into the report's bytes */
    const uint8_t *bytes;
    uint32_t version, guest_svn, vmpl, algorithm;
    uint64_t policy, platform_info;
    bool author_key_enabled, chip_key_masked;
    uint32_t signing_key;
    const uint8_t *family_id, *image_id, *data, *measurement, *host_data;
    const uint8_t *id_key_digest, *author_key_digest, *report_id, *report_id_ma, *chip_id;
    const uint8_t *current_tcb, *reported_tcb, *committed_tcb, *launch_tcb;
    uint8_t cpu_family, cpu_model, cpu_stepping;
    struct sevsnp_build current_build, committed_build;
    uint64_t launch_mitigations, current_mitigations;
    const uint8_t *r, *s;
    bool has_reserved; /* something is set that must be zero in this version */
};
/* ATTEST_VERIFIED: it could be read; or ATTEST_SIZE, ATTEST_VERSION. */
enum attest_reason sevsnp_report_read(const void *bytes, size_t size_bytes,
                                      struct sevsnp_report *out);
bool sevsnp_is_zero(const uint8_t *bytes, size_t size_bytes);

/* ---- claims ---------------------------------------------------------------------------------- */

struct sevsnp_vek;
/* What the report says; `product` (NULL: not known) decides how TCBs are read. */
void sevsnp_claims_fill(const struct sevsnp_report *report, const struct sevsnp_product *product,
                        struct attest_claims *out);
/* `vek` NULL: none was read. */
LETHE_MUST_CHECK lethe_result sevsnp_claims_write(const struct sevsnp_report *report,
                                                  const struct sevsnp_product *product,
                                                  const struct sevsnp_vek *vek,
                                                  struct attest_claims *out,
                                                  struct lethe_error *err);

/* Notes the reason, and says its sentence with details behind it. */
lethe_result sevsnp_deny(struct attest_claims *claims, enum attest_reason reason,
                         struct lethe_error *err, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
