/* crypto/ipsec.h -- intel-ipsec-mb: one place that decides whether it is used. Not for other rooms.
 *
 * It is used when the CPU has AES-NI and PCLMULQDQ, the library passed its own self-test, and it
 * was built to clear its registers and stack (SAFE_DATA). A manager serves one thread at a time,
 * except for the direct calls (GCM), which only read it. */
#ifndef CRYPTO_IPSEC_H
#define CRYPTO_IPSEC_H

#include <intel-ipsec-mb.h>

#include "base/base.h"

/* The manager for direct calls, from any thread; NULL where the library is of no use here. */
const struct IMB_MGR *ipsec_direct(void);
/* "intel-ipsec-mb 1.3.0 (AVX512, VAES)", or why it is not used. */
const char *ipsec_name(void);

/* A manager for jobs, for this thread until it gives it back; NULL where there is none. Managers
 * are kept for the next borrower: making one costs as much as hashing half a megabyte. */
struct IMB_MGR *ipsec_borrow(void);
void ipsec_give_back(struct IMB_MGR *manager);

#endif
