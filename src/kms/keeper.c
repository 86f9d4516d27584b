#include "kms/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"
#include "kms/home_lock.h"
#include "kms/keeper_core.h"
#include "kms/outbox.h"
#include "kms/root_record.h"

/* ---- putting the pieces together ------------------------------------------------------------- */

static void keeper_free(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    keeper_keys_clear(keeper);
    sign_pair_free(keeper->log_pair);
    store_close(keeper->store);
    root_free(keeper->opened);
    free(keeper->lock_path);
    free(keeper->actor);
    free(keeper);
}
DEFINE_CLEANUP(keeper_free, struct keeper *);

static lethe_result keeper_new(const struct keeper_options *options, struct keeper **out,
                               struct lethe_error *err)
{
    TRY(validate_identifier("node", options->node, NAME_PART_MAX, err));
    CLEANUP(keeper_free) struct keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper != NULL) {
        keeper->lock_path = strdup(options->lock_path);
        keeper->actor = strdup(options->actor);
    }
    if (keeper == NULL || keeper->lock_path == NULL || keeper->actor == NULL) {
        error_set(err, LETHE_NO_MEMORY, "no memory to open a home");
        return LETHE_NO_MEMORY;
    }
    keeper->clock = options->clock != NULL ? options->clock : &clock_system;
    keeper->random = options->random != NULL ? options->random : &random_system;
    keeper_keys_init(keeper);
    *out = MOVE(keeper);
    return LETHE_OK;
}

static lethe_result sign_for_log(void *context, const void *bytes, size_t size_bytes,
                                 uint8_t signature[64], struct lethe_error *err)
{
    const struct keeper *keeper = context;
    struct signature made;
    TRY(sign_message(keeper->log_pair, bytes, size_bytes, &made, err));
    REQUIRE(made.size_bytes == 64);
    memcpy(signature, made.bytes, 64);
    return LETHE_OK;
}

/* A log that is gone must not be begun anew: the new one would hide that there was another. */
static lethe_result check_log_is_there(const struct keeper_options *options, const struct pin *pin,
                                       struct lethe_error *err)
{
    if (pin->records == 0 || access(options->audit_directory, F_OK) == 0)
        return LETHE_OK;
    if (errno != ENOENT && errno != ENOTDIR)
        return error_from_errno(err, "looking for the log %s", options->audit_directory);
    error_set(err, LETHE_INTEGRITY, "the log %s is missing: it had %" PRIu64 " records",
              options->audit_directory, pin->records);
    error_hint(err, "put back the files of the log");
    return LETHE_INTEGRITY;
}

/* With the store unlocked and the home's lock held. */
/* Every home has its log key from the start: one that is missing has another node's name. */
static lethe_result load_log_pair(struct keeper *keeper, const char *node, struct lethe_error *err)
{
    char name[KEY_NAME_MAX + 1];
    keeper_log_key_name(node, name);
    lethe_result result = keeper_load_pair(keeper->store, name, 0, &keeper->log_pair, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INTEGRITY, "this home's node is not called '%s'", node);
    return result;
}

static lethe_result open_log(struct keeper *keeper, const struct keeper_options *options,
                             struct lethe_error *err)
{
    struct pin pin;
    size_t raw_bytes;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    TRY(load_log_pair(keeper, options->node, err));
    sign_public_raw(sign_pair_public(keeper->log_pair), raw, &raw_bytes);
    struct audit_signer *signer = &keeper->log_signer;
    *signer = (struct audit_signer){.sign = sign_for_log, .context = keeper};
    REQUIRE(raw_bytes == sizeof signer->key.public_key);
    memcpy(signer->key.public_key, raw, raw_bytes);
    snprintf(signer->key.name, sizeof signer->key.name, LOG_ORIGIN_PREFIX "%s", options->node);

    TRY(pin_get(keeper->store, &pin, err));
    TRY(check_log_is_there(options, &pin, err));
    const struct audit_options log_options = {
        .directory = options->audit_directory,
        .node = options->node,
        .clock = keeper->clock,
        .signer = *signer,
        .limits = options->audit_limits,
    };
    return audit_open(&log_options, &keeper->log, err);
}

