#include "audit/queue.h"

void queue_push(struct queue *queue, struct entry *entry)
{
    entry->next = NULL;
    if (queue->last == NULL)
        queue->first = entry;
    else
        queue->last->next = entry;
    queue->last = entry;
    queue->count += entry->follows ? 0 : 1;
}

struct entry *queue_pop(struct queue *queue)
{
    struct entry *entry = queue->first;
    if (entry == NULL)
        return NULL;
    queue->first = entry->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count -= entry->follows ? 0 : 1;
    entry->next = NULL;
    return entry;
}
