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
#define OMS_RESOURCES_MAX ((size_t)1 << 18) /* 16 TiB in pieces of 64 MiB                  */
#define OMS_BUNDLE_MAX ((size_t)64 << 20)   /* what so many names and digests take, in base64 */

struct oms_range { /* bytes [start, end) of a file; both 0 (the whole file) for method `files` */
    const char *path;
    uint64_t start;
    uint64_t end;
};
struct oms_resource {
    char *path; /* owned by the list */
    uint64_t start;
    uint64_t end;
    uint8_t digest[SHA256_BYTES];
};
/* Plain storage; {0} is empty. Who makes a list sets the first three fields. */
struct oms_list {
    bool whole_files;     /* method `files` instead of `shards` */
    uint64_t shard_bytes; /* method `shards` */
    char *subject;        /* name of the model; owned (malloc) */
    bool as_written;      /* oms_open(): the bundle is, byte for byte, what oms_bundle() writes */
    struct oms_resource *resources;
    size_t count;
    size_t capacity;
};
void oms_list_clear(struct oms_list *list);
static inline void oms_list_clear_at_scope_end(struct oms_list *list)
{
    oms_list_clear(list);
}

/* Adds what was hashed elsewhere (an encrypter that saw the bytes anyway); takes a copy of the
 * path. Any order: oms_statement() sorts. LETHE_INVALID (a path that validate_relative_path
 * refuses), LETHE_LIMIT, LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result oms_list_add(struct oms_list *list, const struct oms_range *range,
                                           const uint8_t digest[SHA256_BYTES],
                                           struct lethe_error *err);

/* The first piece of a file in a list that is in order; its others follow. NULL: not in the list.
 */
const struct oms_resource *oms_list_find(const struct oms_list *list, const char *path);

/* A file of a model directory. */
struct oms_file {
    const char *path;
    uint64_t size_bytes;
};
struct oms_progress {
    void (*report)(void *context, uint64_t bytes); /* bytes since the last call; any thread */
    void *context;
};
struct oms_work {
    int dir_fd;                          /* the model's directory */
    unsigned threads;                    /* 0: as many as there are CPUs */
    const struct oms_progress *progress; /* NULL: none */
};
/* Adds these files to an empty list and hashes them: method `shards` in pieces of OMS_SHARD_BYTES,
 * but `files` when one of them is empty (`shards` could not say so). Symlinks are refused at every
 * level. A release is signed from the digests that its manifest has; this is for who has files
 * only, as the reference has, which the tests of interoperability ask. LETHE_INTEGRITY: a file is
 * missing, shorter than size_bytes or no file. The caller clears *out, on failure too. */
LETHE_MUST_CHECK lethe_result oms_hash_files(const struct oms_work *how,
                                             const struct oms_file *files, size_t count,
                                             struct oms_list *out, struct lethe_error *err);

/* The statement that is signed, after bringing the list into the order of the reference (by path
 * components, then by start); and the DSSE pre-authentication encoding of it. The list's subject is
 * set. LETHE_INVALID: the list is empty, or its files overlap or have gaps. */
LETHE_MUST_CHECK lethe_result oms_statement(struct oms_list *list, struct buffer *payload,
                                            struct lethe_error *err);
void oms_pae(const void *payload, size_t size_bytes, struct buffer *out);
/* `signature` is over the PAE, made with the signer's ECDSA key. */
LETHE_MUST_CHECK lethe_result oms_bundle(const struct buffer *payload,
                                         const struct signature *signature,
                                         const struct sign_public *signer, struct buffer *out,
                                         struct lethe_error *err);

/* Which key a bundle says that it was signed with (hex SHA-256 of its PEM), for choosing among keys
 * that are trusted anyway; "" when it does not say. Nothing is checked but the envelope's form. */
LETHE_MUST_CHECK lethe_result oms_peek_hint(const void *bundle, size_t size_bytes,
                                            char out[2 * SHA256_BYTES + 1],
                                            struct lethe_error *err);

/* Checks media type, signature and statement; gives the list that was signed, in the order of
 * oms_statement(). LETHE_INTEGRITY for key, signature and root digest, LETHE_MALFORMED for the
 * form, LETHE_INVALID for a key that is not ECDSA. Parses nothing that is not verified but the
 * envelope. Understands bundles of model-signing v1.0.1 and v1.1.0; refuses certificates, other
 * hashes than SHA-256, allow_symlinks, more than one signature, and the single-file form (resource
 * "."): a model is a directory. The signed ignore_paths are not followed: what is not listed is not
 * part of the model. */
LETHE_MUST_CHECK lethe_result oms_open(const void *bundle, size_t size_bytes,
                                       const struct sign_public *signer, struct oms_list *out,
                                       struct lethe_error *err);
/* That `files` (any order) are exactly those signed, each covered without a gap from 0 to its size.
 * Hashes nothing. LETHE_INTEGRITY. */
LETHE_MUST_CHECK lethe_result oms_check_cover(const struct oms_list *list,
                                              const struct oms_file *files, size_t count,
                                              struct lethe_error *err);
/* That what was signed is what lies in the directory: hashes every byte named, refuses symlinks.
 * Files that were not signed, and bytes behind a file's last piece, are oms_check_cover's part.
 * LETHE_INTEGRITY. */
LETHE_MUST_CHECK lethe_result oms_check_content(const struct oms_list *list,
                                                const struct oms_work *how,
                                                struct lethe_error *err);

#endif
