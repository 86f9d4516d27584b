/* A root key that a TPM 2.0 seals (TCG, Library part 3: TPM2_Create, TPM2_Unseal), through
 * tpm2-tss.
 *
 * The parent is a storage key that every boot makes anew from the owner hierarchy's seed, by one
 * template: it need not be kept. Where PCRs are named, the policy of the sealed object is their
 * state when it was made. What goes between us and the TPM is encrypted under a session that is
 * salted with the parent, so that the bus shows nothing. Buffers of tpm2-tss that held the secret
 * are wiped before they are freed, as far as it hands them to us. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/error.h"
#include "kms/root_core.h"

#define PCR_COUNT 24u
#define NOBODY ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE

static void free_esys(void *memory)
{
    Esys_Free(memory);
}
static inline void free_esys_at_scope_end(void *at)
{
    free_esys(*(void **)at);
}

/* ---- "PCRS@TCTI" ------------------------------------------------------------------------------
 */

static lethe_result refuse_where(struct lethe_error *err)
{
    error_set(err, LETHE_INVALID, "a TPM is named tpm2[:[PCRS][@TPM]]");
    error_hint(err, "tpm2:7+11 seals to the state of PCRs 7 and 11; @device:/dev/tpmrm0 says which "
                    "TPM (default: the system's)");
    return LETHE_INVALID;
}

static lethe_result take_pcr(const char **at, TPML_PCR_SELECTION *pcrs, struct lethe_error *err)
{
    char *end;
    unsigned long pcr = strtoul(*at, &end, 10);
    if (**at < '0' || **at > '9' || end - *at > 2 || pcr >= PCR_COUNT)
        return refuse_where(err);
    pcrs->pcrSelections[0].pcrSelect[pcr / 8] |= (BYTE)(1u << pcr % 8);
    pcrs->count = 1;
    *at = end;
    return LETHE_OK;
}

/* *tcti borrows of `where`; NULL: the system's TPM. */
static lethe_result parse(const char *where, TPML_PCR_SELECTION *pcrs, const char **tcti,
                          struct lethe_error *err)
{
    *pcrs = (TPML_PCR_SELECTION){
        .pcrSelections = {{.hash = TPM2_ALG_SHA256, .sizeofSelect = PCR_COUNT / 8}}};
    *tcti = NULL;
    const char *at = where;
    while (*at != '\0' && *at != '@') {
        TRY(take_pcr(&at, pcrs, err));
        if (*at == '+' && at[1] >= '0' && at[1] <= '9')
            at++;
        else if (*at != '\0' && *at != '@')
            return refuse_where(err);
    }
    if (*at == '@')
        *tcti = at + 1;
    return *tcti == NULL || **tcti != '\0' ? LETHE_OK : refuse_where(err);
}

lethe_result root_tpm2_check(const char *where, struct lethe_error *err)
{
    TPML_PCR_SELECTION pcrs;
    const char *tcti;
    return parse(where, &pcrs, &tcti, err);
}

/* "swtpm:path=/run/tpm/s", "device:/dev/tpmrm0": as TPM2-TSS's loader has it (tctildr(7)). */
lethe_result root_tpm2_places(const char *where, struct root_places *out, struct lethe_error *err)
{
    TPML_PCR_SELECTION pcrs;
    const char *tcti;
    TRY(parse(where, &pcrs, &tcti, err));
    const char *path = tcti == NULL ? NULL : strchr(tcti, '/');
    if (path != NULL)
        snprintf(out->device, sizeof out->device, "%.*s", (int)strcspn(path, ","), path);
    return LETHE_OK;
}

/* ---- the TPM ----------------------------------------------------------------------------------
 */

struct tpm {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    TPML_PCR_SELECTION pcrs;
    ESYS_TR parent, session, object; /* ESYS_TR_NONE: not there */
};

static void tpm_close(struct tpm *tpm)
{
    const ESYS_TR handles[] = {tpm->object, tpm->session, tpm->parent};
    for (size_t i = 0; i < ARRAY_LEN(handles) && tpm->esys != NULL; i++) {
        if (handles[i] != ESYS_TR_NONE)
            (void)Esys_FlushContext(tpm->esys, handles[i]);
    }
    if (tpm->esys != NULL)
        Esys_Finalize(&tpm->esys);
    if (tpm->tcti != NULL)
        Tss2_TctiLdr_Finalize(&tpm->tcti);
}
static inline void tpm_close_at_scope_end(struct tpm *tpm)
{
    tpm_close(tpm);
}

static lethe_result failed(struct lethe_error *err, const char *what, TSS2_RC rc)
{
    return error_set(err, LETHE_UNAVAILABLE, "the TPM: %s: %s", what, Tss2_RC_Decode(rc));
}

