/* What is checked, in the order of docs/release-protocol.md: the first that fails is the answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "service/policies.h"
#include "service/release.h"

/* CHIP_ID of a report (AMD 56860, table 23). */
#define CHIP_AT 0x1a0u
#define CHIP_BYTES 64u

static const char *const codes[] = {
#define RELEASE_REASON_ROW(name, code) code,
    RELEASE_REASONS(RELEASE_REASON_ROW)
#undef RELEASE_REASON_ROW
};

const char *release_reason_code(enum release_reason reason)
{
    return codes[reason];
}

void release_clear(struct release *release)
{
    evidence_clear(&release->evidence);
    attest_claims_clear(&release->claims);
    buffer_clear(&release->input);
    buffer_clear(&release->texts);
}

static struct attested *attested_of(const struct release *release)
{
    return call_service(release->call)->attested;
}

static lethe_result deny(struct release *release, enum release_reason reason, const char *why,
                         struct lethe_error *err)
{
    release->reason = reason;
    release->code = codes[reason];
    snprintf(release->why, sizeof release->why, "%s", why);
    return error_set(err, LETHE_DENIED, "%s: %s", release->code, release->why);
}

/* ---- who, and for which challenge -------------------------------------------------------------
 */

static lethe_result check_caller(struct release *release, struct lethe_error *err)
{
    if (call_caller(release->call)->kind == CALLER_CERTIFICATE)
        return LETHE_OK;
    return deny(release, RELEASE_NOT_CERTIFIED,
                "keys are released to who comes with a certificate, not with a token", err);
}

static lethe_result decode(const struct field_value *value, const char *name, uint8_t *out,
                           size_t size_bytes, struct lethe_error *err)
{
    size_t found_bytes = 0;
    lethe_result result = base64_decode(value->text, value->length, out, size_bytes, &found_bytes);
    if (result != LETHE_OK || found_bytes != size_bytes)
        return error_set(err, LETHE_INVALID, "%s: expected base64 of %zu bytes", name, size_bytes);
    return LETHE_OK;
}

static enum release_reason reason_of_nonce(const char *code)
{
    for (enum release_reason reason = RELEASE_NONCE_UNKNOWN; reason < RELEASE_NONCE_EXPIRED;
         reason++) {
        if (strcmp(codes[reason], code) == 0)
            return reason;
    }
    return RELEASE_NONCE_EXPIRED;
}

