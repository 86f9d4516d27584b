#include "audit/start.h"

#include "base/error.h"

static lethe_result read_fitting(int directory, const struct files_view *view,
                                 const struct audit_key *key, struct replay *place,
                                 struct lethe_error *err)
{
    TRY(boundary_read(directory, place->number, key, place, err));
    return boundary_fits(directory, view, key, place, err);
}

lethe_result start_at_first(int directory, const struct files_view *view,
                            const struct audit_key *key, struct replay *out,
                            struct lethe_error *err)
{
    *out = (struct replay){.number = view->first_number};
    if (view->first_number < BOUNDARY_NUMBER_MIN) {
        *out = (struct replay){0};
        return LETHE_OK;
    }
    lethe_result result = read_fitting(directory, view, key, out, err);
    if (result == LETHE_NOT_FOUND || result == LETHE_MALFORMED)
        return error_set(err, LETHE_INTEGRITY,
                         "%06u.jsonl is missing, and no boundary of %06u.jsonl says what was there",
                         view->first_number - 1, view->first_number);
    return result;
}

lethe_result start_near(int directory, const struct files_view *view, const struct audit_key *key,
                        uint64_t records, struct replay *out, struct lethe_error *err)
{
    unsigned number = view->last_number;
    if (view->last_bytes == 0 && number > 0)
        number--; /* begun by a process that died before its first record: others may have gone on
                     in the file before, and its boundary says nothing */
    for (; number > MAX(view->first_number, 1); number--) {
        *out = (struct replay){.number = number};
        lethe_result result = read_fitting(directory, view, key, out, err);
        if (result == LETHE_OK && out->chain.tree.leaves <= records)
            return LETHE_OK;
        if (result == LETHE_OK || result == LETHE_NOT_FOUND || result == LETHE_MALFORMED)
            continue;
        if (result == LETHE_INTEGRITY)
            error_hint(err, "lethe audit verify reads all records; a boundary that is removed is "
                            "made again from them");
        return result;
    }
    return start_at_first(directory, view, key, out, err);
}
