#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "kms/key_rows.h"

#define PREFIX "minimums/"
#define PATH_MAX_BYTES (sizeof PREFIX + RELEASE_NAME_MAX)

static lethe_result path_of(const char *model, char out[PATH_MAX_BYTES], struct lethe_error *err)
{
    char part[NAME_PART_MAX + 1] = "";
    size_t tenant = strcspn(model, ".");
    if (model[tenant] == '.' && tenant <= NAME_PART_MAX) {
        memcpy(part, model, tenant);
        if (validate_identifier("tenant", part, NAME_PART_MAX, NULL) == LETHE_OK &&
            validate_identifier("model", model + tenant + 1, NAME_PART_MAX, NULL) == LETHE_OK) {
            snprintf(out, PATH_MAX_BYTES, PREFIX "%s", model);
            return LETHE_OK;
        }
    }
    return error_set(err, LETHE_INVALID, "a model is named TENANT.MODEL here");
}

lethe_result release_minimum(struct store *store, const char *model, uint64_t *minimum,
                             struct lethe_error *err)
{
    char path[PATH_MAX_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    struct lethe_error why = {0};
    *minimum = 0;
    TRY(path_of(model, path, err));
    lethe_result result = store_get(store, path, &row, NULL, &why);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK;
    if (result != LETHE_OK && err != NULL)
        *err = why;
    TRY(result);
    if (minimum_row_parse(row, minimum) != LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "%s is not stored in a form that we know", path);
    return LETHE_OK;
}

lethe_result release_raise_minimum(struct store *store, const char *model, uint64_t minimum,
                                   struct lethe_error *err)
{
    char path[PATH_MAX_BYTES];
    uint8_t row[MINIMUM_ROW_BYTES];
    uint64_t before;
    TRY(release_minimum(store, model, &before, err));
    if (minimum <= before)
        return error_set(err, LETHE_INVALID,
                         "the minimum of %s is %" PRIu64 " already, and is only ever raised", model,
                         before);
    TRY(path_of(model, path, err));
    minimum_row_format(minimum, row);
    return store_put(store, path, row, sizeof row, STORE_ANY, err);
}
