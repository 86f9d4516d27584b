/* tests/service/transit_check.h -- calls of transit and lethe/keys, by whoever may do everything.
 */
#ifndef TESTS_SERVICE_TRANSIT_CHECK_H
#define TESTS_SERVICE_TRANSIT_CHECK_H

#include "check.h"

#include "service_check.h"

/* The status. With the root token; where only operators may call, as an operator. */
__attribute__((unused)) static unsigned ask(struct check *check, const char *method,
                                            const char *path, const char *body)
{
    static const char *const admin[] = {"transit/export/", "transit/backup/", "transit/restore",
                                        "lethe/keys/"};
    for (size_t i = 0; i < ARRAY_LEN(admin); i++)
        if (strncmp(path, admin[i], strlen(admin[i])) == 0)
            return call_operator(check, method, path, body);
    return call(check, method, path, check->root, body);
}

__attribute__((unused)) static void must(struct check *check, const char *method, const char *path,
                                         const char *body)
{
    unsigned status = ask(check, method, path, body);
    if (status / 100 != 2)
        fail_msg("%s %s: %u %s", path, body != NULL ? body : "", status, body_text(check));
}

/* A body with the ciphertext of the last answer. */
__attribute__((unused)) static const char *with_text(struct check *check, const char *more)
{
    static char body[8192];
    snprintf(body, sizeof body, "{\"ciphertext\":\"%s\"%s}", body_member(check, "ciphertext"),
             more);
    return body;
}

#endif
