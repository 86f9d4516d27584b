#include "model/turns.h"

void turns_init(struct turns *turns)
{
    *turns = (struct turns){0};
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->changed, NULL);
}

void turns_clear(struct turns *turns)
{
    pthread_cond_destroy(&turns->changed);
    pthread_mutex_destroy(&turns->lock);
}

bool turns_enter(struct turns *turns, uint64_t number)
{
    pthread_mutex_lock(&turns->lock);
    while (turns->now != number && !turns->stopped)
        pthread_cond_wait(&turns->changed, &turns->lock);
    if (!turns->stopped)
        return true;
    pthread_mutex_unlock(&turns->lock);
    return false;
}

void turns_leave(struct turns *turns)
{
    turns->now++;
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

void turns_stop(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->stopped = true;
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

bool turns_stopped(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    bool stopped = turns->stopped;
    pthread_mutex_unlock(&turns->lock);
    return stopped;
}
