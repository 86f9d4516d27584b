/* home/home.h -- one directory with keys and log, and the pieces of Lethe put together over it.
 *
 * $LETHE_HOME, else $XDG_DATA_HOME/lethe, else ~/.local/share/lethe; mode 0700:
 *   store.db  audit/  node  lock  run/ (traces of running engines)  lethe.conf (optional)
 *
 * For the program, and behind <lethe/home.h>, for any other. Nothing is printed here. Thread rule:
 * as kms/keeper.h. */
#ifndef HOME_HOME_H
#define HOME_HOME_H

#include "base/validate.h"
#include "home/attesting.h"
#include "home/configuration.h"
#include "kms/client.h"
#include "kms/keeper.h"
#include "model/model.h"

struct home_paths { /* all owned */
    char *directory;
    char *store;
    char *audit;
    char *lock;
    char *node;
    char *run;
    char *configuration;
};
/* `directory`, or for NULL what the environment says; there need be nothing yet. */
LETHE_MUST_CHECK lethe_result home_locate(const char *directory, struct home_paths *out,
                                          struct lethe_error *err);
void home_paths_clear(struct home_paths *paths);
static inline void home_paths_clear_at_scope_end(struct home_paths *paths)
{
    home_paths_clear(paths);
}
/* $variable/lethe, else $HOME/<below_home>/lethe; owned by the caller. */
LETHE_MUST_CHECK lethe_result home_user_directory(const char *variable, const char *below_home,
                                                  char **out, struct lethe_error *err);
/* All other paths, from the directory. */
LETHE_MUST_CHECK lethe_result home_paths_fill(struct home_paths *paths, struct lethe_error *err);
/* Whether there is a home at these paths. LETHE_INTEGRITY for a log without its store: what is left
 * of a home. */
LETHE_MUST_CHECK lethe_result home_look(const struct home_paths *paths, bool *is_there,
                                        struct lethe_error *err);
/* LETHE_NOT_FOUND with the hint `lethe init` when there is none. */
LETHE_MUST_CHECK lethe_result home_require(const struct home_paths *paths, struct lethe_error *err);

struct home_init {
    const char *root; /* as --root; NULL: a file below the configuration directory */
    const char *node; /* NULL: from the host name */
    int passphrase_fd;
};
/* Makes the home beside its place and renames it there, so that a killed init leaves none; what one
 * did leave, a root file in the default place included, the next removes. `root` gets what
 * root_parse makes of the root. LETHE_EXISTS. */
LETHE_MUST_CHECK lethe_result home_create(const struct home_paths *paths,
                                          const struct home_init *init, struct root_spec *root,
                                          struct lethe_error *err);

#define HOME_ACTOR_SIZE 32
void home_fill_actor(char out[HOME_ACTOR_SIZE]); /* "uid:1000", for the log */

struct home {
    struct home_paths paths;
    char actor[HOME_ACTOR_SIZE];
    char node[NAME_PART_MAX + 1];
    struct configuration configuration;
    struct keeper *keeper;
    struct kms_client *client;   /* NULL: keys come from the keeper */
    struct attesting *attesting; /* for the client; NULL: it asks without evidence */
    struct lethe_log recorder;   /* for the client */
    size_t settled_runs;         /* traces of engines whose supervisor died, settled on opening */
};
/* Opens keeper and log, sends reports of wiped memory to the log, and settles the traces of engines
 * whose supervisor died. `directory` as for home_locate; -1: a passphrase is asked for on the
 * terminal. LETHE_NOT_FOUND with the hint `lethe init`; LETHE_UNPROTECTED when others can read it.
 */
LETHE_MUST_CHECK lethe_result home_open(const char *directory, int passphrase_fd, struct home **out,
                                        struct lethe_error *err);
/* Where keys come from: the home's keeper, or the key service that `settings` name, which then is
 * asked in its place for everything about keys; the log stays here. NULL: what lethe.conf says.
 * Nothing is connected yet. Results as kms_client_open(); on failure all stays as it was. Behind
 * home_open(), and before anybody borrows home_keys(). */
LETHE_MUST_CHECK lethe_result home_connect(struct home *home, const struct kms_settings *settings,
                                           struct lethe_error *err);
/* The same for a service that is named in another way; log and evidence are the home's. */
LETHE_MUST_CHECK lethe_result home_connect_to(struct home *home,
                                              const struct kms_client_options *service,
                                              const struct attesting_settings *attesting,
                                              struct lethe_error *err);
struct attesting_settings kms_settings_attesting(const struct kms_settings *kms); /* borrows */
/* The table for the model room; valid until close. */
const struct key_source *home_keys(struct home *home);
/* Whether a version of a key may still be used, as the keeper or the service says: LETHE_REVOKED,
 * LETHE_NOT_FOUND, LETHE_UNAVAILABLE (a service that is out of reach for too long). */
LETHE_MUST_CHECK lethe_result home_check_usable(struct home *home, const char *key,
                                                uint64_t version, struct lethe_error *err);
/* Tells the key service, if keys come from one, under which versions the model's data keys lie; the
 * model is opened, or lies at a path. Nothing fails by it. */
void home_report_usage(struct home *home, const struct model *model);
void home_report_usage_at(struct home *home, const char *path);
/* Closes the log durably: its failure matters. */
LETHE_MUST_CHECK lethe_result home_close(struct home *home, struct lethe_error *err);
void home_abandon(struct home *home); /* on a path that already failed; NULL is fine */
DEFINE_CLEANUP(home_abandon, struct home *);

/* Closes the home at the end of a command, keeping the earlier failure where there is one; then the
 * home stays the caller's, to be abandoned. The command's work is an argument, which a macro would
 * have done twice. */
LETHE_MUST_CHECK static inline lethe_result home_finish(struct home **home, lethe_result result,
                                                        struct lethe_error *err)
{
    return result != LETHE_OK ? result : home_close(MOVE(*home), err);
}
/* Records that the model at `path` was refused, when `result` says so; gives `result`. When the
 * refusal could not be recorded the error's text says that too. */
lethe_result home_reject_model(struct home *home, const char *path, const char *purpose,
                               lethe_result result, struct lethe_error *err);

#endif
