#include "place.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/crypto.h"

#define LARGE_MIB 4096u
#define WRAPPED_PREFIX "vault:v1:"

/* ---- a key source that wraps nothing
 * --------------------------------------------------------------- */

static lethe_result ensure(void *context, const char *key, struct lethe_error *err)
{
    return LETHE_OK;
}

/* The key itself, where a key service would put what it wrapped. */
static lethe_result wrap(void *context, const struct key_use *use,
                         const struct lethe_secret *data_key, struct buffer *wrapped,
                         struct lethe_error *err)
{
    buffer_text(wrapped, WRAPPED_PREFIX);
    base64_append(wrapped, lethe_secret_bytes_const(data_key), AEAD_KEY_BYTES);
    return buffer_result(wrapped, err);
}

static lethe_result unwrap(void *context, const struct key_use *use, const char *wrapped,
                           struct lethe_secret **data_key, struct lethe_error *err)
{
    size_t size_bytes;
    const char *encoded = wrapped + strlen(WRAPPED_PREFIX);
    TRY(lethe_secret_create(AEAD_KEY_BYTES, data_key, err));
    return base64_decode(encoded, strlen(encoded), lethe_secret_bytes(*data_key), AEAD_KEY_BYTES,
                         &size_bytes);
}

static lethe_result newest(void *context, const char *key, uint64_t *version,
                           struct lethe_error *err)
{
    *version = 1;
    return LETHE_OK;
}

static lethe_result sign(void *context, const char *tenant, const void *bytes, size_t size_bytes,
                         struct signature *out, struct lethe_error *err)
{
    return sign_message(((struct place_keys *)context)->pair, bytes, size_bytes, out, err);
}

static lethe_result signer(void *context, const char *tenant, const char *hint,
                           const struct sign_public **out, struct lethe_error *err)
{
    *out = sign_pair_public(((struct place_keys *)context)->pair);
    return LETHE_OK;
}

/* ---- where, and how much --------------------------------------------------------------------- */

const char *place_in_memory(void)
{
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

const char *place_on_disk(void)
{
    const char *chosen = getenv("TMPDIR");
    if (chosen != NULL)
        return chosen;
    return access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}

static uint64_t available_bytes(void)
{
    static const char field[] = "MemAvailable:";
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (file_read_all(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL) != LETHE_OK)
        bench_fail("/proc/meminfo cannot be read", NULL);
    const char *line = strstr(text.bytes, field);
    return line != NULL ? strtoull(line + strlen(field), NULL, 10) * 1024 : 0;
}

uint64_t place_large_bytes(void)
{
    const char *wanted = getenv("LETHE_BENCH_MIB");
    uint64_t size_bytes = (wanted != NULL ? strtoull(wanted, NULL, 10) : LARGE_MIB) * MIB;
    if (size_bytes == 0)
        bench_fail("LETHE_BENCH_MIB is not a number of MiB", NULL);
    while (size_bytes > MIB && 3 * size_bytes > available_bytes())
        size_bytes /= 2;
    return size_bytes;
}

/* ---- the place ------------------------------------------------------------------------------- */

void place_must(lethe_result result, const struct place *place)
{
    if (result != LETHE_OK)
        bench_fail("a model cannot be worked with", &place->err);
}

void place_open(struct place *place, const char *parent, uint64_t size_bytes)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    *place = (struct place){.size_bytes = size_bytes};
    struct place_keys *keys = &place->keys;
    snprintf(place->directory, sizeof place->directory, "%s/lethe-bench-XXXXXX", parent);
    if (mkdtemp(place->directory) == NULL)
        bench_fail("no temporary directory", NULL);
    snprintf(place->source, sizeof place->source, "%s/source.bin", place->directory);
    snprintf(place->model, sizeof place->model, "%s/model", place->directory);
    place_must(crypto_start(&place->err), place);
    place_must(sign_generate(SIGNATURE_ECDSA_P256, &private_key, &place->err), place);
    place_must(sign_pair_create(SIGNATURE_ECDSA_P256, private_key, &keys->pair, &place->err),
               place);
    keys->source = (struct key_source){.ensure = ensure,
                                       .wrap = wrap,
                                       .unwrap = unwrap,
                                       .newest = newest,
                                       .sign = sign,
                                       .signer = signer,
                                       .context = keys};
}

void place_close(struct place *place)
{
    place_must(file_remove_tree(AT_FDCWD, place->directory, &place->err), place);
    sign_pair_free(place->keys.pair);
}

void place_write_source(struct place *place)
{
    static uint64_t piece[MIB / sizeof(uint64_t)];
    CLEANUP(fd_close) int fd = open(place->source, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_fail("no source file", NULL);
    for (uint64_t at = 0; at < place->size_bytes; at += MIB) {
        for (size_t i = 0; i < ARRAY_LEN(piece); i++)
            piece[i] = (at + i) * 0x9e3779b97f4a7c15;
        place_must(file_write_at(fd, place->source, at, piece, sizeof piece, &place->err), place);
    }
    if (fsync(fd) != 0)
        bench_fail("the source cannot be synced", NULL);
}

void place_write_zeros(struct place *place)
{
    CLEANUP(fd_close) int fd = open(place->source, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)place->size_bytes) != 0)
        bench_fail("no source file", NULL);
}

void place_encrypt(struct place *place)
{
    const char *sources[] = {place->source};
    const struct encrypt_options options = {
        .sources = sources,
        .source_count = 1,
        .output = place->model,
        .tenant = "bench",
        .force = true,
        .clock = &clock_system,
        .random = &random_system,
    };
    struct encrypt_summary summary;
    place_must(model_encrypt(&options, &place->keys.source, &summary, &place->err), place);
}

struct model *place_open_model(struct place *place)
{
    struct model *model = NULL;
    const struct sign_public *public = sign_pair_public(place->keys.pair);
    place_must(model_open(place->model, &model, &place->err), place);
    place_must(model_check_signature(model, public, &place->err), place);
    return model;
}

double gbytes_per_s(uint64_t size_bytes, double seconds)
{
    return (double)size_bytes / seconds * 1e-9;
}
