#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "cli/pool_status.h"

/* ---- cells ----------------------------------------------------------------------------------- */

#define CELL_SIZE 300u

enum cell_kind { CELL_TEXT, CELL_BYTES, CELL_COUNT, CELL_AGE_MS, CELL_AGE_S, CELL_CAUSE };
struct column {
    const char *title;
    const char *key;
    enum cell_kind kind;
};

static void time_cell(uint64_t seconds, char out[CELL_SIZE])
{
    unsigned long long s = seconds;
    if (s < 120)
        snprintf(out, CELL_SIZE, "%llu s", s);
    else if (s < 7200)
        snprintf(out, CELL_SIZE, "%llu min", s / 60);
    else if (s < 48 * 3600)
        snprintf(out, CELL_SIZE, "%llu h", s / 3600);
    else
        snprintf(out, CELL_SIZE, "%llu d", s / (24 * 3600));
}

static void number_cell(enum cell_kind kind, uint64_t number, char out[CELL_SIZE])
{
    switch (kind) {
    case CELL_BYTES:
        bytes_text(number, out);
        break;
    case CELL_AGE_MS:
        time_cell(number / 1000, out);
        break;
    case CELL_AGE_S:
        time_cell(number, out);
        break;
    default:
        snprintf(out, CELL_SIZE, "%llu", (unsigned long long)number);
    }
}

static lethe_result fill_cell(const json_t *row, const struct column *column, char out[CELL_SIZE])
{
    const json_t *value = json_object_get(row, column->key);
    if (json_is_null(value)) {
        strcpy(out, "-");
        return LETHE_OK;
    }
    if (column->kind == CELL_TEXT && json_is_string(value)) {
        text_sanitise(json_string_value(value), json_string_length(value), out, CELL_SIZE);
        return LETHE_OK;
    }
    if (column->kind == CELL_TEXT || !json_is_integer(value) || json_integer_value(value) < 0)
        return LETHE_MALFORMED;
    number_cell(column->kind, (uint64_t)json_integer_value(value), out);
    return LETHE_OK;
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define COLUMNS_MAX 12u

struct table {
    const char *name; /* of the list */
    const char *title;
    struct column columns[COLUMNS_MAX]; /* ends with one without title */
};
static const struct table tables[] = {
    {"providers",
     "PROVIDERS",
     {{"ID", "id", CELL_TEXT},
      {"ADDRESS", "address", CELL_TEXT},
      {"STATE", "state", CELL_TEXT},
      {"CAPACITY", "capacity", CELL_BYTES},
      {"FREE", "free", CELL_BYTES},
      {"LENT", "lent", CELL_BYTES},
      {"WIPING", "wiping", CELL_BYTES},
      {"UNWIPED", "unwiped", CELL_BYTES},
      {"LEASES", "leases", CELL_COUNT},
      {"HEARD", "last_report_age_ms", CELL_AGE_MS}}},
    {"leases",
     "LEASES",
     {{"LEASE", "lease", CELL_TEXT},
      {"CONSUMER", "consumer", CELL_TEXT},
      {"PROVIDER", "provider", CELL_TEXT},
      {"BYTES", "bytes", CELL_BYTES},
      {"STATE", "state", CELL_TEXT},
      {"AGE", "age_s", CELL_AGE_S},
      {"EXPIRES", "expires_in_ms", CELL_AGE_MS}}},
    {"tenants",
     "TENANTS",
     {{"TENANT", "tenant", CELL_TEXT},
      {"HELD", "held", CELL_BYTES},
      {"LEASES", "leases", CELL_COUNT},
      {"QUOTA", "quota", CELL_BYTES}}},
    {"revoked",
     "REVOKED",
     {{"ID", "id", CELL_TEXT}, {"SINCE", "since", CELL_TEXT}, {"REASON", "reason", CELL_TEXT}}},
};

static lethe_result malformed(const char *name, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "the control plane's status has no sound \"%s\"", name);
}

static lethe_result measure(const struct table *table, const json_t *list,
                            size_t widths[COLUMNS_MAX], struct lethe_error *err)
{
    size_t i;
    const json_t *row;
    char cell[CELL_SIZE];
    for (size_t c = 0; c < COLUMNS_MAX && table->columns[c].title != NULL; c++)
        widths[c] = strlen(table->columns[c].title);
    json_array_foreach(list, i, row)
    {
        for (size_t c = 0; c < COLUMNS_MAX && table->columns[c].title != NULL; c++) {
            if (fill_cell(row, &table->columns[c], cell) != LETHE_OK)
                return malformed(table->name, err);
            widths[c] = MAX(widths[c], strlen(cell));
        }
    }
    return LETHE_OK;
}

/* Numbers to the right. The last column ends the line. */
static void put_cell(struct buffer *out, const struct table *table, size_t column, const char *text,
                     size_t width)
{
    bool is_last = column + 1 == COLUMNS_MAX || table->columns[column + 1].title == NULL;
    bool is_text = table->columns[column].kind == CELL_TEXT;
    if (is_last && is_text)
        buffer_format(out, "%s\n", text);
    else
        buffer_format(out, is_text ? "%-*s%s" : "%*s%s", (int)width, text, is_last ? "\n" : "  ");
}

static void put_rows(const struct table *table, const json_t *list,
                     const size_t widths[COLUMNS_MAX], struct buffer *out)
{
    size_t i;
    const json_t *row;
    char cell[CELL_SIZE];
    json_array_foreach(list, i, row)
    {
        for (size_t c = 0; c < COLUMNS_MAX && table->columns[c].title != NULL; c++) {
            lethe_result measured = fill_cell(row, &table->columns[c], cell);
            REQUIRE(measured == LETHE_OK);
            put_cell(out, table, c, cell, widths[c]);
        }
    }
}

static lethe_result put_table(const struct table *table, const json_t *status, struct buffer *out,
                              struct lethe_error *err)
{
    size_t widths[COLUMNS_MAX];
    const json_t *list = json_object_get(status, table->name);
    if (!json_is_array(list))
        return malformed(table->name, err);
    buffer_format(out, "%s%s", out->size_bytes > 0 ? "\n" : "", table->title);
    if (json_array_size(list) == 0) {
        buffer_text(out, ": none\n");
        return LETHE_OK;
    }
    buffer_text(out, "\n");
    TRY(measure(table, list, widths, err));
    for (size_t c = 0; c < COLUMNS_MAX && table->columns[c].title != NULL; c++)
        put_cell(out, table, c, table->columns[c].title, widths[c]);
    put_rows(table, list, widths, out);
    return LETHE_OK;
}

lethe_result pool_table(const json_t *status, struct buffer *out, struct lethe_error *err)
{
    const json_t *left_out = json_object_get(status, "leases_left_out");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        TRY(put_table(&tables[i], status, out, err));
    if (json_is_integer(left_out) && json_integer_value(left_out) > 0)
        buffer_format(out, "\n%lld more leases are not shown\n",
                      (long long)json_integer_value(left_out));
    return buffer_result(out, err);
}
