/* cli/kms_place.h -- a home and its settings, as the service that is started there gets them. */
#ifndef CLI_KMS_PLACE_H
#define CLI_KMS_PLACE_H

#include "cli/common_kms.h"
#include "service/serve.h"

#define KMS_DIRECTORY_SIZE 1024u

struct kms_place {
    struct home_paths paths;
    struct serve_configuration configuration;
    char *admin_path;
    char *ca_path;
    char node[NAME_PART_MAX + 1];
    char actor[HOME_ACTOR_SIZE];
    struct root_spec root;
    char root_directory[KMS_DIRECTORY_SIZE];
    struct root_places root_places, attest_places;
    char *attest_key_path;
    const char *root_readable[4], *root_writable[CONF_LIST_MAX + 3];
    const char *names[SERVE_NAMES_MAX];
    struct serve_options serve; /* borrows of all of this: it stays where it is */
};
/* Where the home is, and what --config or its kms.conf says. The home may not be there yet. */
LETHE_MUST_CHECK lethe_result kms_place_locate(const struct invocation *invocation,
                                               struct kms_place *out, struct lethe_error *err);
/* The rest, of a home that is there. LETHE_NOT_FOUND with a hint when it is not. */
LETHE_MUST_CHECK lethe_result kms_place_fill(struct kms_place *place, struct lethe_error *err);
void kms_place_clear(struct kms_place *place);
static inline void kms_place_clear_at_scope_end(struct kms_place *place)
{
    kms_place_clear(place);
}

DEFINE_CLEANUP(service_free, struct service *);
/* The certificates of those who sign the door's and clients' certificates, as PEM, into
 * place->ca_path: for clients. */
LETHE_MUST_CHECK lethe_result kms_write_ca(const struct kms_place *place, struct service *service,
                                           struct lethe_error *err);

/* For --dev, in a process of its own, so that the one that goes on holds no secret: makes the home
 * unless it is there, and a root token; then waits until told what the service is reached by, and
 * prints both. */
struct kms_teller {
    pid_t pid; /* 0: there is none */
    int tell;
};
LETHE_MUST_CHECK lethe_result kms_teller_start(struct kms_place *place, bool as_json,
                                               struct kms_teller *out, struct lethe_error *err);
/* Once: it prints, and ends. With NULL it only ends. */
void kms_teller_finish(struct kms_teller *teller, const char *address);

#endif
