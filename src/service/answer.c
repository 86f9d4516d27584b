#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "service/core_core.h"

#define CONTENT_JSON "application/json" /* exactly: a client compares the whole text */

static struct guarded *answers(struct call *call)
{
    return &call->core->turn->answers;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static struct json_writer *begin_json(struct call *call, enum answer_shape shape)
{
    REQUIRE(call->shape == ANSWER_NONE);
    call->shape = shape;
    call->content_type = CONTENT_JSON;
    call->writer = (struct json_writer){.out = answers(call)};
    json_begin_object(&call->writer, NULL);
    return &call->writer;
}

static void begin_envelope(struct call *call, enum answer_shape shape)
{
    char uuid[CORE_UUID_SIZE];
    struct json_writer *writer = begin_json(call, shape);
    core_uuid(call->core, uuid);
    json_put_text(writer, "request_id", uuid);
    guarded_text(writer->out, ",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0");
}

struct json_writer *answer_data(struct call *call)
{
    begin_envelope(call, ANSWER_DATA);
    json_begin_object(&call->writer, "data");
    return &call->writer;
}

struct json_writer *answer_auth(struct call *call)
{
    begin_envelope(call, ANSWER_AUTH);
    guarded_text(call->writer.out, ",\"data\":null");
    json_begin_object(&call->writer, "auth");
    return &call->writer;
}

struct json_writer *answer_bare(struct call *call)
{
    return begin_json(call, ANSWER_BARE);
}

void answer_nothing(struct call *call)
{
    call->shape = ANSWER_NOTHING;
}

struct guarded *answer_raw(struct call *call, const char *content_type)
{
    REQUIRE(call->shape == ANSWER_NONE);
    call->shape = ANSWER_RAW;
    call->content_type = content_type;
    return answers(call);
}

void answer_events(struct call *call)
{
    REQUIRE(call->shape == ANSWER_NONE);
    call->shape = ANSWER_EVENTS;
    call->content_type = "text/event-stream";
}

lethe_result answer_missing(struct call *call)
{
    answer_take_back(call);
    call->shape = ANSWER_MISSING;
    return LETHE_OK;
}

void answer_status(struct call *call, unsigned status)
{
    call->status = status;
}

void answer_warning(struct call *call, const char *text)
{
    if (call->warning_count < CALL_WARNINGS_MAX)
        text_sanitise(text, strlen(text), call->warnings[call->warning_count++], CALL_WARNING_MAX);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void end_warnings(struct call *call)
{
    struct json_writer *writer = &call->writer;
    if (call->warning_count == 0) {
        json_put_null(writer, "warnings");
        return;
    }
    json_begin_array(writer, "warnings");
    for (size_t i = 0; i < call->warning_count; i++)
        json_put_text(writer, NULL, call->warnings[i]);
    json_end_array(writer);
}

static void end_envelope(struct call *call)
{
    struct json_writer *writer = &call->writer;
    json_end_object(writer);
    json_put_null(writer, "wrap_info");
    end_warnings(call);
    if (call->shape == ANSWER_DATA)
        json_put_null(writer, "auth");
    json_end_object(writer);
}

void answer_take_back(struct call *call)
{
    guarded_truncate(answers(call), call->start);
    answers(call)->failure = LETHE_OK;
    call->shape = ANSWER_NONE;
    call->content_type = NULL;
}

unsigned answer_error(struct call *call, unsigned status, const char *text)
{
    char safe[512];
    answer_take_back(call);
    call->shape = ANSWER_BARE;
    call->content_type = CONTENT_JSON;
    struct json_writer writer = {.out = answers(call)};
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "errors");
    if (text != NULL) {
        text_sanitise(text, strlen(text), safe, sizeof safe);
        json_put_text(&writer, NULL, safe);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    return status;
}

static unsigned status_of(lethe_result result)
{
    static const unsigned statuses[] = {
#define STATUS_OF(name, status) [name] = (status),
        CALL_STATUSES(STATUS_OF)
#undef STATUS_OF
    };
    unsigned status = (size_t)result < ARRAY_LEN(statuses) ? statuses[result] : 0;
    return status != 0 ? status : 500;
}

/* Where a home lies is nothing to whoever comes over the network. */
static bool names_our_files(const struct call *call, const char *text)
{
    const struct keeper_options *options = &call->service->options.keeper;
    return strstr(text, options->store_path) != NULL ||
           strstr(text, options->audit_directory) != NULL;
}

/* Damage of ours is not the fault of who asks. */
static bool is_our_damage(const struct call *call, lethe_result result)
{
    const struct keeper *keeper = call->service->keeper;
    return result == LETHE_INTEGRITY && keeper != NULL && keeper_is_damaged(keeper);
}

unsigned answer_failure(struct call *call, lethe_result result, const struct lethe_error *err)
{
    unsigned status = is_our_damage(call, result) ? 503 : status_of(result);
    if (status == 500)
        return answer_error(call, status, "internal error");
    bool can_be_told = err->text[0] != '\0' && !names_our_files(call, err->text);
    return answer_error(call, status, can_be_told ? err->text : lethe_result_sentence(result));
}

static unsigned finish_shape(struct call *call)
{
    switch (call->shape) {
    case ANSWER_DATA:
    case ANSWER_AUTH:
        end_envelope(call);
        return 200;
    case ANSWER_BARE:
        json_end_object(&call->writer);
        return 200;
    case ANSWER_NONE:
    case ANSWER_NOTHING:
        answer_take_back(call);
        return 204;
    case ANSWER_MISSING:
        return answer_error(call, 404, NULL);
    case ANSWER_RAW:
    case ANSWER_EVENTS:
        break;
    }
    return 200;
}

unsigned answer_finish(struct call *call)
{
    struct lethe_error err = {0};
    unsigned status = finish_shape(call);
    lethe_result result = guarded_result(answers(call), &err);
    if (result != LETHE_OK)
        return answer_failure(call, result == LETHE_LIMIT ? LETHE_NO_MEMORY : result, &err);
    return call->status != 0 ? call->status : status;
}
