/* base/json_scan.h -- JSON that stays where it is: a text that is checked, and looked up in.
 *
 * For texts that hold secrets: no tree, no copy, no allocation. Strict (RFC 8259): UTF-8, no lone
 * surrogates, no NUL in texts, at most JSON_SCAN_DEPTH_MAX levels, nothing behind the document; a
 * name that is looked up must be there only once. Pieces borrow of the text. Pure functions. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/base.h"

#define JSON_SCAN_DEPTH_MAX 32u /* as many brackets around a value; ours have fewer than 6 */

enum json_piece_kind {
    JSON_PIECE_NULL,
    JSON_PIECE_TRUE,
    JSON_PIECE_FALSE,
    JSON_PIECE_NUMBER,
    JSON_PIECE_TEXT,   /* without its quotes, as it stands there */
    JSON_PIECE_OBJECT, /* with its brackets */
    JSON_PIECE_ARRAY,
};
struct json_piece {
    enum json_piece_kind kind;
    const char *at;
    size_t length;
};

/* Checks one document (any value) and nothing behind it but white space. LETHE_MALFORMED says at
 * which byte, and repeats nothing of it. */
LETHE_MUST_CHECK lethe_result json_scan(const void *text, size_t size_bytes, struct json_piece *out,
                                        struct lethe_error *err);

/* All below are for pieces of a text that json_scan() has accepted. */

/* Members one below the other, with slashes between them: "data/keys". LETHE_NOT_FOUND: there is
 * none; LETHE_MALFORMED: one is there twice, or lies in something else than an object. */
LETHE_MUST_CHECK lethe_result json_piece_find(const struct json_piece *object, const char *path,
                                              struct json_piece *out);

/* struct json_walk walk = json_walk_over(&piece); then one member or element after another, until
 * LETHE_NOT_FOUND. Of an array the names are empty. */
struct json_walk {
    const char *at;
    const char *end;
    bool has_names;
};
struct json_walk json_walk_over(const struct json_piece *piece);
LETHE_MUST_CHECK lethe_result json_walk_next(struct json_walk *walk, struct json_piece *name,
                                             struct json_piece *value);

/* Whether it is this text. */
bool json_piece_is(const struct json_piece *piece, const char *text);
/* The text without escapes, and without a NUL behind it: never longer than the piece.
 * LETHE_MALFORMED: it is no text; LETHE_LIMIT: there is no room for it. */
LETHE_MUST_CHECK lethe_result json_piece_text(const struct json_piece *piece, char *out,
                                              size_t capacity, size_t *length);
/* A whole number without sign, point or exponent. */
LETHE_MUST_CHECK lethe_result json_piece_unsigned(const struct json_piece *piece, uint64_t *out);

#endif
