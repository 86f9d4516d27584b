/* mem/session.h -- what the rest of this room does with sessions, beyond lethe/mem.h. */
#ifndef MEM_SESSION_H
#define MEM_SESSION_H

#include <lethe/mem.h>

/* Ends every session that still lives, with cause PROCESS_EXIT. */
void sessions_end_at_exit(void);

/* lethe_session_region(), with protections (bits) to go without, if need be. */
LETHE_MUST_CHECK lethe_result session_region(struct lethe_session *session, size_t size_bytes,
                                             enum lethe_class class_, unsigned optional,
                                             struct lethe_region **out, struct lethe_error *err);

/* For a session that is part of a larger one, whose owner keeps the record: no session_ended is
 * reported, and `out` says what was wiped (`label` and `cause` are the caller's to fill in).
 * session_wipe() wipes all it owns where it is, and it goes on; session_retire() is
 * lethe_session_end(). One thread at a time. */
void session_wipe(struct lethe_session *session, struct lethe_session_report *out);
void session_retire(struct lethe_session *session, struct lethe_session_report *out);

#endif
