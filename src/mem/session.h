/* mem/session.h -- what the rest of this room does with sessions, beyond lethe/mem.h. */
#ifndef MEM_SESSION_H
#define MEM_SESSION_H

/* Ends every session that still lives, with cause PROCESS_EXIT. */
void sessions_end_at_exit(void);

#endif
