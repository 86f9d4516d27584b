#include "service/auth.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "service/identities.h"
#include "service/tokens_core.h"

/* One text, whatever is wrong; the reason is for the record only. */
static lethe_result deny(const char **out, const char *reason, struct lethe_error *err)
{
    *out = reason;
    return error_set(err, LETHE_DENIED, "permission denied");
}

static void copy_policies(struct caller *out, const char (*policies)[64 + 1], size_t count)
{
    out->policy_count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(out->policies[i], policies[i], sizeof out->policies[i]);
        out->is_root = out->is_root || strcmp(policies[i], "root") == 0;
    }
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* What proving gives but LETHE_DENIED and LETHE_REVOKED is no answer to who it is. */
static lethe_result prove(struct service *service, const struct auth_input *input,
                          const struct identity_entry **identity, const char **reason,
                          struct lethe_error *err)
{
    if (input->chain == NULL)
        return deny(reason, "no token and no certificate", err);
    *reason = "certificate";
    lethe_result result = identities_prove(service->identities, input->chain, input->chain_bytes,
                                           input->now_s, identity, reason, err);
    if (result == LETHE_DENIED || result == LETHE_REVOKED || result == LETHE_MALFORMED)
        return deny(reason, *reason, err);
    return result;
}

static lethe_result identify_certificate(struct service *service, const struct auth_input *input,
                                         struct caller *out, const char **reason,
                                         struct lethe_error *err)
{
    const struct identity_entry *identity;
    TRY(prove(service, input, &identity, reason, err));
    out->kind = CALLER_CERTIFICATE;
    snprintf(out->name, sizeof out->name, "%s", identity->id.text);
    snprintf(out->tenant, sizeof out->tenant, "%s", identity->id.tenant);
    copy_policies(out, identity->policies, identity->policy_count);
    return LETHE_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* Stolen, a bound token is of no use without the key of the certificate. */
static lethe_result check_bound(struct service *service, const struct auth_input *input,
                                const struct token_entry *entry, const char **reason,
                                struct lethe_error *err)
{
    const struct identity_entry *identity;
    if (entry->identity[0] == '\0')
        return LETHE_OK;
    if (input->chain == NULL)
        return deny(reason, "a bound token without a certificate", err);
    TRY(prove(service, input, &identity, reason, err));
    return strcmp(identity->id.text, entry->identity) == 0
               ? LETHE_OK
               : deny(reason, "a token that is bound to somebody else", err);
}

static void describe(const struct token_entry *entry, struct caller *out)
{
    out->kind = CALLER_TOKEN;
    if (entry->identity[0] != '\0')
        memcpy(out->name, entry->identity, sizeof out->name);
    else
        snprintf(out->name, sizeof out->name, "token:%s", entry->accessor);
    memcpy(out->tenant, entry->tenant, sizeof out->tenant);
    snprintf(out->accessor, sizeof out->accessor, "%s", entry->accessor);
    copy_policies(out, entry->policies, entry->policy_count);
}

static lethe_result identify_token(struct service *service, const struct auth_input *input,
                                   struct caller *out, const char **reason, struct lethe_error *err)
{
    struct tokens *tokens = service->tokens;
    if (input->token_bytes == 0 || input->token_bytes > TOKEN_GIVEN_MAX)
        return deny(reason, "malformed", err);
    const struct token_entry *entry =
        tokens_find(tokens, input->token, input->token_bytes, input->now_s);
    if (entry == NULL)
        return deny(reason, "unknown, expired or revoked", err);
    TRY(check_bound(service, input, entry, reason, err));
    describe(entry, out);
    tokens_present(tokens, input->token, input->token_bytes);
    lethe_result result = tokens_use(tokens, entry->hash, err);
    return result == LETHE_DENIED ? deny(reason, "unknown, expired or revoked", err) : result;
}

/* ---- either ---------------------------------------------------------------------------------- */

lethe_result auth_identify(struct service *service, const struct auth_input *input,
                           struct caller *out, const char **reason, struct lethe_error *err)
{
    *reason = "";
    memset(out, 0, sizeof *out);
    tokens_present(service->tokens, input->token, 0);
    lethe_result result = (input->has_token ? identify_token : identify_certificate)(
        service, input, out, reason, err);
    if (result != LETHE_OK)
        memset(out, 0, sizeof *out);
    return result;
}

void auth_forget(struct service *service)
{
    if (service->tokens != NULL)
        tokens_present(service->tokens, NULL, 0);
}
