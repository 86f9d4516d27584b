/* lethe/model.h -- an encrypted model, opened under a home's keys.
 *
 * A model is a directory made by `lethe encrypt`. It has shards: each is one of the files that were
 * encrypted (a GGUF file, a part of a safetensors model), or one tensor group of it, with a data
 * key of its own. Opening reads manifest and signature, and no key yet; a shard's key is asked for
 * when the shard is loaded, and that is on record.
 *
 * Thread rule: as lethe/home.h. */
#ifndef LETHE_MODEL_H
#define LETHE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

struct lethe_home;
struct lethe_model;

/* Opens the model at `path` and checks its signature against the home's signer of the model's
 * tenant: all that the functions below give is then what the owner signed. A refusal is on record
 * (model_rejected).
 *
 * On success the caller owns *out and ends it with lethe_model_close(), before the home is closed.
 * *out is NULL otherwise.
 * LETHE_NOT_FOUND: there is nothing at `path`, or the home has no signer of that tenant.
 * LETHE_MALFORMED, LETHE_INTEGRITY: it is no model; or it was changed, forged or cut short, and the
 *                  text says where.
 * LETHE_REVOKED:   the key that signed it was revoked.
 * LETHE_IO, LETHE_NO_MEMORY: as they say. */
LETHE_MUST_CHECK lethe_result lethe_model_open(struct lethe_home *home, const char *path,
                                               struct lethe_model **out, struct lethe_error *err);
/* NULL is fine. */
void lethe_model_close(struct lethe_model *model);

/* Texts are borrowed, until the model is closed. */
struct lethe_model_shard {
    const char *id;      /* "0000": names the shard in the log                                 */
    const char *name;    /* of the file that was encrypted, relative: "llama.gguf"             */
    const char *kind;    /* "weights", "router", "dense", "expert", "optimizer", "other"       */
    uint64_t size_bytes; /* in plain                                                           */
};

/* At least 1. */
size_t lethe_model_shard_count(const struct lethe_model *model);
/* `index` is below the count; shards are in the order of the manifest. */
void lethe_model_shard(const struct lethe_model *model, size_t index,
                       struct lethe_model_shard *out);

/* The shards of an expert of a model that was split (`lethe encrypt --split experts`): one for each
 * file that holds a part of it, which is nearly always one. Gives their number, 0 when there is no
 * such expert, and puts the first `capacity` of their places into `shards`. */
size_t lethe_model_expert(const struct lethe_model *model, uint64_t layer, uint64_t index,
                          size_t *shards, size_t capacity);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
