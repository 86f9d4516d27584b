/* Named keys at work: encrypting and decrypting, and which version may do what (K-3, K-5, K-8). */
#include "engine_check.h"

#include "base/text.h"

/* ---- names and types ------------------------------------------------------------------------- */

static void names_of_the_log_and_no_names_are_refused(void **state)
{
    static const char *const bad[] = {"node-1.log", "any.log", "",    ".",   "-a",   "a-",
                                      "a.",         ".a",      "a/b", "a b", "a\nb", "../x"};
    struct room *room = *state;
    const struct engine_create_options options = {.type = ENGINE_ED25519};
    struct engine_key key;
    bool existed;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID,
                      engine_create_key(room->engine, bad[i], &options, &existed, &err));
        assert_result(LETHE_NOT_FOUND, engine_get(room->engine, bad[i], &key, &err));
        assert_result(LETHE_NOT_FOUND, engine_rotate(room->engine, bad[i], &err));
    }
    char longest[ENGINE_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[ENGINE_NAME_MAX + 1] = '\0';
    assert_result(LETHE_INVALID,
                  engine_create_key(room->engine, longest, &options, &existed, &err));
    longest[ENGINE_NAME_MAX] = '\0';
    assert_ok(engine_create_key(room->engine, longest, &options, &existed, &err), &err);
}

static void a_signer_of_manifests_has_one_type(void **state)
{
    struct room *room = *state;
    const struct engine_create_options wrong = {.type = ENGINE_ED25519};
    bool existed;
    assert_result(LETHE_INVALID,
                  engine_create_key(room->engine, "acme.signer", &wrong, &existed, &err));
    must_make(room, "acme.signer", ENGINE_ECDSA_P256);
}

static void types_have_names(void **state)
{
    enum engine_type type;
    for (size_t i = 0; i < ENGINE_TYPE_COUNT; i++) {
        assert_ok(engine_type_parse(engine_type_name((enum engine_type)i), &type, &err), &err);
        assert_int_equal(i, type);
    }
    assert_result(LETHE_INVALID, engine_type_parse("rsa-2048", &type, &err));
    assert_string_equal("RSA keys are not offered", err.text);
    assert_result(LETHE_INVALID, engine_type_parse("aes128-gcm96", &type, &err));
    assert_result(LETHE_INVALID, engine_type_parse("", &type, &err));
}

static lethe_result count_key(void *context, const struct engine_key *key,
                              struct lethe_error *error)
{
    struct buffer *names = context;
    buffer_format(names, "%s ", key->name);
    return LETHE_OK;
}

static void keys_are_made_once_and_listed(void **state)
{
    struct room *room = *state;
    const struct engine_create_options options = {.type = ENGINE_ED25519};
    bool existed = false;
    must_make(room, "b", ENGINE_AES256_GCM96);
    must_make(room, "a-1", ENGINE_ECDSA_P384);
    must_make(room, "acme.m.hot", ENGINE_AES256_GCM96);
    assert_ok(engine_create_key(room->engine, "b", &options, &existed, &err), &err);
    assert_true(existed);
    struct engine_key key = must_get(room, "b");
    assert_int_equal(ENGINE_AES256_GCM96, key.type); /* nothing has changed */
    assert_int_equal(1, key.latest_version);
    assert_int_equal(1, key.min_decryption_version);
    assert_int_equal(0, key.min_available_version);
    assert_true(key.exportable);
    CLEANUP(buffer_clear) struct buffer names = {0};
    assert_ok(engine_list(room->engine, count_key, &names, &err), &err);
    assert_string_equal("a-1 acme.m.hot b ", names.bytes);
    reopen(room);
    assert_int_equal(3, count_records(room->home, "key_created", NULL));
}

/* ---- opening what was encrypted -------------------------------------------------------------- */

static const enum engine_type ciphers[] = {ENGINE_AES256_GCM96, ENGINE_CHACHA20_POLY1305};

