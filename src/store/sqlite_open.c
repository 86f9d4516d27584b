#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "store/sqlite_file.h"
#include "store/store.h"

/* ---- what the file must be ------------------------------------------------------------------- */

#define APPLICATION_ID "0x4c544853" /* "LTHS" */
#define FORMAT_VERSION "1"

static const char create_meta[] =
    "CREATE TABLE store_meta (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) "
    "STRICT, WITHOUT ROWID";
static const char create_row[] =
    "CREATE TABLE store_row (path TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, "
    "sealed BLOB NOT NULL) STRICT, WITHOUT ROWID";

/* In the order of their names. */
static const struct {
    const char *name;
    const char *sql;
} tables[] = {{"store_meta", create_meta}, {"store_row", create_row}};

/* The parts of SQLite's file header (https://sqlite.org/fileformat2.html, 1.3) that are the same in
 * every store. SQLite itself reads some of them leniently: a read-only file for one flipped bit. */
#define HEADER_BYTES 100
static const struct {
    size_t offset;
    size_t size_bytes;
    const char *bytes;
} header[] = {
    {0, 16, "SQLite format 3"},
    {16, 8, "\x10\x00\x02\x02\x00\x40\x20\x20"}, /* pages of 4096, write-ahead log, fractions */
    {44, 4, "\0\0\0\4"},                         /* schema format                             */
    {48, 8, "\0\0\0\0\0\0\0\0"},                 /* no suggested cache, no vacuum             */
    {56, 4, "\0\0\0\1"},                         /* UTF-8                                     */
    {60, 4, "\0\0\0\1"},                         /* FORMAT_VERSION                            */
    {64, 4, "\0\0\0\0"},                         /* no incremental vacuum                     */
    {68, 4, "LTHS"},                             /* APPLICATION_ID                            */
    {72, 20, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
};

/* How a connection must work; `expected` is what reading the setting back gives. */
static const struct {
    const char *set;
    const char *get;
    const char *expected;
} modes[] = {
    {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
    {"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
    {"PRAGMA secure_delete = ON", "PRAGMA secure_delete", "1"},
    {"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1"},
    {"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0"},
    {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"},
};

/* Nothing in the file may run, or change how SQL is read. */
static const struct {
    int option;
    int value;
} defences[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    {SQLITE_DBCONFIG_DQS_DML, 0},
    {SQLITE_DBCONFIG_DQS_DDL, 0},
    {SQLITE_DBCONFIG_LEGACY_FILE_FORMAT, 0},
};

/* The largest thing in a store: a row with the longest path and value, and SQLite's own framing. */
#define LENGTH_LIMIT 8192
_Static_assert(LENGTH_LIMIT > STORE_VALUE_MAX + STORE_PATH_MAX + 512, "a row must fit");

/* ---- small steps ----------------------------------------------------------------------------- */

static void statement_finalize(sqlite3_stmt *statement)
{
    sqlite3_finalize(statement);
}
DEFINE_CLEANUP(statement_finalize, sqlite3_stmt *);

static lethe_result prepare(const struct sqlite_file *file, const char *sql, sqlite3_stmt **out,
                            struct lethe_error *err)
{
    int code = sqlite3_prepare_v3(file->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? LETHE_OK : sqlite_failed(file, code, "opening the store", err);
}

static lethe_result execute(const struct sqlite_file *file, const char *sql,
                            struct lethe_error *err)
{
    int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? LETHE_OK : sqlite_failed(file, code, "opening the store", err);
}

/* Whether the first column of the first row reads `expected`. */
static lethe_result answers(const struct sqlite_file *file, const char *sql, const char *expected,
                            bool *as_expected, struct lethe_error *err)
{
    *as_expected = false;
    CLEANUP(statement_finalize) sqlite3_stmt *statement = NULL;
    TRY(prepare(file, sql, &statement, err));
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return sqlite_failed(file, code, "opening the store", err);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    *as_expected = text != NULL && strcmp(text, expected) == 0;
    return LETHE_OK;
}

/* ---- making a store -------------------------------------------------------------------------- */

static lethe_result make_file(const char *path, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        error_set(err, LETHE_EXISTS, "%s is there already", path);
        return LETHE_EXISTS;
    }
    if (fd < 0 || fchmod(fd, 0600) != 0)
        return error_from_errno(err, "making %s", path);
    return LETHE_OK;
}

/* The header is complete in the file itself before the write-ahead log begins. */
static lethe_result lay_out(const struct sqlite_file *file, struct lethe_error *err)
{
    TRY(execute(file, "PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8'; BEGIN", err));
    TRY(execute(file, "PRAGMA application_id = " APPLICATION_ID, err));
    TRY(execute(file, "PRAGMA user_version = " FORMAT_VERSION, err));
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        TRY(execute(file, tables[i].sql, err));
    return execute(file, "COMMIT; PRAGMA journal_mode = WAL", err);
}

static void remove_file(const char *path)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        CLEANUP(buffer_clear) struct buffer name = {0};
        buffer_text(&name, path);
        buffer_text(&name, suffixes[i]);
        if (buffer_result(&name, NULL) == LETHE_OK)
            unlink(name.bytes);
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

/* By name and not by descriptor: closing any descriptor of the file would drop the locks that this
 * process holds on it (https://sqlite.org/howtocorrupt.html, 2.2). */
static lethe_result check_file(const char *path, struct lethe_error *err)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return error_from_errno(err, "opening the store %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "%s is not a regular file", path);
    return file_check_private(path, &status, err);
}

static lethe_result connect(struct sqlite_file *file, unsigned busy_timeout_ms,
                            struct lethe_error *err)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                      SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(file->path, &file->db, flags, NULL);
    if (code != SQLITE_OK)
        return sqlite_failed(file, code, "opening the store", err);
    sqlite3_busy_timeout(file->db, (int)busy_timeout_ms);
    sqlite3_limit(file->db, SQLITE_LIMIT_LENGTH, LENGTH_LIMIT);
    sqlite3_limit(file->db, SQLITE_LIMIT_ATTACHED, 0);
    for (size_t i = 0; i < ARRAY_LEN(defences); i++) {
        int now = -1;
        code = sqlite3_db_config(file->db, defences[i].option, defences[i].value, &now);
        if (code != SQLITE_OK || now != defences[i].value)
            return error_set(err, LETHE_UNPROTECTED, "this SQLite lacks a defence (option %d)",
                             defences[i].option);
    }
    return LETHE_OK;
}

static lethe_result check_header(const struct sqlite_file *file, struct lethe_error *err)
{
    sqlite3_file *raw = NULL;
    int code = sqlite3_file_control(file->db, "main", SQLITE_FCNTL_FILE_POINTER, &raw);
    uint8_t bytes[HEADER_BYTES];
    if (code == SQLITE_OK)
        code = raw->pMethods->xRead(raw, bytes, sizeof bytes, 0);
    if (code != SQLITE_OK)
        return sqlite_failed(file, code, "reading the header", err);
    for (size_t i = 0; i < ARRAY_LEN(header); i++) {
        if (memcmp(bytes + header[i].offset, header[i].bytes, header[i].size_bytes) != 0)
            return sqlite_foreign(file, "not a store of Lethe, or its header was changed", err);
    }
    return LETHE_OK;
}

static lethe_result set_modes(const struct sqlite_file *file, struct lethe_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        bool as_expected;
        TRY(execute(file, modes[i].set, err));
        TRY(answers(file, modes[i].get, modes[i].expected, &as_expected, err));
        if (!as_expected)
            return error_set(err, LETHE_UNPROTECTED, "%s: SQLite does not do \"%s\"", file->path,
                             modes[i].set);
    }
    return LETHE_OK;
}

/* Exactly our tables and nothing else: no view, trigger or index. */
static lethe_result check_schema(const struct sqlite_file *file, struct lethe_error *err)
{
    CLEANUP(statement_finalize) sqlite3_stmt *statement = NULL;
    TRY(prepare(file, "SELECT type, name, sql FROM sqlite_schema ORDER BY name", &statement, err));
    size_t found = 0;
    int code;
    for (; (code = sqlite3_step(statement)) == SQLITE_ROW; found++) {
        const char *type = (const char *)sqlite3_column_text(statement, 0);
        const char *name = (const char *)sqlite3_column_text(statement, 1);
        const char *sql = (const char *)sqlite3_column_text(statement, 2);
        if (sqlite3_errcode(file->db) == SQLITE_NOMEM)
            return sqlite_failed(file, SQLITE_NOMEM, "reading the list of tables", err);
        if (found == ARRAY_LEN(tables) || type == NULL || name == NULL || sql == NULL ||
            strcmp(type, "table") != 0 || strcmp(name, tables[found].name) != 0 ||
            strcmp(sql, tables[found].sql) != 0)
            return sqlite_foreign(file, "its tables are not those of a store", err);
    }
    if (code != SQLITE_DONE)
        return sqlite_failed(file, code, "reading the list of tables", err);
    return found == ARRAY_LEN(tables)
               ? LETHE_OK
               : sqlite_foreign(file, "a table of the store is missing", err);
}

/* What quick_check could not read it reports as it reports a bad page: "... error code=266", "...
 * error code 266", "failed to get page 7". Neither a bad disk nor a lack of memory is a forgery. */
static int code_in(const char *text)
{
    static const char mark[] = "error code";
    const char *found = strstr(text, mark);
    if (found != NULL)
        return (int)strtol(found + sizeof mark, NULL, 10);
    return strstr(text, "failed to get page") != NULL ? SQLITE_IOERR : SQLITE_CORRUPT;
}

static lethe_result check_pages(const struct sqlite_file *file, struct lethe_error *err)
{
    CLEANUP(statement_finalize) sqlite3_stmt *statement = NULL;
    TRY(prepare(file, "PRAGMA quick_check(1)", &statement, err));
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return sqlite_failed(file, code, "checking the store's pages", err);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    if (text != NULL && strcmp(text, "ok") == 0)
        return LETHE_OK;
    code = text == NULL ? SQLITE_NOMEM : code_in(text);
    if ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_NOMEM)
        return sqlite_failed(file, code, "checking the store's pages", err);
    return sqlite_foreign(file, "its pages do not fit together", err);
}

static lethe_result prepare_statements(struct sqlite_file *file, struct lethe_error *err)
{
#define SQL_OF(name, sql) sql,
    static const char *const queries[] = {SQLITE_QUERIES(SQL_OF)};
#undef SQL_OF
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        TRY(prepare(file, queries[i], &file->statements[i], err));
    return LETHE_OK;
}

/* A name that is relative starts with "./": SQLite gives names like "file:x" a meaning. */
static lethe_result name_file(const char *path, struct sqlite_file **out, struct lethe_error *err)
{
    CLEANUP(sqlite_file_free) struct sqlite_file *file = calloc(1, sizeof *file);
    if (file != NULL)
        file->path = path[0] == '/' ? strdup(path) : path_join(".", path);
    if (file == NULL || file->path == NULL) {
        error_set(err, LETHE_NO_MEMORY, "no memory to open a store");
        return LETHE_NO_MEMORY;
    }
    *out = MOVE(file);
    return LETHE_OK;
}

static lethe_result open_file(const struct store_sqlite_options *options, struct sqlite_file **out,
                              struct lethe_error *err)
{
    CLEANUP(sqlite_file_free) struct sqlite_file *file = NULL;
    TRY(name_file(options->path, &file, err));
    TRY(check_file(file->path, err));
    TRY(connect(file, options->busy_timeout_ms, err));
    if (options->create)
        TRY(lay_out(file, err));
    TRY(check_header(file, err));
    TRY(set_modes(file, err));
    TRY(check_schema(file, err));
    TRY(check_pages(file, err));
    TRY(prepare_statements(file, err));
    *out = MOVE(file);
    return LETHE_OK;
}

lethe_result store_sqlite_open(const struct store_sqlite_options *options, void **state,
                               struct lethe_error *err)
{
    *state = NULL;
    if (options->create)
        TRY(make_file(options->path, err));
    struct sqlite_file *file = NULL;
    lethe_result result = open_file(options, &file, err);
    if (result != LETHE_OK && options->create)
        remove_file(options->path);
    *state = file;
    return result;
}
