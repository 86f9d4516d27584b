#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_file.h"

/* A path of the store itself begins with this, too. */
#define MARK '~'

const char *sqlite_key_of(const struct store_row *row, struct sqlite_key *key)
{
    if (row->lease == 0)
        return row->path;
    int length =
        snprintf(key->text, sizeof key->text, "%s%c%016" PRIx64, row->path, MARK, row->lease);
    REQUIRE(length > 0 && (size_t)length < sizeof key->text);
    return key->text;
}

bool sqlite_key_read(const char *text, struct sqlite_key *key, struct store_row *row)
{
    const char *mark = text[0] == '\0' ? NULL : strchr(text + 1, MARK);
    row->path = text;
    row->lease = 0;
    if (mark == NULL)
        return true;
    size_t path_bytes = (size_t)(mark - text);
    const char *digits = mark + 1;
    if (path_bytes > STORE_PATH_MAX || strspn(digits, "0123456789abcdef") != SQLITE_LEASE_DIGITS ||
        digits[SQLITE_LEASE_DIGITS] != '\0')
        return false;
    memcpy(key->text, text, path_bytes);
    key->text[path_bytes] = '\0';
    row->path = key->text;
    row->lease = strtoull(digits, NULL, 16);
    return row->lease != 0;
}
