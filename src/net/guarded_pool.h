/* net/guarded_pool.h -- guarded buffers that many connections share, because an idle one needs
 * none.
 *
 * Making a guarded buffer takes system calls; taking a used one takes none. What is given back is
 * wiped, and kept up to a number. The pool also bounds what all its buffers together may hold, so
 * that bodies that are sent slowly do not take the machine's memory. Thread rule: one thread. */
#ifndef NET_GUARDED_POOL_H
#define NET_GUARDED_POOL_H

#include "mem/guarded.h"

struct guarded_pool;
LETHE_MUST_CHECK lethe_result guarded_pool_create(size_t limit_bytes, struct guarded_pool **out,
                                                  struct lethe_error *err);
void guarded_pool_free(struct guarded_pool *pool); /* everything was given back; NULL is fine */
DEFINE_CLEANUP(guarded_pool_free, struct guarded_pool *);

/* Makes room for so many bytes in all; takes memory from the pool if *guarded has none. False when
 * there is no memory or the pool's limit is reached: then nothing changed. */
LETHE_MUST_CHECK bool guarded_pool_reserve(struct guarded_pool *pool, struct guarded *guarded,
                                           size_t capacity_bytes);
/* Wipes it and takes its memory back; *guarded is empty. Fine when it has none. */
void guarded_pool_give(struct guarded_pool *pool, struct guarded *guarded);

#endif
