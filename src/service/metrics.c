/* Counters, in Prometheus' text format (version 0.0.4). No label says who somebody is. */
#include <inttypes.h>

#include "base/error.h"
#include "service/attested_core.h"
#include "service/core_core.h"

struct metric {
    const char *name, *type, *help;
};

static void describe(struct guarded *out, const struct metric *metric)
{
    guarded_format(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                   metric->type);
}

static void put_calls(struct core *core, struct guarded *out)
{
    static const struct metric calls = {"lethe_requests_total", "counter",
                                        "Requests that were answered, by route and status."};
    describe(out, &calls);
    struct routed *row;
    for (size_t i = 0; (row = router_at(core->router, i)) != NULL; i++) {
        for (unsigned status = 1; status < ARRAY_LEN(row->counts); status++) {
            if (row->counts[status] > 0)
                guarded_format(out,
                               "lethe_requests_total{route=\"%s\",methods=\"%u\",action=\"%s\","
                               "status=\"%uxx\"} %" PRIu64 "\n",
                               row->route->pattern, row->route->methods, row->route->action, status,
                               row->counts[status]);
        }
    }
}

static void put_numbers(struct core *core, struct guarded *out)
{
    const struct core_counts *counts = &core->counts;
    struct audit_head head = {0};
    if (core->service->keeper != NULL)
        audit_head(keeper_log(core->service->keeper), &head);
    const struct {
        struct metric metric;
        uint64_t value;
    } rows[] = {
        {{"lethe_sealed", "gauge", "1 while there is no root key."},
         core->service->keeper == NULL ? 1 : 0},
        {{"lethe_calls_total", "counter", "Requests, whatever came of them."}, counts->calls},
        {{"lethe_turns_total", "counter", "Groups of requests that were answered together."},
         counts->turns},
        {{"lethe_denied_total", "counter", "Requests that the policy did not allow."},
         counts->denied},
        {{"lethe_unproven_total", "counter", "Requests without a good token or certificate."},
         counts->unproven},
        {{"lethe_records_total", "counter", "Records that became durable before an answer."},
         counts->committed},
        {{"lethe_records_failed_total", "counter", "Records that did not; answers withheld."},
         counts->commit_failures},
        {{"lethe_commit_microseconds_total", "counter", "Time spent waiting for the disk."},
         counts->commit_ns / 1000},
        {{"lethe_connections", "gauge", "Connections that are known."}, core->connection_count},
        {{"lethe_event_streams", "gauge", "Streams of events that are open."}, core->stream_count},
        {{"lethe_log_records", "gauge", "Records in the log."}, head.records},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        describe(out, &rows[i].metric);
        guarded_format(out, "%s %" PRIu64 "\n", rows[i].metric.name, rows[i].value);
    }
}

/* Codes are few, and ours. */
static void put_releases(struct core *core, struct guarded *out)
{
    static const struct metric releases = {"lethe_releases_total", "counter",
                                           "Attested releases since it was unsealed, by what came "
                                           "of them: released, or why not."};
    static const struct metric pending = {"lethe_challenges_pending", "gauge",
                                          "Challenges that wait for an answer."};
    const struct attested *attested = core->service->attested;
    const struct attested_count *at;
    if (attested == NULL)
        return;
    describe(out, &pending);
    guarded_format(out, "%s %zu\n", pending.name,
                   challenges_pending(attested, attested_now_s(attested)));
    describe(out, &releases);
    for (size_t i = 0; (at = attested_count_at(attested, i)) != NULL; i++)
        guarded_format(out, "%s{code=\"%s\"} %" PRIu64 "\n", releases.name, at->code, at->count);
}

void metrics_write(struct core *core, struct guarded *out)
{
    put_numbers(core, out);
    put_calls(core, out);
    put_releases(core, out);
    for (size_t i = 0; i < CORE_PEERS_MAX; i++) {
        const struct buffer *counts = &core->peers[i].counts;
        if (core->peers[i].peer != NULL && counts->size_bytes > 0)
            guarded_append(out, counts->bytes, counts->size_bytes);
    }
}
