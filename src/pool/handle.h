/* pool/handle.h -- a lease that waits for another process, as JSON: docs/formats.md, "Pool
 * handles".
 *
 * All of it but the wrapped key is bound to that key as associated data: a handle that was changed
 * does not open. Pure. Thread rule: none. */
#ifndef POOL_HANDLE_H
#define POOL_HANDLE_H

#include "base/buffer.h"
#include "crypto/block_seal.h"
#include "pool/versions.h"
#include "pool/wire.h"

#define POOL_HANDLE_VERSIONS_MAX 1024u
#define POOL_HANDLE_MAX ((size_t)256 << 10)
#define POOL_HANDLE_KEY_MAX 512u /* a wrapped key */

struct pool_handle {
    uint64_t size_bytes; /* of what is stored */
    uint64_t bytes;      /* of the lease */
    uint32_t block_bytes;
    char tenant[65];
    uint8_t space[BLOCK_SPACE_BYTES];
    char key[POOL_HANDLE_KEY_MAX]; /* "vault:v1:..." */
    size_t copies;
    struct {
        struct lease_id lease;
        char provider[SPIFFE_ID_MAX + 1];
        char address[WIRE_ADDRESS_MAX + 1];
    } at[WIRE_COPIES_MAX];
    struct version_list versions; /* of `entries` below */
    struct version_entry entries[POOL_HANDLE_VERSIONS_MAX];
};

/* Appends JSON, and a newline. */
LETHE_MUST_CHECK lethe_result pool_handle_write(const struct pool_handle *handle,
                                                struct buffer *out, struct lethe_error *err);
/* LETHE_MALFORMED: no handle, or one that says what cannot be. *out stays where it is. */
LETHE_MUST_CHECK lethe_result pool_handle_read(const char *text, size_t size_bytes,
                                               struct pool_handle *out, struct lethe_error *err);
/* Appends what the wrapped key is bound to. */
void pool_handle_aad(const struct pool_handle *handle, struct buffer *out);

#endif
