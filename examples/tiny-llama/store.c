/* The sealed way: the home's keys open the model, its shard is decrypted straight into guarded
 * memory, sealed there, and verified before every request; where it lies is known for the time of
 * an execution only. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lethe/home.h>
#include <lethe/model.h>

#include "tiny.h"

/* As any engine does it; under `lethe exec` the file is in memory that Lethe wipes. */
static lethe_result map(struct store *store, struct lethe_error *err)
{
    struct stat status;
    void *mapped = MAP_FAILED;
    int fd = open(store->options.model, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (mapped == MAP_FAILED)
        return fail(err, LETHE_IO, "%s cannot be mapped", store->options.model);
    store->mapped = mapped;
    store->file_bytes = (uint64_t)status.st_size;
    return LETHE_OK;
}

/* The one GGUF file, which is one shard unless `lethe encrypt --split` made many of it. */
static lethe_result choose_shard(struct store *store, size_t *index, struct lethe_error *err)
{
    size_t found = 0;
    *index = 0;
    for (size_t i = 0; i < lethe_model_shard_count(store->model); i++) {
        struct lethe_model_shard shard;
        lethe_model_shard(store->model, i, &shard);
        const char *suffix = strrchr(shard.name, '.');
        if (suffix == NULL || strcmp(suffix, ".gguf") != 0)
            continue;
        found++;
        *index = i;
        store->file_bytes = shard.size_bytes;
    }
    if (found == 1)
        return LETHE_OK;
    return fail(err, LETHE_INVALID, "%s has %zu GGUF shards instead of one", store->options.model,
                found);
}

static lethe_result seal(struct store *store, struct lethe_error *err)
{
    const struct lethe_placement placement = {.class_ = LETHE_CLASS_WEIGHTS};
    size_t index;
    TRY(lethe_model_open(store->home, store->options.model, &store->model, err));
    TRY(choose_shard(store, &index, err));
    return lethe_shard_seal_model(store->worker, store->model, index, &placement, &store->shard,
                                  err);
}

/* On the host, because that is where this program computes. Also without sealed weights there is a
 * worker: sessions belong to one. */
lethe_result store_open(const struct store_options *options, struct store *out,
                        struct lethe_error *err)
{
    *out = (struct store){.options = *options};
    if (options->sealed)
        TRY(lethe_home_open(options->home, &out->home, err));
    const struct lethe_worker_options worker = {.name = "tiny-llama",
                                                .policy = LETHE_HOST_ALLOWED,
                                                .log = options->sealed ? lethe_home_log(out->home)
                                                                       : NULL};
    TRY(lethe_worker_create(&worker, &out->worker, err));
    TRY(options->sealed ? seal(out, err) : map(out, err));
    return lethe_worker_ready(out->worker, err);
}

/* From the last to the first, all of it; the first failure is what is told. */
lethe_result store_close(struct store *store, struct lethe_error *err)
{
    struct lethe_error errors[3] = {0};
    lethe_result results[3];
    results[0] = lethe_shard_evict(store->shard, &errors[0]);
    results[1] = lethe_worker_free(store->worker, &errors[1]);
    lethe_model_close(store->model);
    results[2] = lethe_home_close(store->home, &errors[2]);
    if (store->mapped != NULL)
        munmap((void *)store->mapped, store->file_bytes);
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        if (results[i] != LETHE_OK)
            *err = errors[i];
        TRY(results[i]);
    }
    return LETHE_OK;
}

lethe_result store_begin(struct store *store, const uint8_t **file, struct lethe_error *err)
{
    *file = store->mapped;
    if (store->mapped != NULL)
        return LETHE_OK;
    TRY(lethe_execution_begin(store->worker, &store->shard, 1, store->options.verify,
                              &store->execution, err));
    *file = lethe_execution_address(store->execution, store->shard);
    return LETHE_OK;
}

lethe_result store_verify(struct store *store, struct lethe_error *err)
{
    return store->mapped != NULL ? LETHE_OK : lethe_execution_verify(store->execution, err);
}

void store_end(struct store *store)
{
    lethe_execution_end(store->execution);
    store->execution = NULL;
}
