/* attest/anchors.h -- AMD's certificates for SEV-SNP (anchors/ORIGIN), as PEM: intermediate, then
 * root. Made by tools/embed-texts. */
#ifndef ATTEST_ANCHORS_H
#define ATTEST_ANCHORS_H

#include <stddef.h>

/* X(product, name of its files) */
#define SEVSNP_ANCHORS(X)                                                                          \
    X(SEVSNP_MILAN, milan)                                                                         \
    X(SEVSNP_GENOA, genoa)                                                                         \
    X(SEVSNP_TURIN, turin)
#define SEVSNP_ANCHOR_DECLARE(product, name)                                                       \
    extern const unsigned char anchors_##name##_ask[], anchors_##name##_asvk[];                    \
    extern const size_t anchors_##name##_ask_bytes, anchors_##name##_asvk_bytes;
SEVSNP_ANCHORS(SEVSNP_ANCHOR_DECLARE)
#undef SEVSNP_ANCHOR_DECLARE

#endif
