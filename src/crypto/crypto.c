#include "crypto/crypto.h"

#include <pthread.h>

#include <openssl/crypto.h>

#include "base/error.h"
#include "crypto/openssl.h"
#include "crypto/sign_kind.h"
#include "mem/budget.h"
#include "mem/maps.h"
#include "mem/process.h"
#include "mem/swap.h"

/* With OpenSSL 3.0 a pair takes 2 KiB, the random generators of a thread that signs 3 KiB, and what
 * OpenSSL keeps for later while it makes keys 45 KiB. A full heap makes OpenSSL refuse new keys, it
 * does not make it keep them elsewhere. */
#define SECURE_HEAP_BYTES ((size_t)512 << 10)
#define SECURE_HEAP_GRAIN_BYTES ((size_t)32)

static lethe_result refuse(struct lethe_error *err, const char *why)
{
    error_set(err, LETHE_UNPROTECTED, "OpenSSL's heap for private keys %s", why);
    budget_lock_remedy(SECURE_HEAP_BYTES, err);
    return LETHE_UNPROTECTED;
}

/* Asks the kernel what it does with the heap, through a block of it. */
static lethe_result check_secure_heap(bool complete, struct lethe_error *err)
{
    unsigned flags = 0;
    void *block = OPENSSL_secure_malloc(SECURE_HEAP_GRAIN_BYTES);
    bool inside = block != NULL && CRYPTO_secure_allocated(block) == 1;
    lethe_result asked =
        inside ? maps_flags(block, SECURE_HEAP_GRAIN_BYTES, &flags, err) : LETHE_OK;
    OPENSSL_secure_free(block);
    TRY(asked);

    bool locked = flags & MAP_FLAG_LOCKED;
    if (!inside)
        return refuse(err, "is not used");
    if (!(flags & MAP_FLAG_UNDUMPABLE)) {
        error_set(err, LETHE_UNPROTECTED, "OpenSSL's heap for private keys would be in core files");
        error_hint(err, "use Linux 3.4 or later, and allow madvise in sandboxes");
        return LETHE_UNPROTECTED;
    }
    if (locked && !complete)
        return refuse(err, "has no guard pages");
    if (!locked && swap_may_keep_pages())
        return refuse(err, "is not locked, and this host has swap");
    if (!locked)
        atomic_fetch_add(&process_now()->ranges_unlocked, 1); /* for lethe_mem_recheck() */
    return LETHE_OK;
}

static lethe_result start_secure_heap(struct lethe_error *err)
{
    /* 1: everything was done; 2: locking, hiding or guarding failed, the heap is there. */
    int made = CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_GRAIN_BYTES);
    if (made == 0)
        return refuse(err, "cannot be had");
    return check_secure_heap(made == 1, err);
}

static pthread_once_t started = PTHREAD_ONCE_INIT;
static lethe_result outcome;
static struct lethe_error outcome_error;

static lethe_result start(struct lethe_error *err)
{
    if (!openssl_guard_memory())
        return error_set(err, LETHE_UNPROTECTED,
                         "OpenSSL was used before crypto_start(): what it frees is not wiped");
    TRY(process_start(err));
    TRY(start_secure_heap(err));
    TRY(openssl_fetch(err));
    return ed25519_start(err);
}

static void start_once(void)
{
    outcome = start(&outcome_error);
}

lethe_result crypto_start(struct lethe_error *err)
{
    REQUIRE(pthread_once(&started, start_once) == 0);
    if (outcome != LETHE_OK && err != NULL)
        *err = outcome_error;
    return outcome;
}

/* The heap goes only when nothing is left in it. */
lethe_result crypto_start_in_child(struct lethe_error *err)
{
    TRY(crypto_start(err));
    TRY(process_start(err));
    if (CRYPTO_secure_malloc_done() != 1)
        return error_set(err, LETHE_FAILED, "a process with private keys was forked");
    return start_secure_heap(err);
}
