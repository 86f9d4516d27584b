#include "base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/conf_value.h"
#include "base/error.h"
#include "base/file.h"

#define KEYS_TEXT_SIZE 200

/* ---- lines ----------------------------------------------------------------------------------- */

struct parsing {
    const char *name;
    const char *at;
    const char *end;
    unsigned line; /* the one that was read last, from 1 */
    const struct conf_table *table;
    void *out; /* NULL: only whether all of it is right */
    uint64_t set;
    lethe_result result; /* the first failure */
    struct lethe_error *err;
};

static void refuse(struct parsing *parsing, const char *format, ...) PRINTF_LIKE(2, 3);
static void refuse(struct parsing *parsing, const char *format, ...)
{
    char what[256];
    va_list arguments;
    if (parsing->result != LETHE_OK)
        return;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    parsing->result =
        error_set(parsing->err, LETHE_INVALID, "%s:%u: %s", parsing->name, parsing->line, what);
}

static void say_what_is_known(struct parsing *parsing, const char *section)
{
    char known[KEYS_TEXT_SIZE] = "";
    size_t length = 0;
    for (size_t i = 0; i < parsing->table->count && length < sizeof known; i++) {
        const struct conf_row *row = &parsing->table->rows[i];
        if (strcmp(row->section, section) == 0)
            length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
                                       length == 0 ? "" : ", ", row->key);
    }
    error_hint(parsing->err, "[%s] has: %s", section, known);
}

static bool is_section(const struct conf_table *table, const char *name, size_t length)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *section = table->rows[i].section;
        if (strlen(section) == length && memcmp(section, name, length) == 0)
            return true;
    }
    return false;
}

#define EXPECTED "expected [section], or key = value"

/* inih says nothing of a section without keys, nor of what stands behind its name. */
static void check_section(struct parsing *parsing, const char *line)
{
    const char *close = strchr(line, ']');
    if (line[0] != '[')
        return;
    const char *behind = close == NULL ? line : close + 1;
    behind += strspn(behind, " \t\r");
    if (close == NULL || (*behind != '\0' && *behind != ';' && *behind != '#'))
        refuse(parsing, EXPECTED);
    else if (!is_section(parsing->table, line + 1, (size_t)(close - line) - 1))
        refuse(parsing, "there is no such section");
}

/* For inih: the next line, NULL at the end. */
static char *next_line(char *out, int capacity, void *context)
{
    struct parsing *parsing = context;
    size_t left = (size_t)(parsing->end - parsing->at);
    if (left == 0 || parsing->result != LETHE_OK)
        return NULL;
    const char *newline = memchr(parsing->at, '\n', left);
    size_t length = newline == NULL ? left : (size_t)(newline - parsing->at);
    parsing->line++;
    if (length > CONF_LINE_MAX || length + 2 > (size_t)capacity) {
        refuse(parsing, "the line is longer than %u characters", CONF_LINE_MAX);
        return NULL;
    }
    memcpy(out, parsing->at, length);
    out[length] = '\0';
    parsing->at += length + (newline != NULL);
    if ((out[0] == ' ' || out[0] == '\t') && strspn(out, " \t\r") < length)
        refuse(parsing, "the line begins with a space: a value has one line");
    else
        check_section(parsing, out);
    return parsing->result == LETHE_OK ? out : NULL;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static const struct conf_row *find_row(const struct conf_table *table, const char *section,
                                       const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].section, section) == 0 && strcmp(table->rows[i].key, key) == 0)
            return &table->rows[i];
    }
    return NULL;
}

static bool looks_secret(const char *key)
{
    static const char *const words[] = {"key",   "secret", "password",  "passphrase",
                                        "token", "seed",   "credential"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasestr(key, words[i]) != NULL)
            return true;
    }
    return false;
}

static void refuse_key(struct parsing *parsing, const char *section, const char *key)
{
    if (looks_secret(key)) {
        refuse(parsing, "no secret belongs into this file");
        error_hint(parsing->err, "take it out, and replace it wherever it was in use");
    } else if (section[0] == '\0') {
        refuse(parsing, "a section, such as [%s], comes first", parsing->table->rows[0].section);
    } else {
        refuse(parsing, "there is no such key");
        say_what_is_known(parsing, section);
    }
}

