/* lethe/: the log, events, rotation; and /metrics. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "audit/lines.h"
#include "audit/prover.h"
#include "audit/start.h"
#include "base/error.h"
#include "base/file.h"
#include "service/core_core.h"
#include "service/openapi.h"

#define LINES_DEFAULT 1000
#define LINES_MAX 10000
#define LINES_BYTES ((size_t)4 << 20) /* then the answer ends, too */

static const char *log_directory(struct call *call)
{
    return call_service(call)->options.keeper.audit_directory;
}

static lethe_result read_number(const struct field_value *value, const char *name, uint64_t most,
                                uint64_t *out, struct lethe_error *err)
{
    if (!value->given)
        return LETHE_OK;
    if (value->integer < 0 || (uint64_t)value->integer > most)
        return error_set(err, LETHE_INVALID, "%s: expected 0 to %llu", name,
                         (unsigned long long)most);
    *out = (uint64_t)value->integer;
    return LETHE_OK;
}

/* ---- records --------------------------------------------------------------------------------- */

enum { AUDIT_FROM, AUDIT_LIMIT };
static const struct field audit_fields[] = {
    {"from", FIELD_INTEGER, false, "number of the first record that is wanted", NULL},
    {"limit", FIELD_INTEGER, false, "how many at most", NULL},
    {0}};

struct reading {
    uint64_t from, until; /* records [from, until) */
    size_t bytes_max;     /* of `out`, in which others' answers may stand before */
    struct guarded *out;
};

/* Lines from near the first that is wanted. A reader checks them against a checkpoint for itself.
 */
static lethe_result copy_lines(struct lines *lines, uint64_t seq, const struct reading *reading,
                               struct lethe_error *err)
{
    const char *line;
    size_t length;
    for (; seq < reading->until && reading->out->size_bytes < reading->bytes_max; seq++) {
        TRY(lines_next(lines, &line, &length, err));
        if (line == NULL)
            return LETHE_OK;
        if (seq < reading->from)
            continue;
        guarded_append(reading->out, line, length);
        guarded_append(reading->out, "\n", 1);
    }
    return LETHE_OK;
}

