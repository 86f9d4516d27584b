/* Signatures and HMACs with named keys (K-8), checked by what is not the engine. */
#include "engine_check.h"

#include "base/text.h"
#include "crypto/sign.h"

static const struct engine_signing plainly = {.digest = DIGEST_SHA2_256};

static lethe_result sign(struct room *room, const struct engine_use *use,
                         const struct engine_signing *how, const char *input, struct guarded *out)
{
    uint64_t version;
    struct engine_use with = *use;
    with.how = *how;
    with.input = (struct engine_bytes){input, strlen(input)};
    guarded_wipe(out);
    return engine_sign(room->engine, &with, out, &version, &err);
}

static lethe_result verify(struct room *room, const struct engine_use *use,
                           const struct engine_signing *how, const char *input, const char *text,
                           bool *valid)
{
    struct engine_use with = *use;
    with.how = *how;
    with.input = (struct engine_bytes){input, strlen(input)};
    with.proof = (struct engine_bytes){text, strlen(text)};
    return engine_verify(room->engine, &with, valid, &err);
}

static bool is_valid(struct room *room, const struct engine_use *use,
                     const struct engine_signing *how, const char *input, const char *text)
{
    bool valid;
    assert_ok(verify(room, use, how, input, text, &valid), &err);
    return valid;
}

static const enum engine_type signers[] = {ENGINE_ED25519, ENGINE_ECDSA_P256, ENGINE_ECDSA_P384};

static void what_was_signed_verifies_in_every_way(void **state)
{
    struct room *room = *state;
    for (size_t t = 0; t < ARRAY_LEN(signers); t++) {
        const struct engine_use use = {.name = engine_type_name(signers[t])};
        must_make(room, use.name, signers[t]);
        for (enum digest_kind digest = 0; digest < DIGEST_KIND_COUNT; digest++) {
            for (size_t jws = 0; jws < 2; jws++) {
                const struct engine_signing how = {.digest = digest, .jws = jws};
                CLEANUP(guarded_clear) struct guarded text = {0};
                assert_ok(sign(room, &use, &how, "content", &text), &err);
                assert_memory_equal("vault:v1:", text.bytes, 9);
                assert_true(is_valid(room, &use, &how, "content", text_of(&text)));
                assert_false(is_valid(room, &use, &how, "contenT", text_of(&text)));
                if (jws)
                    assert_null(strpbrk(text_of(&text) + 9, "+/="));
            }
        }
    }
}

/* By the public key alone, over the message. */
static void others_can_verify(void **state)
{
    struct room *room = *state;
    static const enum digest_kind own[] = {DIGEST_SHA2_256, DIGEST_SHA2_256, DIGEST_SHA2_384};
    for (size_t t = 1; t < ARRAY_LEN(signers); t++) {
        const struct engine_use use = {.name = engine_type_name(signers[t])};
        const struct engine_signing how = {.digest = own[t]};
        CLEANUP(guarded_clear) struct guarded text = {0};
        CLEANUP(buffer_clear) struct buffer pem = {0};
        CLEANUP(sign_public_free) struct sign_public *key = NULL;
        struct signature signature = {0};
        must_make(room, use.name, signers[t]);
        assert_ok(sign(room, &use, &how, "content", &text), &err);
        assert_ok(engine_public(room->engine, use.name, 1, &pem, &err), &err);
        assert_ok(sign_public_from_pem(pem.bytes, pem.size_bytes, &key, &err), &err);
        assert_result(LETHE_OK, base64_decode((const char *)text.bytes + 9, text.size_bytes - 9,
                                              signature.bytes, sizeof signature.bytes,
                                              &signature.size_bytes));
        assert_ok(sign_verify(key, "content", 7, &signature, &err), &err);
        assert_result(LETHE_INTEGRITY, sign_verify(key, "contenT", 7, &signature, &err));
    }
}

