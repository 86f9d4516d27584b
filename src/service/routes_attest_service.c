/* lethe/attest/service: what the keeper's own machine proves to who would trust it (K-13).
 *
 * The device is opened for each answer and let go of: a TPM without a resource manager serves one
 * at a time, and the root may lie in it. While it signs, the keeper waits: policy says who may
 * ask. */
#include <string.h>

#include "base/error.h"
#include "service/routes_attest.h"

#define NONCE_MIN 16u
#define NONCE_MAX 64u
#define IMA_PCR 10u
/* All but those that software can reset. */
#define PCRS (((1u << ATTEST_PCRS) - 1) & ~(1u << 16 | 1u << 23))

enum { SERVICE_NONCE };
const struct field attest_service_fields[] = {
    [SERVICE_NONCE] = {"nonce", FIELD_BASE64, true, "16 to 64 bytes of the caller's", NULL}, {0}};

static lethe_result bind(const char *service, const struct guarded *nonce,
                         uint8_t binding[ATTEST_BINDING_BYTES], struct lethe_error *err)
{
    const struct attest_part parts[] = {{ATTEST_SERVICE_LABEL, strlen(ATTEST_SERVICE_LABEL)},
                                        {service, strlen(service)},
                                        {nonce->bytes, nonce->size_bytes}};
    return attest_binding(parts, ARRAY_LEN(parts), binding, err);
}

/* A log that is too long is left out, with its PCR: the others still say something. */
static lethe_result produce(const struct evidence_options *own,
                            const uint8_t binding[ATTEST_BINDING_BYTES], struct buffer *json,
                            struct lethe_error *err)
{
    CLEANUP(evidence_maker_close) struct evidence_maker *maker = NULL;
    TRY(evidence_maker_open(own, &maker, err));
    const struct evidence_source *source = evidence_maker_source(maker);
    lethe_result result = source->produce(source->context, binding, PCRS, json, err);
    if (result != LETHE_LIMIT)
        return result;
    (void)error_forget(err);
    return source->produce(source->context, binding, PCRS & ~(1u << IMA_PCR), json, err);
}

lethe_result attest_service(struct call *call, struct lethe_error *err)
{
    uint8_t binding[ATTEST_BINDING_BYTES];
    CLEANUP(guarded_clear) struct guarded nonce = {0};
    CLEANUP(buffer_clear) struct buffer json = {0};
    const struct attest_options *options = &call_service(call)->options.attest;
    const char *service = attested_service(call_service(call)->attested);
    if (!options->proves)
        return error_set(err, LETHE_NOT_FOUND,
                         "this service makes no evidence of its machine: [attest] evidence in "
                         "kms.conf");
    TRY(field_decode(call_field(call, SERVICE_NONCE), &nonce));
    if (nonce.size_bytes < NONCE_MIN || nonce.size_bytes > NONCE_MAX)
        return error_set(err, LETHE_INVALID, "nonce: expected %u to %u bytes", NONCE_MIN,
                         NONCE_MAX);
    TRY(bind(service, &nonce, binding, err));
    TRY(produce(&options->own, binding, &json, err));
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "kind", attest_kind_name(options->own.kind));
    json_put_base64(writer, "evidence", json.bytes, json.size_bytes);
    json_put_text(writer, "service", service);
    return LETHE_OK;
}
