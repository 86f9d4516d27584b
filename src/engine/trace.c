#include "engine/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/trace_name.h"

static lethe_result make_directory(const char *path, struct lethe_error *err)
{
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_from_errno(err, "%s", path);
    if (stat(path, &status) != 0)
        return error_from_errno(err, "%s", path);
    return file_check_private(path, &status, err);
}

/* Locked before it has its name, so that whoever finds it unlocked knows that nobody lives. */
lethe_result trace_create(const char *run_directory, struct trace *out, struct lethe_error *err)
{
    *out = (struct trace){.fd = -1};
    TRY(make_directory(run_directory, err));
    CLEANUP(memory_free) char *unnamed = NULL;
    CLEANUP(memory_free) char *named = NULL;
    if (asprintf(&unnamed, "%s/" TRACE_UNNAMED "%d-XXXXXX", run_directory, (int)getpid()) < 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    CLEANUP(fd_close) int fd = mkostemp(unnamed, O_CLOEXEC | O_APPEND);
    if (fd < 0)
        return error_from_errno(err, "%s", unnamed);
    const char *name = strrchr(unnamed, '/') + 1 + strlen(TRACE_UNNAMED);
    if (asprintf(&named, "%s/%s" TRACE_SUFFIX, run_directory, name) < 0) {
        named = NULL;
        unlink(unnamed);
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || rename(unnamed, named) != 0) {
        lethe_result result = error_from_errno(err, "%s", named);
        unlink(unnamed);
        return result;
    }
    *out = (struct trace){.fd = fd, .path = MOVE(named)};
    fd = -1;
    return LETHE_OK;
}

void trace_note_text(int fd, const char *field, const char *text)
{
    CLEANUP(buffer_clear) struct buffer line = {0};
    buffer_format(&line, "{\"%s\":", field);
    json_append_string(&line, text, strlen(text));
    buffer_text(&line, "}\n");
    if (fd >= 0 && buffer_result(&line, NULL) == LETHE_OK)
        (void)!file_write(fd, "trace", line.bytes, line.size_bytes, NULL);
}

void trace_note_number(int fd, const char *field, uint64_t number)
{
    char line[96];
    int length = snprintf(line, sizeof line, "{\"%s\":%" PRIu64 "}\n", field, number);
    if (fd >= 0)
        (void)!file_write(fd, "trace", line, (size_t)length, NULL);
}

/* All lines as one object. */
static json_t *merge_lines(const void *bytes, size_t size_bytes)
{
    json_t *all = json_object();
    struct cursor cursor = cursor_over(bytes, size_bytes);
    const char *line;
    size_t length;
    while (cursor_line(&cursor, &line, &length) == LETHE_OK) {
        CLEANUP(json_decref) json_t *object = NULL;
        if (json_parse(line, length, &object, NULL) == LETHE_OK)
            json_object_update(all, object);
    }
    return all;
}

static const struct trace_content nothing = {
    .engine = "unknown", .model = "unknown", .directory = "", .group = ""};

void trace_read(const void *bytes, size_t size_bytes, struct trace_content *out)
{
    const char *wiped = "";
    struct trace_content read = nothing;
    *out = nothing;
    if (size_bytes > TRACE_MAX_BYTES)
        return;
    read.lines = merge_lines(bytes, size_bytes);
    const struct json_field fields[] = {{"bytes", JSON_FIELD_UINT, true, &read.bytes},
                                        {"directory", JSON_FIELD_TEXT, true, &read.directory},
                                        {"engine", JSON_FIELD_TEXT, true, &read.engine},
                                        {"group", JSON_FIELD_TEXT, true, &read.group},
                                        {"model", JSON_FIELD_TEXT, true, &read.model},
                                        {"pid", JSON_FIELD_UINT, true, &read.pid},
                                        {"wiped", JSON_FIELD_TEXT, true, &wiped}};
    if (json_read_fields(read.lines, "trace", fields, ARRAY_LEN(fields), NULL) == LETHE_OK) {
        read.wiped = strcmp(wiped, "wiped") == 0;
        *out = read;
    } else {
        json_decref(read.lines);
    }
}

void trace_content_clear(struct trace_content *content)
{
    json_decref(content->lines);
    *content = nothing;
}

void trace_finish(struct trace *trace)
{
    if (trace->path != NULL)
        unlink(trace->path);
    trace_leave(trace);
}

void trace_leave(struct trace *trace)
{
    fd_close(trace->fd);
    free(trace->path);
    *trace = (struct trace){.fd = -1};
}
