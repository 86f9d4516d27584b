/* model/signing.h -- the last two files of a model that is being made: manifest and signature. */
#ifndef MODEL_SIGNING_H
#define MODEL_SIGNING_H

#include "model/key_source.h"
#include "model/manifest.h"
#include "model/oms.h"

struct signing {
    int dir_fd; /* of the model being made */
    const struct manifest *manifest;
    struct oms_list *signed_list; /* of the shards; gets the manifest's pieces, too */
    const struct key_source *keys;
};
/* Writes manifest.json (also to *text, empty before) and model.sig by the tenant's newest signer.
 */
LETHE_MUST_CHECK lethe_result signing_finish(const struct signing *signing, struct buffer *text,
                                             struct lethe_error *err);

#endif
