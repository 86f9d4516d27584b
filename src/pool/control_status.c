/* STATUS: all that the control plane knows, as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "pool/control_core.h"

/* Leases are left out, and counted, before the whole would be more than a frame has. */
#define LEASES_BYTES_MAX (WIRE_JSON_MAX - (4u << 20))

struct writer {
    struct control *control;
    struct buffer *out;
    uint64_t now_ms; /* loop's */
    uint64_t wall_ms;
    bool needs_comma;
    uint64_t left_out;
};

/* ---- pieces ---------------------------------------------------------------------------------- */

/* Names are our own. */
static void name(struct writer *writer, const char *text)
{
    buffer_text(writer->out, writer->needs_comma ? ",\"" : "\"");
    buffer_text(writer->out, text);
    buffer_text(writer->out, "\":");
    writer->needs_comma = true;
}

static void put_text(struct writer *writer, const char *key, const char *text)
{
    name(writer, key);
    json_append_string(writer->out, text, strlen(text));
}

static void put_number(struct writer *writer, const char *key, uint64_t number)
{
    name(writer, key);
    buffer_format(writer->out, "%" PRIu64, MIN(number, JSON_INTEGER_MAX));
}

static void put_null(struct writer *writer, const char *key)
{
    name(writer, key);
    buffer_text(writer->out, "null");
}

static void begin_list(struct writer *writer, const char *key)
{
    name(writer, key);
    buffer_text(writer->out, "[");
    writer->needs_comma = false;
}

static void end_list(struct writer *writer)
{
    buffer_text(writer->out, "]");
    writer->needs_comma = true;
}

static void begin_item(struct writer *writer)
{
    buffer_text(writer->out, writer->needs_comma ? ",{" : "{");
    writer->needs_comma = false;
}

static void end_item(struct writer *writer)
{
    buffer_text(writer->out, "}");
    writer->needs_comma = true;
}

/* ---- providers ------------------------------------------------------------------------------- */

static const char *state_of(const struct pool_provider *provider)
{
    if (provider->row.lost)
        return "lost";
    if (!provider_is_here(provider))
        return "unreachable";
    if (provider->row.wish == PROVIDER_STOPPED)
        return "stopped";
    return provider->row.wish == PROVIDER_DRAINING ? "draining" : "joined";
}

static void put_provider(struct writer *writer, const struct pool_provider *provider)
{
    bool is_here = provider_is_here(provider);
    begin_item(writer);
    put_text(writer, "id", provider->row.id);
    put_text(writer, "address", provider->row.address);
    put_text(writer, "state", state_of(provider));
    put_number(writer, "capacity", provider->row.capacity_bytes);
    put_number(writer, "free", is_here ? provider->free_bytes : 0);
    put_number(writer, "used", provider->used_bytes);
    put_number(writer, "wiping", provider->wiping_bytes);
    put_number(writer, "unwiped", provider->unwiped_bytes);
    put_number(writer, "lent", provider->lent_bytes);
    put_number(writer, "leases", provider->leases);
    put_number(writer, "last_report_age_ms", writer->now_ms - provider->heard_ms);
    end_item(writer);
}

