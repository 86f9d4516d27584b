#include "cli/pool_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/confine.h"

/* A root file is replaced when it changes: its directory is what the keeper needs. */
static lethe_result find_root(struct pool_place *place, struct lethe_error *err)
{
    TRY(keeper_peek_root(place->paths.store, &place->root, err));
    place->root_is_device = place->root.kind == ROOT_PKCS11 || place->root.kind == ROOT_TPM2;
    if (place->root_is_device)
        return root_places(&place->root, &place->places, err);
    const char *slash = strrchr(place->root.where, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - place->root.where);
    if (place->root.kind != ROOT_FILE)
        return LETHE_OK;
    if (length == 0 || length >= sizeof place->root_directory)
        return error_set(err, LETHE_INVALID, "the root file is no file in a directory");
    memcpy(place->root_directory, place->root.where, length);
    return LETHE_OK;
}

lethe_result pool_place_find(struct pool_place *out, struct lethe_error *err)
{
    *out = (struct pool_place){0};
    TRY(home_locate(NULL, &out->paths, err));
    TRY(home_require(&out->paths, err));
    return find_root(out, err);
}

void pool_place_clear(struct pool_place *place)
{
    home_paths_clear(&place->paths);
}

static const char **add(const char **to, const char *path)
{
    if (path != NULL && path[0] != '\0')
        *to++ = path;
    return to;
}

lethe_result pool_place_confine(const struct pool_place *place, const char *const *replaced,
                                struct lethe_error *err)
{
    const char *readable[4] = {NULL}, *writable[4] = {NULL};
    const char **end = add(readable, place->places.library);
    end = add(end, place->places.pin);
    (void)add(end, getenv("CREDENTIALS_DIRECTORY"));
    end = add(writable, place->paths.directory);
    end = add(end, place->root_directory);
    (void)add(end, place->places.device);
    const struct server_files files = {.readable = readable,
                                       .replaced = replaced,
                                       .writable = writable,
                                       .root_is_device = place->root_is_device};
    return server_confine_files(&files, err);
}

lethe_result pool_place_confine_calls(const struct pool_place *place, struct lethe_error *err)
{
    return server_confine_calls(place->root_is_device, err);
}
