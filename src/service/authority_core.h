/* service/authority_core.h -- what the files of the PKI share; for them only. */
#ifndef SERVICE_AUTHORITY_CORE_H
#define SERVICE_AUTHORITY_CORE_H

#include "service/authority_rows.h"

#define AUTHORITY_MOUNTS 2u

struct authority_mount {
    const char *name;
    struct sign_pair *pair; /* NULL: there is no authority */
    struct buffer chain;    /* own certificate first; with lengths in front */
    struct x509_summary ca; /* own certificate */
    struct buffer root;     /* the last of the chain */
    struct buffer crl;      /* with its length in front; empty: none yet */
    uint64_t crl_number, crl_this_s, crl_next_s;
    struct authority_settings settings;
};

struct authority {
    struct service *service;
    struct authority_mount mounts[AUTHORITY_MOUNTS];
    uint64_t crl_retry_s; /* a CRL that could not be made is not tried again before */
};

/* Aborts for a name that is no mount: those are our own. */
struct authority_mount *authority_mount(struct authority *authority, const char *name);
/* LETHE_NOT_FOUND: it has no authority. */
LETHE_MUST_CHECK lethe_result authority_require(const struct authority_mount *mount,
                                                struct lethe_error *err);
uint64_t authority_now_s(const struct authority *authority);
const void *authority_own_der(const struct authority_mount *mount, size_t *size_bytes);

void authority_path(const struct authority_mount *mount, const char *what,
                    char out[AUTHORITY_PATH_SIZE]);
/* `what` with a serial behind: "certs/" and hex. */
void authority_serial_path(const struct authority_mount *mount, const char *what,
                           const uint8_t *serial, size_t serial_bytes,
                           char out[AUTHORITY_PATH_SIZE]);
/* "of/<hash>/" */
void authority_subject_path(const struct authority_mount *mount, const char *uri,
                            char out[AUTHORITY_PATH_SIZE]);

/* A change of ours, by keeper_change(), and a refresh behind it. */
LETHE_MUST_CHECK lethe_result authority_change(struct authority *authority,
                                               keeper_change_rows *change, void *context,
                                               struct lethe_error *err);
/* 158 random bits in 20 bytes: positive, and never shorter. */
LETHE_MUST_CHECK lethe_result authority_draw_serial(struct authority *authority,
                                                    uint8_t out[X509_SERIAL_BYTES],
                                                    struct lethe_error *err);

/* Inside a change: the CRL of all that is revoked and has not expired, signed by `pair` with the
 * certificate `ca`; its number is one more than the last. */
LETHE_MUST_CHECK lethe_result authority_write_crl(struct authority *authority, struct store *store,
                                                  const struct authority_mount *mount,
                                                  struct lethe_error *err);
/* Inside a change: marks one certificate; *revoked_s as it was or is. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result authority_mark_revoked(struct authority *authority,
                                                     struct store *store, const char *path,
                                                     uint64_t *revoked_s, struct lethe_error *err);

#endif
