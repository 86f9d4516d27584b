#include "engine/trace.h"

#include <dirent.h>
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
#include "engine/engine.h"

#define TRACE_MAX_BYTES 16384
#define TRACE_SUFFIX ".run"

/* Locked before it has its name, so that whoever finds it unlocked knows that nobody lives. */
lethe_result trace_create(const char *run_directory, struct trace *out, struct lethe_error *err)
{
    *out = (struct trace){.fd = -1};
    TRY(file_make_directories(run_directory, 0700, err));
    CLEANUP(memory_free) char *unnamed = NULL;
    CLEANUP(memory_free) char *named = NULL;
    if (asprintf(&unnamed, "%s/.%d-XXXXXX", run_directory, (int)getpid()) < 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    CLEANUP(fd_close) int fd = mkostemp(unnamed, O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, "%s", unnamed);
    const char *name = strrchr(unnamed, '/') + 2; /* without the dot */
    if (asprintf(&named, "%s/%s" TRACE_SUFFIX, run_directory, name) < 0) {
        named = NULL;
        unlink(unnamed);
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || rename(unnamed, named) != 0) {
        error_from_errno(err, "%s", named);
        unlink(unnamed);
        return LETHE_IO;
    }
    *out = (struct trace){.fd = fd, .path = MOVE(named)};
    fd = -1;
    return LETHE_OK;
}

lethe_result trace_write(const struct trace *trace, const struct trace_content *content,
                         struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer line = {0};
    buffer_format(&line, "{\"bytes\":%" PRIu64 ",\"directory\":", content->bytes);
    json_append_string(&line, content->directory, strlen(content->directory));
    buffer_text(&line, ",\"engine\":");
    json_append_string(&line, content->engine, strlen(content->engine));
    buffer_text(&line, ",\"model\":");
    json_append_string(&line, content->model, strlen(content->model));
    buffer_text(&line, "}\n");
    TRY(buffer_result(&line, err));
    return file_write(trace->fd, trace->path, line.bytes, line.size_bytes, err);
}

void trace_note(int fd, bool wiped, uint64_t bytes)
{
    char line[64];
    int length =
        snprintf(line, sizeof line, "%s %" PRIu64 "\n", wiped ? "wiped" : "unwiped", bytes);
    if (fd >= 0)
        (void)!write(fd, line, (size_t)length);
}

void trace_finish(struct trace *trace)
{
    if (trace->path != NULL)
        unlink(trace->path);
    fd_close(trace->fd);
    free(trace->path);
    *trace = (struct trace){.fd = -1};
}

/* ---- settling ----------------------------------------------------------------------------------
 */

/* A private directory that a dead run left, when it is one of ours and empty (it was a mount
 * point). */
static void remove_leftover(const char *directory)
{
    const char *name = strrchr(directory, '/');
    if (name != NULL && strncmp(name, "/lethe-", strlen("/lethe-")) == 0)
        rmdir(directory);
}

/* What a trace says; a damaged one says "unknown" and "unwiped". */
static lethe_result settle(const struct buffer *text, struct audit_log *log,
                           const struct audit_who *who, struct lethe_error *err)
{
    const char *engine = "unknown";
    const char *model = "unknown";
    const char *directory = "";
    uint64_t bytes = 0;
    const char *line;
    size_t length;
    bool wiped = false;
    CLEANUP(json_decref) json_t *content = NULL;
    struct cursor cursor = cursor_over(text->bytes, text->size_bytes);
    const struct json_field fields[] = {{"bytes", JSON_FIELD_UINT, false, &bytes},
                                        {"directory", JSON_FIELD_TEXT, false, &directory},
                                        {"engine", JSON_FIELD_TEXT, false, &engine},
                                        {"model", JSON_FIELD_TEXT, false, &model}};
    if (cursor_line(&cursor, &line, &length) == LETHE_OK &&
        json_parse(line, length, &content, NULL) == LETHE_OK &&
        json_read_fields(content, "trace", fields, ARRAY_LEN(fields), NULL) == LETHE_OK) {
        wiped = cursor_line(&cursor, &line, &length) == LETHE_OK &&
                strncmp(line, "wiped ", strlen("wiped ")) == 0;
        remove_leftover(directory);
    }
    const struct audit_event event = audit_engine_exited(engine, model, 0, "supervisor died", 0,
                                                         bytes, wiped ? "wiped" : "unwiped");
    return audit_commit(log, who, &event, err);
}

static lethe_result settle_file(int directory_fd, const char *name, struct audit_log *log,
                                const struct audit_who *who, size_t *settled,
                                struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? LETHE_OK : error_from_errno(err, "trace %s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return LETHE_OK; /* somebody lives */
    CLEANUP(buffer_clear) struct buffer text = {0};
    lethe_result result = file_read_all(directory_fd, name, TRACE_MAX_BYTES, &text, err);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK; /* another command was quicker */
    if (result != LETHE_LIMIT)
        TRY(result);
    buffer_text(&text, "");
    TRY(settle(&text, log, who, err));
    unlinkat(directory_fd, name, 0);
    ++*settled;
    return LETHE_OK;
}

static bool is_trace_name(const char *name)
{
    size_t length = strlen(name);
    size_t suffix = strlen(TRACE_SUFFIX);
    return name[0] != '.' && length > suffix && strcmp(name + length - suffix, TRACE_SUFFIX) == 0;
}

lethe_result engine_settle_traces(const char *run_directory, struct audit_log *log,
                                  const struct audit_who *who, size_t *settled,
                                  struct lethe_error *err)
{
    *settled = 0;
    DIR *directory = opendir(run_directory);
    if (directory == NULL)
        return errno == ENOENT ? LETHE_OK : error_from_errno(err, "%s", run_directory);
    lethe_result result = LETHE_OK;
    for (struct dirent *entry; result == LETHE_OK && (entry = readdir(directory)) != NULL;) {
        if (is_trace_name(entry->d_name))
            result = settle_file(dirfd(directory), entry->d_name, log, who, settled, err);
    }
    closedir(directory);
    return result;
}
