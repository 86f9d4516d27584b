#include "pool/identities.h"

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
struct identities {
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

static struct identity *find(const struct identities *identities, const char *id)
{
    char *const *node = tfind(id, &identities->tree, compare);
    return node == NULL ? NULL : of_id(*node);
}

static struct identity *add(struct identities *identities, const char *id)
{
    struct identity *identity = calloc(1, sizeof *identity + strlen(id) + 1);
    if (identity == NULL)
        return NULL;
    strcpy(identity->id, id);
    if (tsearch(identity->id, &identities->tree, compare) != NULL)
        return identity;
    free(identity);
    return NULL;
}

static void drop(struct identities *identities, struct identity *identity)
{
    tdelete(identity->id, &identities->tree, compare);
    free(identity);
}

/* ---- all of it ------------------------------------------------------------------------------- */

lethe_result identities_create(uint64_t connections_per_identity, struct identities **out,
                               struct lethe_error *err)
{
    struct identities *identities = *out = calloc(1, sizeof *identities);
    if (identities == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of identities");
    identities->max = connections_per_identity;
    pthread_mutex_init(&identities->lock, NULL);
    return LETHE_OK;
}

void identities_free(struct identities *identities)
{
    if (identities == NULL)
        return;
    while (identities->tree != NULL)
        drop(identities, of_id(*(char **)identities->tree)); /* a node begins with its object */
    pthread_mutex_destroy(&identities->lock);
    free(identities);
}

static lethe_result enter(struct identities *identities, const char *id, struct lethe_error *err)
{
    struct identity *identity = find(identities, id);
    if (identity != NULL && identity->connections >= identities->max)
        return error_set(err, LETHE_LIMIT, "%s has %" PRIu64 " connections already, its most", id,
                         identities->max);
    if (identity == NULL)
        identity = add(identities, id);
    if (identity == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for another identity");
    identity->connections++;
    return LETHE_OK;
}

lethe_result identities_enter(struct identities *identities, const char *id,
                              struct lethe_error *err)
{
    pthread_mutex_lock(&identities->lock);
    lethe_result result = enter(identities, id, err);
    pthread_mutex_unlock(&identities->lock);
    return result;
}

void identities_leave(struct identities *identities, const char *id)
{
    pthread_mutex_lock(&identities->lock);
    struct identity *identity = find(identities, id);
    REQUIRE(identity != NULL);
    if (--identity->connections == 0)
        drop(identities, identity);
    pthread_mutex_unlock(&identities->lock);
}
