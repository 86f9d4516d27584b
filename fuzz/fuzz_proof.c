/* Proofs, as texts, and cosigned checkpoints. What is read can be written, and is then the same but
 * for extra data; what no key signed is never taken. */
#include <string.h>

#include "audit/cosignature.h"
#include "audit/note.h"
#include "audit/proof.h"

#include "fuzz.h"

/* The key of the checkpoint among the seeds. */
static const struct audit_key key = {
    "example.com/audit",
    {0x0b, 0xc7, 0xd4, 0x8b, 0x7b, 0xfa, 0x8c, 0x7a, 0xf9, 0xbe, 0xf7,
     0x48, 0xad, 0x31, 0xe7, 0x71, 0x58, 0x3d, 0xd9, 0xf7, 0x52, 0xc1,
     0x68, 0xbf, 0x1d, 0x62, 0x6a, 0x89, 0x3b, 0x93, 0xe6, 0x35},
};

static void read_inclusion(const char *bytes, size_t size)
{
    struct proof_text text;
    struct audit_checkpoint checkpoint;
    const struct proof_record other = {"no such entry", 13};
    CLEANUP(buffer_clear) struct buffer written = {0};
    if (proof_text_parse(bytes, size, &text, NULL) != LETHE_OK)
        return;
    FUZZ_PROPERTY(text.proof.count <= PROOF_HASHES_MAX);
    FUZZ_PROPERTY(proof_text_check(&text, &key, &other, &checkpoint, NULL) != LETHE_OK);
    proof_text_append(&text, &written);
    FUZZ_PROPERTY(written.size_bytes <= size);
    FUZZ_PROPERTY(memcmp(written.bytes + written.size_bytes - text.note_bytes, text.note,
                         text.note_bytes) == 0);
    FUZZ_PROPERTY(written.size_bytes < size || memcmp(written.bytes, bytes, size) == 0);
}

static void read_growth(const char *bytes, size_t size)
{
    struct proof_growth growth;
    struct audit_checkpoint newest;
    CLEANUP(buffer_clear) struct buffer written = {0};
    if (proof_growth_parse(bytes, size, &growth, NULL) != LETHE_OK)
        return;
    const struct audit_checkpoint old = {.records = growth.old_size};
    FUZZ_PROPERTY(proof_is_growth(bytes, size));
    FUZZ_PROPERTY(proof_growth_check(&growth, &key, &old, &newest, NULL) != LETHE_OK);
    proof_growth_append(&growth, &written);
    FUZZ_PROPERTY(written.size_bytes == size && memcmp(written.bytes, bytes, size) == 0);
}

/* The seed's witness is not one of these, whose private key nobody has. */
static void read_cosigned(const char *bytes, size_t size)
{
    struct cosignature_report report;
    const struct cosignature_policy policy = {&key, 1, 1};
    FUZZ_PROPERTY(cosignature_check(bytes, size, &policy, &report, NULL) != LETHE_OK);
}

static void read_witness(const char *bytes, size_t size)
{
    struct audit_key witness;
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (cosignature_key_parse(bytes, size, &witness, NULL) != LETHE_OK)
        return;
    note_key_text(&witness, NOTE_TYPE_COSIGNATURE, &text);
    FUZZ_PROPERTY(text.size_bytes == size && memcmp(text.bytes, bytes, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_inclusion((const char *)data, size);
    read_growth((const char *)data, size);
    read_cosigned((const char *)data, size);
    read_witness((const char *)data, size);
    return 0;
}
