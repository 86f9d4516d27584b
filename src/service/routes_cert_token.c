#include <stdio.h>
#include <string.h>

#include "service/json_writer.h"
#include "service/routes_cert.h"

void cert_login_begin(struct cert_login *login)
{
    strcpy(login->entry.path, "auth/cert/login");
    login->entry.renewable = true;
}

static void take_policies(struct token_entry *entry, const struct x509_list *policies)
{
    entry->policy_count = 0;
    for (size_t i = 0; i < policies->count && entry->policy_count < CALLER_POLICIES_MAX; i++)
        if (strlen(policies->at[i]) < sizeof entry->policies[0])
            strcpy(entry->policies[entry->policy_count++], policies->at[i]);
}

void cert_login_take_entry(struct cert_login *login, const char *name, const struct cert_auth *auth)
{
    const struct service_options *options = &login->service->options;
    struct token_entry *entry = &login->entry;
    uint64_t ttl_s = auth->ttl_s != 0 ? auth->ttl_s : options->default_ttl_s;
    if (auth->max_ttl_s != 0)
        ttl_s = MIN(ttl_s, auth->max_ttl_s);
    if (options->max_ttl_s != 0)
        ttl_s = MIN(ttl_s, options->max_ttl_s);
    entry->ttl_s = ttl_s;
    entry->explicit_max_ttl_s = auth->max_ttl_s;
    entry->period_s = auth->period_s;
    entry->uses_left = auth->num_uses;
    entry->expires_s = login->now_s + ttl_s;
    take_policies(entry, &auth->lists[CERT_token_policies]);
    snprintf(entry->display_name, sizeof entry->display_name, "cert-%.100s",
             auth->display_name[0] != '\0' ? auth->display_name : name);
}

static void put_id(struct json_writer *writer, const char *name, const uint8_t *bytes,
                   size_t size_bytes)
{
    char text[X509_SERIAL_TEXT_SIZE];
    x509_serial_text(bytes, MIN(size_bytes, (size_t)X509_SERIAL_BYTES), text);
    json_put_text(writer, name, text);
}

void cert_login_take_leaf(struct cert_login *login, const char *name,
                          const struct x509_summary *leaf)
{
    struct guarded meta = {0};
    struct json_writer writer = {.out = &meta};
    const char *common_name = leaf->subject.common_name != NULL ? leaf->subject.common_name : "";
    struct token_entry *entry = &login->entry;
    snprintf(login->common_name, sizeof login->common_name, "%s", common_name);
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "cert_name", name);
    json_put_text(&writer, "common_name", common_name);
    put_id(&writer, "serial_number", leaf->serial, leaf->serial_bytes);
    put_id(&writer, "subject_key_id", leaf->subject_key_id, leaf->subject_key_id_bytes);
    put_id(&writer, "authority_key_id", leaf->authority_key_id, leaf->authority_key_id_bytes);
    json_end_object(&writer);
    if (meta.failure == LETHE_OK && meta.size_bytes < sizeof entry->meta) {
        memcpy(entry->meta, meta.bytes, meta.size_bytes);
        entry->meta[meta.size_bytes] = '\0';
    }
    guarded_clear(&meta);
    if (entry->ttl_s == 0) { /* no entry has said so */
        entry->ttl_s = login->service->options.default_ttl_s;
        entry->expires_s = login->now_s + entry->ttl_s;
    }
}
