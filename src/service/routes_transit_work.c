#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "service/policies.h"
#include "service/routes_transit.h"

/* What a large call left is given back, so that it does not stay locked. */
#define SCRATCH_KEPT_BYTES ((size_t)1 << 20)
#define VERSION_DIGITS_MAX 19u /* so that nothing overflows */

static struct {
    struct guarded bytes; /* decoded values */
    struct guarded texts; /* unescaped values of an item */
} scratch;

static void empty(struct guarded *guarded)
{
    if (guarded->capacity_bytes > SCRATCH_KEPT_BYTES)
        guarded_clear(guarded);
    else
        guarded_wipe(guarded);
}

struct guarded *transit_scratch(void)
{
    return &scratch.bytes;
}

void transit_scratch_done(void)
{
    empty(&scratch.bytes);
    empty(&scratch.texts);
}

/* ---- fields ---------------------------------------------------------------------------------- */

const struct field_value *transit_field(const struct transit_item *item, size_t index)
{
    return item->values != NULL ? &item->values[index] : call_field(item->call, index);
}

lethe_result transit_number(const struct field_value *value, const char *name, uint64_t least,
                            uint64_t most, uint64_t *out, struct lethe_error *err)
{
    if (!value->given)
        return LETHE_OK;
    if (value->integer < 0 || (uint64_t)value->integer < least || (uint64_t)value->integer > most)
        return error_set(err, LETHE_INVALID, "%s: expected %" PRIu64 " to %" PRIu64, name, least,
                         most);
    *out = (uint64_t)value->integer;
    return LETHE_OK;
}

lethe_result transit_decode(struct transit_work *work, const struct field_value *value,
                            const char *name, size_t *at, struct lethe_error *err)
{
    *at = work->bytes->size_bytes;
    if (!value->given || value->length == 0)
        return LETHE_OK;
    lethe_result result = field_decode(value, work->bytes);
    if (result == LETHE_MALFORMED)
        return error_set(err, LETHE_INVALID, "%s is not valid base64", name);
    if (result != LETHE_OK)
        return error_set(err, result, "there is no memory for %s", name);
    return LETHE_OK;
}

lethe_result transit_read_use(struct transit_work *work, const struct transit_item *item,
                              struct lethe_error *err)
{
    if (transit_field(item, ITEM_CONTEXT)->length > 0)
        return error_set(err, LETHE_INVALID,
                         "context: this service has no derived keys; use associated_data");
    const struct field_value *version = transit_field(item, ITEM_VERSION);
    if (!version->given)
        version = call_field(work->call, ITEM_VERSION);
    work->use.version = 0;
    return transit_number(version, "key_version", 0, INT64_MAX, &work->use.version, err);
}

uint64_t transit_version_of(const void *text, size_t length)
{
    static const char prefix[] = "vault:v";
    const char *at = text, *end = at + MIN(length, sizeof prefix - 1 + VERSION_DIGITS_MAX);
    uint64_t version = 0;
    if (length < sizeof prefix || memcmp(at, prefix, sizeof prefix - 1) != 0)
        return 0;
    for (at += sizeof prefix - 1; at < end && *at >= '0' && *at <= '9'; at++)
        version = version * 10 + (uint64_t)(*at - '0');
    return version;
}

lethe_result transit_without_key(lethe_result result, const char *missing, struct lethe_error *err)
{
    return result == LETHE_NOT_FOUND ? error_set(err, LETHE_INVALID, "%s", missing) : result;
}

bool transit_model_of(const char *key, char model[RELEASE_NAME_MAX + 1])
{
    enum key_kind kind;
    if (key_name_check(key, &kind, NULL) != LETHE_OK || kind != KEY_ENCRYPTION)
        return false;
    size_t length = (size_t)(strrchr(key, '.') - key);
    memcpy(model, key, length);
    model[length] = '\0';
    return true;
}

/* ---- records --------------------------------------------------------------------------------- */

static const char *policy_digest(const struct transit_work *work)
{
    const struct policies *policies = call_service(work->call)->policies;
    return policies != NULL ? policies_digest(policies) : NULL;
}

static struct audit_event release_event(const struct transit_work *work,
                                        const struct transit_tally *tally)
{
    const char *key = work->use.name, *who = call_caller(work->call)->name;
    const char *purpose = work->release.purpose;
    if (tally->result == LETHE_OK)
        return audit_key_released(key, tally->version, purpose, who, NULL, policy_digest(work),
                                  tally->shards);
    return audit_key_denied(key, tally->version, purpose, who, NULL, policy_digest(work),
                            tally->shards, lethe_result_sentence(tally->result));
}

static struct audit_event event_of(const struct transit_work *work,
                                   const struct transit_tally *tally)
{
    if (work->release.is_one)
        return release_event(work, tally);
    const char *decision = tally->result == LETHE_OK ? "allowed" : "refused";
    return audit_key_used(work->use.name, tally->version, work->operation->purpose, decision,
                          tally->count);
}

static void flush(struct transit_work *work, struct transit_tally *tally)
{
    if (tally->count == 0)
        return;
    const struct audit_event event = event_of(work, tally);
    call_record(work->call, &event);
    *tally = (struct transit_tally){0};
}

/* A record names every shard: what does not fit goes into the next one. */
static void add_shard(struct transit_work *work, struct transit_tally *tally,
                      const struct field_value *shard)
{
    size_t length = MIN(shard->length, sizeof tally->shards - 1);
    size_t used = strlen(tally->shards);
    if (length == 0)
        return;
    if (used > 0 && used + 1 + length >= sizeof tally->shards) {
        flush(work, tally);
        used = 0;
    }
    if (used > 0)
        tally->shards[used++] = ',';
    memcpy(tally->shards + used, shard->text, length);
    tally->shards[used + length] = '\0';
}

