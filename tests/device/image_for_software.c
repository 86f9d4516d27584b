/* In place of the kernels in tests: the software driver has its own. */
#include "device/cuda_image.h"

const void *cuda_image(void)
{
    return "for the software driver";
}

size_t cuda_image_size(void)
{
    return sizeof "for the software driver";
}
