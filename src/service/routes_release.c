/* lethe/release: data keys for machines that have proven what they run (docs/release-protocol.md).
 */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/release.h"

/* ---- challenge ------------------------------------------------------------------------------- */

static void put_pcrs(struct json_writer *writer, uint32_t mask)
{
    json_begin_array(writer, "pcrs");
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        if ((mask & 1u << i) != 0)
            json_put_integer(writer, NULL, i);
    }
    json_end_array(writer);
}

static lethe_result challenge(struct call *call, struct lethe_error *err)
{
    uint8_t nonce[CHALLENGE_BYTES];
    struct attested *attested = call_service(call)->attested;
    const struct caller *caller = call_caller(call);
    if (caller->kind != CALLER_CERTIFICATE)
        return error_set(err, LETHE_DENIED,
                         "certificate_needed: keys are released to who comes with a certificate");
    TRY(challenges_draw(attested, caller->name, call_now_s(call), nonce, err));
    struct json_writer *writer = answer_data(call);
    json_put_base64(writer, "nonce", nonce, sizeof nonce);
    json_put_integer(writer, "expires_in", CHALLENGE_S);
    json_put_text(writer, "service", attested_service(attested));
    put_pcrs(writer, references_pcrs(attested));
    return LETHE_OK;
}

/* ---- release --------------------------------------------------------------------------------- */

enum { ASK_NONCE, ASK_PUBLIC, ASK_REQUEST, ASK_EVIDENCE };
static const struct field release_fields[] = {
    [ASK_NONCE] = {"nonce", FIELD_BASE64, true, "of the challenge", NULL},
    [ASK_PUBLIC] = {"public_key", FIELD_BASE64, true, "X25519, made for this release", NULL},
    [ASK_REQUEST] = {"request", FIELD_BASE64, true, "JSON: who wants which shards' keys", NULL},
    [ASK_EVIDENCE] = {"evidence", FIELD_BASE64, true, "JSON: a quote or report over all of it",
                      NULL},
    {0}};

static struct release release_of(struct call *call)
{
    return (struct release){
        .call = call,
        .nonce = call_field(call, ASK_NONCE),
        .public_key = call_field(call, ASK_PUBLIC),
        .request_text = call_field(call, ASK_REQUEST),
        .evidence_text = call_field(call, ASK_EVIDENCE),
    };
}

static void put_state(struct json_writer *writer, const struct release *release)
{
    const struct attest_reference *reference = release->reference;
    json_put_text(writer, "machine", release->machine != NULL ? release->machine->name : "");
    json_put_text(writer, "reference", reference != NULL ? reference->name : "");
    json_put_integer(writer, "reference_version",
                     reference != NULL ? (int64_t)reference->version : 0);
    json_put_text(writer, "evidence_digest", release->evidence.digest);
    json_put_text(writer, "policy_digest", release->decision.policy_digest);
}

static lethe_result release_handler(struct call *call, struct lethe_error *err)
{
    uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES];
    CLEANUP(release_clear) struct release release = release_of(call);
    CLEANUP(buffer_clear) struct buffer cipher = {0};
    lethe_result result = release_decide(&release, err);
    if (result == LETHE_OK)
        result = release_keys(&release, encapsulated, &cipher, err);
    if (result == LETHE_DENIED)
        release_record_denied(&release);
    TRY(result);
    struct json_writer *writer = answer_data(call);
    json_put_base64(writer, "encapsulated_key", encapsulated, sizeof encapsulated);
    json_put_base64(writer, "ciphertext", cipher.bytes, cipher.size_bytes);
    json_put_text(writer, "justification", release.decision.text);
    put_state(writer, &release);
    return LETHE_OK;
}

/* ---- whether there would be one ----------------------------------------------------------------
 */

static lethe_result check_handler(struct call *call, struct lethe_error *err)
{
    struct lethe_error why = {0};
    CLEANUP(release_clear) struct release release = release_of(call);
    lethe_result result = release_decide(&release, &why);
    if (result == LETHE_OK)
        result = release_try_keys(&release, &why);
    if (result != LETHE_OK && release.reason == RELEASE_NONE)
        return error_set(err, result, "%s", why.text);
    bool is_asked = release.input.size_bytes > 0;
    if (!is_asked)
        release_ask_policy(&release);
    struct json_writer *writer = answer_data(call);
    json_put_boolean(writer, "allowed", result == LETHE_OK);
    json_put_text(writer, "reason",
                  result == LETHE_OK ? release_reason_code(RELEASE_NONE) : release.code);
    json_put_text(writer, "detail", result == LETHE_OK ? release.decision.text : release.why);
    json_put_text(writer, "rule", RELEASE_RULE);
    json_put_boolean(writer, "rule_allows", release.decision.allowed);
    json_put_text(writer, "rule_says", release.decision.text);
    json_put_bytes(writer, "input", release.input.size_bytes > 0 ? release.input.bytes : "",
                   release.input.size_bytes);
    put_state(writer, &release);
    return LETHE_OK;
}

const struct route routes_release[] = {
    {CALL_POST, "lethe/release/challenge", 0, "release_challenge", NULL, NULL, challenge,
     "A nonce for evidence, for this identity, once, within a minute"},
    {CALL_POST, "lethe/release/check", 0, "release_check", NULL, release_fields, check_handler,
     "Whether keys would be released, and which check or rule says no"},
    {CALL_POST, "lethe/release", 0, "release", NULL, release_fields, release_handler,
     "Data keys of a model's shards, wrapped to a machine that policy accepts"},
    {0}};
