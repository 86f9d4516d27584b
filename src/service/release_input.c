/* What the policy is shown of a release, all of it proven, or bound to what was proven. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "service/release.h"

/* `opening` is our own: a comma or bracket, the name, a colon. */
static void put_text(struct buffer *out, const char *opening, const char *text)
{
    buffer_text(out, opening);
    json_append_string(out, text, strlen(text));
}

static void put_request(struct buffer *out, const struct release_request *request)
{
    put_text(out, "\"request\":{\"principal\":", request->principal);
    put_text(out, ",\"operation\":", request->operation);
    put_text(out, ",\"model_id\":", request->model);
    put_text(out, ",\"tenant\":", request->tenant);
    put_text(out, ",\"tier\":", request->tier);
    put_text(out, ",\"purpose\":", request->purpose);
    buffer_format(out, ",\"release\":%" PRIu64 ",\"shards\":%zu", request->release,
                  request->shard_count);
    if (request->engine.at != NULL) {
        buffer_text(out, ",\"engine\":");
        buffer_append(out, request->engine.at, request->engine.length);
    }
    buffer_text(out, "}");
}

static void put_reference(struct buffer *out, const struct attest_reference *reference)
{
    if (reference == NULL) {
        buffer_text(out, ",\"reference\":null");
        return;
    }
    put_text(out, ",\"reference\":{\"name\":", reference->name);
    buffer_format(out, ",\"version\":%" PRIu64 "}", reference->version);
}

/* The claims are an object: its members go on behind ours. */
static void put_claims(struct buffer *out, const struct buffer *claims)
{
    if (claims->size_bytes <= strlen("{}")) {
        buffer_text(out, "}");
        return;
    }
    buffer_text(out, ",");
    buffer_append(out, claims->bytes + 1, claims->size_bytes - 1);
}

bool release_is_attested(const struct release *release)
{
    return release->claims.verified && release->reason != RELEASE_MACHINE_UNKNOWN &&
           release->reason != RELEASE_MACHINE_REVOKED &&
           release->reason != RELEASE_MACHINE_FOREIGN && release->reason != RELEASE_COUNTER_BACK &&
           release->reason != RELEASE_TCB_BACK;
}

static void put_report(struct buffer *out, const struct release *release)
{
    buffer_format(out, "\"attestation_report\":{\"valid\":%s",
                  release_is_attested(release) ? "true" : "false");
    put_text(out, ",\"machine\":", release->machine != NULL ? release->machine->name : "");
    put_reference(out, release->reference);
    put_claims(out, &release->claims.json);
}

lethe_result release_input(const struct release *release, struct buffer *out,
                           struct lethe_error *err)
{
    const struct caller *caller = call_caller(release->call);
    buffer_text(out, "{");
    put_request(out, &release->request);
    put_text(out, ",\"identity\":{\"id\":", caller->name);
    put_text(out, ",\"tenant\":", caller->tenant);
    buffer_text(out, "},\"environment\":{");
    put_report(out, release);
    buffer_format(out, ",\"gpu\":{\"confidential\":false},\"time\":%" PRIu64 "}}",
                  call_now_s(release->call));
    return buffer_result(out, err);
}