static void what_was_encrypted_opens(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 31, 32, 1024, 70000};
    struct room *room = *state;
    uint8_t plain[70000];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t t = 0; t < ARRAY_LEN(ciphers); t++) {
        struct engine_use use = {.name = engine_type_name(ciphers[t]), .aad = {"aad", 3}};
        must_make(room, use.name, ciphers[t]);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            CLEANUP(guarded_clear) struct guarded text = {0};
            CLEANUP(guarded_clear) struct guarded opened = {0};
            uint64_t version = 0;
            use.input = (struct engine_bytes){plain, sizes[i]};
            assert_ok(engine_encrypt(room->engine, &use, &text, &version, &err), &err);
            assert_int_equal(1, version);
            assert_memory_equal("vault:v1:", text.bytes, 9);
            assert_int_equal(9 + BASE64_LENGTH(sizes[i] + 28), text.size_bytes);
            version = 0;
            use.input = (struct engine_bytes){text.bytes, text.size_bytes};
            assert_ok(engine_decrypt(room->engine, &use, &opened, &version, &err), &err);
            assert_int_equal(1, version);
            assert_int_equal(sizes[i], opened.size_bytes);
            if (sizes[i] > 0)
                assert_memory_equal(plain, opened.bytes, sizes[i]);
        }
    }
}

static void a_plaintext_comes_as_base64_when_asked(void **state)
{
    struct room *room = *state;
    struct engine_use use = {.name = "k", .as_base64 = true};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    uint64_t version;
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_ok(encrypt(room, &use, "Lethe", &text), &err);
    guarded_text(&opened, "x=");
    use.input = (struct engine_bytes){text.bytes, text.size_bytes};
    assert_ok(engine_decrypt(room->engine, &use, &opened, &version, &err), &err);
    assert_string_equal("x=TGV0aGU=", text_of(&opened));
}

/* K-3: one text whatever was changed; nothing comes out. */
static void any_changed_bit_is_refused_with_one_text(void **state)
{
    struct room *room = *state;
    for (size_t t = 0; t < ARRAY_LEN(ciphers); t++) {
        struct engine_use use = {.name = t == 0 ? "a" : "c", .aad = {"aad", 3}};
        CLEANUP(guarded_clear) struct guarded text = {0};
        CLEANUP(guarded_clear) struct guarded opened = {0};
        must_make(room, use.name, ciphers[t]);
        assert_ok(encrypt(room, &use, "content", &text), &err);
        uint8_t payload[64];
        size_t size_bytes;
        char changed[128] = "vault:v1:";
        assert_result(LETHE_OK, base64_decode((const char *)text.bytes + 9, text.size_bytes - 9,
                                              payload, sizeof payload, &size_bytes));
        for (size_t bit = 0; bit <= 8 * size_bytes; bit++) {
            if (bit > 0)
                payload[(bit - 1) / 8] ^= (uint8_t)(1u << (bit - 1) % 8);
            base64_write(payload, size_bytes, changed + 9);
            uint64_t version;
            use.input = (struct engine_bytes){changed, 9 + BASE64_LENGTH(size_bytes)};
            lethe_result result = engine_decrypt(room->engine, &use, &opened, &version, &err);
            assert_result(bit == 0 ? LETHE_OK : LETHE_INTEGRITY, result);
            if (bit > 0) {
                assert_string_equal(
                    "the ciphertext does not open: it was changed, or belongs to something else",
                    err.text);
                payload[(bit - 1) / 8] ^= (uint8_t)(1u << (bit - 1) % 8);
            }
            assert_int_equal(bit == 0 ? 7 : 0, opened.size_bytes);
            guarded_wipe(&opened);
        }
        for (size_t cut = 0; cut < size_bytes; cut++) {
            uint64_t version;
            base64_write(payload, cut, changed + 9);
            use.input = (struct engine_bytes){changed, 9 + BASE64_LENGTH(cut)};
            assert_result(LETHE_INTEGRITY,
                          engine_decrypt(room->engine, &use, &opened, &version, &err));
        }
        struct engine_use other = use;
        other.aad.size_bytes = 2;
        assert_result(LETHE_INTEGRITY, decrypt(room, &other, &text, &opened));
        other.aad = (struct engine_bytes){0};
        assert_result(LETHE_INTEGRITY, decrypt(room, &other, &text, &opened));
    }
}

