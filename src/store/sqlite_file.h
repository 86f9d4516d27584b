/* store/sqlite_file.h -- one open SQLite file: its connection, its statements, its errors.
 *
 * sqlite_open.c makes and opens one and trusts nothing in it; sqlite.c reads and writes rows. */
#ifndef STORE_SQLITE_FILE_H
#define STORE_SQLITE_FILE_H

#include <sqlite3.h>

#include "store/backend.h"
#include "store/store.h"

/* X(name, SQL) */
#define SQLITE_QUERIES(X)                                                                          \
    X(BEGIN_READ, "BEGIN")                                                                         \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                              \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(VISIT, "SELECT path, version, sealed FROM store_row ORDER BY path")                          \
    X(READ, "SELECT path, version, sealed FROM store_row WHERE path = ?1")                         \
    X(WRITE, "REPLACE INTO store_row (path, version, sealed) VALUES (?1, ?2, ?3)")                 \
    X(REMOVE, "DELETE FROM store_row WHERE path = ?1")                                             \
    X(META_GET, "SELECT value FROM store_meta WHERE name = ?1")                                    \
    X(META_PUT, "REPLACE INTO store_meta (name, value) VALUES (?1, ?2)")                           \
    X(CLEAR_ROWS, "DELETE FROM store_row")                                                         \
    X(CLEAR_META, "DELETE FROM store_meta")

enum sqlite_query {
#define SQLITE_QUERY_ENUM(name, sql) QUERY_##name,
    SQLITE_QUERIES(SQLITE_QUERY_ENUM)
#undef SQLITE_QUERY_ENUM
        QUERY_COUNT
};

struct sqlite_file {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *statements[QUERY_COUNT];
};
void sqlite_file_free(struct sqlite_file *file);
DEFINE_CLEANUP(sqlite_file_free, struct sqlite_file *);

/* The error for SQLite's extended result `code`, while doing what `doing` says. */
lethe_result sqlite_failed(const struct sqlite_file *file, int code, const char *doing,
                           struct lethe_error *err);
/* LETHE_INTEGRITY: the file holds `what`, which we never wrote. */
lethe_result sqlite_foreign(const struct sqlite_file *file, const char *what,
                            struct lethe_error *err);

/* The column `path` holds path, or path, '~' and lease in 16 hexadecimal digits: the lease is part
 * of the key, so that it needs no table of its own, and is seen without opening the row. */
#define SQLITE_LEASE_DIGITS 16
struct sqlite_key {
    char text[1 + STORE_PATH_MAX + 1 + SQLITE_LEASE_DIGITS + 1];
};
/* Gives the path itself, or writes to `key`. */
const char *sqlite_key_of(const struct store_row *row, struct sqlite_key *key);
/* Takes `text` apart into path and lease of `row`; the path is `text`, or is in `key`. False when
 * we never wrote that. */
bool sqlite_key_read(const char *text, struct sqlite_key *key, struct store_row *row);

#endif
