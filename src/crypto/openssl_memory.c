#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <lethe/mem.h>

#include "crypto/dead_stack.h"
#include "crypto/openssl.h"

static _Thread_local unsigned secrets_depth;
static _Thread_local bool starved; /* an allocation was refused since openssl_begin() */

void openssl_begin(void)
{
    ERR_clear_error();
    starved = false;
}

bool openssl_was_starved(void)
{
    return starved;
}

unsigned openssl_secrets_enter(void)
{
    if (secrets_depth == 0)
        ERR_clear_error(); /* a thread's queue of reasons is made at its first use: not in here */
    return ++secrets_depth;
}

void openssl_secrets_leave(unsigned depth)
{
    REQUIRE(depth == secrets_depth);
    if (--secrets_depth == 0)
        dead_stack_wipe();
}

/* A full secure heap refuses: nothing falls back to ordinary memory because of it. */
static void *guarded_malloc(size_t size_bytes, const char *file, int line)
{
    if (size_bytes == 0)
        return NULL;
    bool secret = secrets_depth > 0 && size_bytes <= OPENSSL_SECRET_BLOCK_MAX &&
                  CRYPTO_secure_malloc_initialized();
    void *block = secret ? CRYPTO_secure_malloc(size_bytes, file, line) : malloc(size_bytes);
    starved |= block == NULL;
    return block;
}

static size_t size_of(void *block)
{
    if (block == NULL)
        return 0;
    return CRYPTO_secure_allocated(block) ? CRYPTO_secure_actual_size(block)
                                          : malloc_usable_size(block);
}

/* A block goes back where it came from, in scope or not. */
static void guarded_free(void *block, const char *file, int line)
{
    if (block == NULL)
        return;
    if (CRYPTO_secure_allocated(block)) {
        CRYPTO_secure_free(block, file, line); /* wipes */
        return;
    }
    lethe_wipe(block, size_of(block));
    free(block);
}

/* realloc() would leave the old block behind as it is. */
static void *guarded_realloc(void *block, size_t size_bytes, const char *file, int line)
{
    size_t had_bytes = size_of(block);
    if (size_bytes > 0 && size_bytes <= had_bytes) {
        lethe_wipe((char *)block + size_bytes, had_bytes - size_bytes);
        return block;
    }
    void *grown = guarded_malloc(size_bytes, file, line);
    if (grown == NULL && size_bytes > 0)
        return NULL; /* the old block stays, as with realloc() */
    if (had_bytes > 0 && grown != NULL)
        memcpy(grown, block, had_bytes);
    guarded_free(block, file, line);
    return grown;
}

bool openssl_guard_memory(void)
{
    return CRYPTO_set_mem_functions(guarded_malloc, guarded_realloc, guarded_free) == 1;
}
