#include "store/lease.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/inside.h"
#include "store/lease_row.h"

/* ---- time ------------------------------------------------------------------------------------ */

static lethe_result need_clock(struct store *store, struct lethe_error *err)
{
    return store->clock.now_ms != NULL ? LETHE_OK : store_clock_system(&store->clock, err);
}

static uint64_t now_ms(const struct store *store)
{
    return store->clock.now_ms(store->clock.context);
}

/* ---- rows of leases: inside a view ----------------------------------------------------------- */

static lethe_result over(uint64_t id, struct lethe_error *err)
{
    return error_set(err, LETHE_NOT_FOUND, "there is no lease %016" PRIx64 ", or it is over", id);
}

static lethe_result read_lease(struct store *store, const struct row *known, struct lease_row *out,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    TRY(store_row_read(store, known, &value, err));
    return lease_row_read(known->path, lethe_secret_bytes_const(value), lethe_secret_size(value),
                          out, err);
}

static const struct row *find_lease(const struct store *store, uint64_t id)
{
    char path[LEASE_PATH_BYTES];
    lease_path(id, path);
    return rows_find(&store->rows, path);
}

/* A lease that is not over, and what is left of it. */
static lethe_result live_lease(struct store *store, uint64_t id, struct lease_row *out,
                               uint64_t *left_ms, struct lethe_error *err)
{
    TRY(need_clock(store, err));
    const struct row *known = find_lease(store, id);
    if (known == NULL)
        return over(id, err);
    TRY(read_lease(store, known, out, err));
    *left_ms = lease_left_ms(out, &store->clock, now_ms(store));
    return *left_ms > 0 ? LETHE_OK : over(id, err);
}

/* Starts it now. */
static lethe_result write_lease(struct store *store, struct lease_row *lease,
                                struct lethe_error *err)
{
    char path[LEASE_PATH_BYTES];
    uint8_t value[LEASE_VALUE_BYTES];
    lease_start(lease, &store->clock, now_ms(store));
    lease_path(lease->id, path);
    lease_value(lease, value);
    store->leases.next_due_ms = MIN(store->leases.next_due_ms, lease->until_ms);
    return store_row_put(store, &(struct store_row){.path = path}, value, sizeof value, err);
}

static bool is_lease(const struct row *row)
{
    return row != NULL && strncmp(row->path, LEASE_ROWS, strlen(LEASE_ROWS)) == 0;
}

static size_t count_leases(const struct store *store)
{
    size_t count = 0;
    struct rows_place place = rows_seek(&store->rows, LEASE_ROWS);
    while (is_lease(rows_next(&store->rows, &place)))
        count++;
    return count;
}

/* ---- ending them ----------------------------------------------------------------------------- */

struct survey { /* of all leases at one moment */
    struct lease_row *overdue;
    size_t overdue_count;
    struct lease_row *adrift;
    size_t adrift_count;
    uint64_t next_due_ms; /* of the others */
};

static void survey_clear(struct survey *survey)
{
    free(survey->overdue);
    free(survey->adrift);
}

static inline void survey_clear_at_scope_end(struct survey *survey)
{
    survey_clear(survey);
}