static void another_key_does_not_open_it(void **state)
{
    struct room *room = *state;
    const struct engine_use a = {.name = "a"}, b = {.name = "b"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    must_make(room, "a", ENGINE_AES256_GCM96);
    must_make(room, "b", ENGINE_AES256_GCM96);
    assert_ok(encrypt(room, &a, "content", &text), &err);
    assert_result(LETHE_INTEGRITY, decrypt(room, &b, &text, &opened));
    must_rotate(room, "a");
    text.bytes[7] = '2'; /* of another version of the same key */
    assert_result(LETHE_INTEGRITY, decrypt(room, &a, &text, &opened));
}

static void what_is_no_ciphertext_is_malformed(void **state)
{
    static const char *const bad[] = {"",
                                      "vault",
                                      "vault:v",
                                      "vault:v:",
                                      "vault:v1",
                                      "vault:v0:",
                                      "vault:v01:",
                                      "vault:v-1:",
                                      "vault:v1;AAAA",
                                      "Vault:v1:AAAA",
                                      "vault:v1 :",
                                      "vault:v18446744073709551616:AAAA",
                                      "vault:v1:A",
                                      "vault:v1:AAA",
                                      "vault:v1:AA=A",
                                      "vault:v1:AAAB=",
                                      "vault:v1:AAAA\n",
                                      " vault:v1:AAAA",
                                      "vault:v1:AA-_",
                                      "vault:v1:AAB=",
                                      "vault:v111111111111111111111111111111:AAAA"};
    struct room *room = *state;
    must_make(room, "k", ENGINE_AES256_GCM96);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct engine_use use = {.name = "k", .input = {bad[i], strlen(bad[i])}};
        CLEANUP(guarded_clear) struct guarded opened = {0};
        uint64_t version;
        assert_result(LETHE_MALFORMED, engine_decrypt(room->engine, &use, &opened, &version, &err));
    }
}

static void what_cannot_encrypt_does_not(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "s"}, none = {.name = "none"},
                            log = {.name = "node-1.log"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    must_make(room, "s", ENGINE_ECDSA_P256);
    assert_result(LETHE_INVALID, encrypt(room, &use, "content", &text));
    assert_result(LETHE_NOT_FOUND, encrypt(room, &none, "content", &text));
    assert_result(LETHE_NOT_FOUND, encrypt(room, &log, "content", &text));
    assert_int_equal(0, text.size_bytes);
}

/* ---- versions -------------------------------------------------------------------------------- */

static lethe_result set_minimums(struct room *room, uint64_t decryption, uint64_t encryption)
{
    const struct engine_config config = {.min_decryption_version = &decryption,
                                         .min_encryption_version = &encryption};
    return engine_configure(room->engine, "k", &config, &err);
}

/* K-8 */
static void old_versions_go_on_opening(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    struct engine_use first = {.name = "k", .version = 1};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded renewed = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    uint64_t version;
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    must_rotate(room, "k");
    assert_ok(decrypt(room, &use, &text, &opened), &err);
    const struct engine_use rewrap = {.name = "k", .input = {text.bytes, text.size_bytes}};
    assert_ok(engine_rewrap(room->engine, &rewrap, &renewed, &version, &err), &err);
    assert_int_equal(2, version);
    assert_memory_equal("vault:v2:", renewed.bytes, 9);
    assert_ok(decrypt(room, &use, &renewed, &opened), &err);
    assert_string_equal("content", text_of(&opened));
    assert_ok(encrypt(room, &first, "content", &renewed), &err);
    assert_memory_equal("vault:v1:", renewed.bytes, 9);
    first.version = 3;
    assert_result(LETHE_INVALID, encrypt(room, &first, "content", &renewed));
}