static lethe_result connect_to(const char *tcti, struct tpm *tpm, struct lethe_error *err)
{
    setenv("TSS2_LOG", "all+none", false); /* our errors say it; whoever debugs has set it */
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &tpm->tcti);
    if (rc != TSS2_RC_SUCCESS) {
        failed(err, "it cannot be reached", rc);
        error_hint(err, "is there one (/dev/tpmrm0), and may this user open it (group tss)?");
        return LETHE_UNAVAILABLE;
    }
    rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : failed(err, "starting", rc);
}

/* TCG's template of a storage root key, ECC P-256. */
static TPM2B_PUBLIC parent_template(void)
{
    return (TPM2B_PUBLIC){.publicArea = {
                              .type = TPM2_ALG_ECC,
                              .nameAlg = TPM2_ALG_SHA256,
                              .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
                                                  TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                                  TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                                  TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
                              .parameters.eccDetail =
                                  {
                                      .symmetric = {.algorithm = TPM2_ALG_AES,
                                                    .keyBits.aes = 128,
                                                    .mode.aes = TPM2_ALG_CFB},
                                      .scheme.scheme = TPM2_ALG_NULL,
                                      .curveID = TPM2_ECC_NIST_P256,
                                      .kdf.scheme = TPM2_ALG_NULL,
                                  },
                          }};
}

static lethe_result make_parent(struct tpm *tpm, struct lethe_error *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    const TPM2B_PUBLIC template_ = parent_template();
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TSS2_RC rc = Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &nothing, &template_, &outside, &no_pcrs,
                                    &tpm->parent, NULL, NULL, NULL, NULL);
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : failed(err, "making the storage key", rc);
}

static lethe_result start_session(struct tpm *tpm, TPM2_SE kind, ESYS_TR *out,
                                  struct lethe_error *err)
{
    const TPMT_SYM_DEF cipher = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    const TPMA_SESSION encrypted =
        TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION;
    TSS2_RC rc = Esys_StartAuthSession(tpm->esys, tpm->parent, ESYS_TR_NONE, NOBODY, NULL, kind,
                                       &cipher, TPM2_ALG_SHA256, out);
    if (rc == TSS2_RC_SUCCESS && kind != TPM2_SE_TRIAL)
        rc = Esys_TRSess_SetAttributes(tpm->esys, *out, encrypted, 0xff);
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : failed(err, "starting a session", rc);
}

static lethe_result tpm_open(const char *where, struct tpm *tpm, struct lethe_error *err)
{
    const char *tcti;
    tpm->parent = tpm->session = tpm->object = ESYS_TR_NONE;
    TRY(parse(where, &tpm->pcrs, &tcti, err));
    TRY(connect_to(tcti, tpm, err));
    return make_parent(tpm, err);
}

/* Says to a session that the PCRs are as they are. */
static lethe_result apply_pcrs(struct tpm *tpm, ESYS_TR session, struct lethe_error *err)
{
    const TPM2B_DIGEST as_they_are = {0};
    TSS2_RC rc = Esys_PolicyPCR(tpm->esys, session, NOBODY, &as_they_are, &tpm->pcrs);
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : failed(err, "reading PCRs", rc);
}

/* ---- sealing ----------------------------------------------------------------------------------
 */

/* Of the PCRs as they are now; empty when none is named. */
static lethe_result policy_now(struct tpm *tpm, TPM2B_DIGEST *out, struct lethe_error *err)
{
    ESYS_TR trial = ESYS_TR_NONE;
    CLEANUP(free_esys) TPM2B_DIGEST *digest = NULL;
    *out = (TPM2B_DIGEST){0};
    if (tpm->pcrs.count == 0)
        return LETHE_OK;
    TRY(start_session(tpm, TPM2_SE_TRIAL, &trial, err));
    lethe_result result = apply_pcrs(tpm, trial, err);
    if (result == LETHE_OK &&
        Esys_PolicyGetDigest(tpm->esys, trial, NOBODY, &digest) != TSS2_RC_SUCCESS)
        result = error_set(err, LETHE_UNAVAILABLE, "the TPM gives no digest of its PCRs");
    if (result == LETHE_OK)
        *out = *digest;
    (void)Esys_FlushContext(tpm->esys, trial);
    return result;
}

static lethe_result store_blob(const TPM2B_PRIVATE *private_part, const TPM2B_PUBLIC *public_part,
                               struct root_record *record, struct lethe_error *err)
{
    size_t used = 0;
    TSS2_RC rc =
        Tss2_MU_TPM2B_PRIVATE_Marshal(private_part, record->blob, sizeof record->blob, &used);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public_part, record->blob, sizeof record->blob, &used);
    record->blob_bytes = used;
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : failed(err, "what it sealed is too large", rc);
}

