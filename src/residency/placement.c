/* What a caller asks for, checked before anything is done. */
#include <inttypes.h>

#include "base/error.h"
#include "residency/shard_core.h"

static lethe_result check_class(enum lethe_class class_, struct lethe_error *err)
{
    switch (class_) {
    case LETHE_CLASS_KEY: /* stands for LETHE_CLASS_WEIGHTS */
    case LETHE_CLASS_WEIGHTS:
    case LETHE_CLASS_OPTIMIZER:
    case LETHE_CLASS_CONTENT:
        return LETHE_OK;
    }
    return error_set(err, LETHE_INVALID, "class of a shard: there is none of number %d",
                     (int)class_);
}

lethe_result placement_check(const struct lethe_placement *placement, struct lethe_error *err)
{
    if (placement->id == NULL)
        return error_set(err, LETHE_INVALID, "id of a shard: where bytes are sealed it needs one");
    TRY(validate_identifier("id of a shard", placement->id, IDENTIFIER_MAX, err));
    if (placement->tenant != NULL && placement->tenant[0] != '\0')
        TRY(validate_identifier("tenant", placement->tenant, NAME_PART_MAX, err));
    if (placement->expected_digest != NULL)
        TRY(validate_hex("expected_digest", placement->expected_digest, SEAL_DIGEST_DIGITS, err));
    return check_class(placement->class_, err);
}

static lethe_result empty(const char *id, struct lethe_error *err)
{
    error_set(err, LETHE_INVALID, "'%s' has no bytes: there is nothing to seal", id);
    error_hint(err, "leave it out");
    return LETHE_INVALID;
}

lethe_result shard_size_check(const struct lethe_worker *worker, const char *id,
                              uint64_t size_bytes, struct lethe_error *err)
{
    if (size_bytes == 0)
        return empty(id, err);
    if (size_bytes <= worker->shard_limit_bytes)
        return LETHE_OK;
    const struct audit_event event = audit_resource_limit_violation(
        "bytes of a shard", size_bytes, worker->shard_limit_bytes, worker->name);
    worker_emit(worker, "", "", &event);
    return error_set(err, LETHE_LIMIT,
                     "a shard of %" PRIu64 " bytes: worker %s takes %" PRIu64 " at most",
                     size_bytes, worker->name, worker->shard_limit_bytes);
}