static void minimums_bound_what_versions_do(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    struct engine_use second = {.name = "k", .version = 2};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded made = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    must_rotate(room, "k");
    must_rotate(room, "k");
    assert_ok(set_minimums(room, 2, 3), &err);
    const struct engine_use renew = {.name = "k", .renew = true};
    assert_result(LETHE_INVALID, decrypt(room, &use, &text, &opened));
    assert_result(LETHE_INVALID, decrypt(room, &renew, &text, &opened));
    assert_result(LETHE_INVALID, encrypt(room, &second, "content", &made));
    assert_ok(encrypt(room, &use, "content", &made), &err);
    assert_ok(set_minimums(room, 2, 0), &err);
    assert_ok(encrypt(room, &second, "content", &made), &err);
    second.version = 1;
    assert_result(LETHE_INVALID, encrypt(room, &second, "content", &made));
    assert_ok(set_minimums(room, 0, 0), &err); /* 0 is raised to 1: it opens again */
    assert_ok(decrypt(room, &use, &text, &opened), &err);
}

static void revoked_and_destroyed_keys_do_nothing(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"}, renew = {.name = "k", .renew = true};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded made = {0};
    struct key_info info;
    struct key_outcome outcome;
    uint64_t version;
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    assert_ok(keeper_revoke_key(room->keeper, "k", "test", &info, &err), &err);
    engine_forget(room->engine, NULL);
    assert_result(LETHE_REVOKED, encrypt(room, &use, "content", &made));
    assert_result(LETHE_REVOKED, decrypt(room, &use, &text, &made));
    must_rotate(room, "k");
    assert_result(LETHE_REVOKED, decrypt(room, &use, &text, &made));
    const struct engine_use rewrap = {
        .name = "k", .input = {text.bytes, text.size_bytes}, .renew = true};
    assert_ok(engine_rewrap(room->engine, &rewrap, &made, &version, &err), &err);
    assert_ok(decrypt(room, &use, &made, &text), &err);
    assert_ok(keeper_destroy_key(room->keeper, "k", &outcome, &err), &err);
    engine_forget(room->engine, "k");
    assert_result(LETHE_REVOKED, encrypt(room, &use, "content", &text));
    assert_result(LETHE_REVOKED, decrypt(room, &renew, &made, &text));
    assert_true(must_get(room, "k").destroyed);
    const struct engine_create_options options = {.type = ENGINE_AES256_GCM96};
    bool existed;
    assert_result(LETHE_REVOKED, engine_create_key(room->engine, "k", &options, &existed, &err));
}

/* ---- uses ------------------------------------------------------------------------------------ */

static uint64_t uses_of(struct room *room, const char *name, uint64_t version)
{
    struct engine_version found;
    assert_ok(engine_version(room->engine, name, version, &found, &err), &err);
    return found.uses;
}

/* K-5: counted before they happen, and not lost with every change of something else. */
static void uses_are_counted_ahead(void **state)
{
    struct room *room = *state;
    for (size_t t = 0; t < ARRAY_LEN(ciphers); t++) {
        const struct engine_use use = {.name = t == 0 ? "a" : "c"};
        CLEANUP(guarded_clear) struct guarded text = {0};
        must_make(room, use.name, ciphers[t]);
        assert_int_equal(0, uses_of(room, use.name, 1));
        for (size_t i = 0; i < 5; i++) {
            assert_ok(encrypt(room, &use, "content", &text), &err);
            engine_forget(room->engine, NULL);
            assert_int_equal(KEY_USES_RESERVED, uses_of(room, use.name, 1));
        }
        for (size_t i = 5; i < KEY_USES_RESERVED; i++)
            assert_ok(encrypt(room, &use, "content", &text), &err);
        assert_int_equal(KEY_USES_RESERVED, uses_of(room, use.name, 1));
        assert_ok(encrypt(room, &use, "content", &text), &err);
        assert_true(uses_of(room, use.name, 1) > KEY_USES_RESERVED);
    }
}

