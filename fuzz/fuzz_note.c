/* Signed notes, checkpoints and verifier keys. What is read can be written, and is then the same.
 */
#include <string.h>

#include "audit/checkpoint.h"

#include "fuzz.h"

/* The key of the checkpoint among the seeds. */
static const struct audit_key key = {
    "example.com/audit",
    {0x0b, 0xc7, 0xd4, 0x8b, 0x7b, 0xfa, 0x8c, 0x7a, 0xf9, 0xbe, 0xf7,
     0x48, 0xad, 0x31, 0xe7, 0x71, 0x58, 0x3d, 0xd9, 0xf7, 0x52, 0xc1,
     0x68, 0xbf, 0x1d, 0x62, 0x6a, 0x89, 0x3b, 0x93, 0xe6, 0x35},
};

static void read_checkpoint(const char *note, size_t size)
{
    struct lethe_error err = {0};
    struct audit_checkpoint read, opened;
    CLEANUP(buffer_clear) struct buffer text = {0};
    lethe_result result = audit_checkpoint_read(note, size, &read, &err);
    if (result != LETHE_OK) {
        FUZZ_PROPERTY(audit_checkpoint_open(note, size, &key, &opened, &err) != LETHE_OK);
        return;
    }
    audit_checkpoint_text(&read, &text); /* extension lines may follow it */
    FUZZ_PROPERTY(text.size_bytes < size);
    FUZZ_PROPERTY(memcmp(text.bytes, note, text.size_bytes) == 0);
    if (audit_checkpoint_open(note, size, &key, &opened, &err) == LETHE_OK) {
        FUZZ_PROPERTY(strcmp(opened.origin, key.name) == 0);
        FUZZ_PROPERTY(opened.records == read.records);
    }
}

static void read_key(const char *bytes, size_t size)
{
    struct lethe_error err = {0};
    struct audit_key parsed;
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (audit_key_parse(bytes, size, &parsed, &err) != LETHE_OK)
        return;
    audit_key_text(&parsed, &text);
    FUZZ_PROPERTY(text.size_bytes == size && memcmp(text.bytes, bytes, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_checkpoint((const char *)data, size);
    read_key((const char *)data, size);
    return 0;
}
