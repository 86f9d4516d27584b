/* No file of settings crashes its reader, and what it lets through is what its table says. */
#include <string.h>

#include "base/conf.h"

#include "fuzz.h"

struct settings {
    uint64_t size_bytes;
    uint64_t time_s;
    uint64_t wait_ms;
    uint64_t count;
    uint64_t yes;
    char path[CONF_TEXT_SIZE];
    struct conf_list list;
};

#define IN(member) offsetof(struct settings, member)
static const struct conf_row rows[] = {
    {"audit", "rotate_bytes", CONF_BYTES, 1024, (uint64_t)1 << 40, true, UINT64_MAX,
     IN(size_bytes)},
    {"audit", "keep_for", CONF_SECONDS, 60, 86400 * 365, true, 1, IN(time_s)},
    {"audit", "flush_after", CONF_MILLISECONDS, 1, 3600000, false, 0, IN(wait_ms)},
    {"other", "flush_records", CONF_COUNT, 1, 100, false, 0, IN(count)},
    {"other", "public", CONF_YES_NO, 0, 1, false, 0, IN(yes)},
    {"other", "path", CONF_PATH, 0, 0, false, 0, IN(path)},
    {"other", "list", CONF_LIST, 0, 0, false, 0, IN(list)},
};
static const struct conf_table table = {rows, ARRAY_LEN(rows)};

/* What is set is within its bounds, and what is not is as it was. */
static void check_row(const struct conf_row *row, const struct settings *settings, bool is_set)
{
    uint64_t value;
    memcpy(&value, (const char *)settings + row->offset, sizeof value);
    FUZZ_PROPERTY(is_set || value == 0);
    if (is_set && row->type < CONF_TEXT)
        FUZZ_PROPERTY((row->has_off && value == row->off) ||
                      (value >= row->min && value <= row->max));
}

static void check_texts(const struct settings *settings)
{
    FUZZ_PROPERTY(memchr(settings->path, '\0', sizeof settings->path) != NULL);
    FUZZ_PROPERTY(settings->path[0] == '\0' || settings->path[0] == '/');
    FUZZ_PROPERTY(strstr(settings->path, "/../") == NULL);
    FUZZ_PROPERTY(settings->list.count <= CONF_LIST_MAX);
    for (size_t i = 0; i < settings->list.count; i++)
        FUZZ_PROPERTY(settings->list.at[i][0] > ' ' && strchr(settings->list.at[i], ',') == NULL);
}

/* The same again when it is written as it is shown. */
static void check_again(const struct settings *settings, uint64_t set)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct settings again = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if ((set >> i & 1) == 0)
            continue;
        buffer_format(&text, "[%s]\n%s=", rows[i].section, rows[i].key);
        conf_row_text(&rows[i], settings, &text);
        buffer_text(&text, "\n");
    }
    /* A list is longer with a space behind each comma. */
    if (set == 0 || memmem(text.bytes, text.size_bytes, ", ", 2) != NULL)
        return;
    FUZZ_PROPERTY(conf_parse("again", text.bytes, text.size_bytes, &table, &again, NULL, NULL) ==
                  LETHE_OK);
    FUZZ_PROPERTY(memcmp(&again, settings, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings settings = {0};
    const struct settings before = settings;
    uint64_t set = 0;
    struct lethe_error err = {0};
    lethe_result result =
        conf_parse("fuzz", (const char *)data, size, &table, &settings, &set, &err);
    if (result != LETHE_OK) {
        FUZZ_PROPERTY(result == LETHE_INVALID && strncmp(err.text, "fuzz:", 5) == 0);
        FUZZ_PROPERTY(memcmp(&settings, &before, sizeof settings) == 0);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i], &settings, (set >> i & 1) != 0);
    check_texts(&settings);
    check_again(&settings, set);
    return 0;
}
