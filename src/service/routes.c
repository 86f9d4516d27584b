#include "service/routes.h"

/* clang-format off */
const struct route *const route_tables[] = {
    routes_attest,
    routes_cert,
    routes_identity,
    routes_keys,
    routes_lethe,
    routes_pki,
    routes_policy,
    routes_release,
    routes_sys,
    routes_token,
    routes_transit,
    NULL,
};
/* clang-format on */
