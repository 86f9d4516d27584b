/* Boundaries of files of records. What is read can be written, and is then the same. */
#include <string.h>

#include "audit/boundary.h"
#include "audit/proof.h"

#include "fuzz.h"

/* The key of the seeds: its private half is 32 times 01. */
static const struct audit_key key = {
    "lethe/alpha",
    {0x8a, 0x88, 0xe3, 0xdd, 0x74, 0x09, 0xf1, 0x95, 0xfd, 0x52, 0xdb,
     0x2d, 0x3c, 0xba, 0x5d, 0x72, 0xca, 0x67, 0x09, 0xbf, 0x1d, 0x94,
     0x12, 0x1b, 0xf3, 0x74, 0x88, 0x01, 0xb4, 0x0f, 0x6f, 0x5c},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *note = (const char *)data;
    struct replay place, opened;
    struct audit_checkpoint checkpoint;
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (boundary_parse(note, size, &key, &place, NULL) != LETHE_OK) {
        FUZZ_PROPERTY(boundary_open(note, size, &key, &opened, NULL) != LETHE_OK);
        return 0;
    }
    FUZZ_PROPERTY(place.number >= BOUNDARY_NUMBER_MIN && place.number <= FILES_NUMBER_MAX);
    FUZZ_PROPERTY(place.chain.tree.leaves > 0 && place.chain.tree.leaves <= PROOF_SIZE_MAX);
    FUZZ_PROPERTY(place.note_at < place.note_offset);
    boundary_text(&place, &key, &text);
    FUZZ_PROPERTY(text.size_bytes < size);
    FUZZ_PROPERTY(memcmp(text.bytes, note, text.size_bytes) == 0);
    FUZZ_PROPERTY(note[text.size_bytes] == '\n');
    FUZZ_PROPERTY(audit_checkpoint_open(note, size, &key, &checkpoint, NULL) != LETHE_OK);
    if (boundary_open(note, size, &key, &opened, NULL) == LETHE_OK)
        FUZZ_PROPERTY(opened.number == place.number);
    return 0;
}
