/* model/oms.h -- OpenSSF Model Signing v1.0 bundles: model.sig.
 *
 * Sources: ossf/model-signing-spec v1.0; DSSE; in-toto Statement v1. A list of resources (name and
 * SHA-256) is signed with ECDSA; names are "path:start:end" (method `shards`) or "path" (method
 * `files`). Pure functions but for the hashing of files, which works on several threads. */
#ifndef MODEL_OMS_H
#define MODEL_OMS_H

#include "crypto/hash.h"
#include "crypto/sign.h"

#define OMS_SHARD_BYTES ((uint64_t)64 << 20)
#define OMS_BUNDLE_MAX ((size_t)256 << 20)

struct oms_resource {
    char *name; /* path, without :start:end */
    uint64_t start;
    uint64_t end; /* both 0 for method `files` */
    uint8_t digest[SHA256_BYTES];
};
struct oms_list {         /* plain storage; {0} is empty */
    bool whole_files;     /* method `files` */
    uint64_t shard_bytes; /* method `shards` */
    char *subject;        /* name of the model */
    struct oms_resource *resources;
    size_t count;
    size_t capacity;
};
void oms_list_clear(struct oms_list *list);
static inline void oms_list_clear_at_scope_end(struct oms_list *list)
{
    oms_list_clear(list);
}

/* A file of a model directory, in the order of the reference (by path components). */
struct oms_file {
    const char *path;
    uint64_t size_bytes;
};
/* Makes the list for these files: method `shards`, but `files` when one of them is empty; hashes
 * them below dir_fd on `threads` threads. */
struct oms_progress {
    void (*report)(void *context, uint64_t bytes); /* bytes since the last call; any thread */
    void *context;
};
LETHE_MUST_CHECK lethe_result oms_hash_files(int dir_fd, const struct oms_file *files, size_t count,
                                             unsigned threads, const struct oms_progress *progress,
                                             struct oms_list *out, struct lethe_error *err);

/* The statement that is signed, and the DSSE pre-authentication encoding of it. */
LETHE_MUST_CHECK lethe_result oms_statement(const struct oms_list *list, struct buffer *payload,
                                            struct lethe_error *err);
void oms_pae(const void *payload, size_t size_bytes, struct buffer *out);
LETHE_MUST_CHECK lethe_result oms_bundle(const struct buffer *payload,
                                         const struct signature *signature,
                                         const struct sign_public *signer, struct buffer *out,
                                         struct lethe_error *err);

/* Checks media type, signature and statement; gives the list that was signed. LETHE_INTEGRITY for
 * the signature and its digests, LETHE_MALFORMED for the form. Parses nothing that is not verified
 * but the envelope. */
LETHE_MUST_CHECK lethe_result oms_open(const void *bundle, size_t size_bytes,
                                       const struct sign_public *signer, struct oms_list *out,
                                       struct lethe_error *err);
/* That `files` are exactly those signed, each covered without a gap from 0 to its size. Hashes
 * nothing. */
LETHE_MUST_CHECK lethe_result oms_check_cover(const struct oms_list *list,
                                              const struct oms_file *files, size_t count,
                                              struct lethe_error *err);
/* That what was signed is what lies below dir_fd: hashes every byte named. */
LETHE_MUST_CHECK lethe_result oms_check_content(const struct oms_list *list, int dir_fd,
                                                unsigned threads,
                                                const struct oms_progress *progress,
                                                struct lethe_error *err);

#endif
