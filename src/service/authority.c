#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "service/authority_core.h"

#define NS_PER_S UINT64_C(1000000000)
#define CRL_TTL_S UINT64_C(259200) /* 72 h */

static const char *const mount_names[AUTHORITY_MOUNTS] = {AUTHORITY_PKI, AUTHORITY_IDENTITIES};

struct authority_mount *authority_mount(struct authority *authority, const char *name)
{
    size_t i = 0;
    while (i < AUTHORITY_MOUNTS && strcmp(mount_names[i], name) != 0)
        i++;
    REQUIRE(i < AUTHORITY_MOUNTS);
    return &authority->mounts[i];
}

lethe_result authority_require(const struct authority_mount *mount, struct lethe_error *err)
{
    if (mount->pair != NULL)
        return LETHE_OK;
    return error_set(err, LETHE_NOT_FOUND, "there is no authority yet");
}

uint64_t authority_now_s(const struct authority *authority)
{
    const struct clock_source *clock = authority->service->options.keeper.clock;
    return clock_wall_ns(clock != NULL ? clock : &clock_system) / NS_PER_S;
}

const void *authority_own_der(const struct authority_mount *mount, size_t *size_bytes)
{
    uint32_t length;
    const uint8_t *der;
    struct cursor chain = cursor_over(mount->chain.bytes, mount->chain.size_bytes);
    REQUIRE(cursor_le32(&chain, &length) == LETHE_OK &&
            cursor_bytes(&chain, length, &der) == LETHE_OK);
    *size_bytes = length;
    return der;
}

