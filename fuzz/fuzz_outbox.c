/* The rows by which store and log watch each other: the record that is owed, and the pin. What
 * parses as a record is written as the same bytes. */
#include <string.h>

#include "fuzz.h"
#include "kms/outbox.h"

/* Every text lies in the row, and ends there. */
static void check_text(const struct lethe_secret *row, const char *text)
{
    const char *begin = (const char *)lethe_secret_bytes_const(row);
    const char *end = begin + lethe_secret_size(row);
    if (text != NULL)
        FUZZ_PROPERTY(text >= begin && text < end && text + strlen(text) < end);
}

static void try_owed(const struct lethe_secret *row)
{
    struct owed owed = {.row = (struct lethe_secret *)row};
    CLEANUP(buffer_clear) struct buffer same = {0};
    if (owed_parse(&owed) != LETHE_OK)
        return;
    const struct audit_kind_row *kind = audit_kind_row(owed.event.kind);
    check_text(row, owed.who.actor);
    check_text(row, owed.who.tenant);
    check_text(row, owed.who.session);
    for (size_t i = 0; i < kind->field_count; i++)
        check_text(row, owed.event.values[i].text);
    owed_append(&owed.who, &owed.event, &same);
    FUZZ_PROPERTY(same.size_bytes == lethe_secret_size(row));
    FUZZ_PROPERTY(memcmp(same.bytes, lethe_secret_bytes_const(row), same.size_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pin pin;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    if (size < 1 || size > LETHE_SECRET_MAX_BYTES)
        return 0;
    REQUIRE(lethe_secret_create(size, &row, NULL) == LETHE_OK);
    memcpy(lethe_secret_bytes(row), data, size);
    try_owed(row);
    FUZZ_PROPERTY(pin_parse(row, &pin) != LETHE_OK || size == 41);
    return 0;
}
