/* No file of settings crashes its reader, and what it lets through is what its table says. */
#include <string.h>

#include "base/conf.h"

#include "fuzz.h"

struct settings {
    uint64_t size_bytes;
    uint64_t time_s;
    uint64_t wait_ms;
    uint64_t count;
};

#define IN(member) offsetof(struct settings, member)
static const struct conf_row rows[] = {
    {"audit", "rotate_bytes", CONF_BYTES, 1024, (uint64_t)1 << 40, true, UINT64_MAX,
     IN(size_bytes)},
    {"audit", "keep_for", CONF_SECONDS, 60, 86400 * 365, true, 1, IN(time_s)},
    {"audit", "flush_after", CONF_MILLISECONDS, 1, 3600000, false, 0, IN(wait_ms)},
    {"other", "flush_records", CONF_COUNT, 1, 100, false, 0, IN(count)},
};
static const struct conf_table table = {rows, ARRAY_LEN(rows)};

/* Within its bounds, and the same again when it is written as it is shown. */
static void check_row(size_t index, uint64_t value)
{
    const struct conf_row *row = &rows[index];
    char text[128] = "";
    char shown[CONF_VALUE_SIZE];
    struct settings again = {0};
    FUZZ_PROPERTY((row->has_off && value == row->off) || (value >= row->min && value <= row->max));
    conf_value_text(row, value, shown);
    strcat(strcat(strcat(text, "["), row->section), "]\n");
    strcat(strcat(strcat(text, row->key), " = "), shown);
    FUZZ_PROPERTY(conf_parse("again", text, strlen(text), &table, &again, NULL, NULL) == LETHE_OK);
    FUZZ_PROPERTY(memcmp((const char *)&again + row->offset, &value, sizeof value) == 0);
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
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&settings + rows[i].offset, sizeof value);
        if ((set >> i & 1) != 0)
            check_row(i, value);
        else
            FUZZ_PROPERTY(value == 0);
    }
    return 0;
}
