/* tests/audit/emit_check.h -- records that nobody waits for, and what became of them. */
#ifndef TESTS_AUDIT_EMIT_CHECK_H
#define TESTS_AUDIT_EMIT_CHECK_H

#include "small_log.h"

__attribute__((unused)) static void emit_label(struct audit_log *log, const char *label)
{
    const struct audit_event event = audit_session_started(label);
    audit_emit(log, &someone, &event);
}

__attribute__((unused)) static void emit_many(struct audit_log *log, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        emit_label(log, "a label");
}

__attribute__((unused)) static uint64_t records_of(struct audit_log *log)
{
    struct audit_head head;
    audit_head(log, &head);
    return head.records;
}

/* How often the text is in the first file of records. */
__attribute__((unused)) static unsigned count_in_log(const struct node *node, const char *text)
{
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    unsigned count = 0;
    if (lines.size_bytes == 0)
        return 0;
    for (const char *at = lines.bytes; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* The sum of what the log's events_dropped records with this text say. */
__attribute__((unused)) static uint64_t dropped_in_log(const struct node *node, const char *text)
{
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    uint64_t sum = 0;
    const char *line;
    size_t length;
    for (size_t n = 0; (length = nth_line(&lines, n, &line)) > 0; n++) {
        unsigned long long count = 0;
        char copy[2048] = "";
        memcpy(copy, line, MIN(length, sizeof copy - 1));
        const char *at = strstr(copy, "{\"count\":");
        if (at != NULL && strstr(copy, "\"event\":\"events_dropped\"") != NULL &&
            strstr(copy, text) != NULL && sscanf(at, "{\"count\":%llu", &count) == 1)
            sum += count;
    }
    return sum;
}

#endif
