/* model/reencrypt.h -- the inside of model_reencrypt: the work, what of it is kept, and how a later
 * run takes that over.
 *
 * The directory that is kept holds KEPT_STATE and KEPT_MODEL, the model being made. */
#ifndef MODEL_REENCRYPT_H
#define MODEL_REENCRYPT_H

#include "model/oms.h"
#include "model/opened.h"
#include "model/sibling.h"
#include "model/unfinished.h"

#define KEPT_MODEL "model"

/* The file KEPT_STATE, open for more. */
struct unfinished_file {
    int fd;
    uint64_t size_bytes;
    struct unfinished_header header;
    struct lethe_secret *key;
    struct unfinished_chain chain;
};
#define UNFINISHED_FILE_NONE                                                                       \
    (struct unfinished_file)                                                                       \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
void unfinished_file_clear(struct unfinished_file *file);

/* A shard that is done, and what the signature will say of it. */
struct done_shard {
    uint8_t *digests; /* owned; NULL: not done */
    bool is_recorded; /* in the state */
};

struct reencryption {
    const struct reencrypt_options *options;
    const struct key_source *keys;
    struct model *old;
    uint8_t old_digest[SHA256_BYTES]; /* of its manifest */
    struct manifest *manifest;        /* the new one */
    struct sibling place;
    struct unfinished_file state;
    int model_fd; /* KEPT_MODEL */
    int shards_fd;
    struct done_shard *done; /* one for each shard */
    bool *skip;              /* the same, as the sealing wants it */
    uint64_t unrecorded_bytes;
    uint64_t unrecorded_shards;
    uint64_t recorded_ns; /* when what was done was last put on the state */
    struct oms_list signed_list;
    struct buffer manifest_text;
    struct reencrypt_summary summary;
};

/* ---- the state ------------------------------------------------------------------------------- */

/* Makes the state of a re-encryption of old, in dir_fd, with a new key. */
LETHE_MUST_CHECK lethe_result unfinished_file_create(struct reencryption *r, int dir_fd,
                                                     struct lethe_error *err);
/* Adds records, durably, or none. */
LETHE_MUST_CHECK lethe_result unfinished_file_append(struct unfinished_file *file,
                                                     const struct unfinished_record *records,
                                                     size_t count, struct lethe_error *err);

/* Reads what is kept in dir_fd. `visit` is called for each record once its MAC was checked. The
 * file is then ready for more, if it was opened `for_more`. LETHE_INTEGRITY: somebody changed it.
 * LETHE_CONFLICT, with the reason as text: it is sound, but of an older version of its key. */
typedef lethe_result unfinished_visit(void *context, const struct unfinished_record *record,
                                      struct lethe_error *err);
struct unfinished_open {
    const struct model *model; /* as it is now */
    const struct key_source *keys;
    int dir_fd;
    bool for_more;
    unfinished_visit *visit;
    void *context;
};
LETHE_MUST_CHECK lethe_result unfinished_file_open(const struct unfinished_open *how,
                                                   struct unfinished_file *out,
                                                   struct lethe_error *err);

/* ---- taking over ----------------------------------------------------------------------------- */

/* Looks at what an earlier run left. r->place.kept: it is taken over, and r->done says how far it
 * is. r->summary.was_done: that run had finished; nothing is to be done but to remove what it left.
 * Neither: there was nothing, or nothing of use, and nothing is left of it. */
LETHE_MUST_CHECK lethe_result reencrypt_take_over(struct reencryption *r, struct lethe_error *err);
/* Reads the state in r->place: r->done and r->manifest get what is done, r->summary.was_done as
 * above. LETHE_CONFLICT: it is of no use any more. */
LETHE_MUST_CHECK lethe_result reencrypt_read_state(struct reencryption *r, bool for_more,
                                                   struct lethe_error *err);
/* Opens and locks the directories of the model being made. LETHE_INTEGRITY: they are none. */
LETHE_MUST_CHECK lethe_result reencrypt_open_directories(struct reencryption *r,
                                                         struct lethe_error *err);
/* Forgets a shard, and removes its file if there is one. */
LETHE_MUST_CHECK lethe_result reencrypt_undo_shard(struct reencryption *r, size_t index,
                                                   struct lethe_error *err);
/* Every shard that is done and not under the newest version of its key is undone. */
LETHE_MUST_CHECK lethe_result reencrypt_undo_old(struct reencryption *r, struct lethe_error *err);

#endif