static void a_digest_may_be_made_elsewhere(void **state)
{
    struct room *room = *state;
    const struct engine_signing hashed = {.digest = DIGEST_SHA2_384, .prehashed = true};
    struct engine_use use = {.name = "k", .how = hashed};
    const struct engine_signing whole = {.digest = DIGEST_SHA2_384};
    CLEANUP(guarded_clear) struct guarded text = {0};
    uint8_t digest[DIGEST_MAX_BYTES];
    uint64_t version;
    must_make(room, "k", ENGINE_ECDSA_P256);
    assert_result(LETHE_OK, digest_compute(DIGEST_SHA2_384, "content", 7, digest));
    use.input = (struct engine_bytes){digest, 48};
    assert_ok(engine_sign(room->engine, &use, &text, &version, &err), &err);
    assert_true(is_valid(room, &use, &whole, "content", text_of(&text)));
    for (size_t size = 0; size <= sizeof digest; size++) {
        use.input.size_bytes = size;
        if (size != 48)
            assert_result(LETHE_INVALID, engine_sign(room->engine, &use, &text, &version, &err));
    }
}

static void what_is_no_signature_is_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        "vault:v1",
        "vault:v0:AAAA",
        "vault:v1:AAA",
        "vault:v1:====",
        "vault:v1:",
        "vault:v1:AAAA",
        "vault:v1:MAYCAQECAQEA", /* one byte behind it */
        "vault:v1:MIAGAgEBAgEB",
    };
    struct room *room = *state;
    const struct engine_use use = {.name = "k"}, other = {.name = "e"};
    bool valid;
    must_make(room, "k", ENGINE_ECDSA_P256);
    must_make(room, "e", ENGINE_ED25519);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        valid = true;
        assert_result(LETHE_MALFORMED, verify(room, &use, &plainly, "content", bad[i], &valid));
        assert_false(valid);
    }
    assert_false(is_valid(room, &use, &plainly, "content", "vault:v1:MAYCAQECAQE="));
    assert_false(is_valid(room, &other, &plainly, "content", "vault:v1:AAAA"));
    assert_false(is_valid(room, &other, &plainly, "content", "vault:v1:"));
    char longer[400] = "vault:v1:";
    memset(longer + 9, 'A', 300);
    assert_result(LETHE_MALFORMED, verify(room, &other, &plainly, "content", longer, &valid));
    assert_result(LETHE_INVALID,
                  verify(room, &use, &plainly, "content", "vault:v2:MAYCAQECAQE=", &valid));
    assert_result(LETHE_INVALID, verify(room, &use, &(struct engine_signing){.jws = true}, "c",
                                        "vault:v2:AA", &valid));
}

static void any_changed_bit_of_a_signature_is_refused(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    const struct engine_signing how = {.digest = DIGEST_SHA2_256, .jws = true};
    CLEANUP(guarded_clear) struct guarded text = {0};
    must_make(room, "k", ENGINE_ECDSA_P256);
    assert_ok(sign(room, &use, &how, "content", &text), &err);
    char changed[128];
    snprintf(changed, sizeof changed, "%s", text_of(&text));
    for (size_t i = 9; i < strlen(changed); i++) {
        bool valid = false;
        char was = changed[i];
        changed[i] = was == 'A' ? 'B' : 'A';
        lethe_result result = verify(room, &use, &how, "content", changed, &valid);
        assert_true(result == LETHE_OK || result == LETHE_MALFORMED);
        assert_false(valid);
        changed[i] = was;
    }
    assert_true(is_valid(room, &use, &how, "content", changed));
}

static void versions_sign_and_verify_as_far_as_they_may(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    struct engine_use first = {.name = "k", .version = 1};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded unused = {0};
    const uint64_t two = 2;
    const struct engine_config config = {.min_decryption_version = &two,
                                         .min_encryption_version = &two};
    struct key_info info;
    bool valid;
    must_make(room, "k", ENGINE_ED25519);
    must_rotate(room, "k");
    assert_ok(sign(room, &first, &plainly, "content", &text), &err);
    assert_true(is_valid(room, &use, &plainly, "content", text_of(&text)));
    assert_ok(engine_configure(room->engine, "k", &config, &err), &err);
    assert_result(LETHE_INVALID, sign(room, &first, &plainly, "content", &unused));
    assert_result(LETHE_INVALID, verify(room, &use, &plainly, "content", text_of(&text), &valid));
    assert_ok(sign(room, &use, &plainly, "content", &text), &err);
    assert_ok(keeper_revoke_key(room->keeper, "k", "test", &info, &err), &err);
    engine_forget(room->engine, NULL);
    assert_result(LETHE_REVOKED, verify(room, &use, &plainly, "content", text_of(&text), &valid));
    assert_result(LETHE_REVOKED, sign(room, &use, &plainly, "content", &unused));
}

