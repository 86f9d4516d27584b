/* Layouts, times, durations, zone files and rules of zones, amounts and UUIDs: whatever the bytes
 * are, reading them ends, stays inside of them, and what was read is what writing it gives. The
 * first byte chooses. */
#include <string.h>

#include "policy/builtin.h"
#include "policy/meter.h"
#include "policy/time_zone.h"

#include "fuzz.h"

#define ARENA_BYTES ((size_t)16 << 20)
#define STEPS 1000000

static const int64_t moments[] = {-9223372037, -1000000000, 0, 951782400, 1700000000, 9223372036};

static void check_period(struct zone_period period)
{
    const struct span name = period.name;
    FUZZ_PROPERTY(period.offset_s >= -7 * SECONDS_PER_DAY &&
                  period.offset_s <= 7 * SECONDS_PER_DAY);
    for (size_t i = 0; i < name.length; i++)
        FUZZ_PROPERTY(name.at[i] > ' ' && name.at[i] < 0x7f);
}

static void check_zone(struct span bytes)
{
    CLEANUP(buffer_clear) struct buffer why = {0};
    struct zone zone;
    bool read = zone_read(bytes.at, bytes.length, &zone, &why);
    FUZZ_PROPERTY(read == (why.size_bytes == 0));
    for (size_t i = 0; read && i < ARRAY_LEN(moments); i++) {
        check_period(zone_find(&zone, moments[i]));
        int64_t away_s = zone_to_utc(&zone, moments[i]) - moments[i];
        FUZZ_PROPERTY(away_s >= -2 * SECONDS_PER_DAY && away_s <= 2 * SECONDS_PER_DAY);
    }
}

static void check_rule(struct span text)
{
    struct zone_rule rule;
    if (!zone_rule_read(text, &rule))
        return;
    for (size_t i = 0; i < ARRAY_LEN(moments); i++)
        check_period(zone_rule_find(&rule, moments[i]));
}

static void check_same_moment(struct instant instant)
{
    static const char name[] = "RFC3339Nano";
    const struct span layout = layout_named((struct span){name, sizeof name - 1});
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer why = {0};
    const struct zoned_time time = {.civil = civil_of(instant, 0)};
    struct instant again;
    if (time.civil.year < 0 || time.civil.year > 9999)
        return; /* an offset led out of what has four digits */
    time_format(&time, layout, &text);
    FUZZ_PROPERTY(time_parse(layout, (struct span){text.bytes, text.size_bytes}, &again, &why));
    FUZZ_PROPERTY(instant_compare(instant, again) == 0);
}

/* The layout, a NUL, and the text. */
static void check_parse(struct span bytes)
{
    CLEANUP(buffer_clear) struct buffer why = {0};
    const char *nul = bytes.length > 0 ? memchr(bytes.at, '\0', bytes.length) : NULL;
    struct instant instant;
    if (nul == NULL)
        return;
    const struct span layout = {bytes.at, (size_t)(nul - bytes.at)};
    const struct span text = {nul + 1, bytes.length - layout.length - 1};
    bool read = time_parse(layout_named(layout), text, &instant, &why);
    FUZZ_PROPERTY(read == (why.size_bytes == 0));
    if (read)
        check_same_moment(instant);
}

/* Eight bytes of a moment, and the layout. */
static void check_format(struct span bytes)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    int64_t ns, again;
    if (bytes.length < sizeof ns)
        return;
    memcpy(&ns, bytes.at, sizeof ns);
    const struct span layout = {bytes.at + sizeof ns, bytes.length - sizeof ns};
    const struct instant instant = instant_from_ns(ns);
    const struct zoned_time time = {.civil = civil_of(instant, 0), .zone_name = {"UTC", 3}};
    time_format(&time, layout, &text);
    FUZZ_PROPERTY(text.size_bytes <= 9 * layout.length);
    FUZZ_PROPERTY(instant_to_ns(instant, &again) && again == ns);
    check_same_moment(instant);
}

static void check_duration(struct span bytes)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer why = {0};
    int64_t ns, again;
    bool read = duration_parse(bytes, &ns, &why);
    FUZZ_PROPERTY(read == (why.size_bytes == 0));
    if (!read)
        return;
    buffer_format(&text, "%lldns", (long long)ns);
    FUZZ_PROPERTY(duration_parse((struct span){text.bytes, text.size_bytes}, &again, &why));
    FUZZ_PROPERTY(ns == again);
}

/* A built-in of one text. */
static void check_builtin(struct span bytes, const char *name)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_BYTES};
    struct builtin_error error = {0};
    const struct builtin_world world = {0};
    struct builtin_meter meter = {
        .steps_left = STEPS, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_call call = {.arena = &arena, .world = &world, .meter = &meter, .error = &error};
    call.builtin = builtin_find(name, strlen(name), false);
    FUZZ_PROPERTY(call.builtin != NULL);
    const struct value *operand = value_string(&arena, bytes.at, bytes.length);
    const struct value *out = NULL;
    if (operand == NULL)
        return;
    lethe_result result = builtin_invoke(&call, &operand, &out);
    if (result == LETHE_INVALID)
        FUZZ_PROPERTY(strncmp(error.text, name, strlen(name)) == 0);
    else
        FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_LIMIT);
    if (result == LETHE_OK && strcmp(name, "units.parse_bytes") == 0)
        FUZZ_PROPERTY(number_is_integer(&out->number));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct span bytes = {(const char *)data + 1, size - 1};
    switch (data[0]) {
    case 'z':
        check_zone(bytes);
        break;
    case 'r':
        check_rule(bytes);
        break;
    case 'p':
        check_parse(bytes);
        break;
    case 'f':
        check_format(bytes);
        break;
    case 'd':
        check_duration(bytes);
        break;
    case 'u':
        check_builtin(bytes, "units.parse");
        break;
    case 'b':
        check_builtin(bytes, "units.parse_bytes");
        break;
    case 'i':
        check_builtin(bytes, "uuid.parse");
        break;
    default:
        break;
    }
    return 0;
}
