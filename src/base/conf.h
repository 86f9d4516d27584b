/* base/conf.h -- a file of settings: sections, keys, and values.
 *
 *     # a comment
 *     [audit]
 *     rotate_bytes = 16MiB
 *     keep_for     = 30d
 *     [listen]
 *     address      = 127.0.0.1:8200, [::1]:8200
 *     allow_public = no
 *
 * Which keys there are is the caller's table. Everything else is refused, with file and line: an
 * unknown section or key, a key that is there twice, a value that is not what the table says. No
 * secret belongs into such a file: a key that looks like one is refused as that. Values are not
 * repeated in errors. Lines are parsed by inih; what it would let pass is refused here. */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/buffer.h"

#define CONF_FILE_MAX ((size_t)64 << 10)
#define CONF_LINE_MAX 190u /* inih cuts lines of 200 in two */
#define CONF_ROWS_MAX 64u
#define CONF_LIST_MAX 16u

enum conf_type {
    CONF_BYTES,        /* 4096, 64KiB, 16MiB, 1GiB, 1TiB                              */
    CONF_SECONDS,      /* 90s, 15m, 1h, 30d                                           */
    CONF_MILLISECONDS, /* and 500ms                                                   */
    CONF_COUNT,        /* 1024                                                        */
    CONF_YES_NO,       /* yes, no: 1, 0                                               */
    CONF_CHOICE,       /* one of the row's words: its place among them                */
    CONF_TEXT,         /* printable ASCII without spaces: a char[CONF_TEXT_SIZE]      */
    CONF_PATH,         /* from the root on, without "." and "..": the same            */
    CONF_LIST,         /* texts with commas between them: a struct conf_list          */
};
#define CONF_TEXT_SIZE (CONF_LINE_MAX + 1)
struct conf_list {
    size_t count;
    char at[CONF_LIST_MAX][CONF_TEXT_SIZE];
};

struct conf_row {
    const char *section;
    const char *key;
    enum conf_type type;
    uint64_t min; /* of a number, in the type's unit, both included */
    uint64_t max;
    bool has_off; /* "off" stands for `off` */
    uint64_t off;
    size_t offset;            /* in what the caller fills: of a uint64_t, unless the type says so */
    const char *const *words; /* of a choice; ends with NULL */
};
struct conf_table {
    const struct conf_row *rows;
    size_t count; /* at most CONF_ROWS_MAX */
};

/* Sets what the text says in `out`, and leaves the rest of it as it was; on failure all of it. *set
 * (may be NULL) gets a bit for each row that was there. `name` is for errors only. LETHE_INVALID.
 */
LETHE_MUST_CHECK lethe_result conf_parse(const char *name, const char *text, size_t size_bytes,
                                         const struct conf_table *table, void *out, uint64_t *set,
                                         struct lethe_error *err);
/* The same for a file, which must be a regular one that nobody else can read or write
 * (LETHE_UNPROTECTED), of at most CONF_FILE_MAX bytes. LETHE_NOT_FOUND when there is none. */
LETHE_MUST_CHECK lethe_result conf_read(const char *path, const struct conf_table *table, void *out,
                                        uint64_t *set, struct lethe_error *err);

/* A number, yes or no, or a choice, as the file would say it ("16MiB", "1h", "off", "yes"). */
#define CONF_VALUE_SIZE 32
void conf_value_text(const struct conf_row *row, uint64_t value, char out[CONF_VALUE_SIZE]);
/* The same of any row, out of what conf_parse() has filled: appends. Nothing for an empty text. */
void conf_row_text(const struct conf_row *row, const void *settings, struct buffer *out);

#endif