/* NIST SP 800-38D, 8.3: a version stops before its nonces could meet, a new one goes on. */
static void a_version_that_was_used_up_encrypts_no_more(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    struct store *store = keeper_store(room->keeper);
    must_make(room, "k", ENGINE_CHACHA20_POLY1305);
    assert_ok(store_begin(store, &err), &err);
    assert_ok(keyring_reserve_many(store, "k", 1, KEY_USES_MAX - KEY_USES_RESERVED, &err), &err);
    assert_ok(store_commit(store, &err), &err);
    for (size_t i = 0; i < KEY_USES_RESERVED; i++)
        assert_ok(encrypt(room, &use, "content", &text), &err);
    CLEANUP(guarded_clear) struct guarded refused = {0};
    assert_result(LETHE_LIMIT, encrypt(room, &use, "content", &refused));
    assert_int_equal(0, refused.size_bytes);
    assert_ok(decrypt(room, &use, &text, &opened), &err);
    must_rotate(room, "k");
    assert_ok(encrypt(room, &use, "content", &text), &err);
}

static void reserving_uses_is_no_change_to_look_at(void **state)
{
    struct room *room = *state;
    const struct engine_use use = {.name = "k"};
    CLEANUP(guarded_clear) struct guarded text = {0};
    bool changed;
    must_make(room, "k", ENGINE_AES256_GCM96);
    assert_ok(keeper_look(room->keeper, &changed, &err), &err);
    assert_ok(encrypt(room, &use, "content", &text), &err);
    assert_ok(keeper_look(room->keeper, &changed, &err), &err);
    assert_false(changed);
    must_rotate(room, "k");
    assert_ok(keeper_look(room->keeper, &changed, &err), &err);
    assert_true(changed);
}

/* One key after another, more than are kept: each opens what it made. */
static void more_keys_than_are_kept(void **state)
{
    struct room *room = *state;
    const size_t keys = ENGINE_KEPT_KEYS + 64;
    char name[32];
    for (size_t i = 0; i < keys; i++) {
        snprintf(name, sizeof name, "key-%zu", i);
        must_make(room, name, ENGINE_ED25519 - (i % 2)); /* every second one signs */
    }
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 1; i < keys; i += 2) {
            CLEANUP(guarded_clear) struct guarded text = {0};
            CLEANUP(guarded_clear) struct guarded opened = {0};
            snprintf(name, sizeof name, "key-%zu", i);
            const struct engine_use use = {.name = name};
            assert_ok(encrypt(room, &use, name, &text), &err);
            assert_ok(decrypt(room, &use, &text, &opened), &err);
            assert_string_equal(name, text_of(&opened));
            assert_int_equal(KEY_USES_RESERVED, uses_of(room, name, 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(names_of_the_log_and_no_names_are_refused),
        IN_ROOM(a_signer_of_manifests_has_one_type),
        cmocka_unit_test(types_have_names),
        IN_ROOM(keys_are_made_once_and_listed),
        IN_ROOM(what_was_encrypted_opens),
        IN_ROOM(a_plaintext_comes_as_base64_when_asked),
        IN_ROOM(any_changed_bit_is_refused_with_one_text),
        IN_ROOM(another_key_does_not_open_it),
        IN_ROOM(what_is_no_ciphertext_is_malformed),
        IN_ROOM(what_cannot_encrypt_does_not),
        IN_ROOM(old_versions_go_on_opening),
        IN_ROOM(minimums_bound_what_versions_do),
        IN_ROOM(revoked_and_destroyed_keys_do_nothing),
        IN_ROOM(uses_are_counted_ahead),
        IN_ROOM(a_version_that_was_used_up_encrypts_no_more),
        IN_ROOM(reserving_uses_is_no_change_to_look_at),
        IN_ROOM(more_keys_than_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