static lethe_result use_nonce(struct release *release, uint8_t nonce[CHALLENGE_BYTES],
                              struct lethe_error *err)
{
    const char *code = NULL;
    TRY(decode(release->nonce, "nonce", nonce, CHALLENGE_BYTES, err));
    lethe_result result = challenges_use(attested_of(release), call_caller(release->call)->name,
                                         nonce, call_now_s(release->call), &code, err);
    if (result != LETHE_DENIED)
        return result;
    return deny(release, reason_of_nonce(code),
                "ask for a challenge, and answer it once, within a minute", err);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* The last segment of a SPIFFE id. */
static const char *principal_of(const struct caller *caller)
{
    const char *slash = strrchr(caller->name, '/');
    return slash != NULL ? slash + 1 : caller->name;
}

/* All of them, before anything is looked at that costs more. */
static lethe_result read_shards(const struct release_request *request, struct lethe_error *err)
{
    struct release_shard shard;
    struct json_walk walk = json_walk_over(&request->shards);
    lethe_result result = LETHE_OK;
    while (result == LETHE_OK)
        result = release_shard_next(&walk, &shard, err);
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

static lethe_result read_request(struct release *release, const char *text, size_t length,
                                 struct lethe_error *err)
{
    struct lethe_error why = {0};
    enum key_kind kind;
    struct release_request *request = &release->request;
    lethe_result result = release_request_read(text, length, request, &why);
    if (result == LETHE_OK)
        result = read_shards(request, &why);
    if (result != LETHE_OK)
        return deny(release, RELEASE_REQUEST_MALFORMED, why.text, err);
    snprintf(release->key, sizeof release->key, "%s.%s.%s", request->tenant, request->model,
             request->tier);
    if (key_name_check(release->key, &kind, NULL) != LETHE_OK || kind != KEY_ENCRYPTION)
        return deny(release, RELEASE_REQUEST_MALFORMED,
                    "tenant, model_id and tier name no model's key", err);
    return LETHE_OK;
}

static lethe_result check_identity(struct release *release, struct lethe_error *err)
{
    const struct caller *caller = call_caller(release->call);
    const struct release_request *request = &release->request;
    if (strcmp(request->principal, principal_of(caller)) != 0)
        return deny(release, RELEASE_IDENTITY_MISMATCH,
                    "principal is not the last part of the certificate's SPIFFE id", err);
    if (strcmp(request->tenant, caller->tenant) != 0)
        return deny(release, RELEASE_IDENTITY_MISMATCH, "tenant is not that of the certificate",
                    err);
    return LETHE_OK;
}

/* ---- the evidence, and whose machine it is of --------------------------------------------------
 */

static lethe_result bind(struct release *release, const uint8_t nonce[CHALLENGE_BYTES],
                         const char *request, size_t request_bytes, struct lethe_error *err)
{
    const char *service = attested_service(attested_of(release));
    const char *id = call_caller(release->call)->name;
    const struct attest_part parts[] = {
        {ATTEST_RELEASE_LABEL, strlen(ATTEST_RELEASE_LABEL)},
        {service, strlen(service)},
        {nonce, CHALLENGE_BYTES},
        {id, strlen(id)},
        {release->public_bytes, sizeof release->public_bytes},
        {request, request_bytes},
    };
    return attest_binding(parts, ARRAY_LEN(parts), release->binding, err);
}

static lethe_result deny_evidence(struct release *release, const struct lethe_error *why,
                                  struct lethe_error *err)
{
    release->reason = RELEASE_EVIDENCE;
    release->code = attest_reason_code(release->claims.reason);
    snprintf(release->why, sizeof release->why, "%s", why->text);
    return error_set(err, LETHE_DENIED, "%s: %s", release->code, release->why);
}

/* So that what could not be read has a digest on record, too. */
static void name_evidence(struct release *release, const char *text, size_t length)
{
    static const char prefix[] = "sha256:";
    uint8_t hash[SHA256_BYTES];
    char *digest = release->evidence.digest;
    sha256(text, length, hash);
    memcpy(digest, prefix, sizeof prefix);
    hex_encode(hash, sizeof hash, digest + strlen(prefix));
}

static lethe_result check_evidence(struct release *release, const char *text, size_t length,
                                   struct lethe_error *err)
{
    struct lethe_error why = {0};
    const struct evidence_trust trust =
        attested_trust(attested_of(release), call_now_s(release->call));
    lethe_result result = evidence_read(text, length, &release->evidence, &why);
    if (result == LETHE_MALFORMED) {
        release->claims.reason = ATTEST_MALFORMED;
        name_evidence(release, text, length);
        return deny_evidence(release, &why, err);
    }
    if (result == LETHE_OK)
        result =
            evidence_verify(&release->evidence, &trust, release->binding, &release->claims, &why);
    if (result == LETHE_DENIED)
        return deny_evidence(release, &why, err);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "%s", why.text);
}

static bool is_lower(const struct attest_tcb *now, const struct attest_tcb *before)
{
    return now->fmc < before->fmc || now->bootloader < before->bootloader ||
           now->tee < before->tee || now->snp < before->snp || now->microcode < before->microcode;
}

static lethe_result check_shown(struct release *release, const struct machine *machine,
                                struct lethe_error *err)
{
    const struct attest_claims *claims = &release->claims;
    const struct tpm2_counters now = {claims->clock_ms, claims->reset_count, claims->restart_count};
    if (claims->kind == ATTEST_TPM2 && !tpm2_counters_go_on(&machine->counters, &now))
        return deny(release, RELEASE_COUNTER_BACK,
                    "the TPM's counters are older than what it has shown before", err);
    if (claims->has_report && is_lower(&claims->tcb, &machine->tcb))
        return deny(release, RELEASE_TCB_BACK,
                    "the TCB is older than what this machine has shown before", err);
    return LETHE_OK;
}

const struct machine *release_chip(const struct release *release)
{
    char id[ATTEST_MACHINE_SIZE];
    const struct sevsnp_check *report = &release->evidence.sevsnp;
    if (release->claims.kind != ATTEST_TPM2 || !release->claims.has_report)
        return NULL;
    REQUIRE(report->report_bytes == SEVSNP_REPORT_BYTES);
    hex_encode((const uint8_t *)report->report + CHIP_AT, CHIP_BYTES, id);
    return machines_by_id(attested_of(release), id);
}

static lethe_result check_chip(struct release *release, struct lethe_error *err)
{
    const struct machine *chip = release_chip(release);
    if (chip != NULL && chip->revoked_s != 0)
        return deny(release, RELEASE_MACHINE_REVOKED,
                    "the chip whose report vouches for this machine was revoked", err);
    if (chip != NULL && is_lower(&release->claims.tcb, &chip->tcb))
        return deny(release, RELEASE_TCB_BACK,
                    "the TCB is older than what the chip that vouches has shown before", err);
    return LETHE_OK;
}

static lethe_result check_machine(struct release *release, struct lethe_error *err)
{
    const struct machine *found = machines_by_id(attested_of(release), release->claims.machine);
    const struct machine *machine = found != NULL ? &release->known : NULL;
    if (found != NULL)
        release->known = *found;
    release->machine = machine;
    TRY(check_chip(release, err));
    if (machine == NULL && release->claims.kind == ATTEST_TPM2 && !release->claims.has_report)
        return deny(release, RELEASE_MACHINE_UNKNOWN,
                    "this attestation key is not enrolled: lethe attest enroll", err);
    if (machine == NULL)
        return LETHE_OK; /* a chip's maker vouches for it */
    if (machine->revoked_s != 0)
        return deny(release, RELEASE_MACHINE_REVOKED, "this machine was revoked", err);
    if (machine->identity[0] != '\0' &&
        strcmp(machine->identity, call_caller(release->call)->name) != 0)
        return deny(release, RELEASE_MACHINE_FOREIGN, "this machine belongs to another identity",
                    err);
    return check_shown(release, machine, err);
}

/* ---- the policy ------------------------------------------------------------------------------ */

void release_ask_policy(struct release *release)
{
    buffer_clear(&release->input);
    release->decision = (struct lethe_decision){.reason = LETHE_POLICY_NO_MEMORY};
    if (release_input(release, &release->input, NULL) == LETHE_OK)
        policies_decide(call_service(release->call)->policies, RELEASE_RULE, release->input.bytes,
                        release->input.size_bytes, &release->decision);
}

/* A TPM that nobody enrolled is believed for a guest's report alone. Anybody's guest can report on
 * a TPM of its own making, so the report's measurement must be one that a reference value names. */
static lethe_result check_policy(struct release *release, struct lethe_error *err)
{
    char why[ATTEST_WHY_SIZE];
    bool is_reported = release->claims.kind == ATTEST_TPM2 && release->machine == NULL;
    release->reference = references_match(attested_of(release), &release->claims, is_reported, why);
    release_ask_policy(release);
    if (is_reported && release->reference == NULL)
        return deny(release, RELEASE_MEASUREMENT_UNKNOWN, why, err);
    if (release->decision.allowed)
        return LETHE_OK;
    if (release->reference == NULL)
        return deny(release, RELEASE_MEASUREMENT_UNKNOWN, why, err);
    return deny(release, RELEASE_POLICY_DENIED, release->decision.text, err);
}

static lethe_result check_minimum(struct release *release, struct lethe_error *err)
{
    char model[RELEASE_NAME_MAX + 1], why[ATTEST_WHY_SIZE];
    uint64_t minimum = 0;
    snprintf(model, sizeof model, "%s.%s", release->request.tenant, release->request.model);
    TRY(keeper_release_minimum(call_service(release->call)->keeper, model, &minimum, err));
    if (release->request.release >= minimum)
        return LETHE_OK;
    snprintf(why, sizeof why, "release %" PRIu64 " is below the minimum, which is %" PRIu64,
             release->request.release, minimum);
    return deny(release, RELEASE_RELEASE_TOO_OLD, why, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result append_decoded(const struct field_value *value, const char *name,
                                   struct buffer *out, struct lethe_error *err)
{
    size_t size_bytes, before = out->size_bytes;
    char *at = buffer_extend(out, value->length);
    if (at == NULL)
        return buffer_result(out, err);
    if (base64_decode(value->text, value->length, at, value->length, &size_bytes) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "%s: expected base64 of a JSON object", name);
    buffer_truncate(out, before + size_bytes);
    return LETHE_OK;
}

static lethe_result decode_texts(struct release *release, size_t *request_bytes,
                                 struct lethe_error *err)
{
    struct buffer *texts = &release->texts;
    TRY(append_decoded(release->request_text, "request", texts, err));
    *request_bytes = texts->size_bytes;
    return append_decoded(release->evidence_text, "evidence", texts, err);
}

static lethe_result check_proof(struct release *release, const uint8_t nonce[CHALLENGE_BYTES],
                                struct lethe_error *err)
{
    size_t request_bytes = 0;
    TRY(decode(release->public_key, "public_key", release->public_bytes,
               sizeof release->public_bytes, err));
    TRY(decode_texts(release, &request_bytes, err));
    const char *request = release->texts.bytes;
    TRY(read_request(release, request, request_bytes, err));
    TRY(check_identity(release, err));
    TRY(bind(release, nonce, request, request_bytes, err));
    return check_evidence(release, request + request_bytes,
                          release->texts.size_bytes - request_bytes, err);
}

lethe_result release_decide(struct release *release, struct lethe_error *err)
{
    uint8_t nonce[CHALLENGE_BYTES];
    TRY(check_caller(release, err));
    TRY(use_nonce(release, nonce, err));
    TRY(check_proof(release, nonce, err));
    TRY(check_machine(release, err));
    TRY(check_policy(release, err));
    return check_minimum(release, err);
}
