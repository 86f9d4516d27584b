/* engine/mapping.h -- forgetting a mapping that is too large for one thread. */
#ifndef ENGINE_MAPPING_H
#define ENGINE_MAPPING_H

#include "base/base.h"

/* Overwrites and reads back, on several threads when it is worth it. True when all of it is zero.
 */
bool mapping_wipe(uint8_t *mapping, uint64_t size_bytes);

#endif
