#include "residency/seal_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/validate.h"
#include "device/device.h"

/* ---- key ------------------------------------------------------------------------------------- */

static const char *const domains[] = {
    [LETHE_SEAL] = "lethe-seal-key-v1",
    [LETHE_SEAL_CONTRACT] = "llorch-seal-key-v1",
};

static lethe_result derive(const struct lethe_worker_options *options, struct lethe_secret *out,
                           struct lethe_error *err)
{
    const char *domain = domains[options->profile];
    const struct hkdf_input input = {
        .hash = HKDF_SHA256,
        .key = lethe_secret_bytes_const(options->token),
        .key_bytes = lethe_secret_size(options->token),
        .salt = options->hardware_id,
        .salt_bytes = options->hardware_id_bytes,
        .info = domain,
        .info_bytes = strlen(domain),
    };
    return hkdf(&input, lethe_secret_bytes(out), SEAL_KEY_BYTES, err);
}

lethe_result seal_key_create(const struct lethe_worker_options *options, struct lethe_secret **out,
                             struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(lethe_secret_create(SEAL_KEY_BYTES, &key, err));
    if (options->token != NULL)
        TRY(derive(options, key, err));
    else if (random_fill(&random_system, lethe_secret_bytes(key), SEAL_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    *out = MOVE(key);
    return LETHE_OK;
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* IV-005: a text that does not end in its field would let whatever is behind it be signed. */
static lethe_result check_end(const char *what, const char *text, size_t size,
                              struct lethe_error *err)
{
    if (memchr(text, '\0', size) != NULL)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "%s of a seal does not end within its %zu bytes", what,
                     size);
}

static bool is_name_of(const char *kind, const char *name)
{
    size_t length = strlen(kind);
    int64_t index;
    return strncmp(name, kind, length) == 0 && name[length] == ':' &&
           validate_integer("", name + length + 1, 0, INT32_MAX, &index, NULL) == LETHE_OK;
}

/* "host:0", "cuda:12", and in the root of a group "group:4" */
static bool is_device_name(const char *name)
{
    for (int kind = 0; kind < DEVICE_KINDS; kind++) {
        if (is_name_of(device_kind_name((enum lethe_device_kind)kind), name))
            return true;
    }
    return is_name_of(SEAL_GROUP_KIND, name);
}

lethe_result seal_validate(const struct lethe_seal *seal, struct lethe_error *err)
{
    TRY(check_end("the id", seal->id, sizeof seal->id, err));
    TRY(check_end("the digest", seal->digest, sizeof seal->digest, err));
    TRY(check_end("the device", seal->device, sizeof seal->device, err));
    TRY(validate_identifier("id of a seal", seal->id, IDENTIFIER_MAX, err));
    TRY(validate_hex("digest of a seal", seal->digest, SEAL_DIGEST_DIGITS, err));
    if (!is_device_name(seal->device))
        return error_set(err, LETHE_INVALID,
                         "device of a seal: expected host:, cuda: or group:, and a number");
    return LETHE_OK;
}

/* ---- signature ------------------------------------------------------------------------------- */

size_t seal_text(const struct lethe_seal *seal, char out[SEAL_TEXT_SIZE])
{
    int length =
        snprintf(out, SEAL_TEXT_SIZE, "%.*s|%.*s|%" PRIu64 "|%.*s", (int)sizeof seal->id - 1,
                 seal->id, (int)sizeof seal->digest - 1, seal->digest, seal->sealed_at_s,
                 (int)sizeof seal->device - 1, seal->device);
    REQUIRE(length > 0 && (size_t)length < SEAL_TEXT_SIZE);
    return (size_t)length;
}

static lethe_result sign(const struct lethe_secret *key, const struct lethe_seal *seal,
                         uint8_t out[SHA256_BYTES], struct lethe_error *err)
{
    char text[SEAL_TEXT_SIZE];
    size_t length = seal_text(seal, text);
    lethe_result result =
        hmac_sha256(lethe_secret_bytes_const(key), lethe_secret_size(key), text, length, out);
    return result == LETHE_OK ? result : error_set(err, result, "no memory to sign a seal with");
}

lethe_result seal_sign(const struct lethe_secret *key, struct lethe_seal *seal,
                       struct lethe_error *err)
{
    return sign(key, seal, seal->signature, err);
}

/* What the signature should have been is worth as much as the key for this one text: wiped. */
lethe_result seal_check(const struct lethe_secret *key, const struct lethe_seal *seal,
                        struct lethe_error *err)
{
    uint8_t expected[SHA256_BYTES];
    TRY(sign(key, seal, expected, err));
    bool fits = bytes_equal(expected, seal->signature, sizeof expected);
    lethe_wipe(expected, sizeof expected);
    if (fits)
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "the seal's signature does not fit");
}
