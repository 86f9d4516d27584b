/* The keeper process, from its start to its loop; and the service, of all its parts. */
#include <stdlib.h>

#include "base/error.h"
#include "service/confine.h"
#include "service/core.h"
#include "service/serve_log.h"
#include "service/serve_names.h"
#include "service/serve_parts.h"

DEFINE_CLEANUP(service_free, struct service *);

/* Without its root key it waits, sealed, for an operator to bring it. */
static lethe_result open_home(struct service *service, struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result result = service_unseal(service, NULL, &why);
    if (result == LETHE_UNAVAILABLE) {
        serve_log(SERVE_WARNING, "sealed: %s", why.text);
        return LETHE_OK;
    }
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}

#define PATHS_MAX 32u

static const char **append(const char **to, const char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL && i + 3 < PATHS_MAX; i++)
        *to++ = list[i];
    return to;
}

static void list_paths(const struct serve_options *options, const char *readable[PATHS_MAX],
                       const char *writable[PATHS_MAX])
{
    readable = append(readable, options->root_readable);
    writable = append(writable, options->root_writable);
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    if (options->service.policy_directory != NULL)
        *readable++ = options->service.policy_directory;
    if (credentials != NULL)
        *readable++ = credentials;
    *writable++ = options->home;
    if (options->root_path != NULL)
        *writable++ = options->root_path;
}

lethe_result serve_keeper(const struct serve_options *options, const struct serve_ends *ends,
                          struct lethe_error *err)
{
    struct serve_names names;
    const char *readable[PATHS_MAX] = {NULL};
    const char *writable[PATHS_MAX] = {NULL};
    list_paths(options, readable, writable);
    serve_names_collect(options, &names);
    struct core_sockets sockets = {.control = ends->control,
                                   .admin = ends->admin,
                                   .readable = readable,
                                   .writable = writable,
                                   .root_is_device = options->root_is_device,
                                   .door_names = names.at};
    CLEANUP(service_free) struct service *service = NULL;
    TRY(core_confine(&sockets, err));
    sockets.writable = NULL; /* it is done, before there is anything to protect */
    TRY(service_create(&options->service, &service, err));
    TRY(open_home(service, err));
    return core_run(service, &sockets, err);
}

const struct serve_parts serve_parts = {serve_keeper, door_run};
