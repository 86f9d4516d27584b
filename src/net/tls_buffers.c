/* Buffers that connections share: only those in the middle of something have one, and the last one
 * given back, which is still in the caches, is the next one taken. */
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "net/tls_core.h"

#define BATCHES_KEPT 16u
#define STAGINGS_KEPT 64u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *batches[BATCHES_KEPT]; /* under lock, as all below */
static size_t batch_count;
static struct guarded stagings[STAGINGS_KEPT];
static size_t staging_count;
static atomic_uint keepers; /* without the lock */

uint8_t *tls_batch_borrow(void)
{
    pthread_mutex_lock(&lock);
    uint8_t *bytes = batch_count > 0 ? batches[--batch_count] : NULL;
    pthread_mutex_unlock(&lock);
    return bytes != NULL ? bytes : malloc(TLS_BATCH_BYTES);
}

void tls_batch_give_back(uint8_t *bytes)
{
    if (bytes == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool keep = batch_count < BATCHES_KEPT;
    if (keep)
        batches[batch_count++] = bytes;
    pthread_mutex_unlock(&lock);
    if (!keep)
        free(bytes);
}

lethe_result tls_staging_borrow(struct guarded *out, struct lethe_error *err)
{
    pthread_mutex_lock(&lock);
    *out = staging_count > 0 ? stagings[--staging_count] : (struct guarded){0};
    pthread_mutex_unlock(&lock);
    if (out->bytes == NULL)
        guarded_reserve(out, TLS_RECORD_BYTES);
    lethe_result result = guarded_result(out, err);
    if (result != LETHE_OK)
        guarded_clear(out);
    return result;
}

void tls_staging_give_back(struct guarded *staging)
{
    if (staging->bytes == NULL)
        return;
    guarded_wipe(staging);
    pthread_mutex_lock(&lock);
    bool keep = staging_count < STAGINGS_KEPT;
    if (keep)
        stagings[staging_count++] = *staging;
    pthread_mutex_unlock(&lock);
    if (!keep)
        guarded_clear(staging);
    *staging = (struct guarded){0};
}

bool tls_keeper_join(void)
{
    if (atomic_fetch_add(&keepers, 1) < TLS_KEEPERS_MAX)
        return true;
    atomic_fetch_sub(&keepers, 1);
    return false;
}

void tls_keeper_leave(void)
{
    atomic_fetch_sub(&keepers, 1);
}
