/* In place of parts of the service that are not there yet: the smallest that the core runs with.
 * A token is its holder's tenant and name, "TENANT:NAME" or "root"; "revoked" is none any more. */
#include "check.h"

#include <stdlib.h>

#include "base/error.h"
#include "service/auth.h"
#include "service/authority.h"
#include "service/identities.h"
#include "service/tokens.h"

/* ---- engine ---------------------------------------------------------------------------------- */

struct engine {
    int nothing;
};

lethe_result engine_create(struct keeper *keeper, struct engine **out, struct lethe_error *err)
{
    (void)keeper;
    *out = calloc(1, sizeof **out);
    return *out == NULL ? error_set(err, LETHE_NO_MEMORY, "engine") : LETHE_OK;
}

void engine_free(struct engine *engine)
{
    free(engine);
}

lethe_result engine_rotate_due(struct engine *engine, uint64_t *rotated, struct lethe_error *err)
{
    *rotated = 0;
    return LETHE_OK;
}

lethe_result engine_list(struct engine *engine, engine_visit *visit, void *context,
                         struct lethe_error *err)
{
    struct engine_key key = {.name = "acme.llama.hot", .latest_version = 1, .auto_rotate_s = 60};
    return visit(context, &key, err);
}

lethe_result engine_version(struct engine *engine, const char *name, uint64_t version,
                            struct engine_version *out, struct lethe_error *err)
{
    *out = (struct engine_version){.created_s = 1000, .uses = 3};
    return LETHE_OK;
}

/* ---- the others ------------------------------------------------------------------------------ */

#define EMPTY_PART(name)                                                                           \
    struct name {                                                                                  \
        int nothing;                                                                               \
    };                                                                                             \
    lethe_result name##_open(struct service *service, struct name **out, struct lethe_error *err)  \
    {                                                                                              \
        *out = calloc(1, sizeof **out);                                                            \
        return *out == NULL ? error_set(err, LETHE_NO_MEMORY, #name) : LETHE_OK;                   \
    }                                                                                              \
    void name##_free(struct name *part)                                                            \
    {                                                                                              \
        free(part);                                                                                \
    }                                                                                              \
    lethe_result name##_refresh(struct name *part, struct lethe_error *err)                        \
    {                                                                                              \
        return LETHE_OK;                                                                           \
    }
EMPTY_PART(tokens)
EMPTY_PART(identities)
EMPTY_PART(authority)

lethe_result tokens_create(struct tokens *tokens, struct token_entry *entry,
                           struct lethe_secret **token, struct lethe_error *err)
{
    TRY(lethe_secret_create(4, token, err));
    memcpy(lethe_secret_bytes(*token), "root", 4);
    return LETHE_OK;
}

void tokens_expire(struct tokens *tokens, uint64_t now_s)
{
}

lethe_result authority_make_root(struct authority *authority, const char *mount,
                                 const char *common_name, uint64_t ttl_s, struct lethe_error *err)
{
    return LETHE_OK;
}

lethe_result authority_view(struct authority *authority, const char *mount,
                            struct authority_view *out, struct lethe_error *err)
{
    *out = (struct authority_view){(const uint8_t *)"roots", 5, (const uint8_t *)"crls", 4};
    return LETHE_OK;
}

lethe_result authority_door(struct authority *authority, const void *request, size_t request_bytes,
                            const char *const *names, struct buffer *chain_pem,
                            struct buffer *roots_pem, struct buffer *crls_pem,
                            struct lethe_error *err)
{
    buffer_text(roots_pem, "roots");
    buffer_text(crls_pem, "crls");
    return LETHE_OK;
}

lethe_result auth_identify(struct service *service, const struct auth_input *input,
                           struct caller *out, const char **reason, struct lethe_error *err)
{
    char token[128] = "";
    *out = (struct caller){.kind = CALLER_TOKEN};
    if (input->token_bytes < sizeof token && input->token_bytes > 0)
        memcpy(token, input->token, input->token_bytes);
    char *colon = strchr(token, ':');
    *reason = "no such token";
    if (!input->has_token || (colon == NULL && strcmp(token, "root") != 0))
        return error_set(err, LETHE_DENIED, "permission denied");
    out->is_root = colon == NULL;
    snprintf(out->accessor, sizeof out->accessor, "accessor-%.32s",
             colon == NULL ? token : colon + 1);
    if (colon != NULL)
        *colon = '\0';
    snprintf(out->tenant, sizeof out->tenant, "%.64s", colon == NULL ? "" : token);
    snprintf(out->name, sizeof out->name, "token:%s", out->accessor);
    if (out->is_root)
        strcpy(out->policies[out->policy_count++], "root");
    return LETHE_OK;
}
