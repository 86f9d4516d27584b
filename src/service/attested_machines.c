#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/attested_core.h"

#define PREFIX "attest/machines/"
#define PATH_SIZE (sizeof PREFIX + 2 * (size_t)SHA256_BYTES)

static void path_of(const char *name, char out[PATH_SIZE])
{
    uint8_t hash[SHA256_BYTES];
    sha256(name, strlen(name), hash);
    memcpy(out, PREFIX, strlen(PREFIX));
    hex_encode(hash, sizeof hash, out + strlen(PREFIX));
}

/* ---- reading --------------------------------------------------------------------------------- */

struct loading {
    struct store *store;
    struct machine *machines;
    size_t count, capacity;
};

static lethe_result make_room(struct loading *l, struct lethe_error *err)
{
    if (l->count < l->capacity)
        return LETHE_OK;
    size_t capacity = 2 * l->capacity + 16;
    struct machine *machines = reallocarray(l->machines, capacity, sizeof *machines);
    if (machines == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu machines", capacity);
    l->machines = machines;
    l->capacity = capacity;
    return LETHE_OK;
}

/* The row must be where its name says, or it could be another's. */
static lethe_result load_row(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    struct loading *l = context;
    char expected[PATH_SIZE];
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    (void)version;
    TRY(store_get(l->store, path, &row, NULL, err));
    TRY(make_room(l, err));
    struct machine *machine = &l->machines[l->count];
    lethe_result result =
        machine_row_parse(lethe_secret_bytes_const(row), lethe_secret_size(row), machine);
    path_of(machine->name, expected);
    if (result != LETHE_OK || strcmp(expected, path) != 0)
        return error_set(err, LETHE_INTEGRITY, "the row %s is no machine's", path);
    l->count++;
    return LETHE_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct machine *)a)->name, ((const struct machine *)b)->name);
}

lethe_result machines_refresh(struct attested *attested, struct lethe_error *err)
{
    struct loading l = {.store = keeper_store(attested->service->keeper)};
    lethe_result result = store_list(l.store, PREFIX, load_row, &l, err);
    if (result != LETHE_OK) {
        free(l.machines);
        return result;
    }
    if (l.count > 0)
        qsort(l.machines, l.count, sizeof *l.machines, by_name);
    free(attested->machines);
    attested->machines = l.machines;
    attested->machine_count = l.count;
    return LETHE_OK;
}

const struct machine *machines_at(const struct attested *attested, size_t index)
{
    return index < attested->machine_count ? &attested->machines[index] : NULL;
}

static struct machine *find(const struct attested *attested, const char *name)
{
    struct machine wanted = {0};
    if (strlen(name) > MACHINE_NAME_MAX || attested->machine_count == 0)
        return NULL;
    strcpy(wanted.name, name);
    return bsearch(&wanted, attested->machines, attested->machine_count, sizeof wanted, by_name);
}

const struct machine *machines_find(const struct attested *attested, const char *name)
{
    return find(attested, name);
}

const struct machine *machines_by_id(const struct attested *attested, const char *id)
{
    for (size_t i = 0; id[0] != '\0' && i < attested->machine_count; i++) {
        if (strcmp(attested->machines[i].id, id) == 0)
            return &attested->machines[i];
    }
    return NULL;
}

/* ---- changing -------------------------------------------------------------------------------- */

struct change {
    struct machine machine;
    const char *what;
};

static lethe_result write_row(struct store *store, void *context, uint64_t epoch,
                              struct audit_event *event, struct lethe_error *err)
{
    const struct change *c = context;
    char path[PATH_SIZE];
    CLEANUP(buffer_clear) struct buffer row = {0};
    (void)epoch;
    *event = audit_permission_changed(c->machine.name, "machine", c->what);
    machine_row_format(&c->machine, &row);
    TRY(buffer_result(&row, err));
    path_of(c->machine.name, path);
    return store_put(store, path, row.bytes, row.size_bytes, STORE_ANY, err);
}

static lethe_result make_change(struct attested *attested, struct change *c,
                                struct lethe_error *err)
{
    TRY(keeper_change(attested->service->keeper, "", write_row, c, err));
    return machines_refresh(attested, err);
}

/* One with this key or chip; or one that was revoked with this TPM, which can make keys at will. */
static const struct machine *same_machine(const struct attested *attested,
                                          const struct machine *machine)
{
    for (size_t i = 0; i < attested->machine_count; i++) {
        const struct machine *at = &attested->machines[i];
        bool is_same_tpm = at->revoked_s != 0 && at->ek_fingerprint[0] != '\0' &&
                           strcmp(at->ek_fingerprint, machine->ek_fingerprint) == 0;
        if (is_same_tpm || strcmp(at->id, machine->id) == 0)
            return at;
    }
    return NULL;
}

lethe_result machines_enrol(struct attested *attested, const struct machine *machine,
                            struct lethe_error *err)
{
    const struct machine *same = same_machine(attested, machine);
    struct change c = {.machine = *machine, .what = "enrolled"};
    TRY(attested_check_name("machines", machine->name, err));
    if (same != NULL)
        return error_set(err, LETHE_EXISTS, "this machine is enrolled already, as %s%s", same->name,
                         same->revoked_s != 0 ? ", and was revoked" : "");
    if (machines_find(attested, machine->name) != NULL)
        return error_set(err, LETHE_EXISTS, "there is a machine %s already", machine->name);
    if (attested->machine_count >= MACHINES_MAX)
        return error_set(err, LETHE_LIMIT, "there are %u machines, as many as there can be",
                         MACHINES_MAX);
    c.machine.enrolled_s = attested_now_s(attested);
    return make_change(attested, &c, err);
}

lethe_result machines_revoke(struct attested *attested, const char *name, const char *reason,
                             struct lethe_error *err)
{
    const struct machine *before = machines_find(attested, name);
    char what[AUDIT_TEXT_MAX] = "revoked: ";
    if (before == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such machine");
    if (before->revoked_s != 0)
        return LETHE_OK;
    strncat(what, reason, sizeof what - strlen(what) - 1);
    struct change c = {.machine = *before, .what = what};
    c.machine.revoked_s = attested_now_s(attested);
    return make_change(attested, &c, err);
}

/* A clock goes on all the time, and is written when the machine was started anew. */
static bool has_moved(const struct machine *before, const struct machine *after)
{
    return before->counters.reset_count != after->counters.reset_count ||
           before->counters.restart_count != after->counters.restart_count ||
           memcmp(&before->tcb, &after->tcb, sizeof before->tcb) != 0;
}

lethe_result machines_note(struct attested *attested, const char *name,
                           const struct attest_claims *claims, struct lethe_error *err)
{
    struct machine *before = find(attested, name);
    if (before == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such machine");
    struct change c = {.machine = *before, .what = "started anew, or with other firmware"};
    if (before->kind == ATTEST_TPM2) /* a chip may have vouched for one */
        c.machine.counters =
            (struct tpm2_counters){claims->clock_ms, claims->reset_count, claims->restart_count};
    if (claims->has_report)
        c.machine.tcb = claims->tcb;
    if (!has_moved(before, &c.machine)) {
        before->counters.clock_ms = c.machine.counters.clock_ms;
        return LETHE_OK;
    }
    TRY(keeper_change(attested->service->keeper, "", write_row, &c, err));
    before = find(attested, name); /* rows may have been read again meanwhile */
    if (before != NULL)
        *before = c.machine; /* the others are as they were: reading all of them takes long */
    return LETHE_OK;
}
