/* A root key that never leaves its token: AES-256-GCM by PKCS#11 (OASIS, 2.40), through p11-kit.
 *
 * Each use loads the module, logs in, works, and logs out again: nothing of it stays. The PIN comes
 * from where the URI's pin-source says (RFC 7512): "file:PATH" or "credential:NAME". */
#include <stdio.h>
#include <string.h>

#define CRYPTOKI_GNU 1
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "base/error.h"
#include "kms/root_core.h"
#include "kms/secret_file.h"

#define SLOTS_MAX 64u
#define LABEL_MAX 64u
#define CREDENTIAL "credential:"

struct token {
    P11KitUri *uri;
    CK_FUNCTION_LIST *module; /* NULL: not loaded */
    ck_session_handle_t session;
    bool initialised, has_session;
};

static void token_close(struct token *token)
{
    if (token->has_session)
        token->module->C_CloseSession(token->session);
    if (token->initialised)
        p11_kit_module_finalize(token->module);
    if (token->module != NULL)
        p11_kit_module_release(token->module);
    if (token->uri != NULL)
        p11_kit_uri_free(token->uri);
}
static inline void token_close_at_scope_end(struct token *token)
{
    token_close(token);
}

static lethe_result failed(struct lethe_error *err, lethe_result result, const char *what,
                           ck_rv_t reason)
{
    return error_set(err, result, "the token: %s: %s", what, p11_kit_strerror(reason));
}

/* ---- the URI ----------------------------------------------------------------------------------
 */

static lethe_result refuse_uri(struct lethe_error *err, const char *why)
{
    error_set(err, LETHE_INVALID, "the PKCS#11 URI %s", why);
    error_hint(err, "pkcs11:token=lethe;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so"
                    "&pin-source=file:/etc/lethe/pin");
    return LETHE_INVALID;
}

static bool has_label(P11KitUri *uri)
{
    const struct ck_attribute *label = p11_kit_uri_get_attribute(uri, CKA_LABEL);
    return label != NULL && label->value_len > 0 && label->value_len <= LABEL_MAX;
}

static lethe_result parse(const char *text, P11KitUri **out, struct lethe_error *err)
{
    *out = p11_kit_uri_new();
    if (*out == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a URI");
    if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, *out) != P11_KIT_URI_OK ||
        p11_kit_uri_any_unrecognized(*out) != 0)
        return refuse_uri(err, "cannot be read (RFC 7512)");
    if (!has_label(*out))
        return refuse_uri(err, "does not name the key: object=NAME");
    if (p11_kit_uri_get_pin_value(*out) != NULL)
        return refuse_uri(err, "holds a PIN, which would be kept in plain: use pin-source");
    if (p11_kit_uri_get_pin_source(*out) == NULL)
        return refuse_uri(err, "does not say where the PIN is: pin-source=file:PATH");
    const char *module = p11_kit_uri_get_module_path(*out);
    if (module == NULL || module[0] != '/')
        return refuse_uri(err, "does not name the token's library: module-path=/PATH");
    return LETHE_OK;
}

lethe_result root_pkcs11_check(const char *uri, struct lethe_error *err)
{
    P11KitUri *parsed = NULL;
    lethe_result result = parse(uri, &parsed, err);
    p11_kit_uri_free(parsed);
    return result;
}

/* NULL: it is a credential's. */
static const char *pin_path(P11KitUri *uri)
{
    static const char file[] = "file:";
    const char *source = p11_kit_uri_get_pin_source(uri);
    if (strncmp(source, CREDENTIAL, strlen(CREDENTIAL)) == 0)
        return NULL;
    return strncmp(source, file, strlen(file)) == 0 ? source + strlen(file) : source;
}

lethe_result root_pkcs11_places(const char *uri, struct root_places *out, struct lethe_error *err)
{
    P11KitUri *parsed = NULL;
    lethe_result result = parse(uri, &parsed, err);
    if (result == LETHE_OK) {
        const char *pin = pin_path(parsed);
        snprintf(out->library, sizeof out->library, "%s", p11_kit_uri_get_module_path(parsed));
        snprintf(out->pin, sizeof out->pin, "%s", pin != NULL ? pin : "");
    }
    p11_kit_uri_free(parsed);
    return result;
}

static lethe_result read_pin(P11KitUri *uri, struct lethe_secret **out, struct lethe_error *err)
{
    const char *source = pin_path(uri);
    if (source == NULL)
        return secret_credential_read(p11_kit_uri_get_pin_source(uri) + strlen(CREDENTIAL), out,
                                      err);
    if (source[0] != '/')
        return refuse_uri(err, "has a pin-source that is no absolute path: file:/PATH");
    return error_context(err, secret_token_read(source, out, err), "the token's PIN");
}

/* ---- the token --------------------------------------------------------------------------------
 */

