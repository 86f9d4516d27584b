/* What a root in a token or a TPM needs of the file system, so that whoever opens it may be kept
 * from all the rest. */
#include <string.h>

#include "base/error.h"
#include "kms/root_core.h"

lethe_result root_places(const struct root_spec *spec, struct root_places *out,
                         struct lethe_error *err)
{
    *out = (struct root_places){0};
    if (spec->kind == ROOT_PKCS11)
        return root_pkcs11_places(spec->where, out, err);
    if (spec->kind == ROOT_TPM2)
        return root_tpm2_places(spec->where, out, err);
    return LETHE_OK;
}
