#include "audit/queue.h"

#include <stdlib.h>

#include "audit/record.h"

/* ---- entries --------------------------------------------------------------------------------- */

struct copy {
    struct entry entry; /* first, so that a pointer to it is one to the copy */
    struct audit_event event;
    char *texts;
};

#define TEXTS_MAX (AUDIT_FIELDS_MAX + 3)

/* Texts one behind the other, each with its NUL; what is NULL stays NULL. */
struct texts {
    struct buffer bytes;
    struct {
        const char **target;
        size_t offset;
    } places[TEXTS_MAX];
    size_t count;
};

static void add_text(struct texts *texts, const char **target)
{
    char clean[AUDIT_TEXT_MAX + 1];
    if (*target == NULL)
        return;
    size_t length = record_text(*target, clean);
    texts->places[texts->count].target = target;
    texts->places[texts->count++].offset = texts->bytes.size_bytes;
    buffer_append(&texts->bytes, clean, length + 1);
}

/* The pointers are set only when the bytes move no more. */
static bool copy_texts(struct copy *copy)
{
    struct texts texts = {0};
    add_text(&texts, &copy->entry.who.actor);
    add_text(&texts, &copy->entry.who.tenant);
    add_text(&texts, &copy->entry.who.session);
    for (size_t i = 0; i < ARRAY_LEN(copy->event.values); i++)
        add_text(&texts, &copy->event.values[i].text);
    copy->texts = texts.bytes.bytes;
    for (size_t i = 0; i < texts.count; i++)
        *texts.places[i].target = copy->texts + texts.places[i].offset;
    return buffer_result(&texts.bytes, NULL) == LETHE_OK;
}

struct entry *entry_copy(const struct audit_who *who, const struct audit_event *event,
                         uint64_t time_ns)
{
    struct copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->entry =
        (struct entry){.who = *who, .event = &copy->event, .time_ns = time_ns, .is_copy = true};
    copy->event = *event;
    if (copy_texts(copy))
        return &copy->entry;
    entry_free(&copy->entry);
    return NULL;
}

void entry_free(struct entry *entry)
{
    struct copy *copy = (struct copy *)entry;
    if (copy == NULL)
        return;
    free(copy->texts);
    free(copy);
}

/* ---- the queue ------------------------------------------------------------------------------- */

void queue_push(struct queue *queue, struct entry *entry)
{
    entry->next = NULL;
    if (queue->last == NULL)
        queue->first = entry;
    else
        queue->last->next = entry;
    queue->last = entry;
    queue->count++;
    queue->copies += entry->is_copy;
}

struct entry *queue_take(struct queue *queue, size_t count)
{
    struct entry *list = queue->first;
    struct entry *last = NULL;
    for (; queue->first != NULL && count > 0; count--) {
        last = queue->first;
        queue->first = last->next;
        queue->count--;
        queue->copies -= last->is_copy;
    }
    if (last != NULL)
        last->next = NULL;
    if (queue->first == NULL)
        queue->last = NULL;
    return list;
}

void queue_put_in_front(struct queue *queue, struct queue *front)
{
    if (front->first == NULL)
        return;
    front->last->next = queue->first;
    queue->first = front->first;
    if (queue->last == NULL)
        queue->last = front->last;
    queue->count += front->count;
    queue->copies += front->copies;
    *front = (struct queue){0};
}
