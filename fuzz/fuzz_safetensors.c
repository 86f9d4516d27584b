/* Whatever safetensors_read() takes is a sound list of tensors; whatever it refuses leaves none. It
 * says the same of any beginning that is long enough for it. */
#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_reader(safetensors_read, MODEL_FILE_SAFETENSORS, data, size);
    return 0;
}