static lethe_result survey_leases(struct store *store, struct survey *out, struct lethe_error *err)
{
    const size_t count = count_leases(store);
    const uint64_t now = now_ms(store);
    struct lease_row lease;
    out->next_due_ms = UINT64_MAX;
    out->overdue = calloc(count + 1, sizeof lease);
    out->adrift = calloc(count + 1, sizeof lease);
    if (out->overdue == NULL || out->adrift == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu leases", count);
    struct rows_place place = rows_seek(&store->rows, LEASE_ROWS);
    for (const struct row *row; is_lease(row = rows_next(&store->rows, &place));) {
        TRY(read_lease(store, row, &lease, err));
        if (lease_is_adrift(&lease, &store->clock, now))
            out->adrift[out->adrift_count++] = lease;
        else if (lease_left_ms(&lease, &store->clock, now) == 0)
            out->overdue[out->overdue_count++] = lease;
        else
            out->next_due_ms = MIN(out->next_due_ms, lease.until_ms);
    }
    return LETHE_OK;
}

static int compare_ids(const void *id, const void *lease)
{
    uint64_t a = *(const uint64_t *)id;
    uint64_t b = ((const struct lease_row *)lease)->id;
    return (a > b) - (a < b);
}

/* The rows of the `count` leases, which come in the order of their ids, as their rows do. Paths are
 * borrowed from `rows`. */
static size_t find_attached(const struct store *store, const struct lease_row *leases, size_t count,
                            const char **paths)
{
    size_t found = 0;
    struct rows_place place = {0};
    for (const struct row *row; (row = rows_next(&store->rows, &place)) != NULL;) {
        if (row->lease != STORE_NO_LEASE &&
            bsearch(&row->lease, leases, count, sizeof *leases, compare_ids) != NULL)
            paths[found++] = row->path;
    }
    return found;
}

static lethe_result remove_leases(struct store *store, const struct lease_row *leases, size_t count,
                                  struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++)
        TRY(store_row_remove(store, find_lease(store, leases[i].id), err));
    return LETHE_OK;
}

/* Inside a transaction: removes them and their rows, and counts those. */
static lethe_result end_leases(struct store *store, const struct lease_row *leases, size_t count,
                               size_t *rows, struct lethe_error *err)
{
    const char **paths = calloc(store->rows.count + 1, sizeof *paths);
    if (paths == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the rows of %zu leases", count);
    *rows = find_attached(store, leases, count, paths);
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < *rows && result == LETHE_OK; i++)
        result = store_row_remove(store, rows_find(&store->rows, paths[i]), err);
    free(paths);
    TRY(result);
    return remove_leases(store, leases, count, err);
}

/* ---- what changes leases --------------------------------------------------------------------- */

/* Fills *id with one that no lease has. */
static lethe_result choose_id(const struct store *store, uint64_t *id, struct lethe_error *err)
{
    do {
        if (random_fill(&random_system, id, sizeof *id) != LETHE_OK)
            return error_set(err, LETHE_FAILED, "the system has no randomness to give");
        *id &= INT64_MAX;
    } while (*id == STORE_NO_LEASE || find_lease(store, *id) != NULL);
    return LETHE_OK;
}

lethe_result store_lease_grant(struct store *store, uint32_t ttl_s, uint64_t *id,
                               struct lethe_error *err)
{
    *id = STORE_NO_LEASE;
    if (ttl_s < STORE_LEASE_TTL_MIN_S || ttl_s > STORE_LEASE_TTL_MAX_S)
        return error_set(err, LETHE_INVALID, "a lease lasts %u to %u seconds, not %" PRIu32,
                         STORE_LEASE_TTL_MIN_S, STORE_LEASE_TTL_MAX_S, ttl_s);
    TRY(need_clock(store, err));
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    if (count_leases(transaction) >= STORE_LEASES_MAX)
        return error_set(err, LETHE_LIMIT, "the store has %u leases, which is as many as it may",
                         STORE_LEASES_MAX);
    struct lease_row lease = {.ttl_s = ttl_s};
    TRY(choose_id(transaction, &lease.id, err));
    TRY(write_lease(transaction, &lease, err));
    TRY(store_commit(transaction, err));
    *id = lease.id;
    return LETHE_OK;
}

lethe_result store_lease_keep_alive(struct store *store, uint64_t id, struct lethe_error *err)
{
    struct lease_row lease;
    uint64_t left_ms;
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    TRY(live_lease(transaction, id, &lease, &left_ms, err));
    TRY(write_lease(transaction, &lease, err));
    return store_commit(transaction, err);
}

