/* Making a home: beside its place, and renamed there when all of it is on the disk. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"
#include "home/home.h"
#include "model/sibling.h"

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

/* ---- the root's default place -----------------------------------------------------------------
 */

/* Outside the home, named by the digits of the directory that the home is made in: so that what is
 * left of a home that was never finished leads to its root file. */
static lethe_result default_root(const char *digits, struct root_spec *out, struct lethe_error *err)
{
    CLEANUP(memory_free) char *directory = NULL;
    TRY(home_user_directory("XDG_CONFIG_HOME", ".config", &directory, err));
    TRY(file_make_directories(directory, 0700, err));
    *out = (struct root_spec){.kind = ROOT_FILE, .passphrase_fd = -1};
    int length = snprintf(out->where, sizeof out->where, "%s/%s.key", directory, digits);
    if (length < 0 || (size_t)length >= sizeof out->where)
        return error_set(err, LETHE_INVALID, "the path of the root file is too long");
    return LETHE_OK;
}

static lethe_result choose_root(const struct home_init *init, const char *digits,
                                struct root_spec *root, struct lethe_error *err)
{
    if (init->root != NULL)
        TRY(root_parse(init->root, root, err));
    else
        TRY(default_root(digits, root, err));
    root->passphrase_fd = init->passphrase_fd;
    return LETHE_OK;
}

/* The root file of a home that a killed init left: nothing was ever kept under it. */
static void remove_orphan(void *context, const char *digits)
{
    CLEANUP(memory_free) char *directory = NULL;
    CLEANUP(memory_free) char *path = NULL;
    if (home_user_directory("XDG_CONFIG_HOME", ".config", &directory, NULL) != LETHE_OK)
        return;
    if (asprintf(&path, "%s/%s.key", directory, digits) < 0)
        path = NULL;
    else
        unlink(path);
}

/* ---- the home ---------------------------------------------------------------------------------
 */

/* Fills the directory `paths` with everything but its final name. */
static lethe_result fill_home(const struct home_paths *paths, const char *node,
                              const struct root_spec *root, struct lethe_error *err)
{
    char line[NAME_PART_MAX + 2];
    int length = snprintf(line, sizeof line, "%s\n", node);
    TRY(file_write_atomic(AT_FDCWD, paths->node, line, (size_t)length, 0600, false, err));
    char actor[HOME_ACTOR_SIZE];
    home_fill_actor(actor);
    const struct keeper_options options = {.store_path = paths->store,
                                           .audit_directory = paths->audit,
                                           .lock_path = paths->lock,
                                           .node = node,
                                           .actor = actor,
                                           .passphrase_fd = root->passphrase_fd};
    return keeper_create(&options, root, err);
}

static lethe_result make_parent(const char *directory, struct lethe_error *err)
{
    CLEANUP(memory_free) char *parent = strdup(directory);
    if (parent == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent)
        return LETHE_OK;
    *slash = '\0';
    return file_make_directories(parent, 0700, err);
}

/* "<parent of the home>/<the sibling's name>" and what is in it. */
static lethe_result locate_beside(const struct home_paths *paths, const struct sibling *sibling,
                                  struct home_paths *out, struct lethe_error *err)
{
    const char *slash = strrchr(paths->directory, '/');
    int parent = slash == NULL ? 0 : (int)(slash - paths->directory) + 1;
    if (asprintf(&out->directory, "%.*s%s", parent, paths->directory, sibling->temporary) < 0) {
        out->directory = NULL;
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    }
    return home_paths_fill(out, err);
}

/* An empty directory may be there already, and makes room. */
static lethe_result prepare(const char *directory, struct sibling *sibling, struct lethe_error *err)
{
    TRY(make_parent(directory, err));
    sibling_remove_leftovers(directory, remove_orphan, NULL);
    rmdir(directory);
    lethe_result result = sibling_prepare(directory, false, sibling, err);
    if (result != LETHE_OK)
        error_hint(err, "LETHE_HOME names another place");
    return result;
}

static lethe_result make(const struct home_paths *paths, const struct home_init *init,
                         const char *node, struct root_spec *root, struct lethe_error *err)
{
    CLEANUP(sibling_discard) struct sibling sibling = SIBLING_NONE;
    CLEANUP(home_paths_clear) struct home_paths beside = {0};
    TRY(prepare(paths->directory, &sibling, err));
    TRY(sibling_create(&sibling, 0700, &random_system, err));
    TRY(locate_beside(paths, &sibling, &beside, err));
    TRY(choose_root(init, sibling_digits(&sibling), root, err));
    TRY(fill_home(&beside, node, root, err));
    lethe_result result = sibling_publish(&sibling, err);
    if (result != LETHE_OK && root->kind == ROOT_FILE)
        unlink(root->where); /* made a moment ago, for a home that is not to be */
    return result;
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
    return make(paths, init, node, root, err);
}
