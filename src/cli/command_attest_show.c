/* lethe attest show, evidence: what this machine can prove, and the proof. */
#include <stdio.h>
#include <string.h>

#include "attest/sevsnp.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/attest_place.h"
#include "cli/common.h"
#include "cli/kms_call.h"

/* ---- TPM ------------------------------------------------------------------------------------- */

struct tpm_state {
    struct tpm2_pcrs pcrs;
    char key[2 * TPM2_NAME_BYTES + 1]; /* "": there is none */
};

static lethe_result read_key(struct tpm2_device *device, struct tpm_state *out,
                             struct lethe_error *err)
{
    uint8_t name[TPM2_NAME_BYTES];
    CLEANUP(buffer_clear) struct buffer ak = {0};
    CLEANUP(buffer_clear) struct buffer ek = {0};
    CLEANUP(buffer_clear) struct buffer certificate = {0};
    TRY(tpm2_device_ensure_key(device, err));
    TRY(tpm2_device_publics(device, &ak, &ek, &certificate, err));
    TRY(tpm2_key_name(ak.bytes, ak.size_bytes, name, err));
    hex_encode(name, sizeof name, out->key);
    return LETHE_OK;
}

/* Nothing is made by looking: a key is read where there is one. */
static lethe_result read_tpm(const struct attest_place *place, struct tpm_state *out,
                             struct lethe_error *err)
{
    const uint32_t all = (1u << ATTEST_PCRS) - 1;
    CLEANUP(tpm2_device_close) struct tpm2_device *device = NULL;
    *out = (struct tpm_state){0};
    TRY(attest_place_tpm(place, &device, err));
    TRY(tpm2_device_pcrs(device, all, &out->pcrs, err));
    return attest_place_has_key(place) ? read_key(device, out, err) : LETHE_OK;
}

/* ---- whether it is enrolled ------------------------------------------------------------------ */

static bool find_machine(const struct json_piece *answer, const char *key, char *out, size_t size)
{
    struct json_piece list, none, machine, id, name;
    size_t length;
    if (json_piece_find(answer, "data/machines", &list) != LETHE_OK)
        return false;
    struct json_walk walk = json_walk_over(&list);
    while (json_walk_next(&walk, &none, &machine) == LETHE_OK) {
        if (json_piece_find(&machine, "id", &id) != LETHE_OK || !json_piece_is(&id, key) ||
            json_piece_find(&machine, "name", &name) != LETHE_OK ||
            json_piece_text(&name, out, size - 1, &length) != LETHE_OK)
            continue;
        out[length] = '\0';
        return true;
    }
    return false;
}

/* Of a service that is named, and whoever may read its machines: "" is that it is not known. */
static const char *ask_machine(const struct invocation *invocation,
                               const struct attest_place *place, const char *key,
                               char name[ATTEST_MACHINE_SIZE])
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct json_piece answer;
    if (place->configuration.kms.address[0] == '\0' || key[0] == '\0')
        return "nobody was asked";
    if (kms_call_open(invocation, &call, NULL) != LETHE_OK ||
        kms_call_ask(&call, HTTP_LIST, "lethe/attest/machines", &answer, NULL) != LETHE_OK)
        return "the service does not say";
    return find_machine(&answer, key, name, ATTEST_MACHINE_SIZE) ? name : "no";
}

/* Why there is no evidence of this kind, and what would help. */
static void put_why(struct buffer *json, const char *kind, const struct lethe_error *why)
{
    buffer_format(json, ",\"%s_why\":", kind);
    json_append_string(json, why->text, strlen(why->text));
    if (why->hint[0] == '\0')
        return;
    buffer_format(json, ",\"%s_hint\":", kind);
    json_append_string(json, why->hint, strlen(why->hint));
}

