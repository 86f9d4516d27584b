/* model/model.h -- an encrypted model on disk: make one, open one, check it, decrypt it.
 *
 * A model is a directory: manifest.json, model.sig, shards/<id>.tink (docs/formats.md, "Model").
 * Nothing is believed before the signature over it was checked; no plaintext byte is given out
 * before all tags of its shard are. Thread rule: a struct model is used by one thread at a time;
 * the work inside runs on `threads`. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdatomic.h>

#include "base/clock.h"
#include "crypto/aead.h"
#include "model/key_source.h"
#include "model/manifest.h"

/* Called now and then, from any thread but never two at once. */
struct model_progress {
    void (*report)(void *context, uint64_t done_bytes, uint64_t total_bytes);
    void *context;
};

/* ---- encrypt --------------------------------------------------------------------------------- */

enum encrypt_split {
    SPLIT_NONE,    /* a file is a shard */
    SPLIT_EXPERTS, /* of a file with experts, each of them is, and so are its routers, and the rest
                    */
};
struct encrypt_options {
    const char *const *sources; /* files or directories */
    size_t source_count;
    const char *output; /* the model directory to make */
    const char *tenant;
    const char *model; /* NULL: from the first source's name */
    enum tier tier;
    enum encrypt_split split;
    bool raw;         /* take files that do not parse as what they say they are */
    bool force;       /* replace an existing model (RENAME_EXCHANGE); release number + 1 */
    unsigned threads; /* 0: as many as there are CPUs */
    const struct clock_source *clock;
    const struct random_source *random;
    const struct model_progress *progress; /* NULL: none */
};
struct encrypt_summary {
    char model[NAME_PART_MAX + 1];
    uint64_t release;
    uint64_t files;
    uint64_t split_files; /* of them */
    uint64_t shards;
    uint64_t plain_bytes;
    uint8_t manifest_digest[SHA256_BYTES];
};
/* Builds the model in a sibling directory and renames it into place, durable: on any failure, and
 * whenever the process dies, what was at `output` is still there, whole; a leftover sibling of a
 * killed run is removed by the next. Peak memory grows with `threads` and with the number of shards
 * and tensors, not with their size. LETHE_EXISTS without force; LETHE_BUSY: someone else is
 * replacing it; LETHE_CONFLICT: a source or the output was changed meanwhile; LETHE_MALFORMED for a
 * source that is not what it says, and for an output that is no sound model; LETHE_NO_SPACE,
 * LETHE_INVALID, LETHE_LIMIT, and what the key source gives. */
LETHE_MUST_CHECK lethe_result model_encrypt(const struct encrypt_options *options,
                                            const struct key_source *keys,
                                            struct encrypt_summary *out, struct lethe_error *err);

/* ---- open and check -------------------------------------------------------------------------- */

struct model;

/* Reads manifest and signature and checks the form, the directory's list of files and their sizes,
 * but no signature yet. LETHE_NOT_FOUND, LETHE_MALFORMED, LETHE_INTEGRITY. */
LETHE_MUST_CHECK lethe_result model_open(const char *path, struct model **out,
                                         struct lethe_error *err);
void model_close(struct model *model);
DEFINE_CLEANUP(model_close, struct model *);
const struct manifest *model_manifest(const struct model *model);
const char *model_path(const struct model *model);
uint64_t model_plain_bytes(const struct model *model);

/* Checks model.sig with the key, that it covers exactly these files, and that the manifest is the
 * one signed. Must come before load, decrypt and verify (a precondition there). */
LETHE_MUST_CHECK lethe_result model_check_signature(struct model *model,
                                                    const struct sign_public *signer,
                                                    struct lethe_error *err);

/* The same with the tenant's own key that the model names (K-8: an older version will do).
 * LETHE_REVOKED: that version was revoked. For an owner who renews the model (`renewing`) it will
 * do all the same. LETHE_NOT_FOUND: the tenant has no signer. */
LETHE_MUST_CHECK lethe_result model_check_own_signature(struct model *model,
                                                        const struct key_source *keys,
                                                        bool renewing, struct lethe_error *err);

struct files_ahead;
struct model_work {
    unsigned threads;                      /* 0: as many as there are CPUs */
    const struct model_progress *progress; /* NULL: none */
    enum aead_backend backend;             /* AEAD_BACKEND_BEST, but where they are compared */
    const atomic_bool *cancelled; /* loading ends soon after it is set: LETHE_CANCELLED; NULL: no */
    struct files_ahead *ahead;    /* for who loads all files in their order: model/files_ahead.h */
};
/* Every ciphertext byte against the signature; needs no secret. */
LETHE_MUST_CHECK lethe_result model_verify_cipher(struct model *model,
                                                  const struct model_work *work,
                                                  struct lethe_error *err);
/* The same, and on the same pass decrypts every shard and compares the plaintext digest; keeps
 * nothing. */
LETHE_MUST_CHECK lethe_result model_verify(struct model *model, const struct key_source *keys,
                                           const struct model_work *work, struct lethe_error *err);

/* ---- after a rotation ------------------------------------------------------------------------ */

/* How far a model is behind its keys, of which it has one for each tier. */
struct model_key_age {
    const char *key; /* borrowed from the manifest */
    uint64_t newest_version;
    uint64_t shards;
    uint64_t old_shards; /* whose data key is not wrapped under the newest version */
};
struct model_age {
    struct model_key_age keys[TIER_COUNT];
    size_t key_count;
    uint64_t old_shards; /* of all keys                                             */
    bool old_signature;  /* not made by the newest version of the tenant's signer   */
};
/* The model's signature has been checked. */
LETHE_MUST_CHECK lethe_result model_age(const struct model *model, const struct key_source *keys,
                                        struct model_age *out, struct lethe_error *err);

