/* model/expert_names.h -- what a tensor of a mixture of experts is, by its name. */
#ifndef MODEL_EXPERT_NAMES_H
#define MODEL_EXPERT_NAMES_H

#include "model/files.h"
#include "model/tensors.h"

enum tensor_role {
    TENSOR_DENSE,   /* all that is none of the following                    */
    TENSOR_ROUTER,  /* decides which experts work                           */
    TENSOR_EXPERT,  /* of the one expert `id`                               */
    TENSOR_EXPERTS, /* of all experts of id.layer: its outermost dimension  */
};
enum tensor_role tensor_role_of(enum model_file_type type, const char *name, struct expert_id *id);

#endif