static void refuse_value(struct parsing *parsing, const struct conf_row *row)
{
    CLEANUP(buffer_clear) struct buffer expected = {0};
    conf_describe(row, &expected);
    refuse(parsing, "%s: expected %s", row->key,
           buffer_result(&expected, NULL) == LETHE_OK ? expected.bytes : "something else");
}

/* For inih: 1 to go on. */
static int take(void *context, const char *section, const char *key, const char *value)
{
    struct parsing *parsing = context;
    const struct conf_row *row = find_row(parsing->table, section, key);
    if (parsing->result != LETHE_OK)
        return 0;
    if (row == NULL) {
        refuse_key(parsing, section, key);
        return 0;
    }
    size_t index = (size_t)(row - parsing->table->rows);
    union conf_value read;
    size_t size_bytes;
    memset(&read, 0, sizeof read); /* also behind the end of a text */
    if ((parsing->set >> index & 1) != 0)
        refuse(parsing, "%s is there a second time", row->key);
    else if (!conf_value_read(row, value, &read, &size_bytes))
        refuse_value(parsing, row);
    else if (parsing->out != NULL)
        memcpy((char *)parsing->out + row->offset, &read, size_bytes);
    parsing->set |= (uint64_t)1 << index;
    return parsing->result == LETHE_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void check_bytes(struct parsing *parsing)
{
    parsing->line = 1;
    for (const char *at = parsing->at; at < parsing->end; at++) {
        if ((uint8_t)*at < ' ' && *at != '\n' && *at != '\t' && *at != '\r')
            refuse(parsing, "a control character: this is no text");
        parsing->line += *at == '\n';
    }
    parsing->line = 0;
}

static lethe_result parse_lines(struct parsing *parsing)
{
    check_bytes(parsing);
    TRY(parsing->result);
    int bad_line = ini_parse_stream(next_line, parsing, take, parsing);
    TRY(parsing->result);
    if (bad_line < 0)
        return error_set(parsing->err, LETHE_NO_MEMORY, "reading %s", parsing->name);
    if (bad_line > 0) {
        parsing->line = (unsigned)bad_line;
        refuse(parsing, EXPECTED);
    }
    return parsing->result;
}

/* Once to see that all of it is right, and once to take it. */
lethe_result conf_parse(const char *name, const char *text, size_t size_bytes,
                        const struct conf_table *table, void *out, uint64_t *set,
                        struct lethe_error *err)
{
    const struct parsing begin = {
        .name = name, .at = text, .end = text + size_bytes, .table = table, .err = err};
    REQUIRE(table->count >= 1 && table->count <= CONF_ROWS_MAX);
    struct parsing parsing = begin;
    TRY(parse_lines(&parsing));
    parsing = begin;
    parsing.out = out;
    TRY(parse_lines(&parsing));
    if (set != NULL)
        *set = parsing.set;
    return LETHE_OK;
}

static lethe_result check_file(const char *path, const struct stat *status, struct lethe_error *err)
{
    if (!S_ISREG(status->st_mode))
        return error_set(err, LETHE_INVALID, "%s is not a regular file", path);
    TRY(file_check_private(path, status, err));
    if ((uint64_t)status->st_size > CONF_FILE_MAX)
        return error_set(err, LETHE_INVALID, "%s is larger than %zu bytes", path, CONF_FILE_MAX);
    return LETHE_OK;
}

lethe_result conf_read(const char *path, const struct conf_table *table, void *out, uint64_t *set,
                       struct lethe_error *err)
{
    struct stat status;
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return error_set(err, LETHE_INVALID, "%s is a symbolic link: expected the file itself",
                         path);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s", path);
    TRY(check_file(path, &status, err));
    char *room = buffer_extend(&text, (size_t)status.st_size);
    TRY(buffer_result(&text, err));
    TRY(file_read_at(fd, path, 0, room, (size_t)status.st_size, err));
    return conf_parse(path, room, (size_t)status.st_size, table, out, set, err);
}
