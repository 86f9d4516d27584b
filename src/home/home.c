#include "home/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/validate.h"
#include "engine/engine.h"

/* ---- where ------------------------------------------------------------------------------------
 */

lethe_result home_user_directory(const char *variable, const char *below_home, char **out,
                                 struct lethe_error *err)
{
    const char *base = getenv(variable);
    const char *user_home = getenv("HOME");
    int written = -1;
    if (base != NULL && base[0] == '/')
        written = asprintf(out, "%s/lethe", base);
    else if (user_home != NULL && user_home[0] == '/')
        written = asprintf(out, "%s/%s/lethe", user_home, below_home);
    else {
        error_set(err, LETHE_INVALID, "neither %s nor HOME is set", variable);
        error_hint(err, "set LETHE_HOME to the directory for keys and log");
        return LETHE_INVALID;
    }
    return written < 0 ? error_set(err, LETHE_NO_MEMORY, "no memory for a path") : LETHE_OK;
}

/* What is made beside a home is named after it. */
static void cut_trailing_slashes(char *path)
{
    for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
        path[length - 1] = '\0';
}

lethe_result home_paths_fill(struct home_paths *paths, struct lethe_error *err)
{
    const struct {
        char **path;
        const char *name;
    } parts[] = {{&paths->store, "store.db"}, {&paths->audit, "audit"},
                 {&paths->lock, "lock"},      {&paths->node, "node"},
                 {&paths->run, "run"},        {&paths->configuration, "lethe.conf"}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        *parts[i].path = path_join(paths->directory, parts[i].name);
        if (*parts[i].path == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    }
    return LETHE_OK;
}

lethe_result home_locate(const char *directory, struct home_paths *out, struct lethe_error *err)
{
    *out = (struct home_paths){0};
    const char *set = directory != NULL ? directory : getenv("LETHE_HOME");
    if (set != NULL && set[0] != '\0')
        out->directory = strdup(set);
    else
        TRY(home_user_directory("XDG_DATA_HOME", ".local/share", &out->directory, err));
    if (out->directory == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    cut_trailing_slashes(out->directory);

    return home_paths_fill(out, err);
}

void home_paths_clear(struct home_paths *paths)
{
    free(paths->directory);
    free(paths->store);
    free(paths->audit);
    free(paths->lock);
    free(paths->node);
    free(paths->run);
    free(paths->configuration);
    *paths = (struct home_paths){0};
}

/* What cannot be looked at is not what is missing. */
static lethe_result look(const char *path, bool *is_there, struct lethe_error *err)
{
    *is_there = access(path, F_OK) == 0;
    if (*is_there || errno == ENOENT || errno == ENOTDIR)
        return LETHE_OK;
    return error_from_errno(err, "looking for %s", path);
}

lethe_result home_look(const struct home_paths *paths, bool *is_there, struct lethe_error *err)
{
    bool has_log;
    TRY(look(paths->store, is_there, err));
    if (*is_there)
        return LETHE_OK;
    TRY(look(paths->audit, &has_log, err));
    if (!has_log)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY, "the home at %s has lost its store.db", paths->directory);
    error_hint(err, "put back a backup of store.db: it holds every key");
    return LETHE_INTEGRITY;
}

lethe_result home_require(const struct home_paths *paths, struct lethe_error *err)
{
    bool is_there;
    TRY(home_look(paths, &is_there, err));
    if (is_there)
        return LETHE_OK;
    error_set(err, LETHE_NOT_FOUND, "there is no home at %s", paths->directory);
    error_hint(err, "lethe init");
    return LETHE_NOT_FOUND;
}

/* ---- open -------------------------------------------------------------------------------------
 */

static lethe_result check_private(const struct home_paths *paths, struct lethe_error *err)
{
    const char *private_paths[] = {paths->directory, paths->store, paths->audit};
    for (size_t i = 0; i < ARRAY_LEN(private_paths); i++) {
        struct stat status;
        if (stat(private_paths[i], &status) != 0)
            return error_from_errno(err, "%s", private_paths[i]);
        TRY(file_check_private(private_paths[i], &status, err));
    }
    return LETHE_OK;
}

static lethe_result read_node(struct home *home, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    lethe_result result = file_read_all(AT_FDCWD, home->paths.node, NAME_PART_MAX + 1, &text, err);
    if (result == LETHE_NO_MEMORY || result == LETHE_IO)
        return result;
    if (result == LETHE_OK && text.size_bytes > 1 && text.bytes[text.size_bytes - 1] == '\n') {
        buffer_truncate(&text, text.size_bytes - 1);
        if (strlen(text.bytes) == text.size_bytes &&
            validate_identifier("the node's name", text.bytes, NAME_PART_MAX, NULL) == LETHE_OK) {
            memcpy(home->node, text.bytes, text.size_bytes + 1);
            return LETHE_OK;
        }
    }
    return error_set(err, LETHE_INTEGRITY, "%s is missing or not a node's name", home->paths.node);
}

static void record_wipe(void *context, const struct lethe_wipe_report *report)
{
    struct home *home = context;
    struct audit_who who = keeper_who(home->keeper, report->label->tenant);
    who.session = report->label->session;
    const struct audit_event event =
        audit_region_wiped(lethe_class_name(report->class_), report->label->id, report->size_bytes,
                           report->duration_ns, report->verified);
    audit_emit(keeper_log(home->keeper), &who, &event);
}

static void record_session_end(void *context, const struct lethe_session_report *report)
{
    struct home *home = context;
    struct audit_who who = keeper_who(home->keeper, report->label->tenant);
    who.session = report->label->session;
    const struct audit_event event =
        audit_session_ended(report->label->id, lethe_session_end_name(report->cause),
                            report->regions, report->secrets, report->size_bytes, report->verified);
    audit_emit(keeper_log(home->keeper), &who, &event);
}

void home_fill_actor(char out[HOME_ACTOR_SIZE])
{
    snprintf(out, HOME_ACTOR_SIZE, "uid:%u", (unsigned)getuid());
}

static lethe_result open_keeper(struct home *home, int passphrase_fd, struct lethe_error *err)
{
    home_fill_actor(home->actor);
    const struct keeper_options options = {.store_path = home->paths.store,
                                           .audit_directory = home->paths.audit,
                                           .lock_path = home->paths.lock,
                                           .node = home->node,
                                           .actor = home->actor,
                                           .passphrase_fd = passphrase_fd,
                                           .audit_limits = home->configuration.audit};
    TRY(keeper_open(&options, &home->keeper, err));
    const struct lethe_mem_observer observer = {
        .region_wiped = record_wipe, .session_ended = record_session_end, .context = home};
    lethe_mem_observe(&observer);

    const struct audit_who who = keeper_who(home->keeper, "");
    return engine_settle_traces(home->paths.run, keeper_log(home->keeper), &who,
                                &home->settled_runs, err);
}

lethe_result home_open(const char *directory, int passphrase_fd, struct home **out,
                       struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(home_abandon) struct home *home = calloc(1, sizeof *home);
    if (home == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a home");
    TRY(home_locate(directory, &home->paths, err));
    TRY(home_require(&home->paths, err));
    TRY(check_private(&home->paths, err));
    TRY(read_node(home, err));
    TRY(configuration_read(home->paths.configuration, &home->configuration, err));
    TRY(open_keeper(home, passphrase_fd, err));
    *out = MOVE(home);
    return LETHE_OK;
}

lethe_result home_close(struct home *home, struct lethe_error *err)
{
    kms_client_close(home->client); /* what it kept is wiped while that can be recorded */
    home->client = NULL;
    attesting_free(MOVE(home->attesting));
    lethe_mem_observe(NULL);
    lethe_result result = keeper_close(home->keeper, err);
    home->keeper = NULL;
    home_abandon(home);
    return result;
}

void home_abandon(struct home *home)
{
    if (home == NULL)
        return;
    kms_client_close(home->client);
    attesting_free(home->attesting);
    lethe_mem_observe(NULL);
    if (home->keeper != NULL)
        (void)!keeper_close(home->keeper, NULL);
    home_paths_clear(&home->paths);
    free(home);
}

static void add_unrecorded(const struct lethe_error *why, struct lethe_error *err)
{
    if (err == NULL)
        return;
    size_t length = strlen(err->text);
    snprintf(err->text + length, sizeof err->text - length,
             "; and the refusal could not be recorded: %s", why->text);
}

lethe_result home_reject_model(struct home *home, const char *path, const char *purpose,
                               lethe_result result, struct lethe_error *err)
{
    bool refused = result == LETHE_INTEGRITY || result == LETHE_MALFORMED ||
                   result == LETHE_DENIED || result == LETHE_REVOKED;
    if (!refused)
        return result;
    const struct audit_who who = keeper_who(home->keeper, "");
    const struct audit_event event =
        audit_model_rejected(path_base_name(path), err != NULL ? err->text : "", purpose);
    struct lethe_error log_error = {0};
    if (audit_commit(keeper_log(home->keeper), &who, &event, &log_error) != LETHE_OK)
        add_unrecorded(&log_error, err);
    return result;
}
