/* Whatever safetensors_read() takes is a sound list of tensors; whatever it refuses leaves none. */
#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    struct lethe_error err = {0};
    if (safetensors_read(data, size, &list, &err) == LETHE_OK)
        require_sound_list(&list, MODEL_FILE_SAFETENSORS, size);
    else
        require_empty_list(&list);
    return 0;
}
