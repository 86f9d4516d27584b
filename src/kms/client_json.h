/* kms/client_json.h -- bodies for a key service, and what it answers; all in guarded memory. */
#ifndef KMS_CLIENT_JSON_H
#define KMS_CLIENT_JSON_H

#include "base/buffer.h"
#include "base/json_scan.h"
#include "mem/guarded.h"

/* Names are our own. A comma is put where something stands before; `name` NULL: no name. */
void client_put_open(struct guarded *out, const char *name, char bracket);
void client_put_close(struct guarded *out, char bracket);
void client_put_text(struct guarded *out, const char *name, const char *text);
void client_put_bytes(struct guarded *out, const char *name, const void *text, size_t length);
void client_put_base64(struct guarded *out, const char *name, const void *bytes, size_t size_bytes);
void client_put_number(struct guarded *out, const char *name, uint64_t number);

/* LETHE_MALFORMED everywhere: it is not what a key service answers. Paths as json_piece_find(). */
LETHE_MUST_CHECK lethe_result client_answer(const struct guarded *body, struct json_piece *out,
                                            struct lethe_error *err);
LETHE_MUST_CHECK lethe_result client_answer_number(const struct json_piece *answer,
                                                   const char *path, uint64_t *out,
                                                   struct lethe_error *err);
/* Appends a text that is no secret, of at most CLIENT_TEXT_MAX bytes. */
#define CLIENT_TEXT_MAX 8192u
LETHE_MUST_CHECK lethe_result client_answer_text(const struct json_piece *answer, const char *path,
                                                 struct buffer *out, struct lethe_error *err);
/* A text "vault:v<N>:<base64>" of a key or a signature: appends the base64's bytes to `payload`,
 * unless that is NULL, and the whole text to `text`, unless that is NULL. */
LETHE_MUST_CHECK lethe_result client_answer_vault(const struct json_piece *answer, const char *path,
                                                  struct buffer *text, struct buffer *payload,
                                                  struct lethe_error *err);
/* Base64 of 1 to LETHE_SECRET_MAX_BYTES bytes that nobody else may see. */
LETHE_MUST_CHECK lethe_result client_answer_secret(const struct json_piece *answer,
                                                   const char *path, struct lethe_secret **out,
                                                   struct lethe_error *err);
/* The results of a batch, one after another: as many as there were items, no fewer and no more.
 * LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result client_results(const struct json_piece *answer, struct json_walk *out,
                                             struct lethe_error *err);
LETHE_MUST_CHECK lethe_result client_results_next(struct json_walk *results, struct json_piece *out,
                                                  struct lethe_error *err);
LETHE_MUST_CHECK lethe_result client_results_end(struct json_walk *results,
                                                 struct lethe_error *err);
/* The texts of "errors", made safe to show, with "; " between them; of a batch why its first item
 * was refused that was; "" when there are none, or the body is something else. */
void client_answer_errors(const void *body, size_t body_bytes, char *out, size_t capacity);

#endif
