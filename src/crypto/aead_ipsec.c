#include <stdalign.h>

#include "crypto/aead_backend.h"
#include "crypto/hash.h"
#include "crypto/ipsec.h"

struct ipsec_state {
    alignas(
        64) struct gcm_key_data schedule; /* the header forgets to say that it must be aligned */
    aes_gcm_enc_dec_t seal;
    aes_gcm_enc_dec_t open;
};

static bool available(void)
{
    return ipsec_direct() != NULL;
}

static void expand(void *memory, const void *key, size_t key_bytes)
{
    const struct IMB_MGR *manager = ipsec_direct();
    struct ipsec_state *state = memory;
    bool is_256 = key_bytes == AEAD_KEY_BYTES;
    state->seal = is_256 ? manager->gcm256_enc : manager->gcm128_enc;
    state->open = is_256 ? manager->gcm256_dec : manager->gcm128_dec;
    (is_256 ? manager->gcm256_pre : manager->gcm128_pre)(key, &state->schedule);
}

/* One call does it all; the context it works in holds GHASH's state and key stream. */
static void run(const struct ipsec_state *state, aes_gcm_enc_dec_t direction,
                const struct aead_message *message, uint8_t *tag)
{
    struct gcm_context_data context;
    direction(&state->schedule, &context, message->out, message->in, message->size_bytes,
              message->nonce, message->aad, message->aad_bytes, tag, AEAD_TAG_BYTES);
    lethe_wipe(&context, sizeof context);
}

static lethe_result seal(const void *memory, const struct aead_message *message, uint8_t *tag)
{
    const struct ipsec_state *state = memory;
    run(state, state->seal, message, tag);
    return LETHE_OK;
}

static lethe_result open(const void *memory, const struct aead_message *message, const uint8_t *tag)
{
    const struct ipsec_state *state = memory;
    uint8_t computed[AEAD_TAG_BYTES];
    run(state, state->open, message, computed);
    bool fits = bytes_equal(computed, tag, AEAD_TAG_BYTES);
    lethe_wipe(computed, sizeof computed); /* for a forged text it would be worth something */
    return fits ? LETHE_OK : LETHE_INTEGRITY;
}

const struct aead_ops aead_ipsec = {
    .name = ipsec_name,
    .available = available,
    .state_bytes = sizeof(struct ipsec_state),
    .expand = expand,
    .seal = seal,
    .open = open,
};
