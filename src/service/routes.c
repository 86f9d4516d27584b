#include "service/routes.h"

const struct route *const route_tables[] = {
    routes_keys, routes_lethe, routes_sys, routes_transit, NULL,
    routes_keys,
    routes_lethe,
    routes_policy,
    routes_sys,
    routes_token,
    routes_keys,
    routes_sys,
    routes_lethe,
    routes_transit,
    NULL,
};
