/* service/routes_transit.h -- what the files of transit/ share; for them only.
 *
 * encrypt, decrypt, rewrap, hmac, sign and verify are all done the same way: one item, whose fields
 * are those of the call itself, or the items of `batch_input`, one after another. What they need
 * meanwhile lies in guarded memory that is used again for the next call and wiped in between, so
 * that a call allocates nothing. Thread rule: the keeper's one thread. */
#ifndef SERVICE_ROUTES_TRANSIT_H
#define SERVICE_ROUTES_TRANSIT_H

#include "service/call.h"
#include "service/service.h"

/* ---- routes_transit_work.c ------------------------------------------------------------------- */

/* The places that all tables of such fields have in common. */
enum transit_field {
    ITEM_TEXT, /* plaintext, ciphertext or input */
    ITEM_CONTEXT,
    ITEM_REFERENCE,
    ITEM_VERSION,
    ITEM_COMMON, /* from here on: of some operations only */
};

struct transit_item {
    struct call *call;                /* whose fields they are, unless */
    const struct field_value *values; /* this is an item of a batch: not NULL */
};
const struct field_value *transit_field(const struct transit_item *item, size_t index);

/* A release of a data key: a decryption that says what for, or is under a model's key. */
struct transit_release {
    bool is_one;
    char purpose[32];
};
/* Uses in a row that are one record, which is not written yet. */
struct transit_tally {
    lethe_result result;
    uint64_t version, count;
    char shards[AUDIT_TEXT_MAX]; /* of a release: their ids, with commas between */
};

struct transit_work;
/* Writes the members of its result. On failure, what it wrote is taken back. */
typedef lethe_result transit_handler(struct transit_work *work, const struct transit_item *item,
                                     struct lethe_error *err);
struct transit_operation {
    const char *purpose; /* for the records */
    const char *missing; /* said when there is no such key */
    size_t shard;        /* place of `shard` in an item's fields; 0: it has none */
    const struct field *items;
    size_t batch;   /* place of batch_input in the call's fields; 0: it has none */
    size_t partial; /* of partial_failure_response_code; 0: a batch with failures is 200 */
    transit_handler *handle;
};
struct transit_work {
    struct call *call;
    const struct transit_operation *operation;
    struct engine *engine;
    struct json_writer *writer;
    struct guarded *bytes; /* empty before each item, wiped after it */
    struct engine_use use;
    uint64_t version; /* that the item used; 0: not known */
    struct transit_release release;
    struct transit_tally done, refused;
};
void transit_begin(struct transit_work *work, struct call *call,
                   const struct transit_operation *operation);
/* The item or the batch, and what they leave on record: one record for all items in a row that used
 * the same version. */
LETHE_MUST_CHECK lethe_result transit_run(struct transit_work *work, struct lethe_error *err);
/* Puts on record that the call was refused before anything was done; gives `result`. */
lethe_result transit_refuse(struct transit_work *work, lethe_result result);

/* key_version of an item, or of the call, into work->use; there are no contexts. */
LETHE_MUST_CHECK lethe_result transit_read_use(struct transit_work *work,
                                               const struct transit_item *item,
                                               struct lethe_error *err);
/* Decodes base64 to the end of work->bytes; *at is where it begins there. */
LETHE_MUST_CHECK lethe_result transit_decode(struct transit_work *work,
                                             const struct field_value *value, const char *name,
                                             size_t *at, struct lethe_error *err);
/* The version that "vault:v<N>:..." says; 0: none. */
uint64_t transit_version_of(const void *text, size_t length);
/* A number of a field that has a least and a greatest value. */
LETHE_MUST_CHECK lethe_result transit_number(const struct field_value *value, const char *name,
                                             uint64_t least, uint64_t most, uint64_t *out,
                                             struct lethe_error *err);
/* The same guarded memory, for what is not an operation with items; wiped by
 * transit_scratch_done().
 */
struct guarded *transit_scratch(void);
void transit_scratch_done(void);

/* LETHE_NOT_FOUND, which is 404, becomes the 400 that operations on unknown keys give. */
lethe_result transit_without_key(lethe_result result, const char *missing, struct lethe_error *err);
/* What a model's key belongs to, "TENANT.MODEL"; false: it is no model's. */
bool transit_model_of(const char *key, char model[RELEASE_NAME_MAX + 1]);

/* ---- keys ------------------------------------------------------------------------------------ */

LETHE_MUST_CHECK lethe_result transit_write_key(struct call *call, const char *name,
                                                struct lethe_error *err);
bool transit_key_exists(struct call *call);
bool transit_can_encrypt(struct call *call); /* the key is there, or none would be made */

/* Fields and handlers, each beside the others of its file. */
extern const struct field transit_encrypt_fields[], transit_decrypt_fields[],
    transit_rewrap_fields[], transit_datakey_fields[], transit_hmac_fields[], transit_sign_fields[],
    transit_verify_fields[], transit_create_fields[], transit_config_fields[],
    transit_trim_fields[], transit_restore_fields[], transit_random_fields[], transit_hash_fields[];
call_handler transit_encrypt, transit_decrypt, transit_rewrap, transit_datakey, transit_hmac,
    transit_sign, transit_verify, transit_create, transit_read, transit_list, transit_delete,
    transit_config, transit_rotate, transit_trim, transit_export, transit_backup, transit_restore,
    transit_random, transit_hash;

#endif
