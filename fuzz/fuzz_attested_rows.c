/* Rows of machines and reference values: what is taken says the same when it is written again. The
 * first byte chooses. */
#include <string.h>

#include "service/attested_core.h"

#include "fuzz.h"

static void try_machine(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer row = {0};
    struct machine machine;
    if (machine_row_parse(data, size, &machine) != LETHE_OK)
        return;
    FUZZ_PROPERTY(memchr(machine.name, '\0', sizeof machine.name) != NULL);
    FUZZ_PROPERTY(memchr(machine.id, '\0', sizeof machine.id) != NULL);
    FUZZ_PROPERTY(memchr(machine.identity, '\0', sizeof machine.identity) != NULL);
    machine_row_format(&machine, &row);
    FUZZ_PROPERTY(row.size_bytes == size && memcmp(row.bytes, data, size) == 0);
}

static void try_reference(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer row = {0}, again = {0};
    struct attest_reference first, second;
    if (reference_row_parse(data, size, &first) != LETHE_OK)
        return;
    FUZZ_PROPERTY(memchr(first.name, '\0', sizeof first.name) != NULL);
    FUZZ_PROPERTY((first.pcr_mask & (1u << 16 | 1u << 23)) == 0);
    FUZZ_PROPERTY(first.loader_count <= ATTEST_LOADERS_MAX);
    reference_row_format(&first, &row);
    FUZZ_PROPERTY(reference_row_parse((const uint8_t *)row.bytes, row.size_bytes, &second) ==
                  LETHE_OK);
    reference_row_format(&second, &again);
    FUZZ_PROPERTY(again.size_bytes == row.size_bytes &&
                  memcmp(again.bytes, row.bytes, row.size_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    (data[0] % 2 == 0 ? try_machine : try_reference)(data + 1, size - 1);
    return 0;
}
