#include "service/serve_names.h"

#include <arpa/inet.h>
#include <string.h>

bool serve_is_address(const char *name)
{
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Nobody reaches anything at an address that stands for all of them. */
static bool is_anywhere(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static void add(struct serve_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->at[i], name) == 0)
            return;
    }
    if (names->count < SERVE_NAME_COUNT_MAX)
        names->at[names->count++] = name;
}

void serve_names_collect(const struct serve_options *options, struct serve_names *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; options->names != NULL && options->names[i] != NULL; i++)
        add(out, options->names[i]);
    for (size_t i = 0; i < options->listen_count; i++) {
        struct url url;
        bool is_public;
        if (url_parse_listen(options->listen[i], &url, &is_public, NULL) != LETHE_OK ||
            !serve_is_address(url.host) || is_anywhere(url.host))
            continue;
        memcpy(out->hosts[i], url.host, sizeof out->hosts[i]);
        add(out, out->hosts[i]);
    }
}
