/* tests/service/release_check.h -- a service with a model's key, and who wants it: an identity with
 * a certificate, a TPM that the test plays with OpenSSL, a guest on a chip of the tests' own
 * anchors. What they send really verifies, until a test changes it. */
#ifndef TESTS_SERVICE_RELEASE_CHECK_H
#define TESTS_SERVICE_RELEASE_CHECK_H

#include <openssl/evp.h>

#include "service_check.h"

#include "crypto/hpke.h"

#define PRINCIPAL "model-loader-sa"
#define LOADER_ID "spiffe://example.org/tenant/acme/" PRINCIPAL
#define REFERENCE_PCRS (1u << 0 | 1u << 7)
#define DATA_KEY_BYTES 32u

/* ---- a TPM ----------------------------------------------------------------------------------- */

struct tpm {
    EVP_PKEY *ak, *ek;
    struct buffer ak_public, ek_public; /* TPMT_PUBLIC */
    uint8_t pcrs[24][32];
    uint64_t clock_ms;
    uint32_t reset_count, restart_count;
};
void tpm_make(struct tpm *tpm);
void tpm_clear(struct tpm *tpm);
/* TPMS_ATTEST and TPMT_SIGNATURE. */
void tpm_quote(const struct tpm *tpm, const uint8_t binding[32], uint32_t pcr_mask,
               struct buffer *quote, struct buffer *signature);
/* Evidence: one JSON object. `vouched`: a sev-snp object; NULL: none. */
void tpm_prove(const struct tpm *tpm, const uint8_t binding[32], uint32_t pcr_mask,
               const char *vouched, struct buffer *json);
/* TPM2_ActivateCredential, for the key of this name; false: the TPM would not give it up. */
bool tpm_activate(const struct tpm *tpm, const struct buffer *blob, const struct buffer *seed,
                  uint8_t secret[32]);
/* TPMT_PUBLIC of a P-256 key. */
void tpm_public(EVP_PKEY *key, bool is_ek, struct buffer *out);

/* ---- a guest --------------------------------------------------------------------------------- */

#define GUEST_MEASUREMENT                                                                          \
    "sha384:abababababababababababababababababababababababababababababababababababababababababab"  \
    "abababababab"
struct guest;
struct guest *guest_make(uint64_t now_s); /* on a Milan */
void guest_free(struct guest *guest);
const char *guest_anchors(const struct guest *guest); /* PEM */
#define GUEST_PRODUCT "Milan"
const char *guest_chip(const struct guest *guest); /* CHIP_ID in hex */
/* The microcode's level goes down by this; its certificate is made anew. */
void guest_roll_back(struct guest *guest, uint8_t by);
void guest_measure(struct guest *guest, uint8_t byte); /* all of its measurement: this */
/* These bits of a byte of its report are the other way round, and signed; 0: none. */
void guest_change(struct guest *guest, size_t at, uint8_t bits);
void guest_expire(struct guest *guest, bool is_expired); /* its certificate */
void guest_prove(const struct guest *guest, const uint8_t data[32], struct buffer *json);

/* ---- a scene --------------------------------------------------------------------------------- */

struct wanted { /* zero: what is asked for when all is well */
    const char *principal, *operation, *model, *tenant, *tier;
    uint64_t release;
    size_t shards;       /* 0: 3 */
    size_t bad_shard;    /* its number, counted from 1, does not open */
    const char *members; /* more of them, with a comma in front */
};
struct identity {
    char id[160];
    struct buffer chain;
};
struct scene {
    struct check *check;
    struct clock_source clock;
    int64_t ahead_s; /* of the system's clock */
    struct tpm tpm;
    struct guest *guest;
    struct identity loader;
    const struct identity *who; /* whose connection it is; the loader's at first */
    char wrapped[600];
    uint8_t data_key[DATA_KEY_BYTES];

    /* one exchange */
    uint8_t nonce[32], public_key[32], binding[32];
    char service[80];
    uint32_t pcr_mask;
    struct lethe_secret *private_key;
    struct buffer request, evidence, body;
    size_t shard_count;
};
int scene_setup(void **state); /* *state: a struct scene; the TPM is enrolled as "rack7" */
int scene_teardown(void **state);
#define ON_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

uint64_t scene_now_s(const struct scene *scene);
/* Another process: who was connected connects again. */
void scene_reopen(struct scene *scene);
/* An identity with a certificate, which call() comes with from now on. */
void scene_connect_as(struct scene *scene, const char *id, struct identity *out);
void scene_come_back(struct scene *scene, const struct identity *identity);
/* A key, and a data key under it, which is what is asked for from now on. */
void scene_make_key(struct scene *scene, const char *name);

void must_ask(struct scene *scene, const char *method, const char *path, const char *body);
unsigned begin_enrolment(struct scene *scene, const char *name, const struct tpm *tpm,
                         const char *members);
/* What the TPM gives up for the last answer, as the body of the second call. */
void enrolment_answer(struct scene *scene, const struct tpm *tpm, char body[256]);
void must_enrol(struct scene *scene, const char *name, const struct tpm *tpm, const char *members);
/* The next version, of the TPM as it is now. */
void must_add_reference(struct scene *scene, const char *name, const struct tpm *tpm);

/* Step by step: */
void take_challenge(struct scene *scene);
void write_request(struct scene *scene, const struct wanted *wanted); /* and a fresh key pair */
void bind_request(struct scene *scene);
void prove_tpm(struct scene *scene);
void prove_guest(struct scene *scene);
unsigned send_release(struct scene *scene, const char *path);
/* All of them, by the TPM. */
unsigned ask_release(struct scene *scene, const struct wanted *wanted);

/* 403 with this code, on record once more, and nothing else left the service. */
#define assert_denied(scene, code) check_denied(scene, code, __FILE__, __LINE__)
void check_denied(struct scene *scene, const char *code, const char *file, int line);
/* Every data key, opened. */
void assert_released(struct scene *scene);

#endif
