/* base/conf_value.h -- one value of a file of settings; inside of conf.c. */
#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H

#include "base/conf.h"

union conf_value {
    uint64_t number;
    char text[CONF_TEXT_SIZE];
    struct conf_list list;
};
/* False when the text is not what the row wants. *size_bytes: of the member that is meant. */
bool conf_value_read(const struct conf_row *row, const char *text, union conf_value *value,
                     size_t *size_bytes);
/* Appends what the row wants: "a time such as 90s, ..., from 1m to 365d". */
void conf_describe(const struct conf_row *row, struct buffer *out);

#endif
