#include "mem/guarded.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define FIRST_BYTES ((size_t)16 << 10)

static bool grow(struct guarded *guarded, size_t capacity_bytes)
{
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT,
                                                 .label = {.id = "buffer"}};
    struct lethe_region *region = NULL;
    lethe_result result = capacity_bytes > GUARDED_LIMIT_BYTES
                              ? LETHE_LIMIT
                              : lethe_region_create(capacity_bytes, &options, &region, NULL);
    if (result != LETHE_OK) {
        guarded->failure = result;
        return false;
    }
    if (guarded->size_bytes > 0)
        memcpy(lethe_region_bytes(region), guarded->bytes, guarded->size_bytes);
    lethe_region_free(guarded->region);
    guarded->region = region;
    guarded->bytes = lethe_region_bytes(region);
    guarded->capacity_bytes = lethe_region_size(region);
    return true;
}

static bool make_room(struct guarded *guarded, size_t more_bytes)
{
    size_t needed;
    if (guarded->failure != LETHE_OK)
        return false;
    if (__builtin_add_overflow(guarded->size_bytes, more_bytes, &needed)) {
        guarded->failure = LETHE_LIMIT;
        return false;
    }
    if (needed <= guarded->capacity_bytes)
        return true;
    size_t doubled = MIN(guarded->capacity_bytes * 2, GUARDED_LIMIT_BYTES);
    return grow(guarded, MAX(needed, MAX(doubled, FIRST_BYTES)));
}

void guarded_reserve(struct guarded *guarded, size_t capacity_bytes)
{
    if (capacity_bytes > guarded->size_bytes)
        (void)make_room(guarded, capacity_bytes - guarded->size_bytes);
}

uint8_t *guarded_extend(struct guarded *guarded, size_t size_bytes)
{
    if (!make_room(guarded, size_bytes))
        return NULL;
    uint8_t *at = guarded->bytes + guarded->size_bytes;
    guarded->size_bytes += size_bytes;
    return at;
}

void guarded_append(struct guarded *guarded, const void *bytes, size_t size_bytes)
{
    if (size_bytes == 0)
        return;
    uint8_t *at = guarded_extend(guarded, size_bytes);
    if (at != NULL)
        memcpy(at, bytes, size_bytes);
}

void guarded_text(struct guarded *guarded, const char *text)
{
    guarded_append(guarded, text, strlen(text));
}

void guarded_format(struct guarded *guarded, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    REQUIRE(length >= 0);
    if (!make_room(guarded, (size_t)length + 1)) /* and vsnprintf's NUL, which is not kept */
        return;
    char *at = (char *)guarded->bytes + guarded->size_bytes;
    va_start(arguments, format);
    vsnprintf(at, (size_t)length + 1, format, arguments);
    va_end(arguments);
    guarded->size_bytes += (size_t)length;
}

void guarded_le64(struct guarded *guarded, uint64_t number)
{
    const uint64_t bytes = htole64(number);
    guarded_append(guarded, &bytes, sizeof bytes);
}

void guarded_prefixed(struct guarded *guarded, const void *bytes, size_t size_bytes)
{
    const uint32_t size = htole32((uint32_t)size_bytes);
    guarded_append(guarded, &size, sizeof size);
    guarded_append(guarded, bytes, size_bytes);
}

void guarded_base64(struct guarded *guarded, const void *bytes, size_t size_bytes)
{
    if (size_bytes == 0)
        return;
    uint8_t *at = guarded_extend(guarded, BASE64_LENGTH(size_bytes));
    if (at != NULL)
        base64_write(bytes, size_bytes, (char *)at);
}

void guarded_truncate(struct guarded *guarded, size_t size_bytes)
{
    if (size_bytes >= guarded->size_bytes)
        return;
    lethe_wipe(guarded->bytes + size_bytes, guarded->size_bytes - size_bytes);
    guarded->size_bytes = size_bytes;
}

void guarded_consume(struct guarded *guarded, size_t size_bytes)
{
    REQUIRE(size_bytes <= guarded->size_bytes);
    size_t left_bytes = guarded->size_bytes - size_bytes;
    if (size_bytes > 0 && left_bytes > 0)
        memmove(guarded->bytes, guarded->bytes + size_bytes, left_bytes);
    guarded_truncate(guarded, left_bytes);
}

void guarded_wipe(struct guarded *guarded)
{
    guarded_truncate(guarded, 0);
    guarded->failure = LETHE_OK;
}

void guarded_clear(struct guarded *guarded)
{
    lethe_region_free(guarded->region);
    *guarded = (struct guarded){0};
}

lethe_result guarded_result(const struct guarded *guarded, struct lethe_error *err)
{
    switch (guarded->failure) {
    case LETHE_OK:
        return LETHE_OK;
    case LETHE_LIMIT:
        return error_set(err, LETHE_LIMIT, "a message would be larger than %zu bytes",
                         GUARDED_LIMIT_BYTES);
    default:
        return error_set(err, guarded->failure, "there is no guarded memory for a message");
    }
}
