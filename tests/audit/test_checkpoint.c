#include "audit_check.h"

#include "audit/note.h"
#include "base/json.h"

static json_t *vectors;

static int setup(void **state)
{
    struct lethe_error err = {0};
    if (start_crypto(state) != 0)
        return -1;
    struct buffer text = get_file(TEST_VECTORS "/tlog/vectors.json");
    lethe_result result = json_parse(text.bytes, text.size_bytes, &vectors, &err);
    buffer_clear(&text);
    return result == LETHE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    json_decref(vectors);
    return 0;
}

static const char *note_text(const char *member)
{
    const char *text = json_string_value(json_object_get(json_object_get(vectors, "note"), member));
    assert_non_null(text);
    return text;
}

static struct audit_key parse_key(const char *text)
{
    struct lethe_error err = {0};
    struct audit_key key;
    assert_ok(audit_key_parse(text, strlen(text), &key, &err), &err);
    return key;
}

static lethe_result open_text(const char *note, const struct audit_key *key)
{
    struct audit_checkpoint checkpoint;
    struct lethe_error err = {0};
    return audit_checkpoint_open(note, strlen(note), key, &checkpoint, &err);
}

/* ---- others' notes and ours ------------------------------------------------------------------ */

/* what Go's sumdb/note signed is accepted. */
static void a_checkpoint_from_go_is_accepted(void **state)
{
    struct audit_key key = parse_key(note_text("vkey"));
    struct audit_checkpoint checkpoint;
    struct lethe_error err = {0};
    const char *note = note_text("signed");
    assert_ok(audit_checkpoint_open(note, strlen(note), &key, &checkpoint, &err), &err);
    assert_string_equal(checkpoint.origin, "example.com/audit");
    assert_int_equal(checkpoint.records, 300);
    assert_hex(json_string_value(json_array_get(json_object_get(vectors, "roots_by_size"), 300)),
               checkpoint.root, sizeof checkpoint.root);
}

/* and we sign to the same bytes as Go, and print the same key. */
static void our_checkpoint_is_the_same_as_from_go(void **state)
{
    struct vector seed = unhex(note_text("seed"));
    struct sign_pair *pair = pair_of_seed(seed.bytes);
    struct audit_key key;
    key_of_pair(pair, "example.com/audit", &key);
    struct audit_checkpoint checkpoint = {.origin = "example.com/audit", .records = 300};
    struct vector root =
        unhex(json_string_value(json_array_get(json_object_get(vectors, "roots_by_size"), 300)));
    memcpy(checkpoint.root, root.bytes, sizeof checkpoint.root);

    struct buffer note = {0}, vkey = {0};
    struct signature signature;
    struct lethe_error err = {0};
    audit_checkpoint_text(&checkpoint, &note);
    assert_string_equal(note.bytes, note_text("text"));
    assert_ok(sign_message(pair, note.bytes, note.size_bytes, &signature, &err), &err);
    audit_note_sign_line(&key, signature.bytes, &note);
    assert_string_equal(note.bytes, note_text("signed"));
    audit_key_text(&key, &vkey);
    assert_string_equal(vkey.bytes, note_text("vkey"));
    buffer_clear(&note);
    buffer_clear(&vkey);
    sign_pair_free(pair);
}

/* The worked example of the C2SP signed-note specification, and that of Go's package. */
static void notes_of_the_specification_verify(void **state)
{
    static const struct {
        const char *key;
        const char *note;
    } examples[] = {
        {"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
         "This is an example message.\n\n\u2014 example.com/foo "
         "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72Ineya"
         "QM=\n"},
        {"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
         "If you think cryptography is the answer to your problem,\nthen you don't know what your "
         "problem is.\n\n\u2014 PeterNeumann "
         "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJn"
         "AM=\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct lethe_error err = {0};
        struct audit_key key = parse_key(examples[i].key);
        struct note note;
        assert_ok(note_split(examples[i].note, strlen(examples[i].note), &note, &err), &err);
        assert_ok(note_verify(&note, &key, &err), &err);
        assert_result(LETHE_MALFORMED, open_text(examples[i].note, &key)); /* no checkpoint */
    }
}

/* no byte of a note can change without it being refused. */
static void every_flipped_bit_of_a_note_is_refused(void **state)
{
    struct audit_key key = parse_key(note_text("vkey"));
    char note[512];
    size_t length = strlen(note_text("signed"));
    memcpy(note, note_text("signed"), length + 1);
    assert_result(LETHE_OK, open_text(note, &key));
    for (size_t at = 0; at < length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct audit_checkpoint checkpoint;
            note[at] ^= (char)(1 << bit);
            lethe_result got = audit_checkpoint_open(note, length, &key, &checkpoint, NULL);
            assert_true(got == LETHE_INTEGRITY || got == LETHE_MALFORMED);
            note[at] ^= (char)(1 << bit);
        }
    }
    for (size_t cut = 0; cut < length; cut++) {
        struct audit_checkpoint checkpoint;
        assert_true(audit_checkpoint_open(note, cut, &key, &checkpoint, NULL) != LETHE_OK);
    }
}

/* ---- signatures ------------------------------------------------------------------------------ */

#define TEXT "lethe/alpha\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

/* A signature line by a node over a text, without the blank line before it. */
static void sign_by(const struct node *node, const char *text, struct buffer *out)
{
    struct lethe_error err = {0};
    struct buffer line = {0};
    uint8_t signature[64];
    assert_ok(node_sign((void *)node, text, strlen(text), signature, &err), &err);
    audit_note_sign_line(&node->options.signer.key, signature, &line);
    buffer_text(out, line.bytes + 1);
    buffer_clear(&line);
}

