/* Evidence of a TPM: quote, values, key, and the IMA log when PCR 10 is among them. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "attest/evidence_parts.h"
#include "attest/tpm2_device.h"
#include "base/file.h"
#include "base/text.h"

#define IMA_PCR 10u
static const char kernels_log[] = "/sys/kernel/security/ima/binary_runtime_measurements";

static void quote_clear(struct tpm2_quote *quote)
{
    tpm2_quote_clear(quote);
}
static void quote_clear_at_scope_end(struct tpm2_quote *quote)
{
    quote_clear(quote);
}

/* Read after the quote, it says all that the quote covers, and maybe more. Where nobody named a
 * log, one that cannot be read is left out: whether it is needed, the keeper says. */
static lethe_result read_log(const char *path, struct buffer *log, struct lethe_error *err)
{
    bool is_named = path != NULL;
    path = is_named ? path : kernels_log;
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return is_named ? error_from_errno(err, "IMA log %s", path) : LETHE_OK;
    return file_read_to_end(fd, path, TPM2_IMA_LOG_MAX, log, err);
}

static void put_pcrs(const struct tpm2_pcrs *pcrs, struct buffer *json)
{
    char hex[2 * sizeof pcrs->values[0] + 1];
    const char *between = "";
    buffer_text(json, ",\"pcrs\":{");
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        if ((pcrs->mask >> i & 1) == 0)
            continue;
        hex_encode(pcrs->values[i], sizeof pcrs->values[0], hex);
        buffer_format(json, "%s\"%u\":\"%s\"", between, i, hex);
        between = ",";
    }
    buffer_text(json, "}");
}

static void put_all(const struct tpm2_quote *quote, const struct buffer *ak,
                    const struct buffer *log, struct buffer *json)
{
    buffer_format(json, "{\"kind\":\"%s\"", attest_kind_name(ATTEST_TPM2));
    evidence_put_base64(json, "quote", quote->quote.bytes, quote->quote.size_bytes);
    evidence_put_base64(json, "signature", quote->signature.bytes, quote->signature.size_bytes);
    put_pcrs(&quote->pcrs, json);
    evidence_put_base64(json, "ak", ak->bytes, ak->size_bytes);
    if (log->size_bytes > 0)
        evidence_put_base64(json, "ima_log", log->bytes, log->size_bytes);
    buffer_text(json, "}");
}

lethe_result evidence_produce_tpm2(void *context, const uint8_t binding[ATTEST_BINDING_BYTES],
                                   uint32_t pcr_mask, struct buffer *json, struct lethe_error *err)
{
    struct evidence_maker *maker = context;
    CLEANUP(quote_clear) struct tpm2_quote quote = {0};
    CLEANUP(buffer_clear) struct buffer ak = {0};
    CLEANUP(buffer_clear) struct buffer ek = {0};
    CLEANUP(buffer_clear) struct buffer certificate = {0};
    CLEANUP(buffer_clear) struct buffer log = {0};
    TRY(tpm2_device_publics(maker->device, &ak, &ek, &certificate, err));
    TRY(tpm2_device_quote(maker->device, pcr_mask, binding, ATTEST_BINDING_BYTES, &quote, err));
    if (maker->options.ima_log != NULL || (pcr_mask >> IMA_PCR & 1) != 0)
        TRY(read_log(maker->options.ima_log, &log, err));
    size_t before = json->size_bytes;
    put_all(&quote, &ak, &log, json);
    TRY(buffer_result(json, err));
    if (json->size_bytes - before <= EVIDENCE_TEXT_MAX)
        return LETHE_OK;
    buffer_truncate(json, before);
    return error_set(err, LETHE_LIMIT, "evidence with an IMA log of %zu bytes; at most %u in all",
                     log.size_bytes, EVIDENCE_TEXT_MAX);
}
