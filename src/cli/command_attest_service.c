/* lethe attest service: what a key service proves of the machine that it runs on (K-13). */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "cli/attest_place.h"
#include "cli/kms_call.h"

static void put(struct buffer *json, const char *name, const char *text)
{
    buffer_format(json, ",\"%s\":", name);
    json_append_string(json, text, strlen(text));
}

/* The evidence may be good, and still not be what was expected. */
static void put_all(const struct attest_claims *claims, const char *service, const char *detail,
                    struct buffer *json)
{
    bool is_good = detail == NULL;
    buffer_format(json, "{\"format\":\"lethe-attest-service/1\",\"verified\":%s",
                  is_good ? "true" : "false");
    const char *sentence = attest_reason_sentence(ATTEST_VERIFIED);
    put(json, "reason",
        claims->verified && !is_good ? "unexpected" : attest_reason_code(claims->reason));
    put(json, "detail", is_good ? sentence : detail);
    put(json, "service", service);
    put(json, "machine", claims->machine);
    if (claims->json.size_bytes > 2) { /* an object with members: they go on behind ours */
        buffer_text(json, ",");
        buffer_append(json, claims->json.bytes + 1, claims->json.size_bytes - 1);
    } else {
        buffer_text(json, "}");
    }
}

COMMAND_FUNCTION(attest_service)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    CLEANUP(buffer_clear) struct buffer json = {0};
    char service[KMS_SERVICE_SIZE];
    struct lethe_error why = {0};
    TRY(kms_call_open(invocation, &call, err));
    if (call.client == NULL) {
        error_set(err, LETHE_INVALID, "no service was named: --kms URL");
        error_hint(err, "for this machine itself: lethe attest show");
        return LETHE_INVALID;
    }
    lethe_result result = kms_client_prove_service(call.client, &claims, service, &why);
    bool is_about_evidence = result == LETHE_DENIED && service[0] != '\0';
    if (result != LETHE_OK && !is_about_evidence) {
        *err = why;
        return result;
    }
    put_all(&claims, service, result == LETHE_OK ? NULL : why.text, &json);
    if (result != LETHE_OK)
        invocation->exit_code = lethe_result_exit_code(LETHE_INTEGRITY);
    return attest_print(&json, option_given(invocation, "json"), err);
}
