/* lethe kms serve: the key service, until a signal ends it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/kms_place.h"
#include "service/serve_log.h"

struct running {
    struct kms_teller teller;
    bool as_json;
};

static void on_ready(void *context, const char *const *addresses, bool sealed)
{
    struct running *running = context;
    if (running->teller.pid > 0) {
        kms_teller_finish(&running->teller, addresses[0]);
        return;
    }
    if (running->as_json)
        printf("{\"address\":\"%s\",\"sealed\":%s,\"pid\":%d}\n", addresses[0],
               sealed ? "true" : "false", (int)getpid());
    for (size_t i = 0; addresses[i] != NULL && !running->as_json; i++)
        printf("%s%s\n", addresses[i], sealed ? " (sealed: it waits for its root key)" : "");
    fflush(stdout);
}

static lethe_result take_options(const struct invocation *invocation, struct kms_place *place,
                                 struct lethe_error *err)
{
    const char *listen = option_text(invocation, "listen");
    struct conf_list *addresses = &place->configuration.addresses;
    if (option_given(invocation, "allow-public"))
        place->configuration.allow_public = 1;
    if (listen != NULL && strlen(listen) >= sizeof addresses->at[0])
        return error_set(err, LETHE_INVALID, "--listen: the address is too long");
    if (listen != NULL) {
        addresses->count = 1;
        strcpy(addresses->at[0], listen);
    }
    place->serve.user = option_text(invocation, "user");
    if (place->serve.user != NULL && option_given(invocation, "dev"))
        return error_set(err, LETHE_INVALID, "--dev serves as who starts it: leave out --user");
    return serve_configuration_require(&place->configuration, err);
}

/* What files say, as whoever the service is to be sees them. */
static lethe_result prepare(const struct invocation *invocation, struct kms_place *place,
                            struct running *running, struct lethe_error *err)
{
    bool dev = option_given(invocation, "dev");
    TRY(kms_place_locate(invocation, place, err));
    TRY(take_options(invocation, place, err));
    if (dev)
        TRY(kms_teller_start(place, running->as_json, &running->teller, err));
    TRY(kms_place_fill(place, err));
    place->serve.service.dev = dev;
    place->serve.ready = on_ready;
    place->serve.context = running;
    return LETHE_OK;
}

COMMAND_FUNCTION(kms_serve)
{
    if (serve_is_part())
        serve_as_part(&serve_parts);
    CLEANUP(kms_place_clear) struct kms_place place = {0};
    struct running running = {.as_json = option_given(invocation, "json")};
    const char *user = option_text(invocation, "user");
    if (user != NULL)
        TRY(serve_look_as_user(user, err));
    lethe_result result = prepare(invocation, &place, &running, err);
    if (user != NULL)
        serve_look_as_oneself();
    if (result == LETHE_OK)
        result = serve(&place.serve, err);
    kms_teller_finish(&running.teller, NULL);
    return result;
}
