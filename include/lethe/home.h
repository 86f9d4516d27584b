/* lethe/home.h -- a node's keys and its log, opened by the program that runs the engine.
 *
 * `lethe init` makes a home and `lethe encrypt` a model under its keys; a program opens the home,
 * then the model (lethe/model.h), and whatever it does with keys, weights and sessions is on record
 * in the home's log:
 *
 *     struct lethe_home *home;
 *     if (lethe_home_open(NULL, &home, &err) != LETHE_OK) ...
 *     if (lethe_model_open(home, "llama.lethe", &model, &err) != LETHE_OK) ...
 *     ...
 *     lethe_model_close(model);
 *     if (lethe_home_close(home, &err) != LETHE_OK) ...
 *
 * Several processes may have one home open; a process has one at a time. Keys are in memory only
 * while they are used, but what was opened with them is this program's: it should be undumpable
 * (prctl(2), PR_SET_DUMPABLE), as the program `lethe` is.
 *
 * Thread rule: a home, and all calls that open models or shards of it, one thread at a time; what
 * records into its log, any thread.
 *
 * Fork rule: a home belongs to the process that opened it. A forked child may exec or exit; it uses
 * neither home nor log, and does not close them.
 *
 * OpenSSL rule: opening a home gives OpenSSL an allocator that wipes, and a locked heap for private
 * keys. So it comes before any other use of OpenSSL in the process. */
#ifndef LETHE_HOME_H
#define LETHE_HOME_H

#include <lethe/mem.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

struct lethe_home;
struct lethe_log;

/* Opens the home in `directory`, or for NULL the one that the program would find: $LETHE_HOME, else
 * $XDG_DATA_HOME/lethe, else ~/.local/share/lethe. Its root (a file, a systemd credential) is read
 * where `lethe init` said that it lies; a root that is a passphrase is asked for on the terminal.
 * Store and log are compared, and what a crash left between them is completed. While the home is
 * open it is the observer of wiped memory and ended sessions (lethe_mem_observe): each is a record.
 *
 * On success the caller owns *out and ends it with lethe_home_close(). *out is NULL otherwise.
 * LETHE_NOT_FOUND:   there is no home; the hint says how to make one.
 * LETHE_UNPROTECTED: others can read it, or its root; or memory cannot be protected; or OpenSSL was
 *                    in use already.
 * LETHE_INTEGRITY:   store or log was changed, cut short, or is older than the other.
 * LETHE_DENIED:      wrong passphrase, or another home's root.
 * LETHE_UNAVAILABLE: the root is not there, or there is no terminal to ask on.
 * LETHE_BUSY:        this process has a home open, or another one holds it for too long.
 * LETHE_INVALID (lethe.conf), LETHE_IO, LETHE_NO_MEMORY, LETHE_CANCELLED: as they say. */
LETHE_MUST_CHECK lethe_result lethe_home_open(const char *directory, struct lethe_home **out,
                                              struct lethe_error *err);
/* The same for a service whose root is a passphrase: it is one line, without its end, read from
 * this descriptor, which stays open. Other roots leave the descriptor alone. */
LETHE_MUST_CHECK lethe_result lethe_home_open_with_passphrase(const char *directory,
                                                              int passphrase_fd,
                                                              struct lethe_home **out,
                                                              struct lethe_error *err);

/* Writes what the log still holds in memory, durably, and closes; the home is gone whatever the
 * result, and a failure means that records may be missing. NULL is fine. Before it: end sessions,
 * free regions and workers, close models, whose records would otherwise come too late. A program
 * that exits without it has on record what it did until exit(3), but not that what still lived was
 * wiped. */
LETHE_MUST_CHECK lethe_result lethe_home_close(struct lethe_home *home, struct lethe_error *err);

/* What other parts of the library record into; borrowed, until the home is closed. */
struct lethe_log *lethe_home_log(struct lethe_home *home);

/* A token or password from a file, straight into guarded memory, without white space around it.
 * Needs no home. The caller owns *out (lethe_secret_free()); it is NULL unless LETHE_OK.
 * LETHE_UNAVAILABLE: the file is not there.
 * LETHE_UNPROTECTED: group or others may read or write it, or it is another user's.
 * LETHE_INTEGRITY:   no regular file, no byte in it, or more than LETHE_SECRET_MAX_BYTES.
 * LETHE_INVALID:     nothing but white space. LETHE_IO, LETHE_NO_MEMORY: as they say. */
LETHE_MUST_CHECK lethe_result lethe_secret_read_file(const char *path, struct lethe_secret **out,
                                                     struct lethe_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
