#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "audit/verify.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"

/* The log that a command is about: the home's own, or files with a key. */
struct log_source {
    struct home *home; /* NULL for --log */
    const char *directory;
    struct audit_key key;
    struct buffer since;
};

static void log_source_clear(struct log_source *source)
{
    home_abandon(source->home);
    buffer_clear(&source->since);
}

static inline void log_source_clear_at_scope_end(struct log_source *source)
{
    log_source_clear(source);
}

static lethe_result read_key_file(const char *path, struct audit_key *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(file_read_all(AT_FDCWD, path, 4096, &text, err));
    size_t length = text.size_bytes;
    while (length > 0 && text.bytes[length - 1] == '\n')
        length--;
    return error_context(err, audit_key_parse(text.bytes, length, out, err), "%s", path);
}

static lethe_result find_log(const struct invocation *invocation, struct log_source *out,
                             struct lethe_error *err)
{
    const char *key_path = option_text(invocation, "key");
    out->directory = option_text(invocation, "log");
    if (out->directory != NULL) {
        if (key_path == NULL) {
            error_set(err, LETHE_INVALID, "a log elsewhere needs its key: --key FILE");
            error_hint(err, "its owner prints the key: lethe key export NODE.log --public");
            return LETHE_INVALID;
        }
        return read_key_file(key_path, &out->key, err);
    }
    TRY(common_open_home(invocation, &out->home, err));
    out->directory = out->home->paths.audit;
    if (key_path != NULL)
        return read_key_file(key_path, &out->key, err);
    return keeper_log_key(out->home->keeper, &out->key, err);
}

/* Reading the home's own log is itself recorded. */
static lethe_result record_reading(struct log_source *source, const char *command,
                                   struct lethe_error *err)
{
    if (source->home == NULL)
        return LETHE_OK;
    const struct audit_who who = keeper_who(source->home->keeper, "");
    const struct audit_event event = audit_log_read(command);
    return audit_commit(keeper_log(source->home->keeper), &who, &event, err);
}

/* ---- audit show --------------------------------------------------------------------------------
 */

static void print_field(const char *name, const json_t *value)
{
    if (json_is_string(value))
        printf(" %s=%s", name, json_string_value(value));
    else if (json_is_integer(value))
        printf(" %s=%lld", name, (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        printf(" %s=%s", name, json_is_true(value) ? "yes" : "no");
}

static lethe_result show_text(void *context, const struct audit_record *record,
                              struct lethe_error *err)
{
    static const char *const shown_first[] = {"event", "time", "seq"};
    static const char *const hidden[] = {"event", "time", "seq", "prev", "node", "severity"};
    CLEANUP(json_decref) json_t *line = NULL;
    TRY(json_parse(record->line, record->length, &line, err));
    printf("%6llu  %s  %-16s", (unsigned long long)record->seq,
           json_string_value(json_object_get(line, shown_first[1])),
           json_string_value(json_object_get(line, shown_first[0])));
    const char *name;
    json_t *value;
    json_object_foreach(line, name, value)
    {
        bool skip = false;
        for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
            skip = skip || strcmp(name, hidden[i]) == 0;
        if (!skip)
            print_field(name, value);
    }
    putchar('\n');
    return LETHE_OK;
}

static lethe_result show_json(void *context, const struct audit_record *record,
                              struct lethe_error *err)
{
    fwrite(record->line, 1, record->length, stdout);
    putchar('\n');
    return LETHE_OK;
}

COMMAND_FUNCTION(audit_show)
{
    CLEANUP(log_source_clear) struct log_source source = {0};
    TRY(find_log(invocation, &source, err));
    TRY(record_reading(&source, "audit show", err));
    const struct audit_verify_options options = {
        .directory = source.directory,
        .key = source.key,
        .visit = option_given(invocation, "json") ? show_json : show_text};
    struct audit_verify_report report;
    lethe_result result = audit_verify(&options, &report, err);
    return source.home == NULL ? result : HOME_FINISH(source.home, result, err);
}

/* ---- audit verify ------------------------------------------------------------------------------
 */

static void print_report(const struct log_source *source, const struct audit_verify_report *report,
                         bool as_json)
{
    char root[2 * MERKLE_HASH_BYTES + 1];
    hex_encode(report->root, sizeof report->root, root);
    const char *anchor = report->anchored ? "checkpoint" : source->home ? "store" : "none";
    if (as_json) {
        printf("{\"anchor\":\"%s\",\"checkpoints\":%llu,\"format\":\"lethe-audit-verify/1\","
               "\"records\":%llu,\"root\":\"%s\"}\n",
               anchor, (unsigned long long)report->checkpoints, (unsigned long long)report->records,
               root);
        return;
    }
    printf("%s: good: %llu records in one chain, under %llu signed checkpoints\nroot %s\n",
           source->directory, (unsigned long long)report->records,
           (unsigned long long)report->checkpoints, root);
    if (!report->anchored && source->home != NULL)
        printf(
            "Compared with what the store remembers. Store and log put back together would not be\n"
            "seen: keep a copy of %s/checkpoint elsewhere and give it with --since.\n",
            source->directory);
    else if (!report->anchored)
        printf(
            "Not compared with any anchor: a log cut back to an earlier checkpoint would not be\n"
            "seen. Give a checkpoint that someone kept with --since.\n");
}

COMMAND_FUNCTION(audit_verify)
{
    CLEANUP(log_source_clear) struct log_source source = {0};
    const char *since_path = option_text(invocation, "since");
    if (since_path != NULL)
        TRY(file_read_all(AT_FDCWD, since_path, AUDIT_NOTE_MAX, &source.since, err));
    TRY(find_log(invocation, &source, err));
    const struct audit_verify_options options = {.directory = source.directory,
                                                 .key = source.key,
                                                 .since = since_path ? source.since.bytes : NULL,
                                                 .since_bytes = source.since.size_bytes};
    struct audit_verify_report report;
    lethe_result result = audit_verify(&options, &report, err);
    if (result == LETHE_OK)
        print_report(&source, &report, option_given(invocation, "json"));
    return source.home == NULL ? result : HOME_FINISH(source.home, result, err);
}
