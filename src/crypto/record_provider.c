#include "crypto/record_provider.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include "crypto/ipsec.h"
#include "crypto/openssl.h"

#define PROVIDER_NAME "lethe"
/* From this version on, OpenSSL's own AES-GCM uses VAES as well. */
#define OPENSSL_FAST_MINOR 5u

/* ---- the provider ---------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *query(void *context, int operation, int *may_not_be_kept)
{
    *may_not_be_kept = 0;
    return operation == OSSL_OP_CIPHER ? record_ciphers : NULL;
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {0, NULL},
};

static int start_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                          const OSSL_DISPATCH **out, void **context)
{
    *out = functions;
    *context = NULL;
    return 1;
}

bool record_library_create(struct record_library *out)
{
    *out = (struct record_library){0};
    if (ipsec_direct() == NULL)
        return false;
    out->context = OSSL_LIB_CTX_new();
    if (out->context != NULL &&
        OSSL_PROVIDER_add_builtin(out->context, PROVIDER_NAME, start_provider) == 1)
        out->ours = OSSL_PROVIDER_load(out->context, PROVIDER_NAME);
    if (out->ours != NULL)
        out->theirs = OSSL_PROVIDER_load(out->context, "default");
    if (out->theirs != NULL)
        return true;
    record_library_free(out);
    ERR_clear_error();
    return false;
}

void record_library_free(struct record_library *library)
{
    if (library->theirs != NULL)
        OSSL_PROVIDER_unload(library->theirs);
    if (library->ours != NULL)
        OSSL_PROVIDER_unload(library->ours);
    OSSL_LIB_CTX_free(library->context);
    *library = (struct record_library){0};
}

/* ---- whether it is used ---------------------------------------------------------------------- */

static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static struct record_library chosen;

/* With OpenSSL's own: its random generator keeps state in the secure heap, and wipes it. */
static void free_chosen(void)
{
    record_library_free(&chosen);
}

/* Who has configured OpenSSL to take its ciphers from elsewhere wants these records too. */
static bool is_default_in_charge(void)
{
    const OSSL_PROVIDER *provider = EVP_CIPHER_get0_provider(openssl()->aes_256_gcm);
    return strcmp(OSSL_PROVIDER_get0_name(provider), "default") == 0;
}

static void choose(void)
{
    const char *wish = secure_getenv("LETHE_AEAD");
    bool unwanted = wish != NULL && strcmp(wish, "openssl") == 0;
    bool needless = OPENSSL_version_major() > 3 || OPENSSL_version_minor() >= OPENSSL_FAST_MINOR;
    if (!unwanted && !needless && is_default_in_charge() && record_library_create(&chosen))
        OPENSSL_atexit(free_chosen);
}

OSSL_LIB_CTX *record_library(void)
{
    REQUIRE(pthread_once(&chosen_once, choose) == 0);
    return chosen.context;
}
