/* kms/key_rows.h -- what the keyring's rows hold, as bytes. Rows are authenticated by the store;
 * they are parsed as if they were not. Formats: docs/formats.md, "Keys". */
#ifndef KMS_KEY_ROWS_H
#define KMS_KEY_ROWS_H

#include "kms/keyring.h"

#define KEY_MATERIAL_MAX ENGINE_TYPE_BYTES_MAX

struct key_row { /* "keys/<name>" */
    enum engine_type type;
    uint64_t newest_version;
    uint64_t revoked_through;
    bool destroyed;
    uint64_t rotate_every_s;
    uint64_t min_available;
    uint64_t min_decryption; /* at least 1 */
    uint64_t min_encryption;
    bool exportable, plaintext_backup, deletion_allowed, imported;
};
#define KEY_ROW_BYTES (4 + 6 * sizeof(uint64_t))
/* Older forms are read, the newest is written. LETHE_MALFORMED, also for what no key can be: a
 * minimum above the newest version, or above another that it may not pass. */
LETHE_MUST_CHECK lethe_result key_row_parse(const void *bytes, size_t size_bytes,
                                            struct key_row *out);
void key_row_format(const struct key_row *key, uint8_t out[KEY_ROW_BYTES]);

struct version_row { /* "keys/<name>/<version>" */
    uint64_t created_s;
    uint64_t uses;
    const uint8_t *material; /* borrowed from the row's bytes */
    size_t material_bytes;   /* 32 or 48 */
    const uint8_t *hmac;     /* KEY_HMAC_BYTES; NULL in the older form */
    uint64_t written;        /* how often the row was, as the store counts; not in the bytes */
};
#define VERSION_ROW_MAX (2 + 2 * sizeof(uint64_t) + KEY_MATERIAL_MAX + KEY_HMAC_BYTES)
LETHE_MUST_CHECK lethe_result version_row_parse(const void *bytes, size_t size_bytes,
                                                struct version_row *out);
/* `out` is guarded memory. In the older form when there is no HMAC key. Gives the size. */
size_t version_row_format(const struct version_row *version, uint8_t out[VERSION_ROW_MAX]);

/* "minimums/<tenant>.<model>" */
#define MINIMUM_ROW_BYTES (1 + sizeof(uint64_t))
LETHE_MUST_CHECK lethe_result minimum_row_parse(const struct lethe_secret *row, uint64_t *minimum);
void minimum_row_format(uint64_t minimum, uint8_t out[MINIMUM_ROW_BYTES]);

#endif
