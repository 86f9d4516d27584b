/* crypto/dead_stack.h -- what libraries leave on the stack below their callers. Not for other
 * rooms. */
#ifndef CRYPTO_DEAD_STACK_H
#define CRYPTO_DEAD_STACK_H

/* Overwrites the stack below the caller's frame, as deep as calls of OpenSSL and libsodium go:
 * copies of their own, and vector registers with key bytes, which the dynamic linker saves when it
 * binds a function late. */
void dead_stack_wipe(void);

#endif
