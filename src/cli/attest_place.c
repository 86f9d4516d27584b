#include "cli/attest_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/kms_call.h"
#include "crypto/hash.h"

#define PIECE_BYTES ((size_t)64 << 10)

void attest_place_clear(struct attest_place *place)
{
    attesting_free(MOVE(place->attesting));
    home_paths_clear(&place->paths);
}

lethe_result attest_place_locate(const struct invocation *invocation, const char *kind,
                                 struct attest_place *out, struct lethe_error *err)
{
    *out = (struct attest_place){0};
    TRY(home_locate(NULL, &out->paths, err));
    TRY(configuration_read(out->paths.configuration, &out->configuration, err));
    TRY(kms_options_read(invocation, &out->configuration.kms, err));
    struct attesting_settings settings = kms_settings_attesting(&out->configuration.kms);
    if (kind != NULL)
        settings.kind = kind;
    if (settings.kind[0] == '\0')
        settings.kind = attest_kind_name(ATTEST_TPM2);
    return attesting_create(&settings, out->paths.directory, &out->attesting, err);
}

lethe_result attest_place_tpm(const struct attest_place *place, struct tpm2_device **out,
                              struct lethe_error *err)
{
    const struct evidence_options *options = attesting_options(place->attesting);
    return tpm2_device_open(options->tcti, options->key_path, out, err);
}

bool attest_place_has_key(const struct attest_place *place)
{
    return access(attesting_options(place->attesting)->key_path, F_OK) == 0;
}

/* ---- PCRs ------------------------------------------------------------------------------------ */

static lethe_result is_no_list(struct lethe_error *err)
{
    return error_set(err, LETHE_INVALID, "PCRs are numbers from 0 to %u, as 0-7 or 0,2,7",
                     ATTEST_PCRS - 1);
}

static const char *read_number(const char *text, unsigned *out)
{
    char *behind;
    if (*text < '0' || *text > '9')
        return NULL;
    unsigned long number = strtoul(text, &behind, 10);
    *out = (unsigned)MIN(number, (unsigned long)ATTEST_PCRS);
    return number < ATTEST_PCRS ? behind : NULL;
}

lethe_result attest_read_pcr_list(const char *text, uint32_t *mask, struct lethe_error *err)
{
    *mask = 0;
    for (;;) {
        unsigned first, last;
        text = read_number(text, &first);
        last = first;
        if (text != NULL && *text == '-')
            text = read_number(text + 1, &last);
        if (text == NULL || last < first)
            return is_no_list(err);
        for (unsigned i = first; i <= last; i++)
            *mask |= 1u << i;
        if (*text == '\0')
            return LETHE_OK;
        if (*text++ != ',')
            return is_no_list(err);
    }
}

void attest_put_pcrs(const struct tpm2_pcrs *pcrs, struct buffer *json)
{
    char hex[2 * sizeof pcrs->values[0] + 1];
    const char *between = "{";
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        if ((pcrs->mask & 1u << i) == 0)
            continue;
        hex_encode(pcrs->values[i], sizeof pcrs->values[0], hex);
        buffer_format(json, "%s\"%u\":\"%s\"", between, i, hex);
        between = ",";
    }
    buffer_text(json, pcrs->mask != 0 ? "}" : "{}");
}

/* ---- printing, digests ------------------------------------------------------------------------
 */

lethe_result attest_print(const struct buffer *json, bool as_json, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    TRY(buffer_result(json, err));
    guarded_append(&text, json->bytes, json->size_bytes);
    TRY(guarded_result(&text, err));
    if (fflush(stdout) != 0)
        return error_from_errno(err, "writing to standard output");
    return kms_print_answer(&text, as_json, err);
}

static lethe_result digest_fd(int fd, const char *path, struct sha256_stream *stream,
                              struct lethe_error *err)
{
    CLEANUP(memory_free) char *piece = malloc(PIECE_BYTES);
    if (piece == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to read %s", path);
    for (;;) {
        ssize_t got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_from_errno(err, "reading %s", path);
        if (got == 0)
            return LETHE_OK;
        sha256_update(stream, piece, (size_t)got);
    }
}

lethe_result attest_file_digest(const char *path, char out[ATTEST_DIGEST_SIZE],
                                struct lethe_error *err)
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    struct stat status;
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "%s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INVALID, "%s is no file", path);
    CLEANUP(sha256_free) struct sha256_stream *stream = NULL;
    TRY(sha256_create(&stream, err));
    TRY(digest_fd(fd, path, stream, err));
    sha256_finish(stream, digest);
    hex_encode(digest, sizeof digest, hex);
    snprintf(out, ATTEST_DIGEST_SIZE, "sha256:%s", hex);
    return LETHE_OK;
}
