/* tests/attest/device_check.h -- a software TPM for a whole program, and our key in it. */
#ifndef TESTS_DEVICE_CHECK_H
#define TESTS_DEVICE_CHECK_H

#include "tpm2_check.h"

#include "attest/tpm2_device.h"

static struct tpm tpm;
static bool has_tpm;
static char key_path[128];

static int start_all(void **state)
{
    (void)state;
    int started = setup_tpm(&tpm);
    has_tpm = started == 0;
    snprintf(key_path, sizeof key_path, "%s/attest.key", tpm.directory);
    return started < 0 ? -1 : 0;
}

static int stop_all(void **state)
{
    (void)state;
    if (has_tpm)
        teardown_tpm(&tpm);
    return 0;
}

static void need_tpm(void)
{
    if (!has_tpm) {
        print_message("swtpm or tpm2-tools are not installed\n");
        skip();
    }
}

static void run(const char *command)
{
    if (shell(&tpm, command) != 0)
        fail_msg("failed: %s", command);
}

static struct tpm2_device *open_device(void)
{
    struct tpm2_device *device;
    assert_ok(tpm2_device_open(tpm.tcti, key_path, &device, &err), &err);
    assert_ok(tpm2_device_ensure_key(device, &err), &err);
    return device;
}

struct publics {
    struct buffer ak, ek, certificate;
    uint8_t name[TPM2_NAME_BYTES];
};

static void get_publics(struct tpm2_device *device, struct publics *out)
{
    *out = (struct publics){0};
    assert_ok(tpm2_device_publics(device, &out->ak, &out->ek, &out->certificate, &err), &err);
    assert_ok(tpm2_key_name(out->ak.bytes, out->ak.size_bytes, out->name, &err), &err);
}

static void clear_publics(struct publics *publics)
{
    buffer_clear(&publics->ak);
    buffer_clear(&publics->ek);
    buffer_clear(&publics->certificate);
}

__attribute__((unused)) static void write_file(const char *name, const void *bytes,
                                               size_t size_bytes)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", tpm.directory, name);
    assert_ok(file_write_atomic(AT_FDCWD, path, bytes, size_bytes, 0600, true, &err), &err);
}

__attribute__((unused)) static void read_into(const char *name, struct buffer *out)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", tpm.directory, name);
    buffer_clear(out);
    assert_ok(file_read_all(AT_FDCWD, path, 65536, out, &err), &err);
}

__attribute__((unused)) static struct lethe_secret *secret_of(size_t size_bytes)
{
    struct lethe_secret *secret;
    assert_ok(lethe_secret_create(size_bytes, &secret, &err), &err);
    for (size_t i = 0; i < size_bytes; i++)
        lethe_secret_bytes(secret)[i] = (uint8_t)(i * 7 + 3);
    return secret;
}

#endif
