#include "audit_check.h"

#include "audit/cosignature.h"
#include "audit/note.h"
#include "base/text.h"

#define WITNESSES 3
#define TIME_S 1795176000u

struct scene {
    struct node *node; /* whose log it is; its key signs the checkpoint */
    struct sign_pair *pairs[WITNESSES];
    struct audit_key keys[WITNESSES];
    struct buffer note;
};

static struct scene fresh_scene(void)
{
    struct scene scene = {.node = node_create("alpha", "nowhere")};
    for (unsigned i = 0; i < WITNESSES; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        char name[32];
        snprintf(name, sizeof name, "witness.example/%u", i);
        scene.pairs[i] = pair_of_seed(seed);
        key_of_pair(scene.pairs[i], name, &scene.keys[i]);
    }
    struct audit_checkpoint checkpoint = {.origin = "lethe/alpha", .records = 42};
    uint8_t signature[64];
    fill_random(checkpoint.root, sizeof checkpoint.root);
    audit_checkpoint_text(&checkpoint, &scene.note);
    assert_result(LETHE_OK,
                  node_sign(scene.node, scene.note.bytes, scene.note.size_bytes, signature, NULL));
    audit_note_sign_line(&scene.node->options.signer.key, signature, &scene.note);
    return scene;
}

static void scene_clear(struct scene *scene)
{
    for (unsigned i = 0; i < WITNESSES; i++)
        sign_pair_free(scene->pairs[i]);
    buffer_clear(&scene->note);
    node_free(scene->node);
}

/* Adds a witness's line, its signature over `time_s`, its field saying `said_s`. */
static void add_line(struct scene *scene, unsigned witness, uint64_t time_s, uint64_t said_s)
{
    struct note note;
    struct signature made;
    struct buffer message = {0};
    uint8_t field[NOTE_KEY_ID_BYTES + 8 + 64];
    assert_result(LETHE_OK, note_split(scene->note.bytes, scene->note.size_bytes, &note, NULL));
    cosignature_message(time_s, note.text, note.text_bytes, &message);
    assert_result(LETHE_OK, sign_message(scene->pairs[witness], message.bytes, message.size_bytes,
                                         &made, NULL));
    note_key_id(&scene->keys[witness], NOTE_TYPE_COSIGNATURE, field);
    for (unsigned i = 0; i < 8; i++)
        field[NOTE_KEY_ID_BYTES + i] = (uint8_t)(said_s >> (56 - 8 * i));
    memcpy(field + NOTE_KEY_ID_BYTES + 8, made.bytes, 64);
    buffer_format(&scene->note, "\u2014 %s ", scene->keys[witness].name);
    base64_append(&scene->note, field, sizeof field);
    buffer_byte(&scene->note, '\n');
    buffer_clear(&message);
}

static lethe_result check(const struct scene *scene, size_t count, size_t quorum,
                          struct cosignature_report *report)
{
    const struct cosignature_policy policy = {scene->keys, count, quorum};
    return cosignature_check(scene->note.bytes, scene->note.size_bytes, &policy, report, NULL);
}

/* witnesses count once each, by the newest time they gave; others are skipped. */
static void a_quorum_is_counted(void **state)
{
    struct cosignature_report report;
    struct scene scene = fresh_scene();
    assert_result(LETHE_INTEGRITY, check(&scene, 2, 1, &report));
    add_line(&scene, 0, TIME_S, TIME_S);
    assert_result(LETHE_OK, check(&scene, 2, 1, &report));
    add_line(&scene, 0, TIME_S + 5, TIME_S + 5);
    assert_result(LETHE_INTEGRITY, check(&scene, 2, 2, &report));
    assert_int_equal(report.good, 1);
    assert_int_equal(report.times_s[0], TIME_S + 5);
    add_line(&scene, 2, TIME_S, TIME_S);
    assert_result(LETHE_INTEGRITY, check(&scene, 2, 2, &report)); /* the third is not asked for */
    assert_result(LETHE_OK, check(&scene, 3, 2, &report));
    add_line(&scene, 1, TIME_S, TIME_S);
    assert_result(LETHE_OK, check(&scene, 3, 3, &report));
    assert_int_equal(report.good, 3);
    scene_clear(&scene);
}

/* Each bit of a known witness's field but for its key id, which makes it another's line. */
static void a_bad_one_by_a_known_witness_is_refused(void **state)
{
    struct cosignature_report report;
    struct scene scene = fresh_scene();
    add_line(&scene, 1, TIME_S, TIME_S);
    add_line(&scene, 0, TIME_S, TIME_S);
    assert_result(LETHE_OK, check(&scene, 2, 1, &report));
    size_t end = scene.note.size_bytes - 1;
    size_t begin = end - BASE64_LENGTH(76) + 8; /* behind the key id and the time's zero bytes */
    for (size_t at = begin; at < end - 3; at++) {
        char before = scene.note.bytes[at];
        scene.note.bytes[at] = before == 'A' ? 'B' : 'A';
        assert_result(LETHE_INTEGRITY, check(&scene, 2, 1, &report));
        scene.note.bytes[at] = before;
    }
    scene.note.bytes[sizeof "lethe/alpha"] = '5'; /* 52 records */
    assert_result(LETHE_INTEGRITY, check(&scene, 2, 1, &report));
    scene_clear(&scene);
}