static void put_providers(struct writer *writer)
{
    const struct registry *registry = writer->control->registry;
    begin_list(writer, "providers");
    for (size_t i = 0; i < registry_provider_count(registry); i++)
        put_provider(writer, registry_provider(registry, i));
    end_list(writer);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void put_lease(struct writer *writer, const struct pool_lease *lease)
{
    char id[LEASE_ID_HEX_SIZE], group[LEASE_ID_HEX_SIZE];
    uint64_t wall_ms = MAX(writer->wall_ms, lease->granted_ms);
    lease_id_hex(&lease->id, id);
    lease_id_hex(&lease->group, group);
    begin_item(writer);
    put_text(writer, "lease", id);
    put_text(writer, "consumer", lease->consumer->id);
    put_text(writer, "tenant", lease->consumer->tenant->name);
    put_text(writer, "provider", lease->provider->row.id);
    put_number(writer, "bytes", lease->bytes);
    put_number(writer, "block_bytes", lease->block_bytes);
    put_text(writer, "state", lease_state_word(lease->state));
    put_text(writer, "cause", lease_cause_word(lease->cause));
    put_number(writer, "age_s", (wall_ms - lease->granted_ms) / 1000);
    if (lease->expires_ms == 0) /* its provider has not said so yet */
        put_null(writer, "expires_in_ms");
    else
        put_number(writer, "expires_in_ms",
                   lease->expires_ms > writer->now_ms ? lease->expires_ms - writer->now_ms : 0);
    put_text(writer, "group", group);
    end_item(writer);
}

static void put_leases_of(struct writer *writer, const struct pool_provider *provider)
{
    for (const struct pool_lease *lease = provider->first; lease != NULL; lease = lease->next) {
        if (!lease->durable)
            continue;
        if (writer->out->size_bytes < LEASES_BYTES_MAX)
            put_lease(writer, lease);
        else
            writer->left_out++;
    }
}

static void put_leases(struct writer *writer)
{
    const struct registry *registry = writer->control->registry;
    begin_list(writer, "leases");
    for (size_t i = 0; i < registry_provider_count(registry); i++)
        put_leases_of(writer, registry_provider(registry, i));
    end_list(writer);
    put_number(writer, "leases_left_out", writer->left_out);
}

/* ---- tenants and identities ------------------------------------------------------------------ */

static bool put_tenant(void *context, const struct pool_tenant *tenant)
{
    struct writer *writer = context;
    begin_item(writer);
    put_text(writer, "tenant", tenant->name);
    put_number(writer, "held", tenant->held_bytes);
    put_number(writer, "leases", tenant->leases);
    if (tenant->has_quota)
        put_number(writer, "quota", tenant->quota_bytes);
    else if (writer->control->limits.tenant_bytes != 0)
        put_number(writer, "quota", writer->control->limits.tenant_bytes);
    else
        put_null(writer, "quota");
    end_item(writer);
    return writer->out->size_bytes < WIRE_JSON_MAX - (2u << 20);
}

static bool put_revoked(void *context, const struct revoked_row *row)
{
    struct writer *writer = context;
    char time[TIME_TEXT_SIZE];
    time_text_s(row->revoked_ms * 1000000u, time);
    begin_item(writer);
    put_text(writer, "id", row->id);
    put_text(writer, "reason", row->reason);
    put_text(writer, "since", time);
    end_item(writer);
    return writer->out->size_bytes < WIRE_JSON_MAX - (1u << 20);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void put_counters(struct writer *writer)
{
    const struct control *control = writer->control;
    struct registry_counts counts;
    registry_count(control->registry, &counts);
    name(writer, "counters");
    writer->needs_comma = false;
    begin_item(writer);
    put_number(writer, "held", counts.held_bytes);
    put_number(writer, "leases", counts.leases);
    put_number(writer, "lost", counts.lost);
    put_number(writer, "connections", control->peer_count);
#define PUT_COUNTER(counter) put_number(writer, #counter "_total", control->counters.counter);
    CONTROL_COUNTERS(PUT_COUNTER)
#undef PUT_COUNTER
    end_item(writer);
}

static void put_all(struct writer *writer)
{
    begin_item(writer);
    put_text(writer, "format", "lethe-pool-status/1");
    put_providers(writer);
    put_leases(writer);
    begin_list(writer, "tenants");
    registry_each_tenant(writer->control->registry, put_tenant, writer);
    end_list(writer);
    begin_list(writer, "revoked");
    registry_each_revoked(writer->control->registry, put_revoked, writer);
    end_list(writer);
    put_counters(writer);
    end_item(writer);
}

/* The document stays until TLS has it. */
struct document {
    struct buffer text;
    struct iovec piece;
};

static void document_free(void *context)
{
    struct document *document = context;
    if (document != NULL)
        buffer_clear(&document->text);
    free(document);
}

static lethe_result make_document(struct control *control, struct document **out,
                                  struct lethe_error *err)
{
    struct document *document = calloc(1, sizeof *document);
    if (document == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the status");
    struct writer writer = {.control = control,
                            .out = &document->text,
                            .now_ms = loop_now_ms(control->loop),
                            .wall_ms = control_wall_ms(control)};
    put_all(&writer);
    lethe_result result = buffer_result(&document->text, err);
    if (result == LETHE_OK && document->text.size_bytes > WIRE_JSON_MAX)
        result = error_set(err, LETHE_LIMIT, "the status is too large for one answer");
    if (result != LETHE_OK) {
        document_free(document);
        return result;
    }
    document->piece = (struct iovec){document->text.bytes, document->text.size_bytes};
    *out = document;
    return LETHE_OK;
}

/* As it is when what was asked before is durable. */
static void give_status(struct control *control, struct control_job *job, lethe_result result,
                        const struct lethe_error *why)
{
    struct document *document;
    struct lethe_error failed = {0};
    struct link *link = job->peer->link;
    if (link != NULL && make_document(control, &document, &failed) != LETHE_OK) {
        peer_refuse(job->peer, &job->request, &failed);
    } else if (link != NULL) {
        const struct wire_head head = {.type = WIRE_STATUS | WIRE_REPLY,
                                       .request = job->request.request};
        const struct link_data data = {&document->piece, 1, document_free, document};
        if (link_send(link, &head, NULL, &data, NULL) != LETHE_OK)
            document_free(document);
    }
    job_free(job);
}

lethe_result control_status(struct control_peer *peer, const struct link_frame *frame,
                            struct lethe_error *err)
{
    uint8_t what;
    struct control_job *job;
    TRY(wire_byte_read(frame->index, 0, &what, err));
    TRY(policy_allows_operator(peer->control, peer->id.text, "status", "pool", err));
    TRY(job_create(peer, &frame->head, 0, &job, err));
    job->done = give_status;
    job_queue(peer->control, job);
    return LETHE_OK;
}