static void what_does_not_sign_does_not(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"}, log = {.name = "node-1.log"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    bool valid;
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_result(LETHE_INVALID, sign(room, &use, &plainly, "content", &text));
    assert_result(LETHE_INVALID, verify(room, &use, &plainly, "content", "vault:v1:", &valid));
    assert_result(LETHE_NOT_FOUND, sign(room, &log, &plainly, "content", &text));
}

/* ---- HMACs ----------------------------------------------------------------------------------- */

static lethe_result hmac(struct room *room, const char *name, uint64_t version,
                         enum digest_kind digest, struct guarded *out)
{
    const struct engine_use use = {
        .name = name, .version = version, .input = {"content", 7}, .how.digest = digest};
    guarded_wipe(out);
    return engine_hmac(room->engine, &use, out, &err);
}

static lethe_result verify_hmac(struct room *room, const char *name, enum digest_kind digest,
                                const char *input, const char *text, bool *valid)
{
    const struct engine_use use = {.name = name,
                                   .input = {input, strlen(input)},
                                   .proof = {text, strlen(text)},
                                   .how.digest = digest};
    return engine_verify_hmac(room->engine, &use, valid, &err);
}

static void every_key_makes_hmacs(void **state)
{
    struct room *room = *state;
    for (enum engine_type type = 0; type < ENGINE_TYPE_COUNT; type++) {
        const char *name = engine_type_name(type);
        must_make(room, name, type);
        for (enum digest_kind digest = 0; digest < DIGEST_KIND_COUNT; digest++) {
            CLEANUP(guarded_clear) struct guarded text = {0};
            bool valid;
            assert_ok(hmac(room, name, 0, digest, &text), &err);
            assert_int_equal(9 + BASE64_LENGTH(digest_bytes(digest)), text.size_bytes);
            assert_ok(verify_hmac(room, name, digest, "content", text_of(&text), &valid), &err);
            assert_true(valid);
            assert_ok(verify_hmac(room, name, digest, "contenT", text_of(&text), &valid), &err);
            assert_false(valid);
            enum digest_kind other = (enum digest_kind)((digest + 1) % DIGEST_KIND_COUNT);
            assert_ok(verify_hmac(room, name, other, "content", text_of(&text), &valid), &err);
            assert_false(valid);
        }
    }
}

static void hmacs_of_versions_and_keys_differ(void **state)
{
    struct room *room = *state;
    CLEANUP(guarded_clear) struct guarded a = {0};
    CLEANUP(guarded_clear) struct guarded b = {0};
    bool valid = true;
    must_make(room, "a", ENGINE_AES256_GCM96);
    must_make(room, "b", ENGINE_AES256_GCM96);
    must_rotate(room, "a");
    assert_ok(hmac(room, "a", 1, DIGEST_SHA2_256, &a), &err);
    assert_ok(hmac(room, "a", 2, DIGEST_SHA2_256, &b), &err);
    assert_string_not_equal(text_of(&a) + 9, text_of(&b) + 9);
    assert_ok(hmac(room, "b", 1, DIGEST_SHA2_256, &b), &err);
    assert_string_not_equal(text_of(&a) + 9, text_of(&b) + 9);
    assert_ok(verify_hmac(room, "b", DIGEST_SHA2_256, "content", text_of(&a), &valid), &err);
    assert_false(valid);
    assert_result(LETHE_MALFORMED,
                  verify_hmac(room, "a", DIGEST_SHA2_256, "content", "vault:v1:A", &valid));
    assert_result(LETHE_INVALID,
                  verify_hmac(room, "a", DIGEST_SHA2_256, "content", "vault:v3:AAAA", &valid));
    assert_ok(verify_hmac(room, "a", DIGEST_SHA2_256, "content", "vault:v1:AAAA", &valid), &err);
    assert_false(valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(what_was_signed_verifies_in_every_way),
        IN_ROOM(others_can_verify),
        IN_ROOM(a_digest_may_be_made_elsewhere),
        IN_ROOM(what_is_no_signature_is_malformed),
        IN_ROOM(any_changed_bit_of_a_signature_is_refused),
        IN_ROOM(versions_sign_and_verify_as_far_as_they_may),
        IN_ROOM(what_does_not_sign_does_not),
        IN_ROOM(every_key_makes_hmacs),
        IN_ROOM(hmacs_of_versions_and_keys_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