struct rewrap_options {
    const char *path;
    const struct clock_source *clock;
    const struct random_source *random;
};
struct rewrap_summary {
    char tenant[NAME_PART_MAX + 1];
    char model[NAME_PART_MAX + 1];
    uint64_t release;   /* as before when nothing was to be done */
    uint64_t rewrapped; /* shards; 0 with the same release: nothing was to be done */
    bool renewed;
    uint8_t manifest_digest[SHA256_BYTES];
};
/* Wraps the data keys anew under the newest versions, and signs with the newest signer: a new
 * manifest, one release on, beside the same shards. Their files are linked, not read: the digests
 * that the new signature covers are those of the old one, which was checked. Replaces the model as
 * model_encrypt does: old or new, whole, whatever happens. Revoked versions are no obstacle, a
 * destroyed key is. */
LETHE_MUST_CHECK lethe_result model_rewrap(const struct rewrap_options *options,
                                           const struct key_source *keys,
                                           struct rewrap_summary *out, struct lethe_error *err);

/* ---- after a compromise ---------------------------------------------------------------------- */

struct reencrypt_summary {
    char tenant[NAME_PART_MAX + 1];
    char model[NAME_PART_MAX + 1];
    uint64_t release;
    uint64_t shards;
    uint64_t taken_over;   /* of them: done by an earlier run */
    uint64_t plain_bytes;  /* of all shards */
    bool was_done;         /* an earlier run had put it into place, and died behind that */
    const char *discarded; /* why what an earlier run left was of no use; NULL: it was, or nothing
                              was left */
    uint8_t manifest_digest[SHA256_BYTES];
};
struct reencrypt_options {
    const char *path;
    bool restart; /* begin anew, whatever an earlier run left */
    unsigned threads;
    const struct clock_source *clock;
    const struct random_source *random;
    const struct model_progress *progress; /* NULL: none */
    const atomic_bool *cancelled; /* work ends soon after it is set: LETHE_CANCELLED; NULL: no */
    /* The new model is in place, durably. Called once more by a later run when this one dies, or
     * this gives a failure. */
    lethe_result (*published)(void *context, const struct reencrypt_summary *summary,
                              struct lethe_error *err);
    void *context;
};
/* New data keys under the newest versions of their keys, and with them new ciphertext for every
 * shard; plaintext is only ever in guarded memory, a segment per thread. A new manifest, one
 * release on, and a new signature. The model is replaced when all is done, as model_encrypt does:
 * old or new, whole. What a run that failed, was cancelled, or died has finished is kept beside the
 * model (docs/formats.md), and the next run goes on from there after checking every byte of it:
 * shards that are whole are taken over, unless their key was rotated meanwhile. LETHE_INTEGRITY:
 * what was kept was changed by somebody, and nothing of it is used; a shard does not hold what was
 * encrypted. LETHE_EXISTS: something else has the place. LETHE_BUSY, LETHE_CONFLICT as
 * model_encrypt. Revoked versions are no obstacle, a destroyed key is; LETHE_DENIED below the
 * minimum of releases. */
LETHE_MUST_CHECK lethe_result model_reencrypt(const struct reencrypt_options *options,
                                              const struct key_source *keys,
                                              struct reencrypt_summary *out,
                                              struct lethe_error *err);

struct reencrypt_status {
    uint64_t shards;
    uint64_t left_shards;
    uint64_t left_bytes; /* of plaintext */
    bool unfinished;     /* a run was begun, and may be running */
};
/* What is left to do; changes nothing and asks for no lock. The model's signature has been checked.
 * Digests of finished files are not compared. */
LETHE_MUST_CHECK lethe_result model_reencrypt_status(const struct model *model,
                                                     const struct key_source *keys,
                                                     struct reencrypt_status *out,
                                                     struct lethe_error *err);

/* ---- load ------------------------------------------------------------------------------------ */

/* Decrypts a shard into `destination` (shard->size bytes, which nobody else may see yet). The data
 * key is unwrapped for this call and wiped before it returns. On failure the destination has been
 * wiped. */
LETHE_MUST_CHECK lethe_result model_load_shard(struct model *model, size_t shard_index,
                                               const struct key_source *keys, void *destination,
                                               const struct model_work *work,
                                               struct lethe_error *err);
/* The same for all shards of a file, each to its places in it: the file's size_bytes, unless they
 * are 0. A file of several shards takes guarded memory, 1 MiB a thread, and as few threads as there
 * is some for: LETHE_UNPROTECTED when there is none. */
LETHE_MUST_CHECK lethe_result model_load_file(struct model *model, size_t file_index,
                                              const struct key_source *keys, void *destination,
                                              const struct model_work *work,
                                              struct lethe_error *err);
/* Compares a loaded shard with the manifest's digest. LETHE_INTEGRITY. */
LETHE_MUST_CHECK lethe_result model_check_digest(const struct model *model, size_t shard_index,
                                                 const void *plaintext, unsigned threads,
                                                 struct lethe_error *err);
/* The same for all shards of a loaded file; guarded memory as model_load_file. */
LETHE_MUST_CHECK lethe_result model_check_file_digests(const struct model *model, size_t file_index,
                                                       const void *content, unsigned threads,
                                                       struct lethe_error *err);

/* Decrypts into files below `directory` (made new, mode 0700; files 0600) under their original
 * names. On failure nothing is left. LETHE_EXISTS. */
LETHE_MUST_CHECK lethe_result model_decrypt(struct model *model, const struct key_source *keys,
                                            const char *directory, const struct model_work *work,
                                            struct lethe_error *err);

#endif
