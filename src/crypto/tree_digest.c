#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "crypto/tree_blocks.h"

/* Work is dealt in units whose hashes fill UNIT_GROUPS whole blocks, so that a worker hashes those
 * too, in lanes, and only 1/16384 of the work is left to the one thread that pushes. */
#define UNIT_GROUPS 16u
#define UNIT_BLOCKS (UNIT_GROUPS * TREE_FANOUT)
#define UNIT_BYTES ((size_t)UNIT_BLOCKS * TREE_BLOCK_BYTES) /* 8 MiB */
#define READ_BYTES ((size_t)256 << 10)                      /* stays in the CPU's own cache */
/* Units between two pushes: bounds memory, and is long enough that starting threads costs nothing.
 */
#define WINDOW_UNITS_PER_THREAD 32u

/* What is digested: memory, or (bytes NULL) a file through one guarded buffer per worker. */
struct source {
    const uint8_t *bytes;
    const struct tree_file *file;
    uint64_t size_bytes;
};

struct job {
    const struct source *source;
    struct lethe_region *buffers; /* READ_BYTES per worker; NULL for memory         */
    uint8_t *unit_hashes;         /* UNIT_BLOCKS hashes per worker                  */
    uint8_t *parents;             /* UNIT_GROUPS hashes per unit of the window      */
    uint64_t first_unit;          /* of the window                                  */
    size_t units;                 /* in the window                                  */
    atomic_size_t next;           /* the unit of the window that nobody has taken   */
    atomic_bool failed;           /* the others need not go on                      */
};

static void job_clear_at_scope_end(struct job *job)
{
    lethe_region_free(job->buffers);
    free(job->unit_hashes);
    free(job->parents);
}

static lethe_result job_init(struct job *job, const struct source *source, unsigned threads,
                             struct lethe_error *err)
{
    job->source = source;
    job->unit_hashes = calloc(threads, (size_t)UNIT_BLOCKS * TREE_HASH_BYTES);
    job->parents =
        calloc((size_t)threads * WINDOW_UNITS_PER_THREAD, (size_t)UNIT_GROUPS * TREE_HASH_BYTES);
    if (job->unit_hashes == NULL || job->parents == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to hash with");
    if (source->bytes != NULL || source->size_bytes == 0)
        return LETHE_OK;
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_WEIGHTS,
                                                 .label = {.id = "digest"}};
    return lethe_region_create(threads * MIN(READ_BYTES, source->size_bytes), &options,
                               &job->buffers, err);
}

/* Hashes the blocks of size_bytes bytes at `offset`, by way of the worker's buffer. */
static lethe_result hash_range(const struct job *job, unsigned worker, uint64_t offset,
                               size_t size_bytes, struct lethe_error *err)
{
    const struct source *source = job->source;
    uint8_t *hashes = job->unit_hashes + (size_t)worker * UNIT_BLOCKS * TREE_HASH_BYTES;
    if (source->bytes != NULL) {
        tree_hash_blocks(source->bytes + offset, size_bytes, hashes);
        return LETHE_OK;
    }
    uint8_t *buffer = (uint8_t *)lethe_region_bytes(job->buffers) + worker * READ_BYTES;
    for (size_t done = 0; done < size_bytes;) {
        size_t piece = MIN(READ_BYTES, size_bytes - done);
        TRY(file_read_at(source->file->fd, source->file->path, offset + done, buffer, piece, err));
        tree_hash_blocks(buffer, piece, hashes + done / TREE_BLOCK_BYTES * TREE_HASH_BYTES);
        done += piece;
    }
    return LETHE_OK;
}

static lethe_result hash_units(void *context, unsigned worker, struct lethe_error *err)
{
    struct job *job = context;
    const uint8_t *hashes = job->unit_hashes + (size_t)worker * UNIT_BLOCKS * TREE_HASH_BYTES;
    while (!atomic_load(&job->failed)) {
        size_t unit = atomic_fetch_add(&job->next, 1);
        if (unit >= job->units)
            break;
        lethe_result result =
            hash_range(job, worker, (job->first_unit + unit) * UNIT_BYTES, UNIT_BYTES, err);
        if (result != LETHE_OK) {
            atomic_store(&job->failed, true);
            return result;
        }
        tree_hash_blocks(hashes, (size_t)UNIT_BLOCKS * TREE_HASH_BYTES,
                         job->parents + unit * UNIT_GROUPS * TREE_HASH_BYTES);
    }
    return LETHE_OK;
}

static lethe_result push_units(struct tree *tree, struct job *job, uint64_t units, unsigned threads,
                               struct lethe_error *err)
{
    for (uint64_t done = 0; done < units; done += job->units) {
        job->first_unit = done;
        job->units = MIN(units - done, (uint64_t)threads * WINDOW_UNITS_PER_THREAD);
        atomic_store(&job->next, 0);
        TRY(threads_run(threads, hash_units, job, err));
        tree_push_at(tree, 1, job->parents, job->units * UNIT_GROUPS);
    }
    return LETHE_OK;
}

static lethe_result digest(const struct source *source, unsigned threads,
                           uint8_t out[TREE_HASH_BYTES], struct lethe_error *err)
{
    REQUIRE(threads > 0);
    uint64_t units = source->size_bytes / UNIT_BYTES;
    size_t rest_bytes = source->size_bytes % UNIT_BYTES;
    threads = (unsigned)MIN(MIN(threads, THREADS_MAX), MAX(units, 1));

    CLEANUP(job_clear) struct job job = {0};
    TRY(job_init(&job, source, threads, err));
    struct tree tree = {0};
    TRY(push_units(&tree, &job, units, threads, err));
    if (rest_bytes > 0)
        TRY(hash_range(&job, 0, units * UNIT_BYTES, rest_bytes, err));
    tree_push(&tree, job.unit_hashes, (rest_bytes + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES);
    tree_finish(&tree, source->size_bytes, out);
    return LETHE_OK;
}

lethe_result tree_digest(const void *bytes, size_t size_bytes, unsigned threads,
                         uint8_t digest_out[TREE_HASH_BYTES], struct lethe_error *err)
{
    const struct source source = {.bytes = bytes, .size_bytes = size_bytes};
    REQUIRE(bytes != NULL || size_bytes == 0);
    return digest(&source, threads, digest_out, err);
}

lethe_result tree_digest_file(const struct tree_file *file, unsigned threads,
                              uint8_t digest_out[TREE_HASH_BYTES], struct lethe_error *err)
{
    const struct source source = {.file = file, .size_bytes = file->size_bytes};
    return digest(&source, threads, digest_out, err);
}
