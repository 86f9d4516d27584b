/* tests/service/service_home.h -- a service without network over a home of its own, at a time that
 * the test sets. */
#ifndef TESTS_SERVICE_HOME_H
#define TESTS_SERVICE_HOME_H

#include "../crypto/x509_check.h"
#include "../kms/home.h"

#include "service/authority.h"
#include "service/identities.h"

static uint64_t service_now_s = NOW_S;

static uint64_t test_wall_ns(void *context)
{
    return service_now_s * UINT64_C(1000000000);
}

static const struct clock_source service_clock = {.wall_ns = test_wall_ns};

/* In place: its parts point to it. */
__attribute__((unused)) static void must_open_service(const struct home *home,
                                                      struct service *service)
{
    struct lethe_error err = {0};
    *service = (struct service){
        .options = {.keeper = {.clock = &service_clock}, .trust_domain = "lethe.test"}};
    service->keeper = must_open_home(home);
    assert_ok(authority_open(service, &service->authority, &err), &err);
    assert_ok(identities_open(service, &service->identities, &err), &err);
}

__attribute__((unused)) static void must_close_service(struct service *service)
{
    identities_free(service->identities);
    authority_free(service->authority);
    must_close_home(service->keeper);
}

/* A new home with its service, and the authority of identities as service_init() makes it. */
__attribute__((unused)) static void must_begin(const struct home *home, struct service *service)
{
    struct lethe_error err = {0};
    service_now_s = NOW_S;
    must_make_home(home);
    must_open_service(home, service);
    assert_ok(authority_make_root(service->authority, AUTHORITY_IDENTITIES, "Lethe identities",
                                  3650 * DAY_S, &err),
              &err);
}

#endif
