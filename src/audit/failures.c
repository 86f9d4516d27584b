#include "audit/failures.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"

#define INTERVAL_MS 60000u
#define NS_PER_MS 1000000ull
#define INPUT_MAX 1024u /* of a text from outside, before it is made harmless and cut */

struct row {
    uint64_t count; /* 0: unused */
    uint64_t since_ns;
    char source[256];
    char method[64];
    char reason[128];
};

struct audit_failures {
    struct audit_log *log;
    const struct clock_source *clock;
    uint64_t interval_ns;
    pthread_mutex_t mutex; /* of what follows; taken before the log's own */
    uint64_t next_due_ns;  /* no row is due before */
    struct row rows[FAILURES_SOURCES + 1];
};

lethe_result audit_failures_create(struct audit_log *log, uint64_t interval_ms,
                                   const struct clock_source *clock, struct audit_failures **out,
                                   struct lethe_error *err)
{
    struct audit_failures *failures = calloc(1, sizeof *failures);
    *out = failures;
    if (failures == NULL)
        return error_set(err, LETHE_NO_MEMORY, "a table of failures");
    failures->log = log;
    failures->clock = clock == NULL ? &clock_system : clock;
    failures->interval_ns = (interval_ms == 0 ? INTERVAL_MS : interval_ms) * NS_PER_MS;
    failures->next_due_ns = UINT64_MAX;
    pthread_mutex_init(&failures->mutex, NULL);
    return LETHE_OK;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(struct audit_failures *failures, struct row *row)
{
    const struct audit_who nobody = {"", "", ""};
    const struct audit_event event =
        audit_auth_failure(row->method, row->source, row->reason, row->count);
    audit_emit(failures->log, &nobody, &event);
    row->count = 0;
}

/* Called with the mutex held. */
static void tell_due(struct audit_failures *failures, uint64_t now_ns)
{
    if (now_ns < failures->next_due_ns)
        return;
    failures->next_due_ns = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(failures->rows); i++) {
        struct row *row = &failures->rows[i];
        if (row->count == 0)
            continue;
        uint64_t due_ns = row->since_ns + failures->interval_ns;
        if (now_ns >= due_ns)
            tell(failures, row);
        else
            failures->next_due_ns = MIN(failures->next_due_ns, due_ns);
    }
}

void audit_failures_tick(struct audit_failures *failures)
{
    pthread_mutex_lock(&failures->mutex);
    tell_due(failures, clock_monotonic_ns(failures->clock));
    pthread_mutex_unlock(&failures->mutex);
}

void audit_failures_free(struct audit_failures *failures)
{
    if (failures == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(failures->rows); i++) {
        if (failures->rows[i].count > 0)
            tell(failures, &failures->rows[i]);
    }
    pthread_mutex_destroy(&failures->mutex);
    free(failures);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void keep(const char *text, char *out, size_t capacity_bytes)
{
    text_sanitise(text, strnlen(text, INPUT_MAX), out, capacity_bytes);
}

/* The source's row, or a free one, or the one that is left for all others. */
static struct row *row_of(struct audit_failures *failures, const char *source)
{
    struct row *free_row = NULL;
    for (size_t i = 0; i < FAILURES_SOURCES; i++) {
        struct row *row = &failures->rows[i];
        if (row->count > 0 && strcmp(row->source, source) == 0)
            return row;
        if (row->count == 0 && free_row == NULL)
            free_row = row;
    }
    return free_row != NULL ? free_row : &failures->rows[FAILURES_SOURCES];
}

static void begin(struct audit_failures *failures, struct row *row, const struct row *failure,
                  uint64_t now_ns)
{
    *row = *failure;
    row->since_ns = now_ns;
    if (row == &failures->rows[FAILURES_SOURCES])
        strcpy(row->source, "others");
    failures->next_due_ns = MIN(failures->next_due_ns, now_ns + failures->interval_ns);
}

static void join(char *text, const char *other)
{
    if (strcmp(text, other) != 0)
        strcpy(text, "several");
}

void audit_failures_note(struct audit_failures *failures, const struct audit_failure *failure)
{
    struct row noted = {0};
    keep(failure->source, noted.source, sizeof noted.source);
    keep(failure->method, noted.method, sizeof noted.method);
    keep(failure->reason, noted.reason, sizeof noted.reason);

    pthread_mutex_lock(&failures->mutex);
    uint64_t now_ns = clock_monotonic_ns(failures->clock);
    tell_due(failures, now_ns);
    struct row *row = row_of(failures, noted.source);
    if (row->count == 0)
        begin(failures, row, &noted, now_ns);
    row->count++;
    join(row->method, noted.method);
    join(row->reason, noted.reason);
    pthread_mutex_unlock(&failures->mutex);
}