/* Opens and settles the log of a keeper whose store is unlocked. */
static lethe_result attach_log(struct keeper *keeper, const struct keeper_options *options,
                               struct lethe_error *err)
{
    TRY(open_log(keeper, options, err));
    lethe_result result = keeper_settle(keeper, err);
    if (result != LETHE_OK)
        (void)!audit_close(MOVE(keeper->log), NULL);
    return result;
}

/* ---- closing ------------------------------------------------------------------------------- */

/* Closes all of it, whatever `result` is, and gives the first failure. */
static lethe_result close_all(struct keeper *keeper, lethe_result result, struct lethe_error *err)
{
    lethe_result closed = audit_close(MOVE(keeper->log), result == LETHE_OK ? err : NULL);
    keeper_free(keeper);
    return result != LETHE_OK ? result : closed;
}

/* ---- making a home --------------------------------------------------------------------------- */

static lethe_result fill_store(struct keeper *keeper, const struct keeper_options *options,
                               const struct buffer *root_record, struct lethe_error *err)
{
    char name[KEY_NAME_MAX + 1];
    struct store *store = keeper->store;
    const struct audit_who who = keeper_who(keeper, "");
    const struct pin nothing = {0};
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    TRY(store_meta_put(transaction, ROOT_META, root_record->bytes, root_record->size_bytes, err));
    keeper_log_key_name(options->node, name);
    TRY(keyring_create(transaction, name, clock_wall_ns(keeper->clock) / 1000000000u, err));
    const struct audit_event event =
        audit_home_created(root_kind_name(keeper->root.kind), store_epoch(transaction) + 1);
    TRY(outbox_put(transaction, &who, &event, err));
    TRY(pin_put(transaction, &nothing, err));
    return store_commit(transaction, err);
}

static lethe_result make_store_and_log(struct keeper *keeper, const struct keeper_options *options,
                                       const struct buffer *root_record,
                                       const struct lethe_secret *store_key,
                                       struct lethe_error *err)
{
    TRY(store_open(options->store_path, true, &keeper->store, err));
    TRY(store_format(keeper->store, store_key, err));
    TRY(fill_store(keeper, options, root_record, err));
    return attach_log(keeper, options, err);
}

static void remove_all(const struct keeper_options *options)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        CLEANUP(memory_free) char *path = NULL;
        if (asprintf(&path, "%s%s", options->store_path, suffixes[i]) >= 0)
            unlink(path);
    }
    (void)!file_remove_tree(AT_FDCWD, options->audit_directory, NULL);
    unlink(options->lock_path);
}

static lethe_result check_nothing_there(const struct keeper_options *options,
                                        struct lethe_error *err)
{
    const char *const paths[] = {options->store_path, options->audit_directory};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (access(paths[i], F_OK) == 0)
            return error_set(err, LETHE_EXISTS, "%s is there already", paths[i]);
    }
    return LETHE_OK;
}

/* What was made is removed again unless all of it was. */
static lethe_result make_all(struct keeper *keeper, const struct keeper_options *options,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    lethe_result result = root_create(&keeper->root, keeper->random, &record, &store_key, err);
    if (result != LETHE_OK) {
        keeper_free(keeper);
        return result;
    }
    const struct root_spec root = keeper->root;
    result = make_store_and_log(keeper, options, &record, store_key, err);
    if (result == LETHE_OK)
        result = close_all(keeper, keeper_pin(keeper, err), err);
    else
        keeper_free(keeper);
    if (result != LETHE_OK) {
        root_remove(&root);
        remove_all(options);
    }
    return result;
}

lethe_result keeper_create(const struct keeper_options *options, const struct root_spec *root,
                           struct lethe_error *err)
{
    CLEANUP(keeper_free) struct keeper *keeper = NULL;
    CLEANUP(home_unlock) int lock = -1;
    TRY(keeper_new(options, &keeper, err));
    TRY(home_lock(options->lock_path, HOME_LOCK_TIMEOUT_MS, &lock, err));
    TRY(check_nothing_there(options, err));
    keeper->root = *root;
    return make_all(MOVE(keeper), options, err);
}

