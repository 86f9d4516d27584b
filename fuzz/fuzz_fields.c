/* Fields of a request: what is taken is JSON for another parser, too, and the other way round but
 * for our limits; every value lies in the body or in the scratch, and lists can be gone through. */
#include <string.h>

#include "base/json.h"
#include "base/validate.h"
#include "fuzz.h"
#include "service/fields.h"

static const struct field item_fields[] = {{"plaintext", FIELD_BASE64, true, "", NULL},
                                           {"reference", FIELD_TEXT, false, "", NULL},
                                           {"n", FIELD_INTEGER, false, "", NULL},
                                           {0}};
static const struct field table[] = {{"text", FIELD_TEXT, false, "", NULL},
                                     {"data", FIELD_BASE64, false, "", NULL},
                                     {"number", FIELD_INTEGER, false, "", NULL},
                                     {"flag", FIELD_BOOLEAN, false, "", NULL},
                                     {"ttl", FIELD_DURATION, false, "", NULL},
                                     {"list", FIELD_LIST, false, "", NULL},
                                     {"map", FIELD_MAP, false, "", NULL},
                                     {"items", FIELD_ITEMS, false, "", item_fields},
                                     {0}};
enum { TEXT, DATA, NUMBER, FLAG, TTL, LIST, MAP, ITEMS, COUNT };

/* Made once and emptied for each input: making guarded memory takes longer than all the rest. */
static struct guarded texts, pieces, bytes;

static void check_text(const struct field_value *value)
{
    if (value->given && value->length > 0)
        FUZZ_PROPERTY(text_is_utf8(value->text, value->length));
}

static void go_through_list(const struct field_value *list)
{
    struct field_value element;
    const char *at = NULL;
    lethe_result result;
    size_t count = 0;
    while ((result = field_list_next(list, &at, &pieces, &element, NULL)) != LETHE_NOT_FOUND) {
        FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID);
        FUZZ_PROPERTY(++count <= list->length);
        if (result == LETHE_OK)
            check_text(&element);
    }
}

static void go_through_map(const struct field_value *map)
{
    struct field_value name, value;
    const char *at = NULL;
    lethe_result result;
    while ((result = field_map_next(map, &at, &pieces, &name, &value, NULL)) != LETHE_NOT_FOUND) {
        FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID);
        check_text(&name);
        if (result == LETHE_OK)
            check_text(&value);
    }
}

static void go_through_items(const struct field_value *items)
{
    struct field_value values[3];
    const char *at = NULL;
    lethe_result result;
    while ((result = field_item_next(item_fields, items, &at, &pieces, values, NULL)) !=
           LETHE_NOT_FOUND) {
        FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID);
        check_text(&values[0]);
        check_text(&values[1]);
        (void)!field_decode(&values[0], &bytes);
    }
}

static void check_values(const struct field_value *values)
{
    char copy[16];
    check_text(&values[TEXT]);
    check_text(&values[DATA]);
    FUZZ_PROPERTY(values[TTL].integer >= 0);
    (void)!field_decode(&values[DATA], &bytes);
    (void)!field_copy(&values[TEXT], "text", copy, sizeof copy, NULL);
    go_through_list(&values[LIST]);
    go_through_map(&values[MAP]);
    go_through_items(&values[ITEMS]);
}

/* jansson keeps numbers as integers of 64 bits, and as doubles: it refuses what is neither. */
static bool has_large_number(const uint8_t *body, size_t body_bytes)
{
    size_t digits = 0;
    for (size_t i = 0; i < body_bytes; i++) {
        bool is_digit = body[i] >= '0' && body[i] <= '9';
        digits = is_digit ? digits + 1 : 0;
        if (digits > 18 ||
            (i > 0 && (body[i] | 0x20) == 'e' && body[i - 1] >= '0' && body[i - 1] <= '9'))
            return true;
    }
    return false;
}

/* Nor does it keep a NUL in a text; and it steps over one that stands between others. */
static void compare(const uint8_t *body, size_t body_bytes, lethe_result ours,
                    const struct lethe_error *why)
{
    json_t *json = NULL;
    lethe_result theirs = json_parse((const char *)body, body_bytes, &json, NULL);
    bool is_object = theirs == LETHE_OK && json_is_object(json);
    bool is_theirs =
        memmem(body, body_bytes, "\\u0000", 6) != NULL || has_large_number(body, body_bytes);
    bool is_ours = strstr(why->text, "too deep") != NULL || strstr(why->text, "too long") != NULL ||
                   strstr(why->text, "too many names") != NULL ||
                   memchr(body, '\0', body_bytes) != NULL;
    if (ours == LETHE_MALFORMED)
        FUZZ_PROPERTY(!is_object || is_ours);
    else
        FUZZ_PROPERTY(is_object || is_theirs);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct field_value values[COUNT];
    struct lethe_error err = {0};
    if (size < 1)
        return 0;
    size_t query_bytes = MIN((size_t)data[0], size - 1);
    struct fields_input input = {.query = data + 1,
                                 .query_bytes = query_bytes,
                                 .body = data + 1 + query_bytes,
                                 .body_bytes = size - 1 - query_bytes};
    guarded_wipe(&texts);
    guarded_wipe(&pieces);
    guarded_wipe(&bytes);
    lethe_result result = fields_read(table, &input, &texts, values, &err);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID || result == LETHE_MALFORMED);
    if (result == LETHE_OK)
        check_values(values);
    (void)fields_query_says(input.query, input.query_bytes, "list");
    input.query_bytes = 0;
    if (input.body_bytes > 0)
        compare(input.body, input.body_bytes, fields_read(table, &input, &texts, values, &err),
                &err);
    return 0;
}
