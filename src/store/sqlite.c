#include "store/sqlite_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "store/store.h"

/* ---- errors ---------------------------------------------------------------------------------- */

/* Primary results that are neither listed nor extended below are LETHE_IO. SQLITE_ERROR is here
 * because our SQL is constant: it fails only over a schema that is not ours. */
static const struct {
    int code;
    lethe_result result;
} results[] = {
    {SQLITE_FULL, LETHE_NO_SPACE},      {SQLITE_BUSY, LETHE_BUSY},
    {SQLITE_LOCKED, LETHE_BUSY},        {SQLITE_NOMEM, LETHE_NO_MEMORY},
    {SQLITE_CORRUPT, LETHE_INTEGRITY},  {SQLITE_NOTADB, LETHE_INTEGRITY},
    {SQLITE_ERROR, LETHE_INTEGRITY},    {SQLITE_SCHEMA, LETHE_INTEGRITY},
    {SQLITE_TOOBIG, LETHE_INTEGRITY},   {SQLITE_MISMATCH, LETHE_INTEGRITY},
    {SQLITE_FORMAT, LETHE_INTEGRITY},   {SQLITE_CONSTRAINT, LETHE_INTEGRITY},
    {SQLITE_INTERNAL, LETHE_INTEGRITY}, {SQLITE_IOERR_SHORT_READ, LETHE_INTEGRITY},
};

/* SQLite calls a disk that cannot be read a malformed file. */
static bool disk_failed(const struct sqlite_file *file)
{
    int number = 0;
    sqlite3_file_control(file->db, "main", SQLITE_FCNTL_LAST_ERRNO, &number);
    return number == EIO || number == ENXIO;
}

static lethe_result result_of(const struct sqlite_file *file, int code)
{
    int primary = code & 0xff;
    if (primary == SQLITE_CORRUPT && disk_failed(file))
        return LETHE_IO;
    int system_error = sqlite3_system_errno(file->db);
    if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) &&
        (system_error == ENOSPC || system_error == EDQUOT))
        return LETHE_NO_SPACE;
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        if (results[i].code == code || results[i].code == primary)
            return results[i].result;
    }
    return LETHE_IO;
}

static const char *hint_for(lethe_result result)
{
    switch (result) {
    case LETHE_NO_SPACE:
        return "free some space on that file system; nothing was changed";
    case LETHE_BUSY:
        return "another process is writing to the store; try again when it has finished";
    case LETHE_INTEGRITY:
        return "put back a backup of the file; what it holds now cannot be trusted";
    default:
        return "";
    }
}

lethe_result sqlite_failed(const struct sqlite_file *file, int code, const char *doing,
                           struct lethe_error *err)
{
    lethe_result result = result_of(file, code);
    error_set(err, result, "%s: %s: %s", file->path, doing, sqlite3_errstr(code));
    error_hint(err, "%s", hint_for(result));
    return result;
}

lethe_result sqlite_foreign(const struct sqlite_file *file, const char *what,
                            struct lethe_error *err)
{
    error_set(err, LETHE_INTEGRITY, "%s: %s", file->path, what);
    error_hint(err, "%s", hint_for(LETHE_INTEGRITY));
    return LETHE_INTEGRITY;
}

/* ---- statements ------------------------------------------------------------------------------ */

static void statement_release(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}
DEFINE_CLEANUP(statement_release, sqlite3_stmt *);

/* Steps a statement that gives no rows. */
static lethe_result run(const struct sqlite_file *file, sqlite3_stmt *statement, const char *doing,
                        struct lethe_error *err)
{
    int code = sqlite3_step(statement);
    return code == SQLITE_DONE ? LETHE_OK : sqlite_failed(file, code, doing, err);
}

static lethe_result run_query(const struct sqlite_file *file, enum sqlite_query query,
                              const char *doing, struct lethe_error *err)
{
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[query];
    return run(file, statement, doing, err);
}

