/* Connections by their number, which is never used twice and goes up: the buckets fill evenly. */
#include <stdlib.h>

#include "service/door_state.h"

static struct door_connection **place_of(struct door *door, uint64_t id)
{
    struct door_connection **at = &door->buckets[id % DOOR_BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct door_connection *door_connection_find(struct door *door, uint64_t id)
{
    return *place_of(door, id);
}

struct door_connection *door_connection_get(struct door *door, uint64_t id)
{
    struct door_connection **at = place_of(door, id);
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at != NULL)
            (*at)->id = id;
    }
    return *at;
}

void door_connection_drop(struct door *door, uint64_t id)
{
    struct door_connection **at = place_of(door, id);
    struct door_connection *gone = *at;
    if (gone == NULL)
        return;
    door->in_flight -= gone->is_open;
    door->waiting -= gone->is_open && !gone->is_stream;
    *at = gone->next;
    free(gone);
}

/* The visit may drop the connection that it is shown. */
void door_connections_each(struct door *door,
                           void (*visit)(struct door *door, struct door_connection *connection))
{
    for (size_t i = 0; i < DOOR_BUCKETS; i++) {
        for (struct door_connection *at = door->buckets[i], *next; at != NULL; at = next) {
            next = at->next;
            visit(door, at);
        }
    }
}

static void drop(struct door *door, struct door_connection *connection)
{
    door_connection_drop(door, connection->id);
}

void door_connections_clear(struct door *door)
{
    door_connections_each(door, drop);
}
