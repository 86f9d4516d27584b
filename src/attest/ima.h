/* attest/ima.h -- the kernel's list of measurements (security/integrity/ima, binary,
 * little-endian), replayed into a PCR. Not for other rooms.
 *
 * Each entry: PCR, SHA-1 of its data, template's name, data. The SHA-256 bank is extended with
 * SHA-256 of the data, or with ones for a violation (a file that was open for writing while it was
 * measured). The SHA-1 leads nowhere, and is not looked at, but that zeros in it mark a violation.
 * The log goes on growing: what is behind the entry that leads to the value was not quoted, and
 * says nothing. */
#ifndef ATTEST_IMA_H
#define ATTEST_IMA_H

#include "attest/attest.h"

#define IMA_PCR 10u

struct ima_replay {
    const uint8_t *pcr;      /* 32 bytes that it must lead to, by at least one entry */
    const char *loader_path; /* whose digests are collected; NULL: none */
    char (*loaders)[72];     /* ATTEST_LOADERS_MAX: "<algorithm>:<hex>", once each, in order. What
                                is longer than SHA-256 is cut, and so equals no reference value */
    size_t loader_count;
    size_t entries;    /* that were quoted */
    size_t violations; /* among them. Nothing of such an entry is in the PCR but that it is one:
                          its path and digest are as good as whoever sent the log */
};
/* LETHE_DENIED says what is wrong with which entry. */
LETHE_MUST_CHECK lethe_result ima_replay(const void *log, size_t log_bytes,
                                         struct ima_replay *replay, struct lethe_error *err);

#endif
