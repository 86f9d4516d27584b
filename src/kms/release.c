#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/validate.h"
#include "kms/keyring.h"

/* "minimums/<tenant>.<model>": format 1, the smallest release number (le64). */
#define PREFIX "minimums/"
#define ROW_FORMAT 1
#define ROW_BYTES (1 + sizeof(uint64_t))
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
    uint8_t format;
    *minimum = 0;
    TRY(path_of(model, path, err));
    lethe_result result = store_get(store, path, &row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK;
    TRY(result);
    struct cursor cursor = cursor_over(lethe_secret_bytes_const(row), lethe_secret_size(row));
    if (cursor_u8(&cursor, &format) != LETHE_OK || format != ROW_FORMAT ||
        cursor_le64(&cursor, minimum) != LETHE_OK || cursor_left(&cursor) != 0)
        return error_set(err, LETHE_INTEGRITY, "%s is not stored in a form that we know", path);
    return LETHE_OK;
}

lethe_result release_raise_minimum(struct store *store, const char *model, uint64_t minimum,
                                   struct lethe_error *err)
{
    char path[PATH_MAX_BYTES];
    uint8_t row[ROW_BYTES] = {ROW_FORMAT};
    uint64_t bytes = htole64(minimum);
    uint64_t before;
    TRY(release_minimum(store, model, &before, err));
    if (minimum <= before)
        return error_set(err, LETHE_INVALID,
                         "the minimum of %s is %" PRIu64 " already, and is only ever raised", model,
                         before);
    TRY(path_of(model, path, err));
    memcpy(row + 1, &bytes, sizeof bytes);
    return store_put(store, path, row, sizeof row, STORE_ANY, err);
}
