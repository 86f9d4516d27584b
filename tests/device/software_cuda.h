/* tests/device/software_cuda.h -- a driver without a GPU, and what tests can ask of it.
 *
 * It is a libcuda.so.1 that has exactly the calls that Lethe makes, and runs the kernels' functions
 * on the CPU. So it shows what our host code does with a driver, and that the kernels' arithmetic
 * is right. It shows nothing about a GPU: not that the kernels compile to what they say, nor how
 * they share a memory, nor how fast they are.
 *
 * Device memory has addresses that no processor can use; each access by a copy or a kernel is
 * checked. What would be undefined on a GPU (out of bounds, after free, misaligned, freed twice)
 * ends the process with SIGABRT and says why. */
#ifndef TESTS_SOFTWARE_CUDA_H
#define TESTS_SOFTWARE_CUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the first call of the driver; SOFTWARE_CUDA_DEVICES and SOFTWARE_CUDA_BYTES in the
 * environment do the same for programs that do not know of this. At first: 2 devices of 64 MiB. */
void software_cuda_set(unsigned devices, uint64_t bytes_each);

/* The Nth call from now, of any entry point or of the one named, fails with `code`; with `for_good`
 * so do all after it. N = 0: none does. What fails has done nothing. cuGetErrorName and
 * cuCtxPopCurrent are not counted: they fail when nobody can do anything about it. */
void software_cuda_fail(const char *entry_point, unsigned long nth, int code, bool for_good);
/* Calls counted since then. */
unsigned long software_cuda_calls(void);
bool software_cuda_failed(void);

/* From now on, what the wipe kernel stores is lost: memory that forgets badly. In the environment:
 * SOFTWARE_CUDA_LOSE_WIPES. */
void software_cuda_lose_wipes(bool lose);

struct software_cuda_state {
    size_t allocations; /* alive */
    uint64_t bytes;     /* of them */
    size_t contexts;    /* current on any thread, one for each push */
    size_t retained;    /* primary contexts */
    size_t modules;
    uint64_t dirty_frees; /* allocations that held something when they were freed */
};
void software_cuda_look(struct software_cuda_state *out);
/* How often these bytes are in device memory that is alive. */
size_t software_cuda_count(const void *bytes, size_t size_bytes);
/* Flips a bit of what is at a device address, as a fault of its memory would. */
void software_cuda_flip(uint64_t address);

#endif
