/* Evidence of an SEV-SNP guest: its report, and the certificate of the key that signed it. */
#include <fcntl.h>
#include <string.h>

#include "attest/evidence_parts.h"
#include "attest/sevsnp_tsm.h"
#include "base/file.h"

static lethe_result read_vek(const char *path, struct buffer *vek, struct lethe_error *err)
{
    if (path == NULL) {
        error_set(err, LETHE_UNAVAILABLE, "the host gives no certificate of its key");
        error_hint(err, "get the VCEK of this chip from AMD's key server, and name its file");
        return LETHE_UNAVAILABLE;
    }
    CLEANUP(buffer_clear) struct buffer file = {0};
    TRY(file_read_all(AT_FDCWD, path, EVIDENCE_VEK_MAX * 2, &file, err));
    return error_context(err, sevsnp_certificate_to_der(file.bytes, file.size_bytes, vek, err),
                         "%s", path);
}

lethe_result evidence_produce_sevsnp(void *context, const uint8_t binding[ATTEST_BINDING_BYTES],
                                     uint32_t pcr_mask, struct buffer *json,
                                     struct lethe_error *err)
{
    const struct evidence_maker *maker = context;
    CLEANUP(buffer_clear) struct buffer report = {0};
    CLEANUP(buffer_clear) struct buffer vek = {0};
    uint8_t data[SEVSNP_DATA_BYTES] = {0};
    memcpy(data, binding, ATTEST_BINDING_BYTES);
    TRY(sevsnp_produce(maker->options.tsm_root, data, &report, &vek, err));
    if (vek.size_bytes == 0)
        TRY(read_vek(maker->options.vek_path, &vek, err));
    buffer_format(json, "{\"kind\":\"%s\"", attest_kind_name(ATTEST_SEV_SNP));
    evidence_put_base64(json, "report", report.bytes, report.size_bytes);
    evidence_put_base64(json, "vek", vek.bytes, vek.size_bytes);
    buffer_text(json, "}");
    return buffer_result(json, err);
}
