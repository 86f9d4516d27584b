#include "pool/places.h"

#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct identity {
    uint64_t connections;
    char id[];
};

/* A balanced tree (tsearch(3)): no choice of names makes it slow. Its objects are what it holds. */
struct places {
    uint64_t max;
    pthread_mutex_t lock;
    void *tree; /* lock */
};

/* ---- the tree -------------------------------------------------------------------------------- */

/* Each is given as its `id`. */
static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct identity *of_id(char *id)
{
    return (struct identity *)(void *)(id - offsetof(struct identity, id));
}

static struct identity *find(const struct places *places, const char *id)
{
    char *const *node = tfind(id, &places->tree, compare);
    return node == NULL ? NULL : of_id(*node);
}

static struct identity *add(struct places *places, const char *id)
{
    struct identity *identity = calloc(1, sizeof *identity + strlen(id) + 1);
    if (identity == NULL)
        return NULL;
    strcpy(identity->id, id);
    if (tsearch(identity->id, &places->tree, compare) != NULL)
        return identity;
    free(identity);
    return NULL;
}

static void drop(struct places *places, struct identity *identity)
{
    tdelete(identity->id, &places->tree, compare);
    free(identity);
}

/* ---- all of it ------------------------------------------------------------------------------- */

lethe_result places_create(uint64_t connections_per_identity, struct places **out,
                           struct lethe_error *err)
{
    struct places *places = *out = calloc(1, sizeof *places);
    if (places == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of identities");
    places->max = connections_per_identity;
    pthread_mutex_init(&places->lock, NULL);
    return LETHE_OK;
}

void places_free(struct places *places)
{
    if (places == NULL)
        return;
    while (places->tree != NULL)
        drop(places, of_id(*(char **)places->tree)); /* a node begins with its object */
    pthread_mutex_destroy(&places->lock);
    free(places);
}

static lethe_result enter(struct places *places, const char *id, struct lethe_error *err)
{
    struct identity *identity = find(places, id);
    if (identity != NULL && identity->connections >= places->max)
        return error_set(err, LETHE_LIMIT, "%s has %" PRIu64 " connections already, its most", id,
                         places->max);
    if (identity == NULL)
        identity = add(places, id);
    if (identity == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for another identity");
    identity->connections++;
    return LETHE_OK;
}

lethe_result places_enter(struct places *places, const char *id, struct lethe_error *err)
{
    pthread_mutex_lock(&places->lock);
    lethe_result result = enter(places, id, err);
    pthread_mutex_unlock(&places->lock);
    return result;
}

void places_leave(struct places *places, const char *id)
{
    pthread_mutex_lock(&places->lock);
    struct identity *identity = find(places, id);
    REQUIRE(identity != NULL);
    if (--identity->connections == 0)
        drop(places, identity);
    pthread_mutex_unlock(&places->lock);
}