lethe_result store_lease_revoke(struct store *store, uint64_t id, struct lethe_error *err)
{
    size_t rows;
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    if (find_lease(transaction, id) == NULL)
        return over(id, err);
    TRY(end_leases(transaction, &(struct lease_row){.id = id}, 1, &rows, err));
    return store_commit(transaction, err);
}

/* Ends what is overdue and starts anew what is adrift, as seen inside the transaction: another
 * process may have done it meanwhile. */
static lethe_result settle(struct store *store, struct store_expiry *out, struct lethe_error *err)
{
    CLEANUP(survey_clear) struct survey survey = {0};
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    TRY(survey_leases(transaction, &survey, err));
    transaction->leases.next_due_ms = survey.next_due_ms;
    if (survey.overdue_count + survey.adrift_count == 0)
        return LETHE_OK;
    size_t rows = 0;
    TRY(end_leases(transaction, survey.overdue, survey.overdue_count, &rows, err));
    for (size_t i = 0; i < survey.adrift_count; i++)
        TRY(write_lease(transaction, &survey.adrift[i], err));
    TRY(store_commit(transaction, err));
    out->leases = survey.overdue_count;
    out->rows = rows;
    return LETHE_OK;
}

/* Whether something is to be done, from what is kept in mind as long as that is enough. */
static lethe_result look(struct store *store, bool *due, struct lethe_error *err)
{
    TRY(store_view_enter(store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = store;
    struct leases *leases = &view->leases;
    *due = false;
    const uint64_t now = now_ms(view);
    if (leases->known && now < leases->next_due_ms && now >= leases->looked_at_ms)
        return LETHE_OK;
    CLEANUP(survey_clear) struct survey survey = {0};
    TRY(survey_leases(view, &survey, err));
    *due = survey.overdue_count + survey.adrift_count > 0;
    *leases =
        (struct leases){.known = !*due, .next_due_ms = survey.next_due_ms, .looked_at_ms = now};
    return LETHE_OK;
}

lethe_result store_leases_expire(struct store *store, struct store_expiry *out,
                                 struct lethe_error *err)
{
    bool due;
    *out = (struct store_expiry){.next_ms = UINT64_MAX};
    TRY(need_clock(store, err));
    REQUIRE(!store->writing);
    TRY(look(store, &due, err));
    if (due)
        TRY(settle(store, out, err));
    uint64_t now = now_ms(store);
    uint64_t next = store->leases.next_due_ms;
    if (next != UINT64_MAX)
        out->next_ms = next > now ? next - now : 0;
    return LETHE_OK;
}

/* ---- looking and attaching ------------------------------------------------------------------- */

lethe_result store_lease_get(struct store *store, uint64_t id, struct store_lease *out,
                             struct lethe_error *err)
{
    struct lease_row lease;
    uint64_t left_ms;
    *out = (struct store_lease){0};
    TRY(store_view_enter(store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = store;
    TRY(live_lease(view, id, &lease, &left_ms, err));
    *out = (struct store_lease){.id = id, .ttl_s = lease.ttl_s, .left_ms = left_ms};
    return LETHE_OK;
}

lethe_result store_lease_of(struct store *store, const char *path, uint64_t *id,
                            struct lethe_error *err)
{
    *id = STORE_NO_LEASE;
    TRY(store_check_path(path, false, err));
    TRY(store_view_enter(store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = store;
    const struct row *known = rows_find(&view->rows, path);
    if (known == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no row %s", path);
    *id = known->lease;
    return LETHE_OK;
}

lethe_result store_lease_attach(struct store *store, uint64_t id, struct lethe_error *err)
{
    struct lease_row lease;
    uint64_t left_ms;
    REQUIRE(store->writing && store->views == 1);
    if (id != STORE_NO_LEASE)
        TRY(live_lease(store, id, &lease, &left_ms, err));
    store->attach_to = id;
    return LETHE_OK;
}
