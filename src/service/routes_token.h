/* service/routes_token.h -- what the files of auth/token share; for them only. */
#ifndef SERVICE_ROUTES_TOKEN_H
#define SERVICE_ROUTES_TOKEN_H

#include "service/tokens_core.h"

#define TOKEN_DENIED "permission denied"

/* routes_token_create.c */
extern const struct field token_create_fields[];
call_handler token_create, token_create_orphan;

/* Whole seconds, not negative. LETHE_INVALID names the field. */
LETHE_MUST_CHECK lethe_result token_seconds(const struct field_value *value, const char *name,
                                            uint64_t *out, struct lethe_error *err);
/* The caller's own token; NULL: it has come without one. */
const struct token_entry *token_of_caller(struct call *call);

#endif