static lethe_result load_module(struct token *token, struct lethe_error *err)
{
    const char *path = p11_kit_uri_get_module_path(token->uri);
    token->module = p11_kit_module_load(path, 0);
    if (token->module == NULL)
        return error_set(err, LETHE_UNAVAILABLE, "the token's library %s cannot be loaded: %s",
                         path, p11_kit_message());
    ck_rv_t rv = p11_kit_module_initialize(token->module);
    if (rv != CKR_OK)
        return failed(err, LETHE_UNAVAILABLE, "starting its library", rv);
    token->initialised = true;
    return LETHE_OK;
}

static lethe_result find_slot(const struct token *token, ck_slot_id_t *out, struct lethe_error *err)
{
    ck_slot_id_t slots[SLOTS_MAX];
    unsigned long count = SLOTS_MAX;
    ck_rv_t rv = token->module->C_GetSlotList(1, slots, &count);
    if (rv != CKR_OK)
        return failed(err, LETHE_UNAVAILABLE, "listing slots", rv);
    for (unsigned long i = 0; i < count; i++) {
        struct ck_token_info info;
        if (token->module->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            p11_kit_uri_match_token_info(token->uri, &info) != 0) {
            *out = slots[i];
            return LETHE_OK;
        }
    }
    return error_set(err, LETHE_UNAVAILABLE, "no token is there that the PKCS#11 URI fits");
}

static lethe_result log_in(struct token *token, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *pin = NULL;
    TRY(read_pin(token->uri, &pin, err));
    ck_rv_t rv = token->module->C_Login(token->session, CKU_USER, lethe_secret_bytes(pin),
                                        lethe_secret_size(pin));
    if (rv == CKR_PIN_LOCKED)
        return error_set(err, LETHE_DENIED, "the token is locked: too many wrong PINs");
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE)
        return error_set(err, LETHE_DENIED, "the PIN is not the token's");
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN
               ? LETHE_OK
               : failed(err, LETHE_UNAVAILABLE, "logging in", rv);
}

static lethe_result token_open(const char *uri, struct token *token, struct lethe_error *err)
{
    ck_slot_id_t slot;
    TRY(parse(uri, &token->uri, err));
    TRY(load_module(token, err));
    TRY(find_slot(token, &slot, err));
    ck_rv_t rv = token->module->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                              &token->session);
    if (rv != CKR_OK)
        return failed(err, LETHE_UNAVAILABLE, "opening a session", rv);
    token->has_session = true;
    return log_in(token, err);
}

/* *count is 0, 1, or 2 for several. */
static lethe_result find_key(struct token *token, ck_object_handle_t *key, unsigned long *count,
                             struct lethe_error *err)
{
    ck_object_class_t class_ = CKO_SECRET_KEY;
    ck_key_type_t type = CKK_AES;
    const struct ck_attribute *label = p11_kit_uri_get_attribute(token->uri, CKA_LABEL);
    struct ck_attribute wanted[] = {{CKA_CLASS, &class_, sizeof class_},
                                    {CKA_KEY_TYPE, &type, sizeof type},
                                    {CKA_LABEL, label->value, label->value_len}};
    ck_object_handle_t found[2];
    *count = 0;
    ck_rv_t rv = token->module->C_FindObjectsInit(token->session, wanted, ARRAY_LEN(wanted));
    if (rv == CKR_OK) {
        rv = token->module->C_FindObjects(token->session, found, ARRAY_LEN(found), count);
        token->module->C_FindObjectsFinal(token->session);
    }
    if (rv != CKR_OK)
        return failed(err, LETHE_UNAVAILABLE, "looking for the key", rv);
    *key = found[0];
    return *count < 2
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "the token has several AES keys of this name");
}

/* That it never was, and never will be, outside of the token. */
static lethe_result check_stays_inside(const struct token *token, ck_object_handle_t key,
                                       struct lethe_error *err)
{
    unsigned char sensitive = 0;
    unsigned char extractable = 1;
    unsigned long size_bytes = 0;
    struct ck_attribute is[] = {{CKA_SENSITIVE, &sensitive, sizeof sensitive},
                                {CKA_EXTRACTABLE, &extractable, sizeof extractable},
                                {CKA_VALUE_LEN, &size_bytes, sizeof size_bytes}};
    ck_rv_t rv = token->module->C_GetAttributeValue(token->session, key, is, ARRAY_LEN(is));
    if (rv != CKR_OK)
        return failed(err, LETHE_UNAVAILABLE, "asking about the key", rv);
    if (sensitive == 0 || extractable != 0 || size_bytes != ROOT_KEY_BYTES)
        return error_set(err, LETHE_UNPROTECTED,
                         "the token's key is not a sensitive, not extractable AES key of 256 bits");
    return LETHE_OK;
}

