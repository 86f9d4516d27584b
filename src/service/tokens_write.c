#include <string.h>

#include "base/text.h"
#include "service/tokens_core.h"

static void put_policies(struct json_writer *writer, const char *name,
                         const struct token_entry *entry)
{
    json_begin_array(writer, name);
    for (size_t i = 0; i < entry->policy_count; i++)
        json_put_text(writer, NULL, entry->policies[i]);
    json_end_array(writer);
}

/* JSON that we made ourselves. */
static void put_meta(struct json_writer *writer, const char *name, const struct token_entry *entry,
                     const char *without)
{
    guarded_format(writer->out, "%s\"%s\":", writer->needs_comma ? "," : "", name);
    guarded_text(writer->out, entry->meta[0] != '\0' ? entry->meta : without);
    writer->needs_comma = true;
}

static void put_time(struct json_writer *writer, const char *name, uint64_t time_s)
{
    char text[TIME_TEXT_SIZE];
    if (time_s == 0) {
        json_put_null(writer, name);
        return;
    }
    time_text_s(MIN(time_s, UINT64_MAX / 1000000000u) * 1000000000u, text);
    json_put_text(writer, name, text);
}

static int64_t left_s(const struct token_entry *entry, uint64_t now_s)
{
    return entry->expires_s > now_s ? (int64_t)MIN(entry->expires_s - now_s, INT64_MAX) : 0;
}

void tokens_put_auth(struct json_writer *writer, const struct token_entry *entry, const void *token,
                     size_t token_bytes, uint64_t now_s)
{
    json_put_bytes(writer, "client_token", token, token_bytes);
    json_put_text(writer, "accessor", entry->accessor);
    put_policies(writer, "policies", entry);
    put_policies(writer, "token_policies", entry);
    put_meta(writer, "metadata", entry, "{}");
    json_put_integer(writer, "lease_duration", left_s(entry, now_s));
    json_put_boolean(writer, "renewable", entry->renewable);
    json_put_text(writer, "entity_id", "");
    json_put_text(writer, "token_type", "service");
    json_put_boolean(writer, "orphan", token_is_orphan(entry->parent));
    json_put_null(writer, "mfa_requirement");
    json_put_integer(writer, "num_uses", (int64_t)MIN(entry->uses_left, INT64_MAX));
}

void tokens_write_auth(struct json_writer *writer, const struct token_entry *entry,
                       const struct lethe_secret *token, uint64_t now_s)
{
    tokens_put_auth(writer, entry, lethe_secret_bytes_const(token), lethe_secret_size(token),
                    now_s);
}

static void put_renewal(struct json_writer *writer, const struct token_entry *entry)
{
    if (entry->period_s != 0)
        json_put_integer(writer, "period", (int64_t)MIN(entry->period_s, INT64_MAX));
    if (entry->renewed_s == 0)
        return;
    put_time(writer, "last_renewal", entry->renewed_s);
    json_put_integer(writer, "last_renewal_time", (int64_t)entry->renewed_s);
}

void tokens_put_lookup(struct json_writer *writer, const struct token_entry *entry,
                       const void *token, size_t token_bytes, uint64_t now_s)
{
    json_put_bytes(writer, "id", token, token_bytes);
    json_put_text(writer, "accessor", entry->accessor);
    put_policies(writer, "policies", entry);
    json_put_integer(writer, "ttl", left_s(entry, now_s));
    json_put_integer(writer, "creation_ttl", (int64_t)MIN(entry->ttl_s, INT64_MAX));
    json_put_integer(writer, "creation_time", (int64_t)entry->created_s);
    put_time(writer, "expire_time", entry->expires_s);
    put_time(writer, "issue_time", entry->created_s);
    json_put_integer(writer, "explicit_max_ttl",
                     (int64_t)MIN(entry->explicit_max_ttl_s, INT64_MAX));
    json_put_text(writer, "display_name", entry->display_name);
    put_meta(writer, "meta", entry, "null");
    json_put_integer(writer, "num_uses", (int64_t)MIN(entry->uses_left, INT64_MAX));
    json_put_boolean(writer, "orphan", token_is_orphan(entry->parent));
    json_put_text(writer, "path", entry->path);
    json_put_text(writer, "entity_id", "");
    json_put_text(writer, "type", "service");
    json_put_boolean(writer, "renewable", entry->renewable);
    put_renewal(writer, entry);
}
