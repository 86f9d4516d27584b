/* A machine is enrolled by what only its TPM can answer (docs/release-protocol.md). */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "net/identity.h"
#include "service/routes_attest.h"

#define SECRET_BYTES 32u

static struct attested *attested_of(struct call *call)
{
    return call_service(call)->attested;
}

enum { ENROL_KIND, ENROL_IDENTITY, ENROL_EK, ENROL_EK_CERTIFICATE, ENROL_AK, ENROL_CHIP };
const struct field attest_enrol_fields[] = {
    [ENROL_KIND] = {"kind", FIELD_TEXT, true, "tpm2 or sev-snp", NULL},
    [ENROL_IDENTITY] = {"identity", FIELD_TEXT, false,
                        "the only SPIFFE id that may use this machine; none: any", NULL},
    [ENROL_EK] = {"ek", FIELD_BASE64, false, "tpm2: TPMT_PUBLIC of the endorsement key", NULL},
    [ENROL_EK_CERTIFICATE] = {"ek_certificate", FIELD_BASE64, false, "its certificate, DER", NULL},
    [ENROL_AK] = {"ak", FIELD_BASE64, false, "tpm2: TPMT_PUBLIC of the attestation key", NULL},
    [ENROL_CHIP] = {"chip_id", FIELD_TEXT, false, "sev-snp: CHIP_ID, 128 hex digits", NULL},
    {0}};

static lethe_result read_common(struct call *call, struct machine *out, struct lethe_error *err)
{
    char kind[16];
    struct spiffe_id id;
    const struct field_value *identity = call_field(call, ENROL_IDENTITY);
    *out = (struct machine){0};
    TRY(attested_check_name("machines", call_capture(call, "name"), err));
    strcpy(out->name, call_capture(call, "name"));
    TRY(field_copy(call_field(call, ENROL_KIND), "kind", kind, sizeof kind, err));
    if (attest_kind_parse(kind, &out->kind) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "kind: expected tpm2 or sev-snp");
    if (identity->length == 0)
        return LETHE_OK;
    TRY(spiffe_read(identity->text, identity->length, &id, err));
    strcpy(out->identity, id.text);
    return LETHE_OK;
}

struct keys { /* of a TPM that is to be enrolled */
    struct guarded ek, ek_certificate, ak;
};
static void keys_clear_at_scope_end(struct keys *keys)
{
    guarded_clear(&keys->ek);
    guarded_clear(&keys->ek_certificate);
    guarded_clear(&keys->ak);
}

static lethe_result read_keys(struct call *call, struct keys *out, struct lethe_error *err)
{
    if (field_decode(call_field(call, ENROL_EK), &out->ek) != LETHE_OK ||
        field_decode(call_field(call, ENROL_AK), &out->ak) != LETHE_OK || out->ek.size_bytes == 0 ||
        out->ak.size_bytes == 0)
        return error_set(err, LETHE_INVALID, "tpm2: ek and ak are TPMT_PUBLIC in base64");
    if (call_field(call, ENROL_EK_CERTIFICATE)->length > 0 &&
        field_decode(call_field(call, ENROL_EK_CERTIFICATE), &out->ek_certificate) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "ek_certificate: DER in base64");
    return LETHE_OK;
}

/* With roots configured, the endorsement key's maker vouches for it; otherwise whoever enrols. */
static lethe_result check_ek(struct call *call, const struct keys *keys, struct machine *machine,
                             struct lethe_error *err)
{
    const char *roots = call_service(call)->options.attest.ek_roots;
    if (roots == NULL)
        return LETHE_OK;
    if (keys->ek_certificate.size_bytes == 0)
        return error_set(err, LETHE_DENIED,
                         "this service enrols TPMs with a certified endorsement key only, and "
                         "ek_certificate is missing");
    TRY(tpm2_check_ek(keys->ek.bytes, keys->ek.size_bytes, keys->ek_certificate.bytes,
                      keys->ek_certificate.size_bytes, roots, call_now_s(call), err));
    machine->ek_certified = true;
    return LETHE_OK;
}

