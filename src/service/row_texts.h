/* service/row_texts.h -- lists of texts in rows: le16 how many, then each with its length (u8) in
 * front and a NUL behind, so that a reader borrows them where they lie. */
#ifndef SERVICE_ROW_TEXTS_H
#define SERVICE_ROW_TEXTS_H

#include "base/cursor.h"
#include "crypto/x509.h"

void row_put_text(struct buffer *out, const char *text); /* at most 255 bytes */
void row_put_texts(struct buffer *out, const struct x509_list *list);
/* LETHE_MALFORMED: cut off, a NUL within, too many. */
LETHE_MUST_CHECK lethe_result row_take_text(struct cursor *cursor, const char **out);
LETHE_MUST_CHECK lethe_result row_take_texts(struct cursor *cursor, struct x509_list *out);
/* Of at most capacity - 1 bytes. */
LETHE_MUST_CHECK lethe_result row_copy_text(struct cursor *cursor, char *out, size_t capacity);
/* The version byte that every row begins with. */
LETHE_MUST_CHECK lethe_result row_take_format(struct cursor *cursor, uint8_t expected);

#endif
