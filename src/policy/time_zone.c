#include "policy/time_zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/file.h"

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define TYPES_MAX 256 /* their numbers are bytes */
/* RFC 8536 section 3.2: what utoff should be within. */
#define OFFSET_MIN_S (-89999)
#define OFFSET_MAX_S 93599
#define LOCAL_FILE "/etc/localtime"

/* In the order of the header. */
struct counts {
    uint32_t utc, standard, leap, time, type, name_bytes;
};

static lethe_result read_header(struct cursor *cursor, uint8_t *version, struct counts *counts)
{
    const uint8_t *magic;
    TRY(cursor_bytes(cursor, 4, &magic));
    if (memcmp(magic, "TZif", 4) != 0)
        return LETHE_MALFORMED;
    TRY(cursor_u8(cursor, version));
    TRY(cursor_skip(cursor, 15));
    TRY(cursor_be32(cursor, &counts->utc));
    TRY(cursor_be32(cursor, &counts->standard));
    TRY(cursor_be32(cursor, &counts->leap));
    TRY(cursor_be32(cursor, &counts->time));
    TRY(cursor_be32(cursor, &counts->type));
    return cursor_be32(cursor, &counts->name_bytes);
}

/* Leap seconds would shift every moment that a policy can name; nobody's clock here has them. */
static lethe_result check_counts(const struct counts *counts)
{
    bool good = counts->type >= 1 && counts->type <= TYPES_MAX && counts->name_bytes >= 1 &&
                counts->leap == 0 && (counts->utc == 0 || counts->utc == counts->type) &&
                (counts->standard == 0 || counts->standard == counts->type);
    return good ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result read_block(struct cursor *cursor, const struct counts *counts,
                               uint32_t time_bytes, struct zone *zone)
{
    const uint8_t *names;
    zone->time_bytes = time_bytes;
    zone->time_count = counts->time;
    zone->type_count = counts->type;
    TRY(cursor_bytes(cursor, (uint64_t)counts->time * time_bytes, &zone->times));
    TRY(cursor_bytes(cursor, counts->time, &zone->time_types));
    TRY(cursor_bytes(cursor, (uint64_t)counts->type * TYPE_BYTES, &zone->types));
    TRY(cursor_bytes(cursor, counts->name_bytes, &names));
    zone->names = (const char *)names;
    TRY(cursor_skip(cursor, (uint64_t)counts->leap * (time_bytes + 4)));
    TRY(cursor_skip(cursor, counts->standard));
    return cursor_skip(cursor, counts->utc);
}

static int64_t big_endian(const uint8_t *bytes, uint32_t count)
{
    uint64_t number = (bytes[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < count; i++)
        number = number << 8 | bytes[i];
    return (int64_t)number;
}

static int64_t time_at(const struct zone *zone, uint32_t index)
{
    return big_endian(zone->times + (size_t)index * zone->time_bytes, zone->time_bytes);
}

static struct zone_period period_of(const struct zone *zone, uint8_t type)
{
    const uint8_t *bytes = zone->types + (size_t)type * TYPE_BYTES;
    const char *name = zone->names + bytes[5];
    return (struct zone_period){.offset_s = (int32_t)big_endian(bytes, 4),
                                .name = {name, strlen(name)}};
}

static lethe_result check_times(const struct zone *zone)
{
    for (uint32_t i = 0; i < zone->time_count; i++)
        if (zone->time_types[i] >= zone->type_count ||
            (i > 0 && time_at(zone, i) <= time_at(zone, i - 1)))
            return LETHE_MALFORMED;
    return LETHE_OK;
}

static bool is_name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-';
}

/* Every abbreviation ends within the names, and is made of what RFC 8536 allows. */
static lethe_result check_types(const struct zone *zone, uint32_t name_bytes)
{
    if (zone->names[name_bytes - 1] != '\0')
        return LETHE_MALFORMED;
    for (uint32_t i = 0; i < zone->type_count; i++) {
        const uint8_t *type = zone->types + (size_t)i * TYPE_BYTES;
        int64_t offset_s = big_endian(type, 4);
        if (offset_s < OFFSET_MIN_S || offset_s > OFFSET_MAX_S || type[4] > 1 ||
            type[5] >= name_bytes)
            return LETHE_MALFORMED;
        for (const char *c = zone->names + type[5]; *c != '\0'; c++)
            if (!is_name_character(*c))
                return LETHE_MALFORMED;
    }
    return LETHE_OK;
}

/* A line of its own, empty where nothing goes on. */
static lethe_result read_footer(struct cursor *cursor, struct zone *zone)
{
    const char *line;
    size_t length;
    TRY(cursor_line(cursor, &line, &length));
    if (length != 0)
        return LETHE_MALFORMED;
    TRY(cursor_line(cursor, &line, &length));
    zone->has_rule = length > 0;
    bool read = length == 0 || zone_rule_read((struct span){line, length}, &zone->rule);
    return read && cursor_left(cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

/* A first block has times of 32 bits; from version 2 on a second one follows, which counts. */
static lethe_result read_file(struct cursor *cursor, struct zone *zone)
{
    struct counts counts;
    uint8_t version;
    TRY(read_header(cursor, &version, &counts));
    if (version == 0) {
        TRY(check_counts(&counts));
        TRY(read_block(cursor, &counts, 4, zone));
    } else {
        TRY(read_block(cursor, &counts, 4, zone));
        TRY(read_header(cursor, &version, &counts));
        TRY(check_counts(&counts));
        TRY(read_block(cursor, &counts, 8, zone));
        TRY(read_footer(cursor, zone));
    }
    TRY(check_times(zone));
    return check_types(zone, counts.name_bytes);
}

bool zone_read(const void *bytes, size_t size_bytes, struct zone *out, struct buffer *why)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    *out = (struct zone){0};
    if (size_bytes <= ZONE_FILE_MAX_BYTES && read_file(&cursor, out) == LETHE_OK)
        return true;
    buffer_format(why, "malformed time zone information (at byte %zu of %zu)",
                  size_bytes - cursor_left(&cursor), size_bytes);
    return false;
}

/* How many transitions there are at or before this moment. */
static uint32_t times_until(const struct zone *zone, int64_t seconds)
{
    uint32_t low = 0, high = zone->time_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (time_at(zone, middle) <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* RFC 8536 section 3.2: before the first transition it is type 0. */
struct zone_period zone_find(const struct zone *zone, int64_t seconds)
{
    if (zone == NULL)
        return (struct zone_period){.name = {"UTC", 3}};
    uint32_t passed = times_until(zone, seconds);
    if (passed == zone->time_count && zone->has_rule)
        return zone_rule_find(&zone->rule, seconds);
    return period_of(zone, passed == 0 ? 0 : zone->time_types[passed - 1]);
}

int64_t zone_to_utc(const struct zone *zone, int64_t local_seconds)
{
    int32_t guess_s = zone_find(zone, local_seconds).offset_s;
    if (guess_s == 0)
        return local_seconds;
    return local_seconds - zone_find(zone, local_seconds - guess_s).offset_s;
}

/* ---- files ---- */

/* What names are made of, so that none leads out of the directory. */
static bool is_zone_name(struct span name)
{
    bool good = name.length > 0 && name.length <= ZONE_NAME_MAX && name.at[0] != '/';
    for (size_t i = 0; i < name.length && good; i++)
        good = is_name_character(name.at[i]) || name.at[i] == '/' || name.at[i] == '_';
    return good;
}

static lethe_result fail_unknown(struct span name, const char *hint, struct buffer *why)
{
    bool leads_out = name.length > 0 && (name.at[0] == '/' || name.at[0] == '\\');
    leads_out = leads_out || memmem(name.at, name.length, "..", 2) != NULL;
    buffer_text(why, leads_out ? "time: invalid location name " : "unknown time zone ");
    span_quote(name, why);
    buffer_text(why, hint);
    return LETHE_INVALID;
}

static lethe_result read_path(struct span name, const char *path, struct buffer *bytes,
                              struct buffer *why)
{
    lethe_result result = file_read_all(AT_FDCWD, path, ZONE_FILE_MAX_BYTES, bytes, NULL);
    if (result == LETHE_OK || result == LETHE_NO_MEMORY)
        return result;
    bool none = access(ZONE_DIRECTORY, F_OK) != 0;
    return fail_unknown(name, none ? " (there is no " ZONE_DIRECTORY ": install tzdata)" : "", why);
}

lethe_result zone_load(struct span name, struct buffer *bytes, struct zone *out, struct buffer *why)
{
    char path[sizeof(ZONE_DIRECTORY) + ZONE_NAME_MAX + 1] = LOCAL_FILE;
    if (!is_zone_name(name))
        return fail_unknown(name, "", why);
    if (!span_is(name, "Local"))
        snprintf(path, sizeof path, "%s/%.*s", ZONE_DIRECTORY, (int)name.length, name.at);
    TRY(read_path(name, path, bytes, why));
    return zone_read(bytes->bytes, bytes->size_bytes, out, why) ? LETHE_OK : LETHE_INVALID;
}