static lethe_result create_sealed(struct tpm *tpm, const TPM2B_SENSITIVE_CREATE *secret,
                                  struct root_record *record, struct lethe_error *err)
{
    TPM2B_PUBLIC object = {
        .publicArea = {.type = TPM2_ALG_KEYEDHASH,
                       .nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes =
                           TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA,
                       .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    CLEANUP(free_esys) TPM2B_PRIVATE *private_part = NULL;
    CLEANUP(free_esys) TPM2B_PUBLIC *public_part = NULL;
    TRY(policy_now(tpm, &object.publicArea.authPolicy, err));
    if (tpm->pcrs.count == 0)
        object.publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
    TSS2_RC rc =
        Esys_Create(tpm->esys, tpm->parent, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE, secret,
                    &object, &outside, &no_pcrs, &private_part, &public_part, NULL, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(err, "sealing", rc);
    return store_blob(private_part, public_part, record, err);
}

lethe_result root_tpm2_seal(struct root_record *record, const struct lethe_secret *secret,
                            struct lethe_error *err)
{
    CLEANUP(tpm_close) struct tpm tpm = {0};
    CLEANUP(slab_free) void *guarded = NULL;
    TRY(tpm_open(record->spec.where, &tpm, err));
    TRY(start_session(&tpm, TPM2_SE_HMAC, &tpm.session, err));
    TRY(slab_alloc(sizeof(TPM2B_SENSITIVE_CREATE), &guarded, err));
    TPM2B_SENSITIVE_CREATE *sensitive = guarded;
    sensitive->sensitive.data.size = ROOT_KEY_BYTES;
    memcpy(sensitive->sensitive.data.buffer, lethe_secret_bytes_const(secret), ROOT_KEY_BYTES);
    return create_sealed(&tpm, sensitive, record, err);
}

/* ---- unsealing --------------------------------------------------------------------------------
 */

static lethe_result load_sealed(struct tpm *tpm, const struct root_record *record,
                                struct lethe_error *err)
{
    TPM2B_PRIVATE private_part = {0};
    TPM2B_PUBLIC public_part = {0};
    size_t used = 0;
    TSS2_RC rc =
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(record->blob, record->blob_bytes, &used, &private_part);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPM2B_PUBLIC_Unmarshal(record->blob, record->blob_bytes, &used, &public_part);
    if (rc != TSS2_RC_SUCCESS || used != record->blob_bytes)
        return error_set(err, LETHE_INTEGRITY, "what the TPM sealed is damaged");
    rc = Esys_Load(tpm->esys, tpm->parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                   &private_part, &public_part, &tpm->object);
    if (rc == TSS2_RC_SUCCESS)
        return LETHE_OK;
    error_set(err, LETHE_DENIED, "this TPM did not seal the home's root, or was cleared since: %s",
              Tss2_RC_Decode(rc));
    error_hint(err, "restore a backup of the home: lethe kms restore");
    return LETHE_DENIED;
}

static lethe_result take_secret(TPM2B_SENSITIVE_DATA *data, struct lethe_secret **out,
                                struct lethe_error *err)
{
    lethe_result result = data->size == ROOT_KEY_BYTES
                              ? lethe_secret_create(ROOT_KEY_BYTES, out, err)
                              : error_set(err, LETHE_INTEGRITY, "the TPM sealed something else");
    if (result == LETHE_OK)
        memcpy(lethe_secret_bytes(*out), data->buffer, ROOT_KEY_BYTES);
    lethe_wipe(data, sizeof *data);
    return result;
}

lethe_result root_tpm2_unseal(const struct root_record *record, struct lethe_secret **out,
                              struct lethe_error *err)
{
    CLEANUP(tpm_close) struct tpm tpm = {0};
    CLEANUP(free_esys) TPM2B_SENSITIVE_DATA *data = NULL;
    TRY(tpm_open(record->spec.where, &tpm, err));
    TRY(load_sealed(&tpm, record, err));
    bool by_state = tpm.pcrs.count > 0;
    TRY(start_session(&tpm, by_state ? TPM2_SE_POLICY : TPM2_SE_HMAC, &tpm.session, err));
    if (by_state)
        TRY(apply_pcrs(&tpm, tpm.session, err));
    TSS2_RC rc = Esys_Unseal(tpm.esys, tpm.object, tpm.session, ESYS_TR_NONE, ESYS_TR_NONE, &data);
    if (rc != TSS2_RC_SUCCESS)
        return error_set(err, LETHE_DENIED,
                         "the TPM does not give the root back: its PCRs are in another state: %s",
                         Tss2_RC_Decode(rc));
    return take_secret(data, out, err);
}
