/* service/serve_names.h -- what a door's certificate is for: the names that are configured, and the
 * addresses that are listened on. */
#ifndef SERVICE_SERVE_NAMES_H
#define SERVICE_SERVE_NAMES_H

#include "net/url.h"
#include "service/serve.h"

#define SERVE_NAME_COUNT_MAX 32u

struct serve_names {
    const char
        *at[SERVE_NAME_COUNT_MAX + 1]; /* end with NULL; borrow of the options, and of this */
    size_t count;
    char hosts[SERVE_LISTEN_MAX][sizeof((struct url *)NULL)->host];
};
void serve_names_collect(const struct serve_options *options, struct serve_names *out);
/* An IPv4 or IPv6 address, and no name. */
bool serve_is_address(const char *name);

#endif
