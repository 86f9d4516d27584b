/* crypto/crypto.h -- once per process, before anything else of this room. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "mem/slab.h"

/* Makes every block that OpenSSL frees wiped, and gives it a secure heap (locked, left out of core
 * files) for private keys; both are checked. Call before any other use of OpenSSL in the process; a
 * second call gives the first one's result. A forked child that does not exec has a copy of the
 * secure heap, as of all memory that is not in the slab or a region.
 * LETHE_UNPROTECTED: OpenSSL was in use already, or the heap cannot be locked although this host
 * has swap; the hint says the remedy. */
LETHE_MUST_CHECK lethe_result crypto_start(struct lethe_error *err);

/* In a child that was forked and goes on as a process of its own: its copy of the secure heap,
 * which the kernel neither locks nor wipes, is given up for a new one. LETHE_FAILED: the parent had
 * private keys in it; otherwise as crypto_start(). */
LETHE_MUST_CHECK lethe_result crypto_start_in_child(struct lethe_error *err);

#endif
