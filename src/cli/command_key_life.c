/* key create, key rotate, key schedule, key revoke, key destroy, key minimum. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/key_remote.h"

/* What one of these does, between opening the home and closing it. */
typedef lethe_result key_action(struct home *home, const struct invocation *invocation,
                                struct lethe_error *err);

static lethe_result with_home(const struct invocation *invocation, key_action *action,
                              struct lethe_error *err)
{
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    lethe_result result = action(home, invocation, err);
    if (result == LETHE_NOT_FOUND)
        error_hint(err, "lethe key list names them all");
    return home_finish(&home, result, err);
}

static lethe_result create(struct home *home, const struct invocation *invocation,
                           struct lethe_error *err)
{
    const char *name = invocation->positional[0];
    if (home->client != NULL)
        TRY(key_remote_create(home->client, name, err));
    else
        TRY(keeper_create_key(home->keeper, name, err));
    printf("%s: version 1\n", name);
    return LETHE_OK;
}

COMMAND_FUNCTION(key_create)
{
    return with_home(invocation, create, err);
}

static lethe_result print_version(void *context, const struct key_info *info,
                                  struct lethe_error *err)
{
    size_t *rotated = context;
    ++*rotated;
    printf("%s: version %" PRIu64 "\n", info->name, info->newest_version);
    return LETHE_OK;
}

static lethe_result rotate_remote(struct home *home, const struct invocation *invocation,
                                  struct lethe_error *err)
{
    uint64_t version = 0;
    if (option_given(invocation, "due"))
        return error_set(err, LETHE_INVALID,
                         "the key service rotates the keys that are due by itself");
    TRY(key_remote_rotate(home->client, invocation->positional[0], &version, err));
    printf("%s: version %" PRIu64 "\n", invocation->positional[0], version);
    return LETHE_OK;
}

static lethe_result rotate(struct home *home, const struct invocation *invocation,
                           struct lethe_error *err)
{
    struct key_info info;
    size_t rotated = 0;
    if (home->client != NULL) {
        rotated = 1;
        TRY(rotate_remote(home, invocation, err));
    } else if (option_given(invocation, "due")) {
        TRY(keeper_rotate_due(home->keeper, print_version, &rotated, err));
    } else {
        TRY(keeper_rotate_key(home->keeper, invocation->positional[0], &info, err));
        TRY(print_version(&rotated, &info, err));
    }
    fprintf(stderr, rotated == 0 ? "lethe: no key is due\n"
                                 : "lethe: models go on with the older versions; lethe rewrap "
                                   "MODEL brings them to the newest\n");
    return LETHE_OK;
}

COMMAND_FUNCTION(key_rotate)
{
    if (option_given(invocation, "due") == (invocation->positional_count == 1))
        return error_set(err, LETHE_INVALID, "give either the name of a key, or --due");
    return with_home(invocation, rotate, err);
}

#define DAY_S ((int64_t)24 * 3600)
#define DAYS_MAX ((int64_t)KEY_ROTATE_EVERY_S_MAX / DAY_S)

static lethe_result schedule(struct home *home, const struct invocation *invocation,
                             struct lethe_error *err)
{
    const char *name = invocation->positional[0];
    int64_t days;
    TRY(option_number(invocation, "every", 1, DAYS_MAX + 1, 0, &days, err));
    uint64_t every_s = (uint64_t)(days * DAY_S);
    if (home->client != NULL)
        TRY(key_remote_schedule(home->client, name, every_s, err));
    else
        TRY(keeper_schedule_key(home->keeper, name, every_s, err));
    if (days == 0)
        printf("%s: no longer on a schedule\n", name);
    else
        printf("%s: a new version every %" PRId64 " days\n", name, days);
    return LETHE_OK;
}

COMMAND_FUNCTION(key_schedule)
{
    if (option_given(invocation, "every") == option_given(invocation, "never"))
        return error_set(err, LETHE_INVALID, "give either --every DAYS or --never");
    return with_home(invocation, schedule, err);
}

static lethe_result revoke(struct home *home, const struct invocation *invocation,
                           struct lethe_error *err)
{
    struct key_info info = {0};
    const char *name = invocation->positional[0];
    const char *reason = option_text(invocation, "reason");
    reason = reason != NULL ? reason : "not given";
    if (home->client != NULL)
        TRY(key_remote_revoke(home->client, name, reason, &info.revoked_through, err));
    else
        TRY(keeper_revoke_key(home->keeper, name, reason, &info, err));
    printf("%s: revoked through version %" PRIu64 "\n", name, info.revoked_through);
    fprintf(
        stderr,
        "lethe: to use its models again: lethe key rotate %s, then lethe rewrap MODEL, or lethe "
        "reencrypt MODEL if data keys may be known\n",
        name);
    return LETHE_OK;
}

COMMAND_FUNCTION(key_revoke)
{
    return with_home(invocation, revoke, err);
}

/* A mistake in the last name must not come to light when the first key is gone. */
static lethe_result check_names(struct home *home, const struct invocation *invocation,
                                struct lethe_error *err)
{
    for (int i = 0; i < invocation->positional_count; i++)
        TRY(keeper_check_destroyable(home->keeper, invocation->positional[i], err));
    return LETHE_OK;
}

static lethe_result destroy(struct home *home, const struct invocation *invocation,
                            struct lethe_error *err)
{
    struct key_outcome outcome = {0};
    TRY(check_names(home, invocation, err));
    for (int i = 0; i < invocation->positional_count; i++) {
        TRY(keeper_destroy_key(home->keeper, invocation->positional[i], &outcome, err));
        printf("%s: %s\n", invocation->positional[i], outcome.text);
    }
    common_report_new_root(home, &outcome);
    return LETHE_OK;
}

COMMAND_FUNCTION(key_destroy)
{
    if (option_given(invocation, "yes"))
        return with_home(invocation, destroy, err);
    error_set(err, LETHE_INVALID,
              "a destroyed key cannot be brought back, and neither can anything "
              "that it protects");
    error_hint(err, "if that is what you want: lethe key destroy %s --yes",
               invocation->positional[0]);
    return LETHE_INVALID;
}

static lethe_result minimum(struct home *home, const struct invocation *invocation,
                            struct lethe_error *err)
{
    const char *model = invocation->positional[0];
    int64_t wanted;
    uint64_t now;
    TRY(option_number(invocation, "set", 1, INT64_MAX, 0, &wanted, err));
    if (home->client != NULL) {
        TRY(key_remote_minimum(home->client, model, (uint64_t)wanted, &now, err));
    } else {
        if (wanted > 0)
            TRY(keeper_raise_release_minimum(home->keeper, model, (uint64_t)wanted, err));
        TRY(keeper_release_minimum(home->keeper, model, &now, err));
    }
    printf("%s: ", model);
    if (now == 0)
        printf("no minimum\n");
    else
        printf("no keys for releases below %" PRIu64 "\n", now);
    return LETHE_OK;
}

COMMAND_FUNCTION(key_minimum)
{
    return with_home(invocation, minimum, err);
}
