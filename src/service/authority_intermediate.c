/* An authority that somebody above signs. */
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "service/authority_core.h"

struct waiting_key {
    const struct authority_mount *mount;
    const struct lethe_secret *row;
    const char *name;
};

static lethe_result put_waiting(struct store *store, void *context, uint64_t epoch,
                                struct audit_event *event, struct lethe_error *err)
{
    const struct waiting_key *w = context;
    char path[AUTHORITY_PATH_SIZE];
    *event = audit_permission_changed(w->mount->name, "pki/intermediate", "request made");
    authority_path(w->mount, "waiting", path);
    return store_put(store, path, lethe_secret_bytes_const(w->row), lethe_secret_size(w->row),
                     STORE_ANY, err);
}

lethe_result authority_make_intermediate(struct authority *authority, const char *mount,
                                         const struct x509_subject *subject,
                                         enum signature_kind kind, struct buffer *request,
                                         struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL, *row = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    struct authority_mount *m = authority_mount(authority, mount);
    if (m->pair != NULL)
        return error_set(err, LETHE_EXISTS, "there is an authority already");
    TRY(sign_generate(kind, &secret, err));
    TRY(sign_pair_create(kind, secret, &pair, err));
    TRY(authority_key_format(kind, secret, &row, err));
    TRY(x509_make_request(subject, pair, request, err));
    struct waiting_key w = {.mount = m, .row = row, .name = subject->common_name};
    return authority_change(authority, put_waiting, &w, err);
}

/* ---- signed ---------------------------------------------------------------------------------- */

struct signed_chain {
    struct authority *authority;
    const struct authority_mount *mount;
    const struct lethe_secret *row;
    const void *chain;
    size_t chain_bytes;
    struct audit_event event;
};

static lethe_result move_key(struct store *store, const struct signed_chain *s,
                             struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    authority_path(s->mount, "waiting", path);
    TRY(store_delete(store, path, STORE_ANY, err));
    authority_path(s->mount, "key", path);
    return store_put(store, path, lethe_secret_bytes_const(s->row), lethe_secret_size(s->row),
                     STORE_ABSENT, err);
}

static lethe_result put_signed(struct store *store, void *context, uint64_t epoch,
                               struct audit_event *event, struct lethe_error *err)
{
    const struct signed_chain *s = context;
    char path[AUTHORITY_PATH_SIZE];
    *event = s->event;
    TRY(move_key(store, s, err));
    authority_path(s->mount, "ca", path);
    return document_put(store, path, s->chain, s->chain_bytes, err);
}

/* The certificate of what follows in the chain, which must lead to its last one. */
static lethe_result check_leads_up(const void *chain, size_t chain_bytes, uint64_t now_s,
                                   struct x509_summary *own, struct lethe_error *err)
{
    struct cursor cursor = cursor_over(chain, chain_bytes);
    const uint8_t *last = chain, *der;
    uint32_t length;
    while (cursor_left(&cursor) > 0) {
        last = cursor.at;
        if (cursor_le32(&cursor, &length) != LETHE_OK ||
            cursor_bytes(&cursor, length, &der) != LETHE_OK)
            return error_set(err, LETHE_MALFORMED, "a chain that ends too early");
    }
    const struct x509_check check = {
        .chain = chain,
        .chain_bytes = chain_bytes,
        .roots = last,
        .roots_bytes = (size_t)((const uint8_t *)chain + chain_bytes - last),
        .now_s = now_s,
    };
    struct lethe_error why = {0};
    lethe_result result = x509_check_chain(&check, own, &why);
    if (result == LETHE_DENIED)
        return error_set(err, LETHE_INVALID,
                         "expected the signed certificate, those above it and the root: %s",
                         why.text);
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}

static bool is_for(const struct x509_summary *own, const struct sign_pair *pair)
{
    uint8_t ours[SIGNATURE_PUBLIC_MAX_BYTES], theirs[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t our_bytes, their_bytes;
    if (own->key == NULL || sign_public_kind(own->key) != sign_public_kind(sign_pair_public(pair)))
        return false;
    sign_public_raw(own->key, theirs, &their_bytes);
    sign_public_raw(sign_pair_public(pair), ours, &our_bytes);
    return our_bytes == their_bytes && memcmp(ours, theirs, our_bytes) == 0;
}

static lethe_result get_waiting(struct authority *authority, const struct authority_mount *mount,
                                struct lethe_secret **row, struct sign_pair **pair,
                                struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    authority_path(mount, "waiting", path);
    lethe_result result = store_get(keeper_store(authority->service->keeper), path, row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INVALID, "no request of this authority waits for a signature");
    TRY(result);
    return authority_key_parse(*row, pair, err);
}

lethe_result authority_set_signed(struct authority *authority, const char *mount, const void *chain,
                                  size_t chain_bytes, struct lethe_error *err)
{
    struct authority_mount *m = authority_mount(authority, mount);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    CLEANUP(x509_summary_clear) struct x509_summary own = {0};
    TRY(get_waiting(authority, m, &row, &pair, err));
    TRY(check_leads_up(chain, chain_bytes, authority_now_s(authority), &own, err));
    if (!own.is_ca || !is_for(&own, pair))
        return error_set(err, LETHE_INVALID, "the certificate is %s",
                         own.is_ca ? "not for the key that waits" : "not an authority's");
    char serial[X509_SERIAL_TEXT_SIZE];
    x509_serial_text(own.serial, own.serial_bytes, serial);
    struct signed_chain s = {
        .authority = authority,
        .mount = m,
        .row = row,
        .chain = chain,
        .chain_bytes = chain_bytes,
        .event =
            audit_identity_issued(own.subject.common_name, serial, "intermediate", own.not_after_s),
    };
    TRY(authority_change(authority, put_signed, &s, err));
    return authority_rotate_crl(authority, mount, err);
}
