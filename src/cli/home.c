#include "cli/home.h"

#include <ctype.h>
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

/* $variable/lethe, else $HOME/<below_home>/lethe. */
static lethe_result user_directory(const char *variable, const char *below_home, char **out,
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

lethe_result home_locate(struct home_paths *out, struct lethe_error *err)
{
    *out = (struct home_paths){0};
    const char *set = getenv("LETHE_HOME");
    if (set != NULL && set[0] != '\0')
        out->directory = strdup(set);
    else
        TRY(user_directory("XDG_DATA_HOME", ".local/share", &out->directory, err));
    if (out->directory == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    cut_trailing_slashes(out->directory);

    const struct {
        char **path;
        const char *name;
    } parts[] = {{&out->store, "store.db"},
                 {&out->audit, "audit"},
                 {&out->lock, "lock"},
                 {&out->node, "node"},
                 {&out->run, "run"}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        *parts[i].path = path_join(out->directory, parts[i].name);
        if (*parts[i].path == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    }
    return LETHE_OK;
}

void home_paths_clear(struct home_paths *paths)
{
    free(paths->directory);
    free(paths->store);
    free(paths->audit);
    free(paths->lock);
    free(paths->node);
    free(paths->run);
    *paths = (struct home_paths){0};
}

bool home_is_there(const struct home_paths *paths)
{
    return access(paths->directory, F_OK) == 0 && access(paths->store, F_OK) == 0;
}

/* A log without its store: what is left of a home. */
static lethe_result check_not_torn(const struct home_paths *paths, struct lethe_error *err)
{
    if (access(paths->audit, F_OK) != 0)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY, "the home at %s has lost its store.db", paths->directory);
    error_hint(err, "put back a backup of store.db: it holds every key");
    return LETHE_INTEGRITY;
}

lethe_result home_require(const struct home_paths *paths, struct lethe_error *err)
{
    if (home_is_there(paths))
        return LETHE_OK;
    TRY(check_not_torn(paths, err));
    error_set(err, LETHE_NOT_FOUND, "there is no home at %s", paths->directory);
    error_hint(err, "lethe init");
    return LETHE_NOT_FOUND;
}

/* ---- make -------------------------------------------------------------------------------------
 */

/* The host name, reduced to what a node's name may hold. */
static void default_node(char out[NAME_PART_MAX + 1])
{
    char host[256] = "";
    size_t length = 0;
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    for (const char *p = host; *p != '\0' && *p != '.' && length < NAME_PART_MAX; p++) {
        if (isalnum((unsigned char)*p) || *p == '-' || *p == '_')
            out[length++] = *p;
    }
    out[length] = '\0';
    if (length == 0)
        memcpy(out, "node", sizeof "node");
}

/* The root file's default place: outside the home, named after nothing that tells about it. */
static lethe_result default_root(struct root_spec *out, struct lethe_error *err)
{
    CLEANUP(memory_free) char *directory = NULL;
    TRY(user_directory("XDG_CONFIG_HOME", ".config", &directory, err));
    TRY(file_make_directories(directory, 0700, err));
    uint8_t id[ROOT_HOME_ID_BYTES];
    char hex[2 * sizeof id + 1];
    TRY(random_fill(&random_system, id, sizeof id));
    hex_encode(id, sizeof id, hex);
    *out = (struct root_spec){.kind = ROOT_FILE, .passphrase_fd = -1};
    int length = snprintf(out->where, sizeof out->where, "%s/%s.key", directory, hex);
    if (length < 0 || (size_t)length >= sizeof out->where)
        return error_set(err, LETHE_INVALID, "the path of the root file is too long");
    return LETHE_OK;
}

static lethe_result choose_root(const struct home_init *init, struct root_spec *root,
                                struct lethe_error *err)
{
    if (init->root != NULL)
        TRY(root_parse(init->root, root, err));
    else
        TRY(default_root(root, err));
    root->passphrase_fd = init->passphrase_fd;
    return LETHE_OK;
}

static void fill_actor(char out[32])
{
    snprintf(out, 32, "uid:%u", (unsigned)getuid());
}

/* Fills the directory `paths` with everything but its final name. */
static lethe_result fill_home(const struct home_paths *paths, const char *node,
                              const struct root_spec *root, struct lethe_error *err)
{
    char line[NAME_PART_MAX + 2];
    int length = snprintf(line, sizeof line, "%s\n", node);
    TRY(file_write_atomic(AT_FDCWD, paths->node, line, (size_t)length, 0600, false, err));
    char actor[32];
    fill_actor(actor);
    const struct keeper_options options = {.store_path = paths->store,
                                           .audit_directory = paths->audit,
                                           .lock_path = paths->lock,
                                           .node = node,
                                           .actor = actor,
                                           .passphrase_fd = root->passphrase_fd};
    return keeper_create(&options, root, err);
}

/* An empty directory may be there already, and is replaced. */
static lethe_result rename_into_place(const char *from, const char *to, struct lethe_error *err)
{
    if (rename(from, to) == 0)
        return LETHE_OK;
    lethe_result result = error_from_errno(err, "making the home %s", to);
    error_hint(err, "something else is there: LETHE_HOME names another place");
    return result;
}

/* Beside the home's place, and nobody else's: its name cannot be guessed, and must be new. */
static lethe_result make_beside(const char *place, char **out, struct lethe_error *err)
{
    if (asprintf(out, "%s.init-XXXXXX", place) < 0) {
        *out = NULL;
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    }
    return mkdtemp(*out) != NULL ? LETHE_OK
                                 : error_from_errno(err, "making a directory beside %s", place);
}

lethe_result home_create(const struct home_paths *paths, const struct home_init *init,
                         struct root_spec *root, struct lethe_error *err)
{
    char node[NAME_PART_MAX + 1];
    default_node(node);
    if (init->node != NULL) {
        TRY(validate_identifier("the node's name", init->node, NAME_PART_MAX, err));
        memcpy(node, init->node, strlen(init->node) + 1);
    }
    TRY(check_not_torn(paths, err));
    TRY(choose_root(init, root, err));

    CLEANUP(memory_free) char *parent = strdup(paths->directory);
    CLEANUP(memory_free) char *beside = NULL;
    if (parent == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        TRY(file_make_directories(parent, 0700, err));
    }
    TRY(make_beside(paths->directory, &beside, err));

    struct home_paths made = {.directory = beside,
                              .store = path_join(beside, "store.db"),
                              .audit = path_join(beside, "audit"),
                              .lock = path_join(beside, "lock"),
                              .node = path_join(beside, "node"),
                              .run = path_join(beside, "run")};
    lethe_result result = fill_home(&made, node, root, err);
    if (result == LETHE_OK) {
        result = rename_into_place(beside, paths->directory, err);
        if (result != LETHE_OK && root->kind == ROOT_FILE)
            unlink(root->where); /* made a moment ago, for a home that is not to be */
    }
    if (result != LETHE_OK)
        (void)!file_remove_tree(AT_FDCWD, beside, NULL);
    made.directory = NULL; /* it is `beside`, freed at the end of the scope */
    home_paths_clear(&made);
    return result;
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

static lethe_result open_keeper(struct home *home, int passphrase_fd, struct lethe_error *err)
{
    fill_actor(home->actor);
    const struct keeper_options options = {.store_path = home->paths.store,
                                           .audit_directory = home->paths.audit,
                                           .lock_path = home->paths.lock,
                                           .node = home->node,
                                           .actor = home->actor,
                                           .passphrase_fd = passphrase_fd};
    TRY(keeper_open(&options, &home->keeper, err));
    const struct lethe_mem_observer observer = {
        .region_wiped = record_wipe, .session_ended = record_session_end, .context = home};
    lethe_mem_observe(&observer);

    const struct audit_who who = keeper_who(home->keeper, "");
    size_t settled = 0;
    TRY(engine_settle_traces(home->paths.run, keeper_log(home->keeper), &who, &settled, err));
    if (settled > 0)
        fprintf(stderr,
                "lethe: %zu earlier run%s ended without a supervisor; see lethe audit show\n",
                settled, settled == 1 ? "" : "s");
    return LETHE_OK;
}

lethe_result home_open(int passphrase_fd, struct home **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(home_abandon) struct home *home = calloc(1, sizeof *home);
    if (home == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a home");
    TRY(home_locate(&home->paths, err));
    TRY(home_require(&home->paths, err));
    TRY(check_private(&home->paths, err));
    TRY(read_node(home, err));
    TRY(open_keeper(home, passphrase_fd, err));
    *out = MOVE(home);
    return LETHE_OK;
}

lethe_result home_close(struct home *home, struct lethe_error *err)
{
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
    lethe_mem_observe(NULL);
    if (home->keeper != NULL)
        (void)!keeper_close(home->keeper, NULL);
    home_paths_clear(&home->paths);
    free(home);
}

lethe_result home_reject_model(struct home *home, const char *model, const char *purpose,
                               lethe_result result, struct lethe_error *err)
{
    bool refused = result == LETHE_INTEGRITY || result == LETHE_MALFORMED ||
                   result == LETHE_DENIED || result == LETHE_REVOKED;
    if (!refused)
        return result;
    const struct audit_who who = keeper_who(home->keeper, "");
    const struct audit_event event =
        audit_model_rejected(model, err != NULL ? err->text : "", purpose);
    struct lethe_error log_error = {0};
    if (audit_commit(keeper_log(home->keeper), &who, &event, &log_error) != LETHE_OK)
        fprintf(stderr, "lethe: the refusal could not be recorded: %s\n", log_error.text);
    return result;
}