static lethe_result generate(struct token *token, struct lethe_error *err)
{
    unsigned char yes = 1;
    unsigned char no = 0;
    unsigned long size_bytes = ROOT_KEY_BYTES;
    const struct ck_attribute *label = p11_kit_uri_get_attribute(token->uri, CKA_LABEL);
    struct ck_attribute made[] = {{CKA_TOKEN, &yes, 1},
                                  {CKA_PRIVATE, &yes, 1},
                                  {CKA_SENSITIVE, &yes, 1},
                                  {CKA_EXTRACTABLE, &no, 1},
                                  {CKA_ENCRYPT, &yes, 1},
                                  {CKA_DECRYPT, &yes, 1},
                                  {CKA_WRAP, &no, 1},
                                  {CKA_UNWRAP, &no, 1},
                                  {CKA_LABEL, label->value, label->value_len},
                                  {CKA_VALUE_LEN, &size_bytes, sizeof size_bytes}};
    struct ck_mechanism mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    ck_object_handle_t key;
    ck_rv_t rv =
        token->module->C_GenerateKey(token->session, &mechanism, made, ARRAY_LEN(made), &key);
    return rv == CKR_OK ? LETHE_OK : failed(err, LETHE_UNAVAILABLE, "making a key", rv);
}

lethe_result root_pkcs11_make(const char *uri, struct lethe_error *err)
{
    CLEANUP(token_close) struct token token = {0};
    ck_object_handle_t key;
    unsigned long count;
    TRY(token_open(uri, &token, err));
    TRY(find_key(&token, &key, &count, err));
    if (count == 0) {
        TRY(generate(&token, err));
        TRY(find_key(&token, &key, &count, err));
    }
    return check_stays_inside(&token, key, err);
}

/* ---- sealing and opening ----------------------------------------------------------------------
 */

static lethe_result open_with_key(const char *uri, struct token *token, ck_object_handle_t *key,
                                  struct lethe_error *err)
{
    unsigned long count;
    TRY(token_open(uri, token, err));
    TRY(find_key(token, key, &count, err));
    if (count == 0)
        return error_set(err, LETHE_UNAVAILABLE, "the key is not in the token");
    return check_stays_inside(token, *key, err);
}

static struct ck_gcm_params parameters_of(const struct aead_message *message)
{
    return (struct ck_gcm_params){
        .iv_ptr = (unsigned char *)message->nonce,
        .iv_len = AEAD_NONCE_BYTES,
        .iv_bits = AEAD_NONCE_BYTES * 8,
        .aad_ptr = (unsigned char *)message->aad,
        .aad_len = message->aad_bytes,
        .tag_bits = AEAD_TAG_BYTES * 8,
    };
}

lethe_result root_pkcs11_seal(const char *uri, const struct aead_message *message,
                              uint8_t tag[AEAD_TAG_BYTES], struct lethe_error *err)
{
    CLEANUP(token_close) struct token token = {0};
    ck_object_handle_t key;
    uint8_t sealed[ROOT_KEY_BYTES + AEAD_TAG_BYTES];
    unsigned long size_bytes = sizeof sealed;
    REQUIRE(message->size_bytes == ROOT_KEY_BYTES);
    TRY(open_with_key(uri, &token, &key, err));
    struct ck_gcm_params parameters = parameters_of(message);
    struct ck_mechanism mechanism = {CKM_AES_GCM, &parameters, sizeof parameters};
    ck_rv_t rv = token.module->C_EncryptInit(token.session, &mechanism, key);
    if (rv == CKR_OK)
        rv = token.module->C_Encrypt(token.session, (unsigned char *)message->in,
                                     message->size_bytes, sealed, &size_bytes);
    if (rv != CKR_OK || size_bytes != sizeof sealed)
        return failed(err, LETHE_UNAVAILABLE, "AES-GCM", rv);
    memcpy(message->out, sealed, ROOT_KEY_BYTES);
    memcpy(tag, sealed + ROOT_KEY_BYTES, AEAD_TAG_BYTES);
    return LETHE_OK;
}

lethe_result root_pkcs11_open(const char *uri, const struct aead_message *message,
                              const uint8_t tag[AEAD_TAG_BYTES], struct lethe_error *err)
{
    CLEANUP(token_close) struct token token = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    ck_object_handle_t key;
    uint8_t sealed[ROOT_KEY_BYTES + AEAD_TAG_BYTES];
    unsigned long size_bytes = sizeof sealed; /* a token may want room for the tag, too */
    REQUIRE(message->size_bytes == ROOT_KEY_BYTES);
    TRY(open_with_key(uri, &token, &key, err));
    TRY(lethe_secret_create(sizeof sealed, &opened, err));
    memcpy(sealed, message->in, ROOT_KEY_BYTES);
    memcpy(sealed + ROOT_KEY_BYTES, tag, AEAD_TAG_BYTES);
    struct ck_gcm_params parameters = parameters_of(message);
    struct ck_mechanism mechanism = {CKM_AES_GCM, &parameters, sizeof parameters};
    ck_rv_t rv = token.module->C_DecryptInit(token.session, &mechanism, key);
    if (rv == CKR_OK)
        rv = token.module->C_Decrypt(token.session, sealed, sizeof sealed,
                                     lethe_secret_bytes(opened), &size_bytes);
    if (rv != CKR_OK || size_bytes != ROOT_KEY_BYTES)
        return error_set(
            err, LETHE_DENIED,
            "this root belongs to another home: the token's key does not open this one");
    memcpy(message->out, lethe_secret_bytes_const(opened), ROOT_KEY_BYTES);
    return LETHE_OK;
}
