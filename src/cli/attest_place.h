/* cli/attest_place.h -- what this machine makes evidence with, by options, environment and
 * lethe.conf; no home is needed. */
#ifndef CLI_ATTEST_PLACE_H
#define CLI_ATTEST_PLACE_H

#include "attest/tpm2_device.h"
#include "cli/kms_options.h"
#include "home/home.h"

struct attest_place {
    struct home_paths paths;
    struct configuration configuration; /* kms: as it holds for this command */
    struct attesting *attesting;
};
/* `kind` NULL: as it is set, or tpm2. */
LETHE_MUST_CHECK lethe_result attest_place_locate(const struct invocation *invocation,
                                                  const char *kind, struct attest_place *out,
                                                  struct lethe_error *err);
void attest_place_clear(struct attest_place *place);
static inline void attest_place_clear_at_scope_end(struct attest_place *place)
{
    attest_place_clear(place);
}
LETHE_MUST_CHECK lethe_result attest_place_tpm(const struct attest_place *place,
                                               struct tpm2_device **out, struct lethe_error *err);
/* Whether there is an attestation key in its place. */
bool attest_place_has_key(const struct attest_place *place);

/* "0,7" or "0-7": PCRs. LETHE_INVALID. */
#define ATTEST_PCRS_DEFAULT 0xffu
LETHE_MUST_CHECK lethe_result attest_read_pcr_list(const char *text, uint32_t *mask,
                                                   struct lethe_error *err);
/* Appends {"0":"<hex>",...}. */
void attest_put_pcrs(const struct tpm2_pcrs *pcrs, struct buffer *json);
/* Prints a JSON object for people, a line for each member, or as it is. */
LETHE_MUST_CHECK lethe_result attest_print(const struct buffer *json, bool as_json,
                                           struct lethe_error *err);
/* "sha256:<hex>" of a file. */
#define ATTEST_DIGEST_SIZE 72u
LETHE_MUST_CHECK lethe_result attest_file_digest(const char *path, char out[ATTEST_DIGEST_SIZE],
                                                 struct lethe_error *err);

#endif
