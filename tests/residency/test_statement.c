/* Statements: what is resident, signed by the node, believed for one nonce only. */
#include "residency_check.h"

#include "audit/note.h"
#include "residency/statement_text.h"

static const uint8_t nonce[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

/* The node's public key, as `lethe key export` prints it. */
static char *vkey_of(const struct site *site)
{
    struct buffer text = {0};
    audit_key_text(&site->signer.key, &text);
    assert_non_null(text.bytes);
    return text.bytes;
}

static char *must_state(struct site *site)
{
    char *note = NULL;
    assert_ok(lethe_worker_statement(site->worker, nonce, &note, &site->err), &site->err);
    return note;
}

static lethe_result check(struct site *site, const char *note, size_t note_bytes,
                          struct lethe_statement *out)
{
    char *vkey = vkey_of(site);
    site->err = (struct lethe_error){0};
    lethe_result result = lethe_statement_check(note, note_bytes, vkey, nonce, out, &site->err);
    free(vkey);
    return result;
}

/* VP-006: the whole text, and that the key's owner said it. */
static void a_statement_says_what_is_resident(void **state)
{
    struct site *site = *state;
    struct lethe_statement says;
    struct lethe_seal a, b;
    struct lethe_shard *second = must_seal(site, "b", 5000); /* in order by id, not by time */
    struct lethe_shard *first = must_seal(site, "a", 5001);
    lethe_shard_get_seal(first, &a);
    lethe_shard_get_seal(second, &b);
    site->now_s += 60;
    assert_ok(lethe_shard_verify(second, LETHE_VERIFY_FAST, &site->err), &site->err);
    site->now_s += 60;
    assert_ok(lethe_shard_verify(second, LETHE_VERIFY_SIGNATURE, &site->err), &site->err);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "lethe-residency/1\nworker w0\nnode alpha\nstate ready\npolicy host-allowed\n"
             "time 1795176120\n"
             "nonce 0102030405060708090000000000000000000000000000000000000000000000\n"
             "shard a|%s|1795176000|host:0 never 0\n"
             "shard b|%s|1795176000|host:0 fast 1795176060\n"
             "\n\u2014 lethe/alpha ",
             a.digest, b.digest);
    char *note = must_state(site);
    assert_int_equal(strncmp(note, expected, strlen(expected)), 0);
    assert_ok(check(site, note, strlen(note), &says), &site->err);
    assert_string_equal(says.worker, "w0");
    assert_string_equal(says.node, "alpha");
    assert_string_equal(says.state, "ready");
    assert_false(says.device_only);
    assert_int_equal(says.time_s, 1795176120);
    assert_int_equal(says.shards, 2);
    free(note);
}

/* VP-006: what was verified is no longer there. */
static void a_replaced_shard_was_never_verified(void **state)
{
    struct site *site = *state;
    struct lethe_statement says;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    uint8_t *bytes = weights_of(5000, 2);
    assert_ok(lethe_shard_replace(&shard, bytes, 5000, true, &site->err), &site->err);
    free(bytes);
    char *note = must_state(site);
    assert_non_null(strstr(note, "|host:0 never 0\n"));
    assert_ok(check(site, note, strlen(note), &says), &site->err);
    assert_int_equal(says.shards, 1);
    free(note);
}

/* VP-006 W-1: also of nothing, and of a worker that has stopped. */
static void a_stopped_worker_says_so(void **state)
{
    struct site *site = *state;
    struct lethe_statement says;
    char *note = must_state(site);
    assert_ok(check(site, note, strlen(note), &says), &site->err);
    assert_int_equal(says.shards, 0);
    free(note);
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    flip_byte(shard, 1);
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err));
    note = must_state(site);
    assert_ok(check(site, note, strlen(note), &says), &site->err);
    assert_string_equal(says.state, "stopped");
    assert_int_equal(says.shards, 1);
    free(note);
}

/* VP-006: every single bit of it, and every beginning of it. */
static void a_changed_statement_is_refused(void **state)
{
    struct site *site = *state;
    struct lethe_statement says;
    (void)must_seal(site, "a", 5000);
    char *note = must_state(site);
    size_t length = strlen(note);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        note[bit / 8] ^= (char)(1u << (bit % 8));
        lethe_result result = check(site, note, length, &says);
        assert_true(result == LETHE_INTEGRITY || result == LETHE_MALFORMED);
        assert_int_equal(says.shards, 0);
        note[bit / 8] ^= (char)(1u << (bit % 8));
    }
    for (size_t cut = 0; cut < length; cut++) {
        lethe_result result = check(site, note, cut, &says);
        assert_true(result == LETHE_INTEGRITY || result == LETHE_MALFORMED);
    }
    assert_ok(check(site, note, length, &says), &site->err);
    free(note);
}

/* VP-006: not fresh, of somebody else, or about somebody else. */
static void a_statement_is_one_nodes_for_one_nonce(void **state)
{
    struct site *site = *state;
    struct lethe_statement says;
    char *note = must_state(site);
    char *vkey = vkey_of(site);
    uint8_t other[32];
    memcpy(other, nonce, sizeof other);
    other[31] ^= 1;
    assert_result(LETHE_INTEGRITY,
                  lethe_statement_check(note, strlen(note), vkey, other, &says, &site->err));
    assert_result(LETHE_MALFORMED, lethe_statement_check(note, strlen(note), "lethe/alpha", nonce,
                                                         &says, &site->err));
    free(vkey);

    struct node *beta = node_create("beta", "unused");
    const struct site stranger = {.signer = beta->options.signer};
    vkey = vkey_of(&stranger);
    assert_result(LETHE_INTEGRITY,
                  lethe_statement_check(note, strlen(note), vkey, nonce, &says, &site->err));
    free(vkey);
    node_free(beta);
    free(note);

    site->recorder.node = "gamma"; /* a signer that lends its key */
    note = must_state(site);
    assert_result(LETHE_INTEGRITY, check(site, note, strlen(note), &says));
    assert_non_null(strstr(site->err.text, "gamma"));
    site->recorder.node = "alpha";
    free(note);
}

