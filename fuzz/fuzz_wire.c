/* Frames: what is read is written as the same bytes, and every part lies in the frame. */
#include <string.h>

#include "fuzz.h"
#include "service/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(guarded_clear) struct guarded same = {0};
    struct wire_frame frame;
    size_t frame_bytes;
    while (wire_parse(data, size, &frame, &frame_bytes) == LETHE_OK) {
        FUZZ_PROPERTY(frame_bytes >= WIRE_HEADER_BYTES && frame_bytes <= size);
        for (size_t i = 0; i < WIRE_PARTS_MAX; i++) {
            if (frame.parts[i].size_bytes > 0)
                FUZZ_PROPERTY(frame.parts[i].at >= data &&
                              frame.parts[i].at + frame.parts[i].size_bytes <= data + frame_bytes);
        }
        wire_append(&same, &frame);
        FUZZ_PROPERTY(same.failure == LETHE_OK && same.size_bytes == frame_bytes);
        FUZZ_PROPERTY(memcmp(same.bytes, data, frame_bytes) == 0);
        guarded_wipe(&same);
        data += frame_bytes;
        size -= frame_bytes;
    }
    return 0;
}
