/* Whose a chain is. What was believed once is not checked again for a minute, unless rows change.
 */
#include <string.h>

#include "base/error.h"
#include "service/identities_core.h"

static struct proven_chain *slot_of(struct identities *identities, const uint8_t *hash)
{
    return &identities->proven[hash[0] % PROVEN_SLOTS];
}

static lethe_result refuse(lethe_result result, const char *why, const char **reason,
                           struct lethe_error *err)
{
    *reason = why;
    return error_set(err, result, "the certificate is not believed");
}

/* SPIFFE X.509-SVID, 2 and 5.2: one URI, which is the id; and nobody who signs others. */
static const struct identity_entry *entry_of(struct identities *identities,
                                             const struct x509_summary *leaf)
{
    struct spiffe_id id;
    if (leaf->is_ca || leaf->subject.uris.count != 1 ||
        spiffe_parse(leaf->subject.uris.at[0], strlen(leaf->subject.uris.at[0]), &id, NULL) !=
            LETHE_OK)
        return NULL;
    return identities_find(identities, id.text);
}

static lethe_result check(struct identities *identities, const uint8_t *chain, size_t chain_bytes,
                          uint64_t now_s, struct x509_summary *leaf, struct lethe_error *err)
{
    struct authority_view view = {0};
    CLEANUP(buffer_clear) struct buffer roots = {0};
    lethe_result result =
        authority_view(identities->service->authority, AUTHORITY_IDENTITIES, &view, err);
    if (result != LETHE_OK && result != LETHE_NOT_FOUND)
        return result;
    buffer_append(&roots, view.roots, view.roots_bytes);
    buffer_append(&roots, identities->roots.bytes, identities->roots.size_bytes);
    TRY(buffer_result(&roots, err));
    const struct x509_check checked = {
        .chain = chain,
        .chain_bytes = chain_bytes,
        .roots = roots.bytes,
        .roots_bytes = roots.size_bytes,
        .crls = view.crls,
        .crls_bytes = view.crls_bytes,
        .now_s = now_s,
        .extended_usage = X509_CLIENT_AUTH,
    };
    return x509_check_chain(&checked, leaf, err);
}

static const char *reason_of(lethe_result result)
{
    switch (result) {
    case LETHE_REVOKED:
        return "certificate revoked";
    case LETHE_MALFORMED:
        return "certificate malformed";
    default:
        return "certificate not valid";
    }
}

lethe_result identities_prove(struct identities *identities, const uint8_t *chain,
                              size_t chain_bytes, uint64_t now_s, const struct identity_entry **out,
                              const char **reason, struct lethe_error *err)
{
    uint8_t hash[SHA256_BYTES];
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    *out = NULL;
    sha256(chain, chain_bytes, hash);
    struct proven_chain *slot = slot_of(identities, hash);
    if (slot->entry != NULL && memcmp(slot->hash, hash, sizeof hash) == 0 &&
        now_s >= slot->from_s && now_s <= slot->until_s) {
        *out = slot->entry;
        return LETHE_OK;
    }
    lethe_result result = check(identities, chain, chain_bytes, now_s, &leaf, err);
    if (result == LETHE_DENIED || result == LETHE_REVOKED || result == LETHE_MALFORMED)
        return refuse(result == LETHE_REVOKED ? result : LETHE_DENIED, reason_of(result), reason,
                      err);
    TRY(result);
    const struct identity_entry *entry = entry_of(identities, &leaf);
    if (entry == NULL)
        return refuse(LETHE_DENIED, "certificate of nobody known", reason, err);
    if (entry->revoked_s != 0)
        return refuse(LETHE_REVOKED, "identity revoked", reason, err);
    *slot = (struct proven_chain){
        .entry = entry, .from_s = now_s, .until_s = MIN(leaf.not_after_s, now_s + PROVEN_S)};
    memcpy(slot->hash, hash, sizeof hash);
    *out = entry;
    return LETHE_OK;
}
