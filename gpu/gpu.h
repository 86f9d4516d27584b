/* gpu/gpu.h -- what the programs for machines with GPUs share. */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include "device/device.h"

#define EXIT_UNAVAILABLE 5 /* as for `lethe` */

struct gpu_program {
    const char *name;
    const char *help;
};

/* Reads `[--help] [--device N]`. Gives how many GPUs there are; does not return when there is none
 * (EXIT_UNAVAILABLE), help was asked for (0), or the command line makes no sense (2). *only is the
 * one that was asked for, or as many as there are. */
size_t gpu_program_start(const struct gpu_program *program, int argc, char **argv, size_t *only);

#endif