static void put_tpm(const struct invocation *invocation, const struct attest_place *place,
                    struct buffer *json)
{
    struct tpm_state tpm;
    struct lethe_error why = {0};
    char name[ATTEST_MACHINE_SIZE];
    const struct evidence_options *options = attesting_options(place->attesting);
    bool is_there = read_tpm(place, &tpm, &why) == LETHE_OK;
    buffer_format(json, ",\"tpm2\":\"%s\",\"tpm2_key_file\":", is_there ? "yes" : "no");
    json_append_string(json, options->key_path, strlen(options->key_path));
    if (!is_there) {
        put_why(json, "tpm2", &why);
        return;
    }
    buffer_format(json, ",\"tpm2_key\":\"%s\"",
                  tpm.key[0] != '\0' ? tpm.key : "none yet: lethe attest enroll makes it");
    buffer_text(json, ",\"tpm2_enrolled\":");
    const char *machine = ask_machine(invocation, place, tpm.key, name);
    json_append_string(json, machine, strlen(machine));
    buffer_text(json, ",\"tpm2_pcrs\":");
    attest_put_pcrs(&tpm.pcrs, json);
}

/* ---- SEV-SNP --------------------------------------------------------------------------------- */

static void put_guest(struct buffer *json)
{
    const uint8_t nothing[SEVSNP_DATA_BYTES] = {0};
    struct lethe_error why = {0};
    CLEANUP(buffer_clear) struct buffer report = {0};
    CLEANUP(buffer_clear) struct buffer vek = {0};
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    lethe_result result = sevsnp_produce(NULL, nothing, &report, &vek, &why);
    if (result == LETHE_OK)
        result = sevsnp_read(report.bytes, report.size_bytes, &claims, &why);
    buffer_format(json, ",\"sev-snp\":\"%s\"", result == LETHE_OK ? "yes" : "no");
    if (result != LETHE_OK) {
        put_why(json, attest_kind_name(ATTEST_SEV_SNP), &why);
        return;
    }
    buffer_format(json,
                  ",\"sev-snp_product\":\"%s\",\"sev-snp_measurement\":\"%s\",\"sev-snp_chip\":"
                  "\"%s\",\"sev-snp_vmpl\":%u,\"sev-snp_certificate\":\"%s\"",
                  claims.product, claims.measurement, claims.machine, claims.vmpl,
                  vek.size_bytes > 0 ? "of the host" : "none: --vek names it");
}

COMMAND_FUNCTION(attest_show)
{
    CLEANUP(attest_place_clear) struct attest_place place = {0};
    CLEANUP(buffer_clear) struct buffer json = {0};
    TRY(attest_place_locate(invocation, "tpm2", &place, err));
    buffer_text(&json, "{\"format\":\"lethe-attest/1\"");
    put_tpm(invocation, &place, &json);
    put_guest(&json);
    buffer_text(&json, "}");
    return attest_print(&json, option_given(invocation, "json"), err);
}

/* ---- evidence -------------------------------------------------------------------------------- */

/* What is signed: so many bytes, given, or zeros. */
static lethe_result read_nonce(const struct invocation *invocation,
                               uint8_t out[ATTEST_BINDING_BYTES], struct lethe_error *err)
{
    const char *text = option_text(invocation, "nonce");
    memset(out, 0, ATTEST_BINDING_BYTES);
    if (text != NULL && hex_decode(text, strlen(text), out, ATTEST_BINDING_BYTES) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "--nonce is %u bytes in lower-case hex",
                         ATTEST_BINDING_BYTES);
    return LETHE_OK;
}

COMMAND_FUNCTION(attest_evidence)
{
    CLEANUP(attest_place_clear) struct attest_place place = {0};
    CLEANUP(buffer_clear) struct buffer json = {0};
    uint8_t binding[ATTEST_BINDING_BYTES];
    uint32_t mask = ATTEST_PCRS_DEFAULT;
    const char *pcrs = option_text(invocation, "pcrs");
    const char *output = option_text(invocation, "output");
    TRY(read_nonce(invocation, binding, err));
    if (pcrs != NULL)
        TRY(attest_read_pcr_list(pcrs, &mask, err));
    if (output == NULL)
        return error_set(err, LETHE_INVALID, "no output was named: -o FILE");
    TRY(attest_place_locate(invocation, option_text(invocation, "kind"), &place, err));
    const struct evidence_source *source = attesting_source(place.attesting);
    TRY(source->produce(source->context, binding, mask, &json, err));
    return common_write_text(output, &json, 0644, err);
}