/* Binding borrows: the value outlives the step. It fails only when memory is out. */
static void bind_text(sqlite3_stmt *statement, int parameter, const char *text)
{
    REQUIRE(sqlite3_bind_text(statement, parameter, text, -1, SQLITE_STATIC) == SQLITE_OK);
}

static void bind_blob(sqlite3_stmt *statement, int parameter, const void *bytes, size_t size_bytes)
{
    REQUIRE(sqlite3_bind_blob64(statement, parameter, bytes, size_bytes, SQLITE_STATIC) ==
            SQLITE_OK);
}

/* ---- views ----------------------------------------------------------------------------------- */

static lethe_result has_moved(const struct sqlite_file *file, bool *moved, struct lethe_error *err)
{
    int is_elsewhere = 0;
    int code = sqlite3_file_control(file->db, "main", SQLITE_FCNTL_HAS_MOVED, &is_elsewhere);
    *moved = is_elsewhere != 0;
    return code == SQLITE_OK ? LETHE_OK : sqlite_failed(file, code, "looking for the file", err);
}

/* A file that has lost its name is nobody's: what is written to it is gone when it is closed, and
 * what others put in its place would not be seen. SQLite says so, too, when it could not look. */
static lethe_result check_in_place(const struct sqlite_file *file, struct lethe_error *err)
{
    bool moved;
    struct stat there;
    TRY(has_moved(file, &moved, err));
    if (!moved)
        return LETHE_OK;
    if (stat(file->path, &there) != 0 && errno != ENOENT && errno != ENOTDIR)
        return error_from_errno(err, "%s", file->path);
    TRY(has_moved(file, &moved, err));
    return moved ? sqlite_foreign(file, "it was removed or replaced while it was open", err)
                 : LETHE_OK;
}

static lethe_result sqlite_begin(void *state, enum store_access access, struct lethe_error *err)
{
    TRY(check_in_place(state, err));
    return run_query(state, access == STORE_WRITE ? QUERY_BEGIN_WRITE : QUERY_BEGIN_READ,
                     "beginning a transaction", err);
}

static lethe_result sqlite_commit(void *state, struct lethe_error *err)
{
    return run_query(state, QUERY_COMMIT, "committing", err);
}

