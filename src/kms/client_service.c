/* K-13: the key service proves the machine that it runs on before it is trusted with anything
 * (docs/release-protocol.md). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "kms/client_core.h"

#define PATH "lethe/attest/service"
#define NONCE_BYTES 32u
#define NS_PER_S UINT64_C(1000000000)
#define REFERENCE_MAX ((size_t)64 << 10)
#define IMA_PCR 10u

lethe_result client_service_open(struct kms_client *client,
                                 const struct kms_client_options *options, struct lethe_error *err)
{
    const char *path = options->service_reference_path;
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (path == NULL)
        return LETHE_OK;
    client->service_reference = calloc(1, sizeof *client->service_reference);
    if (client->service_reference == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a reference value");
    TRY(file_read_all(AT_FDCWD, path, REFERENCE_MAX, &text, err));
    return error_context(err,
                         attest_reference_parse(text.bytes != NULL ? text.bytes : "",
                                                text.size_bytes, client->service_reference, err),
                         "%s", path);
}

/* ---- what came ------------------------------------------------------------------------------- */

struct proof { /* of one exchange */
    uint8_t nonce[NONCE_BYTES];
    struct buffer service, evidence;
};
static void proof_clear(struct proof *proof)
{
    buffer_clear(&proof->service);
    buffer_clear(&proof->evidence);
}
static inline void proof_clear_at_scope_end(struct proof *proof)
{
    proof_clear(proof);
}

static lethe_result ask(struct kms_client *client, struct proof *proof, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded request = {0};
    CLEANUP(guarded_clear) struct guarded body = {0};
    struct json_piece answer;
    TRY(random_fill(&random_system, proof->nonce, sizeof proof->nonce));
    client_put_open(&request, NULL, '{');
    client_put_base64(&request, "nonce", proof->nonce, sizeof proof->nonce);
    client_put_close(&request, '}');
    TRY(guarded_result(&request, err));
    TRY(kms_client_call(client, HTTP_POST, PATH, request.bytes, request.size_bytes, &body, err));
    TRY(client_answer(&body, &answer, err));
    TRY(client_answer_text(&answer, "data/service", &proof->service, err));
    TRY(client_answer_bytes(&answer, "data/evidence", &proof->evidence, err));
    if (proof->service.size_bytes == 0 || proof->service.size_bytes >= KMS_SERVICE_SIZE)
        return error_set(err, LETHE_MALFORMED, "the key service does not say which it is");
    return LETHE_OK;
}

static lethe_result verify(const struct kms_client *client, const struct proof *proof,
                           struct attest_claims *claims, struct lethe_error *err)
{
    uint8_t binding[ATTEST_BINDING_BYTES];
    const struct attest_part parts[] = {{ATTEST_SERVICE_LABEL, strlen(ATTEST_SERVICE_LABEL)},
                                        {proof->service.bytes, proof->service.size_bytes},
                                        {proof->nonce, sizeof proof->nonce}};
    const struct attest_reference *reference = client->service_reference;
    struct evidence_trust trust = {.now_s = clock_wall_ns(&clock_system) / NS_PER_S};
    struct evidence evidence = {0};
    if (reference != NULL)
        trust.pcr_mask = reference->pcr_mask | (reference->loader_count > 0 ? 1u << IMA_PCR : 0);
    TRY(attest_binding(parts, ARRAY_LEN(parts), binding, err));
    lethe_result result =
        evidence_read(proof->evidence.bytes, proof->evidence.size_bytes, &evidence, err);
    if (result == LETHE_OK)
        result = evidence_verify(&evidence, &trust, binding, claims, err);
    evidence_clear(&evidence);
    if (result == LETHE_MALFORMED) {
        claims->reason = ATTEST_MALFORMED;
        return LETHE_DENIED;
    }
    return result;
}

bool client_is_expected(const struct kms_client *client, const struct buffer *service)
{
    return client->service == NULL ||
           (strlen(client->service) == service->size_bytes &&
            memcmp(client->service, service->bytes, service->size_bytes) == 0);
}

/* Whether it is the machine, and in the state, that are expected. */
static lethe_result check_expected(const struct kms_client *client, const struct proof *proof,
                                   const struct attest_claims *claims, struct lethe_error *err)
{
    char why[ATTEST_WHY_SIZE];
    if (!client_is_expected(client, &proof->service))
        return error_set(err, LETHE_DENIED, "this is another key service than the one named");
    if (client->service_machine == NULL && claims->kind == ATTEST_TPM2) {
        error_set(err, LETHE_DENIED, "nothing says that a TPM holds the key that signed: %s",
                  claims->machine);
        error_hint(err, "compare it with tpm2_key of lethe attest show on the service's machine, "
                        "and name it: --machine, or [kms] service_machine in lethe.conf");
        return LETHE_DENIED;
    }
    if (client->service_machine != NULL && strcmp(client->service_machine, claims->machine) != 0)
        return error_set(err, LETHE_DENIED, "it is another machine: %s", claims->machine);
    if (client->service_reference != NULL &&
        !attest_reference_fits(client->service_reference, claims, why))
        return error_set(err, LETHE_DENIED, "its state is another: %s", why);
    return LETHE_OK;
}

lethe_result kms_client_prove_service(struct kms_client *client, struct attest_claims *claims,
                                      char service[KMS_SERVICE_SIZE], struct lethe_error *err)
{
    CLEANUP(proof_clear) struct proof proof = {0};
    service[0] = '\0';
    TRY(ask(client, &proof, err));
    memcpy(service, proof.service.bytes, proof.service.size_bytes);
    service[proof.service.size_bytes] = '\0';
    TRY(verify(client, &proof, claims, err));
    return check_expected(client, &proof, claims, err);
}

/* ---- before keys are asked for ----------------------------------------------------------------
 */

static lethe_result refuse_without(struct lethe_error *err)
{
    error_set(err, LETHE_DENIED,
              "the key service makes no evidence of its machine, and "
              "service_reference or service_machine ask for it");
    error_hint(err, "[attest] evidence in the service's kms.conf; lethe attest service shows it");
    return LETHE_DENIED;
}

lethe_result client_require_service(struct kms_client *client, enum client_moment moment,
                                    struct lethe_error *err)
{
    char service[KMS_SERVICE_SIZE];
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    bool wanted = client->service_reference != NULL || client->service_machine != NULL;
    bool is_proven = client->proven_connection == http_client_connections(client->http);
    if (moment == CLIENT_BEFORE_ASKING)
        is_proven = is_proven && http_client_is_connected(client->http);
    if (!wanted || is_proven)
        return LETHE_OK;
    lethe_result result =
        error_context(err, kms_client_prove_service(client, &claims, service, err),
                      "the key service's evidence of its machine");
    if (result == LETHE_NOT_FOUND) /* not the key that was asked for */
        return refuse_without(err);
    TRY(result);
    client->proven_connection = http_client_connections(client->http);
    return LETHE_OK;
}
