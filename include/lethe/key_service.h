/* lethe/key_service.h -- a home whose keys a key service keeps: `lethe kms serve`, or any service
 * with Vault's transit engine.
 *
 * A program does by it what commands do by `--kms`. It opens a home, says which service is asked
 * for keys in place of that home, and goes on as always:
 *
 *     const struct lethe_key_service service = {
 *         .url = "https://keys.example.org:8200", .ca_path = "ca.pem",
 *         .certificate_path = "node.pem", .key_path = "node.key"};
 *     lethe_home_open(NULL, &home, &err);
 *     lethe_home_use_key_service(home, &service, &err);
 *     lethe_model_open(home, "llama.lethe", &model, &err);
 *     ...
 *     lethe_home_check_keys(home, model, &err)             every second or so, while it is used
 *
 * A service that releases keys to machines which have proven what they run is given that proof:
 * .attest = "tpm2". Evidence is made when keys are asked for, one piece for all that a call needs.
 *
 * What the service releases is on record there, and what was done with it in the home's log. A home
 * whose lethe.conf names a service in [kms] asks that one without this call.
 *
 * Thread rule: as lethe/home.h. */
#ifndef LETHE_KEY_SERVICE_H
#define LETHE_KEY_SERVICE_H

#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

struct lethe_home;
struct lethe_model;

/* Texts are copied. No secret is in them: a key and a token are named by their files, which are
 * read again when they have changed, so that whoever renews them need not restart the program. */
struct lethe_key_service {
    const char *url;              /* "https://HOST:PORT"; there is no other scheme             */
    const char *ca_path;          /* whom to believe that it is the service, PEM; NULL: the    */
                                  /* system's                                                  */
    const char *certificate_path; /* who this is, PEM, and                                     */
    const char *key_path;         /* its key, PEM, a file of mode 0600; both NULL: none        */
    const char *token_path;       /* a token, a file of mode 0600; NULL: none                  */
    uint64_t cache_ttl_s;         /* how long a data key is kept here; 0: not at all           */
    uint64_t offline_s;           /* how long keys in use outlive a service that is out of     */
                                  /* reach; 0: 60                                              */
    const char *service;          /* the identity ("lethe-kms:...") that it must have; NULL:   */
                                  /* any that ca_path vouches for                              */
    /* What this machine proves to get data keys (docs/release-protocol.md); it needs a        */
    /* certificate with a SPIFFE id.                                                           */
    const char *attest;          /* "tpm2", "sev-snp"; NULL: nothing                          */
    const char *tpm;             /* the way to the TPM, a TCTI of tpm2-tss; NULL: the         */
                                 /* system's                                                  */
    const char *attest_key_path; /* the TPM's attestation key, made when it is not there;     */
                                 /* NULL: attest.key in the home                              */
    const char *ima_log_path;    /* what IMA has measured; NULL: the kernel's, when a service */
                                 /* asks for PCR 10                                           */
    const char *vek_path;        /* sev-snp: the VCEK's or VLEK's certificate; NULL: the      */
                                 /* host's                                                    */
};

/* From now on the service is asked for everything about keys. It comes behind lethe_home_open() and
 * before the home's first model, and takes the place of what lethe.conf says. Files are read now;
 * nothing is connected yet, so that a service which is not there is found out by what asks it
 * first, as LETHE_UNAVAILABLE. On failure keys come from where they came from before.
 * LETHE_INVALID:     the URL is none; a certificate without its key, or the other way round; a file
 *                    does not hold what it should.
 * LETHE_UNPROTECTED: others may read the key or the token.
 * LETHE_CONFLICT:    the home has opened a model, or this was called before.
 * LETHE_UNAVAILABLE, LETHE_NOT_FOUND, LETHE_IO, LETHE_NO_MEMORY: a file; as they say. */
LETHE_MUST_CHECK lethe_result lethe_home_use_key_service(struct lethe_home *home,
                                                         const struct lethe_key_service *service,
                                                         struct lethe_error *err);

/* Whether all keys of a model may still be used. For whoever goes on using weights after they were
 * opened, as `lethe exec` does for an engine: on anything but LETHE_OK end their use, and wipe. May
 * be called as often as you like: a service is asked for each key once a second, and waited for two
 * at most. Keys of the home's own are looked up.
 * LETHE_REVOKED:     a key was, or this node's token or identity; the text says which.
 * LETHE_NOT_FOUND:   there is no such key any more.
 * LETHE_UNAVAILABLE: the service has been out of reach for longer than offline_s.
 * LETHE_IO, LETHE_INTEGRITY, LETHE_NO_MEMORY: as they say. */
LETHE_MUST_CHECK lethe_result lethe_home_check_keys(struct lethe_home *home,
                                                    const struct lethe_model *model,
                                                    struct lethe_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
