#include "model/crew.h"

#include "base/thread.h"
#include "model/keys_ahead.h"

/* Who is given a shard as the last one keeps all others waiting: never for more than a little. */
#define SHARES_OF_A_THREAD 16u

struct small_shards {
    const struct crew *crew;
    uint64_t total_bytes;
    pthread_mutex_t lock; /* guards what follows, and is held while keys are asked for */
    size_t next;
    bool failed;
    struct keys_ahead ahead;
    size_t ahead_until; /* the shards before have been asked for */
};

static size_t shard_at(const struct crew *crew, size_t i)
{
    return crew->shards == NULL ? i : crew->shards[i];
}

static uint64_t size_at(const struct crew *crew, size_t i)
{
    return crew->model->manifest->shards[shard_at(crew, i)].size;
}

static bool is_large(const struct crew *crew, uint64_t total_bytes, size_t i)
{
    uint64_t size = size_at(crew, i);
    return tink_segment_count(&tink_shard_parameters, size) >= crew->large_segments &&
           size > total_bytes / (SHARES_OF_A_THREAD * (uint64_t)crew->threads);
}

static lethe_result work_on_large(const struct crew *crew, size_t i, struct lethe_error *err)
{
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    TRY(shard_reader_open(crew->model, shard_at(crew, i), crew->access, &reader, err));
    return crew->together(crew->context, &reader, err);
}

/* Of the shard at small->next, and of those that come behind it. */
static void look_ahead(struct small_shards *small)
{
    const struct crew *crew = small->crew;
    size_t shards[KEYS_AHEAD_MAX];
    size_t count = 0;
    size_t i = small->next;
    for (; i < crew->count && count < KEYS_AHEAD_MAX; i++) {
        if (!is_large(crew, small->total_bytes, i))
            shards[count++] = shard_at(crew, i);
    }
    small->ahead_until = i;
    keys_ahead_fill(&small->ahead, crew->model, crew->access, shards, count);
}

static lethe_result take_locked(struct small_shards *small, struct shard_reader *reader,
                                struct lethe_error *err)
{
    const struct crew *crew = small->crew;
    while (small->next < crew->count && is_large(crew, small->total_bytes, small->next))
        small->next++;
    if (small->failed || small->next == crew->count)
        return LETHE_OK;
    if (small->next >= small->ahead_until)
        look_ahead(small);
    size_t taken = small->next++;
    struct shard_access access = *crew->access;
    if (access.ahead == NULL)
        access.ahead = &small->ahead;
    return shard_reader_open(crew->model, shard_at(crew, taken), &access, reader, err);
}

/* reader->shard stays NULL when there is nothing left. */
static lethe_result take(struct small_shards *small, struct shard_reader *reader,
                         struct lethe_error *err)
{
    pthread_mutex_lock(&small->lock);
    lethe_result result = take_locked(small, reader, err);
    pthread_mutex_unlock(&small->lock);
    return result;
}

static lethe_result work_until_done(struct small_shards *small, unsigned worker,
                                    struct lethe_error *err)
{
    for (;;) {
        CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
        TRY(take(small, &reader, err));
        if (reader.shard == NULL)
            return LETHE_OK;
        TRY(small->crew->alone(small->crew->context, &reader, worker, err));
    }
}

static lethe_result work(void *context, unsigned worker, struct lethe_error *err)
{
    struct small_shards *small = context;
    lethe_result result = work_until_done(small, worker, err);
    if (result == LETHE_OK)
        return LETHE_OK;
    pthread_mutex_lock(&small->lock);
    small->failed = true;
    pthread_mutex_unlock(&small->lock);
    return result;
}

lethe_result crew_run(const struct crew *crew, struct lethe_error *err)
{
    uint64_t total_bytes = 0;
    for (size_t i = 0; i < crew->count; i++)
        total_bytes += size_at(crew, i);
    size_t small_count = crew->count;
    for (size_t i = 0; i < crew->count; i++) {
        if (!is_large(crew, total_bytes, i))
            continue;
        TRY(work_on_large(crew, i, err));
        small_count--;
    }
    if (small_count == 0)
        return LETHE_OK;
    struct small_shards small = {.crew = crew, .total_bytes = total_bytes};
    pthread_mutex_init(&small.lock, NULL);
    unsigned threads = (unsigned)MIN(crew->threads, small_count);
    lethe_result result = threads_run(threads, work, &small, err);
    keys_ahead_clear(&small.ahead);
    pthread_mutex_destroy(&small.lock);
    return result;
}
