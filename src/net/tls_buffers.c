/* Buffers that connections share: only those in the middle of something have one, and the last one
 * given back, which is still in the caches, is the next one taken. Each thread keeps a few, for the
 * caches are its processor's, and it needs no lock for them; the rest is everybody's. */
#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "net/tls_core.h"

#define BATCHES_KEPT 16u
#define STAGINGS_KEPT 64u
#define BATCHES_NEAR 2u /* of a thread: one comes in, one goes out */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *batches[BATCHES_KEPT]; /* under lock, as all below */
static size_t batch_count;
static struct guarded stagings[STAGINGS_KEPT];
static size_t staging_count;
static atomic_uint keepers; /* without the lock */

static _Thread_local struct near {
    bool is_known; /* to who tidies up when the thread ends */
    uint8_t *batches[BATCHES_NEAR];
    size_t batch_count;
    struct guarded staging;
} near;
static pthread_key_t near_key;
static pthread_once_t near_made = PTHREAD_ONCE_INIT;
static bool has_near_key;

/* ---- everybody's ----------------------------------------------------------------------------- */

static uint8_t *take_batch(void)
{
    pthread_mutex_lock(&lock);
    uint8_t *bytes = batch_count > 0 ? batches[--batch_count] : NULL;
    pthread_mutex_unlock(&lock);
    return bytes != NULL ? bytes : malloc(TLS_BATCH_BYTES);
}

static void put_batch(uint8_t *bytes)
{
    pthread_mutex_lock(&lock);
    bool keep = batch_count < BATCHES_KEPT;
    if (keep)
        batches[batch_count++] = bytes;
    pthread_mutex_unlock(&lock);
    if (!keep)
        free(bytes);
}

static struct guarded take_staging(void)
{
    pthread_mutex_lock(&lock);
    struct guarded staging = staging_count > 0 ? stagings[--staging_count] : (struct guarded){0};
    pthread_mutex_unlock(&lock);
    return staging;
}

static void put_staging(struct guarded *staging)
{
    pthread_mutex_lock(&lock);
    bool keep = staging_count < STAGINGS_KEPT;
    if (keep)
        stagings[staging_count++] = *staging;
    pthread_mutex_unlock(&lock);
    if (!keep)
        guarded_clear(staging);
}

/* ---- a thread's ------------------------------------------------------------------------------ */

static void leave(void *context)
{
    struct near *own = context;
    while (own->batch_count > 0)
        put_batch(own->batches[--own->batch_count]);
    if (own->staging.bytes != NULL)
        put_staging(&own->staging);
    *own = (struct near){0};
}

static void make_key(void)
{
    has_near_key = pthread_key_create(&near_key, leave) == 0;
}

/* Whether the thread may keep some: what it keeps must be given back when it ends. */
static bool may_keep(void)
{
    if (!near.is_known) {
        REQUIRE(pthread_once(&near_made, make_key) == 0);
        near.is_known = has_near_key && pthread_setspecific(near_key, &near) == 0;
    }
    return near.is_known;
}

/* ---- borrowed -------------------------------------------------------------------------------- */

uint8_t *tls_batch_borrow(void)
{
    return near.batch_count > 0 ? near.batches[--near.batch_count] : take_batch();
}

void tls_batch_give_back(uint8_t *bytes)
{
    if (bytes == NULL)
        return;
    if (near.batch_count < BATCHES_NEAR && may_keep())
        near.batches[near.batch_count++] = bytes;
    else
        put_batch(bytes);
}

lethe_result tls_staging_borrow(struct guarded *out, struct lethe_error *err)
{
    *out = near.staging.bytes != NULL ? near.staging : take_staging();
    near.staging = (struct guarded){0};
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
    if (near.staging.bytes == NULL && may_keep())
        near.staging = *staging;
    else
        put_staging(staging);
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