lethe_result authority_draw_serial(struct authority *authority, uint8_t out[X509_SERIAL_BYTES],
                                   struct lethe_error *err)
{
    const struct random_source *random = authority->service->options.keeper.random;
    if (random_fill(random != NULL ? random : &random_system, out, X509_SERIAL_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness to give");
    out[0] = (uint8_t)((out[0] & 0x3f) | 0x40);
    return LETHE_OK;
}

/* ---- paths ----------------------------------------------------------------------------------- */

void authority_path(const struct authority_mount *mount, const char *what,
                    char out[AUTHORITY_PATH_SIZE])
{
    int length = snprintf(out, AUTHORITY_PATH_SIZE, "pki/%s/%s", mount->name, what);
    REQUIRE(length > 0 && (size_t)length < AUTHORITY_PATH_SIZE);
}

void authority_serial_path(const struct authority_mount *mount, const char *what,
                           const uint8_t *serial, size_t serial_bytes,
                           char out[AUTHORITY_PATH_SIZE])
{
    REQUIRE(serial_bytes <= X509_SERIAL_BYTES);
    authority_path(mount, what, out);
    size_t length = strlen(out);
    REQUIRE(length + 2 * (size_t)X509_SERIAL_BYTES < AUTHORITY_PATH_SIZE);
    hex_encode(serial, serial_bytes, out + length);
}

void authority_subject_path(const struct authority_mount *mount, const char *uri,
                            char out[AUTHORITY_PATH_SIZE])
{
    uint8_t hash[SHA256_BYTES];
    sha256(uri, strlen(uri), hash);
    authority_path(mount, "of/", out);
    size_t length = strlen(out);
    hex_encode(hash, sizeof hash, out + length);
    strcat(out, "/");
}

/* ---- reading a mount ------------------------------------------------------------------------- */

static void mount_clear(struct authority_mount *mount)
{
    sign_pair_free(mount->pair);
    buffer_clear(&mount->chain);
    buffer_clear(&mount->root);
    buffer_clear(&mount->crl);
    x509_summary_clear(&mount->ca);
    *mount = (struct authority_mount){.name = mount->name};
}
static void mount_clear_at_scope_end(struct authority_mount *mount)
{
    mount_clear(mount);
}

/* LETHE_OK without `out` when there is none. */
static lethe_result get_row(struct store *store, const struct authority_mount *mount,
                            const char *what, struct lethe_secret **out, struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    authority_path(mount, what, path);
    lethe_result result = store_get(store, path, out, NULL, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

static lethe_result get_document(struct store *store, const struct authority_mount *mount,
                                 const char *what, struct buffer *out, struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    authority_path(mount, what, path);
    lethe_result result = document_get(store, path, out, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

static lethe_result malformed(const struct authority_mount *mount, const char *what,
                              struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "the %s of the authority %s is stored in another form",
                     what, mount->name);
}

static lethe_result load_settings(struct store *store, struct authority_mount *mount,
                                  struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    mount->settings.crl_ttl_s = CRL_TTL_S;
    TRY(get_row(store, mount, "settings", &row, err));
    if (row != NULL && authority_settings_parse(lethe_secret_bytes_const(row),
                                                lethe_secret_size(row), &mount->settings))
        return malformed(mount, "row of settings", err);
    return LETHE_OK;
}

/* The last of the chain is where belief begins. */
static lethe_result split_chain(struct authority_mount *mount, struct lethe_error *err)
{
    struct cursor chain = cursor_over(mount->chain.bytes, mount->chain.size_bytes);
    const uint8_t *der = NULL;
    uint32_t length = 0;
    while (cursor_left(&chain) > 0)
        if (cursor_le32(&chain, &length) != LETHE_OK ||
            cursor_bytes(&chain, length, &der) != LETHE_OK)
            return malformed(mount, "chain", err);
    if (der == NULL)
        return malformed(mount, "chain", err);
    buffer_prefixed(&mount->root, der, length);
    TRY(buffer_result(&mount->root, err));
    size_t own_bytes;
    const void *own = authority_own_der(mount, &own_bytes);
    return x509_read(own, own_bytes, &mount->ca, err);
}

static lethe_result load_crl(struct store *store, struct authority_mount *mount,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer document = {0};
    TRY(get_document(store, mount, "crl", &document, err));
    if (document.size_bytes == 0)
        return LETHE_OK;
    struct authority_crl_row row;
    if (authority_crl_parse((const uint8_t *)document.bytes, document.size_bytes, &row) != LETHE_OK)
        return malformed(mount, "CRL", err);
    mount->crl_number = row.number;
    mount->crl_this_s = row.this_s;
    mount->crl_next_s = row.next_s;
    buffer_prefixed(&mount->crl, row.der, row.der_bytes);
    return buffer_result(&mount->crl, err);
}

static lethe_result load_mount(struct store *store, struct authority_mount *mount,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(load_settings(store, mount, err));
    TRY(get_row(store, mount, "key", &key, err));
    if (key == NULL)
        return LETHE_OK;
    TRY(authority_key_parse(key, &mount->pair, err));
    TRY(get_document(store, mount, "ca", &mount->chain, err));
    TRY(split_chain(mount, err));
    return load_crl(store, mount, err);
}

lethe_result authority_refresh(struct authority *authority, struct lethe_error *err)
{
    struct store *store = keeper_store(authority->service->keeper);
    for (size_t i = 0; i < AUTHORITY_MOUNTS; i++) {
        CLEANUP(mount_clear) struct authority_mount fresh = {.name = mount_names[i]};
        TRY(error_context(err, load_mount(store, &fresh, err), "the authority %s", fresh.name));
        mount_clear(&authority->mounts[i]);
        authority->mounts[i] = fresh;
        fresh = (struct authority_mount){.name = mount_names[i]}; /* moved */
    }
    return LETHE_OK;
}

lethe_result authority_open(struct service *service, struct authority **out,
                            struct lethe_error *err)
{
    *out = NULL;
    struct authority *authority = calloc(1, sizeof *authority);
    if (authority == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the authorities");
    authority->service = service;
    for (size_t i = 0; i < AUTHORITY_MOUNTS; i++)
        authority->mounts[i].name = mount_names[i];
    lethe_result result = authority_refresh(authority, err);
    if (result != LETHE_OK)
        authority_free(authority);
    else
        *out = authority;
    return result;
}

void authority_free(struct authority *authority)
{
    if (authority == NULL)
        return;
    for (size_t i = 0; i < AUTHORITY_MOUNTS; i++)
        mount_clear(&authority->mounts[i]);
    free(authority);
}

lethe_result authority_change(struct authority *authority, keeper_change_rows *change,
                              void *context, struct lethe_error *err)
{
    TRY(keeper_change(authority->service->keeper, "", change, context, err));
    return authority_refresh(authority, err);
}

/* ---- looking at it --------------------------------------------------------------------------- */

#define RETRY_S 60u

/* Three quarters into its life; or from a time to come, since the clock was set back: nobody takes
 * it then. */
static bool crl_is_old(const struct authority_mount *mount, uint64_t now_s)
{
    uint64_t life_s = mount->crl_next_s - mount->crl_this_s;
    return mount->crl.size_bytes == 0 || now_s < mount->crl_this_s ||
           now_s >= mount->crl_this_s + life_s / 4 * 3;
}

/* One that cannot be made now leaves the last one in force, as long as it is. */
static void renew_crl(struct authority *authority, const struct authority_mount *mount)
{
    uint64_t now_s = authority_now_s(authority);
    bool is_soon = now_s < authority->crl_retry_s && authority->crl_retry_s - now_s <= RETRY_S;
    if (!crl_is_old(mount, now_s) || is_soon)
        return;
    if (authority_rotate_crl(authority, mount->name, NULL) != LETHE_OK)
        authority->crl_retry_s = now_s + RETRY_S;
}

lethe_result authority_view(struct authority *authority, const char *mount,
                            struct authority_view *out, struct lethe_error *err)
{
    struct authority_mount *m = authority_mount(authority, mount);
    *out = (struct authority_view){0};
    TRY(authority_require(m, err));
    renew_crl(authority, m);
    *out = (struct authority_view){
        .roots = (const uint8_t *)m->root.bytes,
        .roots_bytes = m->root.size_bytes,
        .crls = (const uint8_t *)m->crl.bytes,
        .crls_bytes = m->crl.size_bytes,
        .chain = (const uint8_t *)m->chain.bytes,
        .chain_bytes = m->chain.size_bytes,
        .not_after_s = m->ca.not_after_s,
    };
    return LETHE_OK;
}

const struct authority_settings *authority_settings(const struct authority *authority,
                                                    const char *mount)
{
    return &authority_mount((struct authority *)(uintptr_t)authority, mount)->settings;
}

void authority_id(const struct authority *authority, const char *mount, char out[AUTHORITY_ID_SIZE])
{
    static const size_t group_bytes[] = {4, 2, 2, 2, 6};
    const struct buffer *root =
        &authority_mount((struct authority *)(uintptr_t)authority, mount)->root;
    uint8_t hash[SHA256_BYTES];
    const uint8_t *from = hash;
    out[0] = '\0';
    if (root->size_bytes == 0)
        return;
    sha256(root->bytes, root->size_bytes, hash);
    hash[6] = (uint8_t)((hash[6] & 0x0f) | 0x80);
    hash[8] = (uint8_t)((hash[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < ARRAY_LEN(group_bytes); from += group_bytes[i++]) {
        if (i > 0)
            *out++ = '-';
        hex_encode(from, group_bytes[i], out);
        out += 2 * group_bytes[i];
    }
}

struct new_settings {
    const struct authority_mount *mount;
    const struct authority_settings *settings;
};

static lethe_result put_settings(struct store *store, void *context, uint64_t epoch,
                                 struct audit_event *event, struct lethe_error *err)
{
    const struct new_settings *n = context;
    char path[AUTHORITY_PATH_SIZE];
    CLEANUP(buffer_clear) struct buffer row = {0};
    authority_settings_format(n->settings, &row);
    TRY(buffer_result(&row, err));
    authority_path(n->mount, "settings", path);
    *event = audit_permission_changed(n->mount->name, "pki/settings", "written");
    return store_put(store, path, row.bytes, row.size_bytes, STORE_ANY, err);
}

lethe_result authority_set(struct authority *authority, const char *mount,
                           const struct authority_settings *settings, struct lethe_error *err)
{
    struct new_settings n = {authority_mount(authority, mount), settings};
    return authority_change(authority, put_settings, &n, err);
}