static void without_a_key_there_is_no_statement(void **state)
{
    struct site *site = *state;
    char *note;
    site->recorder.signer = NULL;
    assert_result(LETHE_UNAVAILABLE,
                  lethe_worker_statement(site->worker, nonce, &note, &site->err));
    assert_null(note);
    site->recorder.signer = &site->signer;
    atomic_store(&site->log_fails, true);
    assert_result(LETHE_IO, lethe_worker_statement(site->worker, nonce, &note, &site->err));
    atomic_store(&site->log_fails, false);
    struct lethe_worker_options options = site_options(site);
    options.log = NULL;
    struct lethe_worker *silent = must_create(site, &options);
    assert_result(LETHE_UNAVAILABLE, lethe_worker_statement(silent, nonce, &note, &site->err));
    assert_ok(lethe_worker_free(silent, &site->err), &site->err);
}

/* ---- text ------------------------------------------------------------------------------------ */

#define HEAD                                                                                       \
    "lethe-residency/1\nworker w\nnode n\nstate ready\npolicy device-only\ntime 1\n"               \
    "nonce 0102030405060708090000000000000000000000000000000000000000000000\n"
#define DIGEST "00000000000000000000000000000000000000000000000000000000000000ff"
#define ROW(id, rest) "shard " id "|" DIGEST "|7|host:0 " rest "\n"

static lethe_result parse(const char *text)
{
    struct statement_head head;
    return statement_parse(text, strlen(text), &head, NULL, NULL, NULL);
}

/* Signed or not: one way to say a thing, and nothing else. */
static void texts_that_are_no_statement(void **state)
{
    static const char *const refused[] = {
        "",
        "lethe-residency/2\n",
        "lethe-residency/1\nworker w\n",
        HEAD "\n",
        HEAD "group a\n",
        HEAD "shard \n",
        HEAD ROW("a", "fast"),
        HEAD ROW("a", "fast "),
        HEAD ROW("a", "fast 07"),
        HEAD ROW("a", "fast -7"),
        HEAD ROW("a", "fast 7 "),
        HEAD ROW("a", "fast 18446744073709551616"),
        HEAD ROW("a", "signature 7"),
        HEAD ROW("a", "never 7"),
        HEAD ROW("a b", "fast 7"),
        HEAD ROW("", "fast 7"),
        HEAD ROW("a", "fast 7") ROW("a", "fast 7"),
        HEAD ROW("b", "fast 7") ROW("a", "fast 7"),
        HEAD "shard a|ff|7|host:0 fast 7\n",
        HEAD "shard a|" DIGEST "|7|host:0|x fast 7\n",
        HEAD "shard a|" DIGEST "|7|tpu:0 fast 7\n",
        HEAD "shard a|" DIGEST "|7|host:0 fast 7",
        "lethe-residency/1\nworker \nnode n\nstate ready\npolicy device-only\ntime 1\nnonce " DIGEST
        "\n",
        "lethe-residency/1\nworker w\nnode n\nstate stop\npolicy device-only\ntime 1\nnonce " DIGEST
        "\n",
        "lethe-residency/1\nworker w\nnode n\nstate ready\npolicy none\ntime 1\nnonce " DIGEST "\n",
        "lethe-residency/1\nworker w\nnode n\nstate ready\npolicy device-only\ntime x\n"
        "nonce " DIGEST "\n",
        "lethe-residency/1\nworker w\nnode n\nstate ready\npolicy device-only\ntime 1\nnonce ff\n",
        "lethe-residency/1\nnode n\nworker w\nstate ready\npolicy device-only\ntime 1\n"
        "nonce " DIGEST "\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (parse(refused[i]) != LETHE_MALFORMED)
            fail_msg("taken: %s", refused[i]);
    assert_result(LETHE_OK, parse(HEAD));
    assert_result(LETHE_OK, parse(HEAD ROW("a", "fast 7") ROW("b", "never 0") ROW("c", "full 8")));
}

/* Beyond a checkpoint's 64 KiB, which is little for a model of many experts. */
static void many_shards(void **state)
{
    struct site *site = *state;
    struct lethe_statement says;
    for (unsigned i = 0; i < 700; i++) {
        char id[16];
        snprintf(id, sizeof id, "expert-%u", i);
        (void)must_seal(site, id, 64);
    }
    char *note = must_state(site);
    assert_true(strlen(note) > AUDIT_NOTE_MAX);
    assert_ok(check(site, note, strlen(note), &says), &site->err);
    assert_int_equal(says.shards, 700);
    free(note);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_statement_says_what_is_resident),
        TEST(a_replaced_shard_was_never_verified),
        TEST(a_stopped_worker_says_so),
        TEST(a_changed_statement_is_refused),
        TEST(a_statement_is_one_nodes_for_one_nonce),
        TEST(without_a_key_there_is_no_statement),
        TEST(texts_that_are_no_statement),
        TEST(many_shards),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