static lethe_result read_lines(struct call *call, const struct reading *reading,
                               struct lethe_error *err)
{
    CLEANUP(fd_close) int directory = -1;
    CLEANUP(files_unlock) int lock = -1; /* nobody trims meanwhile */
    CLEANUP(files_view_clear) struct files_view view = {0};
    CLEANUP(lines_close) struct lines lines = {0};
    struct audit_key key;
    struct replay start;
    TRY(keeper_log_key(call_service(call)->keeper, &key, err));
    directory = open(log_directory(call), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_from_errno(err, "opening the log");
    TRY(files_lock_shared(directory, &lock, err));
    TRY(files_look(directory, &view, err));
    TRY(start_near(directory, &view, &key, reading->from, &start, err));
    lines_open(&lines, directory, &view);
    if (start.number > 0)
        TRY(lines_seek(&lines, start.number, start.offset, start.line, err));
    return copy_lines(&lines, start.chain.tree.leaves, reading, err);
}

/* What a checkpoint covers, one record a line, exactly as it stands in the log. */
static lethe_result read_audit(struct call *call, struct lethe_error *err)
{
    struct audit_head head;
    uint64_t limit = LINES_DEFAULT;
    struct reading reading = {0};
    const struct audit_event event = audit_log_read("lethe/audit");
    TRY(read_number(call_field(call, AUDIT_FROM), "from", INT64_MAX, &reading.from, err));
    TRY(read_number(call_field(call, AUDIT_LIMIT), "limit", LINES_MAX, &limit, err));
    audit_head(keeper_log(call_service(call)->keeper), &head);
    reading.until = MIN(reading.from + limit, head.records);
    reading.out = answer_raw(call, "application/x-ndjson");
    reading.bytes_max = reading.out->size_bytes + LINES_BYTES;
    call_record(call, &event);
    return reading.from < reading.until ? read_lines(call, &reading, err) : LETHE_OK;
}

/* ---- checkpoints and proofs ------------------------------------------------------------------ */

static lethe_result answer_text(struct call *call, const struct buffer *text,
                                struct lethe_error *err)
{
    TRY(buffer_result(text, err));
    guarded_append(answer_raw(call, "text/plain"), text->bytes, text->size_bytes);
    return LETHE_OK;
}

static lethe_result open_prover(struct call *call, struct prover **out, struct audit_key *key,
                                struct lethe_error *err)
{
    TRY(keeper_log_key(call_service(call)->keeper, key, err));
    return prover_open(log_directory(call), key, out, err);
}

static lethe_result checkpoint(struct call *call, struct lethe_error *err)
{
    CLEANUP(prover_close) struct prover *prover = NULL;
    struct audit_key key;
    TRY(open_prover(call, &prover, &key, err));
    return answer_text(call, prover_note(prover), err);
}

static lethe_result log_key(struct call *call, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct audit_key key;
    TRY(keeper_log_key(call_service(call)->keeper, &key, err));
    audit_key_text(&key, &text);
    buffer_byte(&text, '\n');
    return answer_text(call, &text, err);
}

enum { PROOF_SEQ, PROOF_OLD };
static const struct field proof_fields[] = {
    {"seq", FIELD_INTEGER, false, "number of a record: that it is in the log", NULL},
    {"old", FIELD_TEXT, false, "an earlier checkpoint: that the log only grew since", NULL},
    {0}};

static lethe_result prove_growth(struct prover *prover, const struct audit_key *key,
                                 const struct field_value *old, struct buffer *out,
                                 struct lethe_error *err)
{
    struct audit_checkpoint checkpoint;
    struct proof_growth growth;
    if (old->length > AUDIT_NOTE_MAX)
        return error_set(err, LETHE_INVALID, "old: too long for a checkpoint");
    TRY(audit_checkpoint_open(old->text, old->length, key, &checkpoint, err));
    TRY(prover_growth(prover, &checkpoint, &growth, err));
    proof_growth_append(&growth, out);
    return LETHE_OK;
}

static lethe_result prove(struct call *call, struct lethe_error *err)
{
    CLEANUP(prover_close) struct prover *prover = NULL;
    CLEANUP(buffer_clear) struct buffer text = {0};
    const struct field_value *old = call_field(call, PROOF_OLD);
    struct audit_key key;
    uint64_t seq = 0;
    struct proof_text proof;
    if (call_field(call, PROOF_SEQ)->given == old->given)
        return error_set(err, LETHE_INVALID, "a proof is asked for with one of seq and old");
    TRY(read_number(call_field(call, PROOF_SEQ), "seq", INT64_MAX, &seq, err));
    TRY(open_prover(call, &prover, &key, err));
    if (old->given) {
        TRY(prove_growth(prover, &key, old, &text, err));
    } else {
        TRY(prover_inclusion(prover, seq, &proof, err));
        proof_text_append(&proof, &text);
    }
    return answer_text(call, &text, err);
}

/* ---- rotation -------------------------------------------------------------------------------- */

struct rotation {
    struct call *call;
    struct json_writer *writer;
};

static lethe_result put_rotation(void *context, const struct engine_key *key,
                                 struct lethe_error *err)
{
    struct rotation *rotation = context;
    struct json_writer *writer = rotation->writer;
    struct engine_version version = {0};
    if (key->destroyed || !call_may_see_key(rotation->call, key->name))
        return LETHE_OK;
    lethe_result result = engine_version(call_service(rotation->call)->engine, key->name,
                                         key->latest_version, &version, err);
    if (result != LETHE_OK && result != LETHE_NOT_FOUND && result != LETHE_REVOKED)
        return result;
    json_begin_object(writer, NULL);
    json_put_text(writer, "name", key->name);
    json_put_integer(writer, "latest_version", (int64_t)key->latest_version);
    json_put_integer(writer, "created", (int64_t)version.created_s);
    json_put_integer(writer, "uses", (int64_t)version.uses);
    json_put_integer(writer, "auto_rotate_period", (int64_t)key->auto_rotate_s);
    if (key->auto_rotate_s > 0)
        json_put_integer(writer, "due", (int64_t)(version.created_s + key->auto_rotate_s));
    else
        json_put_null(writer, "due");
    json_end_object(writer);
    return LETHE_OK;
}

static lethe_result rotation_status(struct call *call, struct lethe_error *err)
{
    struct rotation rotation = {call, answer_data(call)};
    json_begin_array(rotation.writer, "keys");
    TRY(engine_list(call_service(call)->engine, put_rotation, &rotation, err));
    json_end_array(rotation.writer);
    return LETHE_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static lethe_result events(struct call *call, struct lethe_error *err)
{
    (void)err;
    answer_events(call);
    return LETHE_OK;
}

static lethe_result openapi(struct call *call, struct lethe_error *err)
{
    (void)err;
    openapi_write(call->core->router, answer_raw(call, "application/json"));
    return LETHE_OK;
}

static lethe_result metrics(struct call *call, struct lethe_error *err)
{
    (void)err;
    metrics_write(call->core, answer_raw(call, "text/plain; version=0.0.4"));
    return LETHE_OK;
}

const struct route routes_lethe[] = {
    {CALL_GET, "lethe/audit", 0, "audit_read", NULL, audit_fields, read_audit,
     "Records of the log, one a line"},
    {CALL_GET, "lethe/audit/checkpoint", 0, "audit_checkpoint", NULL, NULL, checkpoint,
     "The newest signed checkpoint of the log"},
    {CALL_GET, "lethe/audit/key", 0, "audit_key", NULL, NULL, log_key,
     "The key that checkpoints are verified with"},
    {CALL_GET | CALL_POST, "lethe/audit/proof", 0, "audit_proof", NULL, proof_fields, prove,
     "That a record is in the log, or that it only grew"},
    {CALL_GET, "lethe/events", 0, "events", NULL, NULL, events,
     "A stream of what happens: keys and identities that are revoked"},
    {CALL_GET, "lethe/rotation", 0, "rotation_status", NULL, NULL, rotation_status,
     "When keys are due for rotation"},
    {CALL_GET, "lethe/openapi.json", ROUTE_SELF, "openapi", NULL, NULL, openapi, "This document"},
    {CALL_GET, "metrics", ROUTE_NO_RECORD | ROUTE_SEALED, "metrics", NULL, NULL, metrics,
     "Counters for Prometheus"},
    {0}};
