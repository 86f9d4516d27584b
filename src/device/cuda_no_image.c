#include "device/cuda_image.h"

const void *cuda_image(void)
{
    return NULL;
}

size_t cuda_image_size(void)
{
    return 0;
}