static lethe_result name_machine(const struct keys *keys, uint8_t name[TPM2_NAME_BYTES],
                                 struct machine *machine, struct lethe_error *err)
{
    uint8_t hash[SHA256_BYTES];
    TRY(tpm2_check_ak(keys->ak.bytes, keys->ak.size_bytes, err));
    TRY(tpm2_key_name(keys->ak.bytes, keys->ak.size_bytes, name, err));
    hex_encode(name, TPM2_NAME_BYTES, machine->id);
    sha256(keys->ek.bytes, keys->ek.size_bytes, hash);
    hex_encode(hash, sizeof hash, machine->ek_fingerprint);
    return LETHE_OK;
}

static lethe_result draw_secret(struct lethe_secret **out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    TRY(lethe_secret_create(SECRET_BYTES, &secret, err));
    if (random_fill(&random_system, lethe_secret_bytes(secret), SECRET_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness");
    *out = MOVE(secret);
    return LETHE_OK;
}

static lethe_result enrol_tpm(struct call *call, struct machine *machine, struct lethe_error *err)
{
    char id[ENROLMENT_ID_SIZE];
    uint8_t name[TPM2_NAME_BYTES];
    CLEANUP(keys_clear) struct keys keys = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(buffer_clear) struct buffer blob = {0}, seed = {0};
    TRY(read_keys(call, &keys, err));
    TRY(name_machine(&keys, name, machine, err));
    TRY(check_ek(call, &keys, machine, err));
    TRY(draw_secret(&secret, err));
    TRY(tpm2_make_credential(keys.ek.bytes, keys.ek.size_bytes, name, secret, &blob, &seed, err));
    TRY(enrolments_begin(attested_of(call), machine, MOVE(secret), call_now_s(call), id, err));
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "enrolment", id);
    json_put_base64(writer, "credential_blob", blob.bytes, blob.size_bytes);
    json_put_base64(writer, "encrypted_secret", seed.bytes, seed.size_bytes);
    json_put_integer(writer, "expires_in", ENROLMENT_S);
    return LETHE_OK;
}

static lethe_result enrol_chip(struct call *call, struct machine *machine, struct lethe_error *err)
{
    uint8_t chip[64];
    TRY(field_copy(call_field(call, ENROL_CHIP), "chip_id", machine->id, sizeof machine->id, err));
    if (hex_decode(machine->id, strlen(machine->id), chip, sizeof chip) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "chip_id: expected 128 hex digits in lower case");
    TRY(machines_enrol(attested_of(call), machine, err));
    attest_put_machine(answer_data(call), machines_find(attested_of(call), machine->name));
    return LETHE_OK;
}

lethe_result attest_enrol(struct call *call, struct lethe_error *err)
{
    struct machine machine;
    TRY(read_common(call, &machine, err));
    return machine.kind == ATTEST_TPM2 ? enrol_tpm(call, &machine, err)
                                       : enrol_chip(call, &machine, err);
}

enum { ACTIVATE_ENROLMENT, ACTIVATE_SECRET };
const struct field attest_activate_fields[] = {
    [ACTIVATE_ENROLMENT] = {"enrolment", FIELD_TEXT, true, "as the first call gave it", NULL},
    [ACTIVATE_SECRET] = {"secret", FIELD_BASE64, true, "what the TPM gave up", NULL},
    {0}};

lethe_result attest_activate(struct call *call, struct lethe_error *err)
{
    char id[ENROLMENT_ID_SIZE];
    struct machine machine;
    CLEANUP(guarded_clear) struct guarded secret = {0};
    TRY(field_copy(call_field(call, ACTIVATE_ENROLMENT), "enrolment", id, sizeof id, err));
    if (field_decode(call_field(call, ACTIVATE_SECRET), &secret) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "secret: expected base64");
    TRY(enrolments_finish(attested_of(call), id, secret.bytes, secret.size_bytes, call_now_s(call),
                          &machine, err));
    if (strcmp(machine.name, call_capture(call, "name")) != 0)
        return error_set(err, LETHE_INVALID, "this enrolment is of another machine");
    TRY(machines_enrol(attested_of(call), &machine, err));
    attest_put_machine(answer_data(call), machines_find(attested_of(call), machine.name));
    return LETHE_OK;
}
