/* lethe attest verify: evidence in files, checked without network and without a service. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/sevsnp_tsm.h"
#include "attest/tpm2_files.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/attest_place.h"

#define FILE_MAX ((size_t)64 << 10)
#define NONCE_MAX 64u
#define NS_PER_S 1000000000u

static lethe_result is_missing(struct lethe_error *err, const char *name)
{
    error_set(err, LETHE_INVALID, "--%s FILE is missing", name);
    error_hint(err, "lethe attest verify --help says which files a kind has");
    return LETHE_INVALID;
}

static lethe_result read_option(const struct invocation *invocation, const char *name,
                                struct buffer *out, struct lethe_error *err)
{
    const char *path = option_text(invocation, name);
    if (path == NULL)
        return is_missing(err, name);
    return file_read_all(AT_FDCWD, path, FILE_MAX, out, err);
}

static lethe_result read_time(const struct invocation *invocation, uint64_t *out,
                              struct lethe_error *err)
{
    const char *text = option_text(invocation, "at");
    struct tm tm = {0};
    *out = clock_wall_ns(&clock_system) / NS_PER_S;
    if (text == NULL)
        return LETHE_OK;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0' || timegm(&tm) < 0)
        return error_set(err, LETHE_INVALID, "--at is a time as 2026-11-20T12:00:00Z");
    *out = (uint64_t)timegm(&tm);
    return LETHE_OK;
}

/* What else is to be said of it, behind the verdict. */
static lethe_result print_claims(struct invocation *invocation, const struct attest_claims *claims,
                                 const char *detail, const char *note, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    buffer_format(&json,
                  "{\"format\":\"lethe-attest-verify/1\",\"verified\":%s,\"reason\":\"%s\","
                  "\"detail\":",
                  claims->verified ? "true" : "false", attest_reason_code(claims->reason));
    json_append_string(&json, detail, strlen(detail));
    if (note != NULL) {
        buffer_text(&json, ",\"note\":");
        json_append_string(&json, note, strlen(note));
    }
    if (claims->json.size_bytes > 2) { /* an object with members: they go on behind ours */
        buffer_text(&json, ",");
        buffer_append(&json, claims->json.bytes + 1, claims->json.size_bytes - 1);
    } else {
        buffer_text(&json, "}");
    }
    invocation->exit_code = claims->verified ? 0 : lethe_result_exit_code(LETHE_INTEGRITY);
    return attest_print(&json, option_given(invocation, "json"), err);
}

/* LETHE_DENIED is an answer, as any other that is about the evidence. */
static lethe_result answer(struct invocation *invocation, struct attest_claims *claims,
                           lethe_result result, const struct lethe_error *why, const char *note)
{
    if (result != LETHE_OK && result != LETHE_DENIED)
        return result;
    claims->verified = result == LETHE_OK;
    const char *detail = result == LETHE_OK ? attest_reason_sentence(ATTEST_VERIFIED) : why->text;
    return print_claims(invocation, claims, detail, note, NULL);
}

static lethe_result verify_guest(struct invocation *invocation, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer report = {0};
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(buffer_clear) struct buffer vek = {0};
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    struct lethe_error why = {0};
    struct sevsnp_check check = {0};
    TRY(read_time(invocation, &check.now_s, err));
    TRY(read_option(invocation, "report", &report, err));
    TRY(read_option(invocation, "vek", &file, err));
    TRY(sevsnp_certificate_to_der(file.bytes, file.size_bytes, &vek, err));
    check.report = report.bytes;
    check.report_bytes = report.size_bytes;
    check.vek = vek.bytes;
    check.vek_bytes = vek.size_bytes;
    lethe_result result = sevsnp_verify(&check, &claims, &why);
    result = answer(invocation, &claims, result, &why, NULL);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "%s", why.text);
}

struct quote_files {
    struct buffer quote, signature, key_file, ak, values;
    uint8_t nonce[NONCE_MAX];
};
static void quote_files_clear_at_scope_end(struct quote_files *files)
{
    buffer_clear(&files->quote);
    buffer_clear(&files->signature);
    buffer_clear(&files->key_file);
    buffer_clear(&files->ak);
    buffer_clear(&files->values);
}

static lethe_result read_quote_nonce(const struct invocation *invocation, struct quote_files *files,
                                     struct tpm2_check *check, struct lethe_error *err)
{
    const char *text = option_text(invocation, "nonce");
    size_t length = text != NULL ? strlen(text) : 0;
    if (length == 0 || length % 2 != 0 || length / 2 > NONCE_MAX ||
        hex_decode(text, length, files->nonce, length / 2) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "--nonce is 1 to %u bytes in lower-case hex",
                         NONCE_MAX);
    check->binding = files->nonce;
    check->binding_bytes = length / 2;
    return LETHE_OK;
}

static lethe_result read_quote(const struct invocation *invocation, struct quote_files *files,
                               struct tpm2_check *check, bool *has_attributes,
                               struct lethe_error *err)
{
    TRY(read_quote_nonce(invocation, files, check, err));
    TRY(read_option(invocation, "quote", &files->quote, err));
    TRY(read_option(invocation, "signature", &files->signature, err));
    TRY(read_option(invocation, "ak", &files->key_file, err));
    TRY(read_option(invocation, "pcrs", &files->values, err));
    const struct tpm2_key_file key = {files->key_file.bytes, files->key_file.size_bytes,
                                      files->signature.bytes, files->signature.size_bytes};
    TRY(tpm2_files_key(&key, &files->ak, has_attributes, err));
    TRY(tpm2_files_pcrs(files->quote.bytes, files->quote.size_bytes, files->values.bytes,
                        files->values.size_bytes, &check->pcrs, err));
    check->quote = files->quote.bytes;
    check->quote_bytes = files->quote.size_bytes;
    check->signature = files->signature.bytes;
    check->signature_bytes = files->signature.size_bytes;
    check->ak = files->ak.bytes;
    check->ak_bytes = files->ak.size_bytes;
    return LETHE_OK;
}

static lethe_result verify_quote(struct invocation *invocation, struct lethe_error *err)
{
    CLEANUP(quote_files_clear) struct quote_files files = {0};
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    struct lethe_error why = {0};
    struct tpm2_check check = {0};
    bool has_attributes = true;
    TRY(read_quote(invocation, &files, &check, &has_attributes, err));
    lethe_result result = tpm2_verify(&check, &claims, &why);
    result =
        answer(invocation, &claims, result, &why,
               has_attributes ? NULL
                              : "the key came as PEM, which does not say that it lies in a TPM "
                                "or what it may sign: nothing but the signature was checked");
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "%s", why.text);
}

COMMAND_FUNCTION(attest_verify)
{
    enum attest_kind kind;
    const char *text = option_text(invocation, "kind");
    if (text == NULL || attest_kind_parse(text, &kind) != LETHE_OK) {
        error_set(err, LETHE_INVALID, "say of which kind it is: --kind tpm2 or --kind sev-snp");
        error_hint(err, "lethe attest verify --help says which files a kind has");
        return LETHE_INVALID;
    }
    return kind == ATTEST_TPM2 ? verify_quote(invocation, err) : verify_guest(invocation, err);
}
