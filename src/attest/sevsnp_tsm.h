/* attest/sevsnp_tsm.h -- what the kernel gives beside a report. Not for other rooms. */
#ifndef ATTEST_SEVSNP_TSM_H
#define ATTEST_SEVSNP_TSM_H

#include "attest/sevsnp.h"

#define SEVSNP_AUXBLOB_MAX 65536u /* certificates of the host: 16 KiB, as the kernel takes them */

/* The VCEK or VLEK out of the host's table of certificates (AMD 56421, 4.1.8.1), as DER; `vek`
 * stays empty when it has none. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result sevsnp_table_vek(const void *table, size_t size_bytes,
                                               struct buffer *vek, struct lethe_error *err);
/* DER, or the first certificate of PEM, as DER. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result sevsnp_certificate_to_der(const void *bytes, size_t size_bytes,
                                                        struct buffer *der,
                                                        struct lethe_error *err);

#endif