static void count(struct transit_work *work, const struct transit_item *item, lethe_result result)
{
    struct transit_tally *tally = result == LETHE_OK ? &work->done : &work->refused;
    if (tally->version != work->version || tally->result != result)
        flush(work, tally);
    if (work->release.is_one)
        add_shard(work, tally, transit_field(item, work->operation->shard));
    tally->version = work->version;
    tally->result = result;
    tally->count++;
}

/* What concerns no key that there is, or says nothing that could be opened, is no use of one. */
static bool is_a_use(lethe_result result)
{
    return result != LETHE_NOT_FOUND && result != LETHE_MALFORMED && result != LETHE_INVALID;
}

lethe_result transit_refuse(struct transit_work *work, lethe_result result)
{
    const struct transit_item item = {.call = work->call};
    count(work, &item, result);
    flush(work, &work->refused);
    return result;
}

/* ---- one item, or many ----------------------------------------------------------------------- */

void transit_begin(struct transit_work *work, struct call *call,
                   const struct transit_operation *operation)
{
    *work = (struct transit_work){.call = call,
                                  .operation = operation,
                                  .engine = call_service(call)->engine,
                                  .bytes = &scratch.bytes};
    work->use.name = call_capture(call, "name");
}

static lethe_result do_item(struct transit_work *work, const struct transit_item *item,
                            struct lethe_error *err)
{
    work->version = 0;
    lethe_result result = work->operation->handle(work, item, err);
    if (result == LETHE_OK)
        result = guarded_result(work->bytes, err);
    guarded_wipe(work->bytes);
    if (result == LETHE_OK || work->release.is_one || is_a_use(result))
        count(work, item, result);
    return transit_without_key(result, work->operation->missing, err);
}

static lethe_result run_single(struct transit_work *work, struct lethe_error *err)
{
    const struct transit_item item = {.call = work->call};
    work->writer = answer_data(work->call);
    return do_item(work, &item, err);
}

static bool is_the_callers(lethe_result result)
{
    switch (result) {
    case LETHE_INVALID:
    case LETHE_MALFORMED:
    case LETHE_INTEGRITY:
    case LETHE_LIMIT:
    case LETHE_REVOKED:
    case LETHE_DENIED:
        return true;
    default:
        return false;
    }
}

struct batch {
    const struct field_value *list;
    const char *at;
    uint64_t items, failed;
};

/* The element of batch_results: what the item gives, or why it does not. */
static lethe_result write_result(struct transit_work *work, const struct field_value *values,
                                 lethe_result read, struct lethe_error *err)
{
    const struct transit_item item = {.call = work->call, .values = values};
    struct json_writer *writer = work->writer;
    const struct field_value *reference = &values[ITEM_REFERENCE];
    json_begin_object(writer, NULL);
    size_t start = writer->out->size_bytes;
    lethe_result result = read == LETHE_OK ? do_item(work, &item, err) : read;
    if (result != LETHE_OK) {
        guarded_truncate(writer->out, start);
        writer->needs_comma = false;
        json_put_text(writer, "error", err->text);
    }
    if (reference->length > 0)
        json_put_bytes(writer, "reference", reference->text, reference->length);
    json_end_object(writer);
    return result;
}

static lethe_result do_batch(struct transit_work *work, struct batch *batch,
                             struct lethe_error *err)
{
    struct field_value values[FIELDS_MAX];
    struct lethe_error why;
    for (;;) {
        memset(values, 0, sizeof values);
        lethe_result result = field_item_next(work->operation->items, batch->list, &batch->at,
                                              &scratch.texts, values, &why);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        if (result != LETHE_OK && result != LETHE_INVALID)
            return error_set(err, result, "%s", why.text);
        result = write_result(work, values, result, &why);
        guarded_wipe(&scratch.texts);
        batch->items++;
        batch->failed += result != LETHE_OK;
        if (result != LETHE_OK && !is_the_callers(result))
            return error_set(err, result, "%s", why.text);
    }
}

static lethe_result set_status(struct transit_work *work, const struct batch *batch,
                               struct lethe_error *err)
{
    uint64_t status = 400, wanted = 400;
    if (work->operation->partial == 0)
        return LETHE_OK;
    TRY(transit_number(call_field(work->call, work->operation->partial),
                       "partial_failure_response_code", 200, 599, &wanted, err));
    if (batch->failed < batch->items)
        status = wanted;
    if (batch->failed > 0)
        answer_status(work->call, (unsigned)status);
    return LETHE_OK;
}

static lethe_result run_batch(struct transit_work *work, struct lethe_error *err)
{
    struct batch batch = {.list = call_field(work->call, work->operation->batch)};
    work->writer = answer_data(work->call);
    json_begin_array(work->writer, "batch_results");
    TRY(do_batch(work, &batch, err));
    json_end_array(work->writer);
    if (batch.items == 0)
        return error_set(err, LETHE_INVALID, "missing batch input to process");
    return set_status(work, &batch, err);
}

lethe_result transit_run(struct transit_work *work, struct lethe_error *err)
{
    size_t batch = work->operation->batch;
    bool is_batch = batch != 0 && call_field(work->call, batch)->given;
    lethe_result result = is_batch ? run_batch(work, err) : run_single(work, err);
    flush(work, &work->done);
    flush(work, &work->refused);
    transit_scratch_done();
    return result;
}
