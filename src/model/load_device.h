/* model/load_device.h -- from an encrypted model straight to where its weights are computed with.
 */
#ifndef MODEL_LOAD_DEVICE_H
#define MODEL_LOAD_DEVICE_H

#include "device/device.h"
#include "model/model.h"

/* Decrypts a shard into a device's memory, which is as large as the shard and which nobody else may
 * see yet: on CUDA ciphertext is uploaded and opened there, so that plaintext is never on the host.
 * Data key and derived key are wiped as soon as the device has made its own of them (Z-2), and that
 * one before the call returns. The model's signature has been checked. On failure the memory holds
 * nothing that was not authenticated, and is the caller's to wipe. Results as model_load_shard, and
 * as device_open_segments. */
LETHE_MUST_CHECK lethe_result model_load_shard_to_device(struct model *model, size_t shard_index,
                                                         const struct key_source *keys,
                                                         struct device_memory *memory,
                                                         const struct model_work *work,
                                                         struct lethe_error *err);

#endif
