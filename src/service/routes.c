#include "service/routes.h"

const struct route *const route_tables[] = {
    routes_sys,
    routes_lethe,
    NULL,
};