static void signatures_of_others_are_skipped(void **state)
{
    struct node *alpha = node_create("alpha", ""), *beta = node_create("beta", "");
    const struct audit_key *key = &alpha->options.signer.key;
    struct buffer note = {0};
    buffer_text(&note, TEXT "\n");
    for (int i = 0; i < 20; i++)
        sign_by(beta, "something else", &note);
    assert_result(LETHE_INTEGRITY, open_text(note.bytes, key)); /* none of ours */
    sign_by(alpha, TEXT, &note);
    assert_result(LETHE_OK, open_text(note.bytes, key));
    sign_by(alpha, "another text", &note);
    assert_result(LETHE_INTEGRITY, open_text(note.bytes, key)); /* one of ours does not fit */
    buffer_clear(&note);
    node_free(alpha);
    node_free(beta);
}

/* C2SP: at least 16 must be accepted; there has to be an end somewhere. */
static void signatures_are_limited(void **state)
{
    struct node *alpha = node_create("alpha", ""), *beta = node_create("beta", "");
    struct buffer note = {0};
    buffer_text(&note, TEXT "\n");
    sign_by(alpha, TEXT, &note);
    for (int i = 1; i < AUDIT_NOTE_SIGNATURES_MAX; i++)
        sign_by(beta, "x", &note);
    assert_result(LETHE_OK, open_text(note.bytes, &alpha->options.signer.key));
    sign_by(beta, "x", &note);
    assert_result(LETHE_MALFORMED, open_text(note.bytes, &alpha->options.signer.key));
    buffer_clear(&note);
    node_free(alpha);
    node_free(beta);
}

/* A note that our key signed, but for another log. */
static void another_origin_is_refused(void **state)
{
    static const char text[] = "lethe/beta\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    struct node *alpha = node_create("alpha", "");
    struct buffer note = {0};
    buffer_format(&note, "%s\n", text);
    sign_by(alpha, text, &note);
    assert_result(LETHE_INTEGRITY, open_text(note.bytes, &alpha->options.signer.key));
    buffer_clear(&note);
    node_free(alpha);
}

/* Well signed, and still no checkpoint. */
static void malformed_texts_are_refused(void **state)
{
#define ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    static const struct {
        lethe_result expected;
        const char *text;
    } texts[] = {
        {LETHE_OK, "lethe/alpha\n0\n" ROOT "\n"},
        {LETHE_OK, "lethe/alpha\n18446744073709551615\n" ROOT "\n"},
        {LETHE_OK, "lethe/alpha\n7\n" ROOT "\nan extension\n"},
        {LETHE_MALFORMED, "lethe/alpha\n18446744073709551616\n" ROOT "\n"},
        {LETHE_MALFORMED, "lethe/alpha\n07\n" ROOT "\n"},
        {LETHE_MALFORMED, "lethe/alpha\n-7\n" ROOT "\n"},
        {LETHE_MALFORMED, "lethe/alpha\n\n" ROOT "\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7 \n" ROOT "\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\nAAAA\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\n" ROOT "AAAA\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\n " ROOT "\n"},
        {LETHE_MALFORMED, "\n7\n" ROOT "\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\n" ROOT "\n\nbehind a blank line\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\n" ROOT "\ncontrol \x1b[31m\n"},
        {LETHE_MALFORMED, "lethe/alpha\n7\n" ROOT "\nnot UTF-8 \xff\n"},
    };
    struct node *alpha = node_create("alpha", "");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buffer note = {0};
        buffer_format(&note, "%s\n", texts[i].text);
        sign_by(alpha, texts[i].text, &note);
        assert_result(texts[i].expected, open_text(note.bytes, &alpha->options.signer.key));
        buffer_clear(&note);
    }
    node_free(alpha);
}

static void malformed_signature_lines_are_refused(void **state)
{
    static const char *const lines[] = {
        "no signature\n",          "\u2014 name\n",           "\u2014 name \n",
        "\u2014  AAAAAAAA\n",      "\u2014 na+me AAAAAAAA\n", "\u2014 na\u00a0me AAAAAAAA\n",
        "\u2014 name AAAA\n",      "\u2014 name AAAAAAA\n",   "\u2014 name AAAAAAAB=\n",
        "\u2014 name AAAAAAAA \n", "- name AAAAAAAA\n",
    };
    struct node *alpha = node_create("alpha", "");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct buffer note = {0};
        buffer_text(&note, TEXT "\n");
        sign_by(alpha, TEXT, &note);
        assert_result(LETHE_OK, open_text(note.bytes, &alpha->options.signer.key));
        buffer_text(&note, lines[i]);
        assert_result(LETHE_MALFORMED, open_text(note.bytes, &alpha->options.signer.key));
        buffer_clear(&note);
    }
    node_free(alpha);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void malformed_keys_are_refused(void **state)
{
    static const char good[] =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    static const char *const bad[] = {
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
        "example com+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    };
    struct audit_key key;
    assert_result(LETHE_OK, audit_key_parse(good, strlen(good), &key, NULL));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_MALFORMED, audit_key_parse(bad[i], strlen(bad[i]), &key, NULL));
    for (size_t cut = 0; cut < strlen(good); cut++)
        assert_result(LETHE_MALFORMED, audit_key_parse(good, cut, &key, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_from_go_is_accepted),
        cmocka_unit_test(our_checkpoint_is_the_same_as_from_go),
        cmocka_unit_test(notes_of_the_specification_verify),
        cmocka_unit_test(every_flipped_bit_of_a_note_is_refused),
        cmocka_unit_test(signatures_of_others_are_skipped),
        cmocka_unit_test(signatures_are_limited),
        cmocka_unit_test(another_origin_is_refused),
        cmocka_unit_test(malformed_texts_are_refused),
        cmocka_unit_test(malformed_signature_lines_are_refused),
        cmocka_unit_test(malformed_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