static void another_time_than_signed_is_refused(void **state)
{
    static const uint64_t said[] = {0, TIME_S - 1, TIME_S + 1, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        struct cosignature_report report;
        struct scene scene = fresh_scene();
        add_line(&scene, 0, TIME_S, said[i]);
        assert_result(LETHE_INTEGRITY, check(&scene, 1, 1, &report));
        scene_clear(&scene);
    }
    struct cosignature_report report;
    struct scene scene = fresh_scene();
    add_line(&scene, 0, (uint64_t)1 << 63, (uint64_t)1 << 63); /* signed, but no time */
    assert_result(LETHE_INTEGRITY, check(&scene, 1, 1, &report));
    scene_clear(&scene);
}

/* The log's own type of key cannot pass for a witness, nor the other way round. */
static void the_types_of_keys_are_told_apart(void **state)
{
    struct audit_key key;
    struct scene scene = fresh_scene();
    struct buffer log_key = {0}, witness_key = {0};
    audit_key_text(&scene.keys[0], &log_key);
    note_key_text(&scene.keys[0], NOTE_TYPE_COSIGNATURE, &witness_key);
    assert_result(LETHE_OK, audit_key_parse(log_key.bytes, log_key.size_bytes, &key, NULL));
    assert_result(LETHE_OK,
                  cosignature_key_parse(witness_key.bytes, witness_key.size_bytes, &key, NULL));
    assert_string_equal(key.name, scene.keys[0].name);
    assert_result(LETHE_MALFORMED,
                  cosignature_key_parse(log_key.bytes, log_key.size_bytes, &key, NULL));
    assert_result(LETHE_MALFORMED,
                  audit_key_parse(witness_key.bytes, witness_key.size_bytes, &key, NULL));
    struct cosignature_report report;
    const struct cosignature_policy own = {&scene.node->options.signer.key, 1, 1};
    assert_result(LETHE_INTEGRITY,
                  cosignature_check(scene.note.bytes, scene.note.size_bytes, &own, &report, NULL));
    buffer_clear(&log_key);
    buffer_clear(&witness_key);
    scene_clear(&scene);
}

static void a_policy_that_is_none_is_refused(void **state)
{
    struct cosignature_report report;
    struct scene scene = fresh_scene();
    assert_result(LETHE_INVALID, check(&scene, 0, 0, &report));
    assert_result(LETHE_INVALID, check(&scene, 2, 0, &report));
    assert_result(LETHE_INVALID, check(&scene, 2, 3, &report));
    scene.keys[1] = scene.keys[0];
    snprintf(scene.keys[1].name, sizeof scene.keys[1].name, "another.name");
    assert_result(LETHE_INVALID, check(&scene, 2, 1, &report)); /* one key for two */
    scene_clear(&scene);
}

static void notes_are_put_together(void **state)
{
    struct scene scene = fresh_scene();
    struct buffer plain = {0}, first = {0}, both = {0}, again = {0};
    struct cosignature_report report;
    const struct audit_key *log_key = &scene.node->options.signer.key;
    const struct cosignature_policy policy = {scene.keys, 2, 2};
    buffer_append(&plain, scene.note.bytes, scene.note.size_bytes);
    add_line(&scene, 0, TIME_S, TIME_S);
    add_line(&scene, 2, TIME_S, TIME_S); /* not of the policy: left out */
    const struct cosignature_notes one = {NULL, &scene.note, log_key};
    assert_result(LETHE_OK, cosignature_merge(&one, &policy, &first, NULL));

    buffer_truncate(&scene.note, plain.size_bytes);
    add_line(&scene, 1, TIME_S, TIME_S);
    const struct cosignature_notes two = {&first, &scene.note, log_key};
    assert_result(LETHE_OK, cosignature_merge(&two, &policy, &both, NULL));
    assert_result(LETHE_OK, cosignature_check(both.bytes, both.size_bytes, &policy, &report, NULL));
    struct audit_checkpoint checkpoint;
    assert_result(LETHE_OK,
                  audit_checkpoint_open(both.bytes, both.size_bytes, log_key, &checkpoint, NULL));
    assert_null(memmem(both.bytes, both.size_bytes, "example/2", 9));

    const struct cosignature_notes same = {&both, &scene.note, log_key};
    assert_result(LETHE_OK, cosignature_merge(&same, &policy, &again, NULL));
    assert_int_equal(again.size_bytes, both.size_bytes);
    scene.note.bytes[sizeof "lethe/alpha"] = '5';
    buffer_truncate(&again, 0);
    assert_result(LETHE_INVALID, cosignature_merge(&same, &policy, &again, NULL));
    buffer_clear(&plain);
    buffer_clear(&first);
    buffer_clear(&both);
    buffer_clear(&again);
    scene_clear(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quorum_is_counted),
        cmocka_unit_test(a_bad_one_by_a_known_witness_is_refused),
        cmocka_unit_test(another_time_than_signed_is_refused),
        cmocka_unit_test(the_types_of_keys_are_told_apart),
        cmocka_unit_test(a_policy_that_is_none_is_refused),
        cmocka_unit_test(notes_are_put_together),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