/* SQLite may have rolled back by itself, after a failure. */
static void sqlite_rollback(void *state)
{
    const struct sqlite_file *file = state;
    if (sqlite3_get_autocommit(file->db) == 0 &&
        run_query(file, QUERY_ROLLBACK, "rolling back", NULL) != LETHE_OK)
        REQUIRE(sqlite3_get_autocommit(file->db) != 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Shows the row that a statement stands on. A damaged file can hold any type in any column. */
static lethe_result show_row(const struct sqlite_file *file, sqlite3_stmt *statement,
                             store_row_visit *visit, void *context, struct lethe_error *err)
{
    if (sqlite3_column_type(statement, 0) != SQLITE_TEXT ||
        sqlite3_column_type(statement, 1) != SQLITE_INTEGER ||
        sqlite3_column_type(statement, 2) != SQLITE_BLOB)
        return sqlite_foreign(file, "a row has columns of other types", err);
    const char *path = (const char *)sqlite3_column_text(statement, 0);
    const void *sealed = sqlite3_column_blob(statement, 2);
    if (path == NULL || sealed == NULL)
        return sqlite_foreign(file, "a row has an empty column", err);
    sqlite3_int64 version = sqlite3_column_int64(statement, 1);
    struct sqlite_key key;
    struct store_row row = {
        .version = (uint64_t)version,
        .sealed = sealed,
        .sealed_bytes = (size_t)sqlite3_column_bytes(statement, 2),
    };
    if (strlen(path) != (size_t)sqlite3_column_bytes(statement, 0) || version < 1 ||
        !sqlite_key_read(path, &key, &row))
        return sqlite_foreign(file, "a row has a path or version that no row has", err);
    return visit(context, &row, err);
}

static lethe_result sqlite_visit(void *state, store_row_visit *visit, void *context,
                                 struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[QUERY_VISIT];
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        TRY(show_row(file, statement, visit, context, err));
    return code == SQLITE_DONE ? LETHE_OK : sqlite_failed(file, code, "reading rows", err);
}

static lethe_result sqlite_read(void *state, const struct store_row *row, store_row_visit *visit,
                                void *context, struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    struct sqlite_key key;
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[QUERY_READ];
    bind_text(statement, 1, sqlite_key_of(row, &key));
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        return error_set(err, LETHE_NOT_FOUND, "there is no row %s", row->path);
    if (code != SQLITE_ROW)
        return sqlite_failed(file, code, "reading a row", err);
    return show_row(file, statement, visit, context, err);
}

static lethe_result sqlite_remove(void *state, const struct store_row *row, struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    struct sqlite_key key;
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[QUERY_REMOVE];
    bind_text(statement, 1, sqlite_key_of(row, &key));
    return run(file, statement, "removing a row", err);
}

static lethe_result sqlite_write(void *state, const struct store_row *row, uint64_t was,
                                 struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    struct sqlite_key key;
    if (was != row->lease)
        TRY(sqlite_remove(state, &(struct store_row){.path = row->path, .lease = was}, err));
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[QUERY_WRITE];
    bind_text(statement, 1, sqlite_key_of(row, &key));
    REQUIRE(row->version <= INT64_MAX);
    REQUIRE(sqlite3_bind_int64(statement, 2, (sqlite3_int64)row->version) == SQLITE_OK);
    bind_blob(statement, 3, row->sealed, row->sealed_bytes);
    return run(file, statement, "writing a row", err);
}

/* ---- meta records ---------------------------------------------------------------------------- */

static lethe_result sqlite_meta_get(void *state, const char *name, struct buffer *out,
                                    struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[QUERY_META_GET];
    bind_text(statement, 1, name);
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        return error_set(err, LETHE_NOT_FOUND, "%s: there is no record \"%s\"", file->path, name);
    if (code != SQLITE_ROW)
        return sqlite_failed(file, code, "reading a meta record", err);
    const void *value = sqlite3_column_blob(statement, 0);
    int size_bytes = sqlite3_column_bytes(statement, 0);
    if (sqlite3_column_type(statement, 0) != SQLITE_BLOB || value == NULL ||
        (unsigned)size_bytes > STORE_META_MAX)
        return sqlite_foreign(file, "a meta record has a value that none has", err);
    buffer_append(out, value, (size_t)size_bytes);
    return buffer_result(out, err);
}

static lethe_result sqlite_meta_put(void *state, const char *name, const void *value,
                                    size_t size_bytes, struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    CLEANUP(statement_release) sqlite3_stmt *statement = file->statements[QUERY_META_PUT];
    bind_text(statement, 1, name);
    bind_blob(statement, 2, value, size_bytes);
    return run(file, statement, "writing a meta record", err);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

/* Emptying a table overwrites all of its pages, whatever SQLite moved in them before: nothing has
 * to be believed about single rows. */
static lethe_result sqlite_clear(void *state, struct lethe_error *err)
{
    TRY(run_query(state, QUERY_CLEAR_ROWS, "emptying the store", err));
    return run_query(state, QUERY_CLEAR_META, "emptying the store", err);
}

/* `which`: SQLITE_FCNTL_FILE_POINTER for the file, _JOURNAL_POINTER for its write-ahead log. */
static lethe_result raw_file(const struct sqlite_file *file, int which, sqlite3_file **out,
                             sqlite3_int64 *size_bytes, struct lethe_error *err)
{
    int code = sqlite3_file_control(file->db, "main", which, out);
    *size_bytes = 0; /* a write-ahead log that is not open has nothing */
    if (code == SQLITE_OK && (*out)->pMethods != NULL)
        code = (*out)->pMethods->xFileSize(*out, size_bytes);
    return code == SQLITE_OK ? LETHE_OK : sqlite_failed(file, code, "looking at its size", err);
}

/* Older pages are left in the write-ahead log until it is cut. */
static lethe_result sqlite_forget(void *state, struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    sqlite3_file *log;
    sqlite3_int64 left_bytes;
    int code = sqlite3_wal_checkpoint_v2(file->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (code != SQLITE_OK)
        return sqlite_failed(file, code, "cutting the write-ahead log", err);
    TRY(raw_file(file, SQLITE_FCNTL_JOURNAL_POINTER, &log, &left_bytes, err));
    return left_bytes == 0 ? LETHE_OK
                           : sqlite_failed(file, SQLITE_BUSY, "cutting the write-ahead log", err);
}

/* Windows overlap, so that bytes across a border are found too. */
static lethe_result search(const struct sqlite_file *file, int which, const struct buffer *wanted,
                           bool *found, struct lethe_error *err)
{
    uint8_t window[16384];
    sqlite3_file *raw;
    sqlite3_int64 size_bytes;
    TRY(raw_file(file, which, &raw, &size_bytes, err));
    const size_t overlap_bytes = wanted->size_bytes - 1;
    const sqlite3_int64 step = (sqlite3_int64)sizeof window - (sqlite3_int64)overlap_bytes;
    for (sqlite3_int64 at = 0; at < size_bytes && !*found; at += step) {
        int bytes = (int)MIN((sqlite3_int64)sizeof window, size_bytes - at);
        int code = raw->pMethods->xRead(raw, window, bytes, at);
        if (code != SQLITE_OK)
            return sqlite_failed(file, code, "looking at its bytes", err);
        *found = memmem(window, (size_t)bytes, wanted->bytes, wanted->size_bytes) != NULL;
    }
    return LETHE_OK;
}

static lethe_result sqlite_holds(void *state, const void *bytes, size_t size_bytes, bool *found,
                                 struct lethe_error *err)
{
    const struct sqlite_file *file = state;
    CLEANUP(buffer_clear) struct buffer wanted = {0};
    REQUIRE(size_bytes > 0 && size_bytes <= STORE_META_MAX);
    buffer_append(&wanted, bytes, size_bytes);
    TRY(buffer_result(&wanted, err));
    *found = false;
    TRY(search(file, SQLITE_FCNTL_FILE_POINTER, &wanted, found, err));
    return search(file, SQLITE_FCNTL_JOURNAL_POINTER, &wanted, found, err);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void sqlite_set_patience(void *state, unsigned busy_timeout_ms)
{
    const struct sqlite_file *file = state;
    sqlite3_busy_timeout(file->db, (int)busy_timeout_ms);
}

/* ---- closing --------------------------------------------------------------------------------- */

void sqlite_file_free(struct sqlite_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(file->statements); i++)
        sqlite3_finalize(file->statements[i]);
    REQUIRE(sqlite3_close(file->db) == SQLITE_OK);
    free(file->path);
    free(file);
}

/* Folding the write-ahead log into the file is a courtesy: whoever opens next finds the same rows
 * without it, so a failure (another process reads, the disk is full) changes nothing. */
static void sqlite_close(void *state)
{
    struct sqlite_file *file = state;
    sqlite3_busy_timeout(file->db, 0);
    sqlite3_wal_checkpoint_v2(file->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite_file_free(file);
}

const struct store_backend store_sqlite = {
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .visit = sqlite_visit,
    .read = sqlite_read,
    .write = sqlite_write,
    .remove = sqlite_remove,
    .meta_get = sqlite_meta_get,
    .meta_put = sqlite_meta_put,
    .clear = sqlite_clear,
    .forget = sqlite_forget,
    .holds = sqlite_holds,
    .set_patience = sqlite_set_patience,
    .close = sqlite_close,
};
