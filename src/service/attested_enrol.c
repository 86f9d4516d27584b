/* Machines that were sent a secret, which they can only send back if they have the TPM they say. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/attested_core.h"

static void forget(struct enrolment *enrolment)
{
    lethe_secret_free(enrolment->secret);
    *enrolment = (struct enrolment){0};
}

/* The one that ends first; free ones end at once. */
static struct enrolment *slot_for(struct attested *attested)
{
    struct enrolment *first = &attested->enrolments[0];
    for (size_t i = 1; i < ENROLMENTS_MAX; i++) {
        if (attested->enrolments[i].until_s < first->until_s)
            first = &attested->enrolments[i];
    }
    return first;
}

lethe_result enrolments_begin(struct attested *attested, const struct machine *machine,
                              struct lethe_secret *secret, uint64_t now_s,
                              char id[ENROLMENT_ID_SIZE], struct lethe_error *err)
{
    uint8_t random[(ENROLMENT_ID_SIZE - 1) / 2];
    struct enrolment *slot = slot_for(attested);
    forget(slot);
    slot->secret = secret;
    if (attested_random(attested, random, sizeof random) != LETHE_OK) {
        forget(slot);
        return error_set(err, LETHE_FAILED, "the system has no randomness");
    }
    slot->machine = *machine;
    slot->until_s = now_s + ENROLMENT_S;
    hex_encode(random, sizeof random, slot->id);
    memcpy(id, slot->id, ENROLMENT_ID_SIZE);
    return LETHE_OK;
}

lethe_result enrolments_finish(struct attested *attested, const char *id, const void *secret,
                               size_t secret_bytes, uint64_t now_s, struct machine *out,
                               struct lethe_error *err)
{
    struct enrolment *found = NULL;
    for (size_t i = 0; i < ENROLMENTS_MAX; i++) {
        struct enrolment *at = &attested->enrolments[i];
        if (at->until_s > now_s && at->until_s <= now_s + ENROLMENT_S && strcmp(at->id, id) == 0)
            found = at;
    }
    if (found == NULL)
        return error_set(err, LETHE_NOT_FOUND,
                         "there is no such enrolment: it ends after %u seconds, and at the first "
                         "answer",
                         ENROLMENT_S);
    bool fits = secret_bytes == lethe_secret_size(found->secret) &&
                bytes_equal(secret, lethe_secret_bytes_const(found->secret), secret_bytes);
    *out = found->machine;
    forget(found);
    return fits ? LETHE_OK
                : error_set(err, LETHE_DENIED,
                            "that is not what was encrypted to the endorsement key");
}
