/* lethe attest enroll: a machine becomes known to a key service, by what only its TPM can answer.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/attest_place.h"
#include "cli/kms_call.h"
#include "kms/client_json.h"
#include "net/identity.h"

#define PATH_SIZE 192u
#define CREDENTIAL_MAX 1024u

struct enrolling {
    const struct invocation *invocation;
    struct kms_call call;
    struct tpm2_device *device;
    struct buffer ak, ek, certificate;
    struct buffer enrolment; /* as the service named it, with a NUL */
    uint8_t blob[CREDENTIAL_MAX], seed[CREDENTIAL_MAX];
    size_t blob_bytes, seed_bytes;
};
static void enrolling_clear_at_scope_end(struct enrolling *enrolling)
{
    kms_call_close(&enrolling->call);
    tpm2_device_close(enrolling->device);
    buffer_clear(&enrolling->ak);
    buffer_clear(&enrolling->ek);
    buffer_clear(&enrolling->certificate);
    buffer_clear(&enrolling->enrolment);
}

static lethe_result make_path(const struct invocation *invocation, const char *behind,
                              char path[PATH_SIZE], struct lethe_error *err)
{
    const char *name = invocation->positional[0];
    TRY(validate_identifier("the machine's name", name, NAME_PART_MAX, err));
    snprintf(path, PATH_SIZE, "lethe/attest/machines/%s/%s", name, behind);
    return LETHE_OK;
}

static lethe_result check_identity(const struct invocation *invocation, struct lethe_error *err)
{
    struct spiffe_id id;
    const char *text = option_text(invocation, "identity");
    return text != NULL ? spiffe_read(text, strlen(text), &id, err) : LETHE_OK;
}

static lethe_result put_identity(const struct invocation *invocation, struct guarded *request,
                                 struct lethe_error *err)
{
    struct spiffe_id id;
    const char *text = option_text(invocation, "identity");
    if (text == NULL)
        return LETHE_OK;
    TRY(spiffe_read(text, strlen(text), &id, err));
    client_put_text(request, "identity", id.text);
    return LETHE_OK;
}

static lethe_result answer_bytes(const struct json_piece *answer, const char *path, uint8_t *out,
                                 size_t *size_bytes, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(client_answer_text(answer, path, &text, err));
    if (base64_decode(text.bytes, text.size_bytes, out, CREDENTIAL_MAX, size_bytes) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the key service's answer: %s is no credential",
                         path);
    return LETHE_OK;
}

/* ---- TPM ------------------------------------------------------------------------------------- */

static lethe_result send_keys(struct enrolling *enrolling, struct lethe_error *err)
{
    char path[PATH_SIZE];
    struct json_piece answer = {0};
    struct guarded *request = &enrolling->call.request;
    TRY(make_path(enrolling->invocation, "enroll", path, err));
    client_put_open(request, NULL, '{');
    client_put_text(request, "kind", attest_kind_name(ATTEST_TPM2));
    TRY(put_identity(enrolling->invocation, request, err));
    client_put_base64(request, "ek", enrolling->ek.bytes, enrolling->ek.size_bytes);
    if (enrolling->certificate.size_bytes > 0)
        client_put_base64(request, "ek_certificate", enrolling->certificate.bytes,
                          enrolling->certificate.size_bytes);
    client_put_base64(request, "ak", enrolling->ak.bytes, enrolling->ak.size_bytes);
    client_put_close(request, '}');
    TRY(kms_call_ask(&enrolling->call, HTTP_POST, path, &answer, err));
    TRY(client_answer_text(&answer, "data/enrolment", &enrolling->enrolment, err));
    buffer_byte(&enrolling->enrolment, '\0');
    TRY(buffer_result(&enrolling->enrolment, err));
    TRY(answer_bytes(&answer, "data/credential_blob", enrolling->blob, &enrolling->blob_bytes,
                     err));
    return answer_bytes(&answer, "data/encrypted_secret", enrolling->seed, &enrolling->seed_bytes,
                        err);
}

static lethe_result send_secret(struct enrolling *enrolling, struct lethe_error *err)
{
    char path[PATH_SIZE];
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    struct guarded *request = &enrolling->call.request;
    TRY(make_path(enrolling->invocation, "activate", path, err));
    TRY(tpm2_device_activate(enrolling->device, enrolling->blob, enrolling->blob_bytes,
                             enrolling->seed, enrolling->seed_bytes, &secret, err));
    client_put_open(request, NULL, '{');
    client_put_text(request, "enrolment", enrolling->enrolment.bytes);
    client_put_base64(request, "secret", lethe_secret_bytes_const(secret),
                      lethe_secret_size(secret));
    client_put_close(request, '}');
    return kms_call_do(&enrolling->call, HTTP_POST, path, NULL, err);
}

static lethe_result enroll_tpm(struct enrolling *enrolling, struct lethe_error *err)
{
    CLEANUP(attest_place_clear) struct attest_place place = {0};
    TRY(attest_place_locate(enrolling->invocation, attest_kind_name(ATTEST_TPM2), &place, err));
    TRY(attest_place_tpm(&place, &enrolling->device, err));
    TRY(tpm2_device_ensure_key(enrolling->device, err));
    TRY(tpm2_device_publics(enrolling->device, &enrolling->ak, &enrolling->ek,
                            &enrolling->certificate, err));
    TRY(send_keys(enrolling, err));
    return send_secret(enrolling, err);
}

/* ---- chip ------------------------------------------------------------------------------------ */

static lethe_result enroll_chip(struct enrolling *enrolling, const char *chip,
                                struct lethe_error *err)
{
    char path[PATH_SIZE];
    struct guarded *request = &enrolling->call.request;
    TRY(make_path(enrolling->invocation, "enroll", path, err));
    client_put_open(request, NULL, '{');
    client_put_text(request, "kind", attest_kind_name(ATTEST_SEV_SNP));
    TRY(put_identity(enrolling->invocation, request, err));
    client_put_text(request, "chip_id", chip);
    client_put_close(request, '}');
    return kms_call_do(&enrolling->call, HTTP_POST, path, NULL, err);
}

COMMAND_FUNCTION(attest_enroll)
{
    char path[PATH_SIZE];
    CLEANUP(enrolling_clear) struct enrolling enrolling = {.invocation = invocation};
    const char *chip = option_text(invocation, "chip");
    TRY(make_path(invocation, "", path, err)); /* mistakes in names come first */
    TRY(check_identity(invocation, err));
    TRY(kms_call_open(invocation, &enrolling.call, err));
    TRY(chip != NULL ? enroll_chip(&enrolling, chip, err) : enroll_tpm(&enrolling, err));
    return kms_print_answer(&enrolling.call.answer, option_given(invocation, "json"), err);
}