/* ---- opening, and closing again ---------------------------------------------------------------
 */

static lethe_result read_root_record(struct store *store, struct buffer *record,
                                     struct lethe_error *err)
{
    lethe_result result = store_meta_get(store, ROOT_META, record, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INTEGRITY, "the store's record of its root is missing");
    return result;
}

lethe_result keeper_root_record(struct keeper *keeper, struct buffer *record,
                                struct lethe_error *err)
{
    return read_root_record(keeper->store, record, err);
}

lethe_result keeper_peek_root(const char *store_path, struct root_spec *out,
                              struct lethe_error *err)
{
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    struct root_record record;
    TRY(store_open(store_path, false, &store, err));
    TRY(read_root_record(store, &bytes, err));
    TRY(root_record_parse(bytes.bytes, bytes.size_bytes, &record, err));
    *out = record.spec;
    return LETHE_OK;
}

/* The head does not open any more: another process has changed the store key, or someone the head.
 */
static lethe_result look_up_store_key(void *context, struct lethe_secret **store_key,
                                      struct lethe_error *err)
{
    struct keeper *keeper = context;
    CLEANUP(buffer_clear) struct buffer record = {0};
    TRY(keeper_root_record(keeper, &record, err));
    return error_context(err, root_unwrap(keeper->opened, &record, store_key, err),
                         "the store has got another key");
}

/* May wait for a person, so it comes before the lock. */
static lethe_result read_root(struct keeper *keeper, const struct keeper_options *options,
                              struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer record = {0};
    TRY(store_open(options->store_path, false, &keeper->store, err));
    TRY(keeper_root_record(keeper, &record, err));
    TRY(root_read(&record, options->passphrase_fd, &keeper->opened, err));
    keeper->root = *root_spec(keeper->opened);
    return LETHE_OK;
}

/* With the lock held, so that nobody changes root and record meanwhile. A root file that could not
 * be settled opens all the same; the next change of the root insists. */
static lethe_result unlock_store(struct keeper *keeper, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    TRY(keeper_root_record(keeper, &record, err));
    TRY(root_unwrap(keeper->opened, &record, &store_key, err));
    TRY(store_unlock(keeper->store, store_key, err));
    store_follow(keeper->store, look_up_store_key, keeper);
    (void)!root_settle(keeper->opened, NULL);
    return LETHE_OK;
}

lethe_result keeper_open(const struct keeper_options *options, struct keeper **out,
                         struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(keeper_free) struct keeper *keeper = NULL;
    CLEANUP(home_unlock) int lock = -1;
    TRY(keeper_new(options, &keeper, err));
    TRY(read_root(keeper, options, err));
    TRY(home_lock(options->lock_path, HOME_LOCK_TIMEOUT_MS, &lock, err));
    TRY(unlock_store(keeper, err));
    TRY(attach_log(keeper, options, err));
    *out = MOVE(keeper);
    return LETHE_OK;
}

lethe_result keeper_close(struct keeper *keeper, struct lethe_error *err)
{
    if (keeper == NULL)
        return LETHE_OK;
    CLEANUP(home_unlock) int lock = -1;
    lethe_result result = keeper_lock(keeper, &lock, err);
    if (result == LETHE_OK)
        result = keeper_pin(keeper, err);
    return close_all(keeper, result, err);
}

/* ---- what it holds --------------------------------------------------------------------------- */

struct audit_log *keeper_log(struct keeper *keeper)
{
    return keeper->log;
}

struct audit_who keeper_who(const struct keeper *keeper, const char *tenant)
{
    return (struct audit_who){.actor = keeper_actor(keeper), .tenant = tenant, .session = ""};
}

const struct root_spec *keeper_root(const struct keeper *keeper)
{
    return &keeper->root;
}

const struct key_source *keeper_key_source(struct keeper *keeper)
{
    return &keeper->source;
}

const struct audit_signer *keeper_log_signer(const struct keeper *keeper)
{
    return &keeper->log_signer;
}

lethe_result keeper_log_key(struct keeper *keeper, struct audit_key *out, struct lethe_error *err)
{
    *out = keeper->log_signer.key;
    return LETHE_OK;
}
