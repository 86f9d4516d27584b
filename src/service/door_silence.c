/* A keeper that is there and says nothing: stopped, or held up by its disk. Nobody waits for it
 * longer than the settings say. */
#include "service/door_state.h"
#include "service/serve_log.h"

#define ANSWER_MS 30000u

static uint64_t patience_ms(const struct door *door)
{
    return door->options->answer_ms > 0 ? door->options->answer_ms : ANSWER_MS;
}

void door_keeper_heard(struct door *door)
{
    if (door->keeper_is_silent)
        serve_log(SERVE_NOTICE, "the keeper answers again");
    door->keeper_is_silent = false;
    door->silent_ms = 0;
}

/* One request at a time finds out whether that is still so. */
bool door_keeper_is_away(const struct door *door)
{
    return door->keeper_is_silent && door->waiting > 0;
}

/* Counted by looks, not by the clock: a door that was stopped itself has not listened meanwhile. */
void door_look_at_keeper(struct door *door, uint64_t passed_ms)
{
    if (door->keeper == NULL || door->waiting == 0) {
        door->silent_ms = 0;
        return;
    }
    door->silent_ms += passed_ms;
    if (door->silent_ms < patience_ms(door))
        return;
    if (!door->keeper_is_silent)
        serve_log(SERVE_WARNING, "the keeper does not answer");
    door->keeper_is_silent = true;
    door->silent_ms = 0;
    door_fail_waiting(door);
}
