/* device/cuda_image.h -- the kernels, as nvcc made them for several kinds of GPU at once. */
#ifndef DEVICE_CUDA_IMAGE_H
#define DEVICE_CUDA_IMAGE_H

#include <stddef.h>

/* What the driver loads; its size is 0 in a build that was made without nvcc. */
const void *cuda_image(void);
size_t cuda_image_size(void);

#endif
