/* What <lethe/home.h> and <lethe/model.h> promise to a program that is not ours. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lethe/home.h>
#include <lethe/model.h>
#include <lethe/residency.h>

#include "check_files.h"

#include "audit/recorder.h"
#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "home/home.h"
#include "model/model.h"

struct place {
    char *directory;
    char *model;
    struct home_paths paths;
    struct lethe_error err;
};

static void make_home(struct place *place, const char *root, int passphrase_fd)
{
    const struct home_init init = {.root = root, .node = "node-1", .passphrase_fd = passphrase_fd};
    struct root_spec made;
    place->directory = temp_dir();
    place->model = strdup(path_in(place->directory, "m.lethe"));
    assert_ok(home_locate(path_in(place->directory, "home"), &place->paths, &place->err),
              &place->err);
    assert_ok(home_create(&place->paths, &init, &made, &place->err), &place->err);
}

static int set_up(void **state)
{
    static struct place place;
    char root[600];
    place = (struct place){0};
    CLEANUP(memory_free) char *root_directory = temp_dir();
    snprintf(root, sizeof root, "file:%s/root.key", root_directory);
    make_home(&place, root, -1);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    home_paths_clear(&place->paths);
    free(place->directory);
    free(place->model);
    return 0;
}

static struct lethe_home *must_open(struct place *place)
{
    struct lethe_home *home;
    assert_ok(lethe_home_open(place->paths.directory, &home, &place->err), &place->err);
    return home;
}

static void must_close(struct place *place, struct lethe_home *home)
{
    assert_ok(lethe_home_close(home, &place->err), &place->err);
}

/* A model of two shards, 1000 and 5 bytes. */
static void encrypt(struct place *place)
{
    static const char bytes[1000] = "large";
    const char *sources[] = {path_in(place->directory, "large.bin"),
                             path_in(place->directory, "small.bin")};
    const struct encrypt_options options = {.sources = sources,
                                            .source_count = 2,
                                            .output = place->model,
                                            .tenant = "default",
                                            .model = "m",
                                            .raw = true,
                                            .clock = &clock_system,
                                            .random = &random_system};
    struct encrypt_summary summary;
    struct home *home;
    put_file(sources[0], bytes, sizeof bytes);
    put_file(sources[1], "small", 5);
    assert_ok(home_open(place->paths.directory, -1, &home, &place->err), &place->err);
    assert_ok(model_encrypt(&options, keeper_key_source(home->keeper), &summary, &place->err),
              &place->err);
    assert_ok(home_close(home, &place->err), &place->err);
}

/* How many records of the log's first file hold both texts. */
static size_t count_records(const struct place *place, const char *event, const char *with)
{
    struct buffer text = get_file(path_in(place->paths.audit, "000001.jsonl"));
    char *rest = text.bytes;
    char wanted[64];
    size_t count = 0;
    snprintf(wanted, sizeof wanted, "\"event\":\"%s\"", event);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        count += strstr(line, wanted) != NULL && strstr(line, with) != NULL;
    buffer_clear(&text);
    return count;
}

/* ---- the home -------------------------------------------------------------------------------- */

/* E-1 */
static void where_no_home_is_none_is_opened(void **state)
{
    struct place *place = *state;
    struct lethe_home *home = (void *)1;
    assert_result(LETHE_NOT_FOUND,
                  lethe_home_open(path_in(place->directory, "elsewhere"), &home, &place->err));
    assert_null(home);
    assert_string_equal("lethe init", place->err.hint);
    assert_result(LETHE_NOT_FOUND, lethe_home_open("/dev/null/home", &home, NULL));
}

/* what is on record for one home must not go into another's log. */
static void a_process_has_one_home_open(void **state)
{
    struct place *place = *state;
    struct lethe_home *second = (void *)1;
    struct lethe_home *home = must_open(place);
    assert_result(LETHE_BUSY, lethe_home_open(place->paths.directory, &second, &place->err));
    assert_null(second);
    must_close(place, home);
    must_close(place, must_open(place));
    assert_ok(lethe_home_close(NULL, &place->err), &place->err);
}

/* K-2 */
static void a_home_that_others_can_read_is_refused(void **state)
{
    struct place *place = *state;
    struct lethe_home *home;
    assert_int_equal(0, chmod(place->paths.directory, 0755));
    assert_result(LETHE_UNPROTECTED, lethe_home_open(place->paths.directory, &home, &place->err));
    assert_int_equal(0, chmod(place->paths.directory, 0700));
    must_close(place, must_open(place));
}

/* Z-8 */
static void wipes_are_on_record_while_the_home_is_open(void **state)
{
    struct place *place = *state;
    const struct lethe_region_options options = {
        .class_ = LETHE_CLASS_CONTENT, .label = {.tenant = "t", .session = "s", .id = "cache-7"}};
    struct lethe_region *region;
    struct lethe_home *home = must_open(place);
    assert_ok(lethe_region_create(1, &options, &region, &place->err), &place->err);
    lethe_region_free(region);
    must_close(place, home);
    assert_int_equal(1, count_records(place, "region_wiped", "\"label\":\"cache-7\""));

    assert_ok(lethe_region_create(1, &options, &region, &place->err), &place->err);
    lethe_region_free(region); /* nobody hears of it any more */
    must_close(place, must_open(place));
    assert_int_equal(1, count_records(place, "region_wiped", "\"label\":\"cache-7\""));
}

/* A child of its own, which opens the home anew. */
static void record_and_exit(struct place *place)
{
    const struct lethe_region_options options = {
        .class_ = LETHE_CLASS_CONTENT, .optional = LETHE_LOCKED, .label = {.id = "last-words"}};
    struct lethe_region *region;
    struct lethe_home *home;
    if (lethe_home_open(place->paths.directory, &home, NULL) != LETHE_OK ||
        lethe_region_create(1, &options, &region, NULL) != LETHE_OK)
        _exit(1);
    lethe_region_free(region);
    exit(0);
}

/* what was recorded is written by a program that forgets to close, and the log goes on. */
static void a_program_that_exits_leaves_its_records(void **state)
{
    struct place *place = *state;
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        record_and_exit(place);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(1, count_records(place, "region_wiped", "\"label\":\"last-words\""));
    must_close(place, must_open(place));
}

/* what the log's signer signs, the log's public key verifies. */
static void the_log_is_handed_over_with_its_signer(void **state)
{
    struct place *place = *state;
    struct lethe_home *home = must_open(place);
    const struct lethe_log *log = lethe_home_log(home);
    char actor[HOME_ACTOR_SIZE];
    struct signature signature = {.size_bytes = 64};
    CLEANUP(sign_public_free) struct sign_public *key = NULL;
    home_fill_actor(actor);
    assert_string_equal("node-1", log->node);
    assert_string_equal(actor, log->actor);
    assert_string_equal("lethe/node-1", log->signer->key.name);

    assert_ok(log->signer->sign(log->signer->context, "said", 4, signature.bytes, &place->err),
              &place->err);
    assert_ok(
        sign_public_from_raw(SIGNATURE_ED25519, log->signer->key.public_key, 32, &key, &place->err),
        &place->err);
    assert_ok(sign_verify(key, "said", 4, &signature, &place->err), &place->err);
    assert_result(LETHE_INTEGRITY, sign_verify(key, "sayd", 4, &signature, &place->err));

    const struct audit_who who = {.actor = log->actor, .tenant = "t", .session = "s"};
    const struct audit_event event = audit_session_started("from outside");
    audit_emit(log->log, &who, &event);
    must_close(place, home);
    assert_int_equal(1, count_records(place, "session_started", "from outside"));
}

static int line_to_read(const char *line)
{
    int ends[2];
    assert_int_equal(0, pipe2(ends, O_CLOEXEC));
    assert_int_equal(strlen(line), write(ends[1], line, strlen(line)));
    close(ends[1]);
    return ends[0];
}

/* K-2 */
static void a_passphrase_comes_by_descriptor(void **state)
{
    struct place place = {0};
    struct lethe_home *home;
    CLEANUP(fd_close) int first = line_to_read("correct horse\n");
    CLEANUP(fd_close) int wrong = line_to_read("correct house\n");
    CLEANUP(fd_close) int right = line_to_read("correct horse\nnext");
    make_home(&place, "passphrase", first);
    assert_result(LETHE_DENIED,
                  lethe_home_open_with_passphrase(place.paths.directory, wrong, &home, &place.err));
    assert_ok(lethe_home_open_with_passphrase(place.paths.directory, right, &home, &place.err),
              &place.err);
    char rest[8] = "";
    assert_int_equal(4, read(right, rest, sizeof rest - 1));
    assert_string_equal("next", rest);
    must_close(&place, home);
    void *made = &place;
    tear_down(&made);
}

/* ---- models ---------------------------------------------------------------------------------- */

/* E-1 */
static void a_model_lists_its_shards(void **state)
{
    struct place *place = *state;
    struct lethe_model *model;
    encrypt(place);
    struct lethe_home *home = must_open(place);
    assert_ok(lethe_model_open(home, place->model, &model, &place->err), &place->err);
    assert_int_equal(2, lethe_model_shard_count(model));

    struct lethe_model_shard shard;
    lethe_model_shard(model, 0, &shard);
    assert_string_equal("0000", shard.id);
    assert_string_equal("large.bin", shard.name);
    assert_string_equal("other", shard.kind);
    assert_int_equal(1000, shard.size_bytes);
    lethe_model_shard(model, 1, &shard);
    assert_string_equal("0001", shard.id);
    assert_int_equal(5, shard.size_bytes);

    lethe_model_close(model);
    lethe_model_close(NULL);
    must_close(place, home);
    assert_int_equal(0, count_records(place, "key_released", ""));
    assert_int_equal(0, count_records(place, "model_rejected", ""));
}

/* E-8: what the owner signed is what is opened, or nothing is. */
static void a_changed_model_is_refused_on_record(void **state)
{
    struct place *place = *state;
    struct lethe_model *model = (void *)1;
    encrypt(place);
    struct buffer manifest = get_file(path_in(place->model, "manifest.json"));
    char *digit = strstr(manifest.bytes, "\"size\":1000");
    assert_non_null(digit);
    digit[strlen("\"size\":")] = '2';
    put_file(path_in(place->model, "manifest.json"), manifest.bytes, manifest.size_bytes);
    buffer_clear(&manifest);

    struct lethe_home *home = must_open(place);
    lethe_result result = lethe_model_open(home, place->model, &model, &place->err);
    assert_int_equal(3, lethe_result_exit_code(result));
    assert_null(model);
    assert_int_equal(3, lethe_result_exit_code(lethe_model_open(home, place->model, &model, NULL)));
    must_close(place, home);
    assert_int_equal(2, count_records(place, "model_rejected", "\"model\":\"m.lethe\""));
    assert_int_equal(2, count_records(place, "model_rejected", "\"purpose\":\"load\""));
    assert_int_equal(0, count_records(place, "model_rejected", "\"reason\":\"\""));
}

/* K-9 */
static void a_model_of_a_revoked_signer_is_refused(void **state)
{
    struct place *place = *state;
    struct lethe_model *model;
    struct key_info info;
    struct home *owner;
    encrypt(place);
    assert_ok(home_open(place->paths.directory, -1, &owner, &place->err), &place->err);
    assert_ok(keeper_revoke_key(owner->keeper, "default.signer", "test", &info, &place->err),
              &place->err);
    assert_ok(home_close(owner, &place->err), &place->err);

    struct lethe_home *home = must_open(place);
    assert_result(LETHE_REVOKED, lethe_model_open(home, place->model, &model, &place->err));
    must_close(place, home);
    assert_int_equal(1, count_records(place, "model_rejected", "revoked"));
}

static void where_no_model_is_none_is_opened(void **state)
{
    struct place *place = *state;
    struct lethe_model *model = (void *)1;
    struct lethe_home *home = must_open(place);
    assert_result(LETHE_NOT_FOUND, lethe_model_open(home, place->model, &model, &place->err));
    assert_null(model);
    must_close(place, home);
    assert_int_equal(0, count_records(place, "model_rejected", ""));
}

/* ---- errors ---------------------------------------------------------------------------------- */

static const char mark[] = "as it was";

static void mark_error(struct place *place)
{
    place->err =
        (struct lethe_error){.code = LETHE_LIMIT, .text = "as it was", .hint = "as it was"};
}

static void assert_marked(const struct place *place)
{
    assert_string_equal(mark, place->err.text);
    assert_string_equal(mark, place->err.hint);
    assert_int_equal(LETHE_LIMIT, place->err.code);
}

static void use_model(struct place *place, struct lethe_home *home)
{
    struct lethe_model *model;
    struct lethe_worker *worker;
    struct lethe_shard *shard;
    const struct lethe_worker_options options = {.name = "w",
                                                 .policy = LETHE_HOST_ALLOWED,
                                                 .optional = LETHE_LOCKED,
                                                 .log = lethe_home_log(home)};
    assert_result(LETHE_OK, lethe_model_open(home, place->model, &model, &place->err));
    assert_marked(place);
    assert_result(LETHE_OK, lethe_worker_create(&options, &worker, &place->err));
    assert_result(LETHE_OK, lethe_worker_ready(worker, &place->err));
    assert_result(LETHE_OK, lethe_shard_seal_model(worker, model, 0, &(struct lethe_placement){0},
                                                   &shard, &place->err));
    assert_marked(place);
    assert_result(LETHE_OK, lethe_shard_evict(shard, &place->err));
    assert_result(LETHE_OK, lethe_worker_free(worker, &place->err));
    lethe_model_close(model);
    assert_marked(place);
}

/* A call that succeeds leaves the caller's error as it was, whatever it tried and did without. */
static void a_success_leaves_the_error_as_it_was(void **state)
{
    struct place *place = *state;
    struct lethe_home *home;
    encrypt(place);
    for (unsigned with_configuration = 0; with_configuration < 2; with_configuration++) {
        mark_error(place);
        assert_result(LETHE_OK, lethe_home_open(place->paths.directory, &home, &place->err));
        assert_marked(place);
        use_model(place, home);
        assert_result(LETHE_OK, lethe_home_close(home, &place->err));
        assert_marked(place);
        put_file(place->paths.configuration, "[audit]\nflush_records = 9\n", 26);
    }
    put_file(place->paths.configuration, "[audit]\nnonsense = 1\n", 21); /* a failure is said */
    assert_result(LETHE_INVALID, lethe_home_open(place->paths.directory, &home, &place->err));
    assert_non_null(strstr(place->err.text, "lethe.conf"));
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* Secrets are loaded without what an editor left behind them. */
static void a_token_is_read_without_the_space_around_it(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place->directory, "token");
    struct lethe_secret *token;
    put_file(path, " \tto ken\r\n\n", 11);
    assert_ok(lethe_secret_read_file(path, &token, &place->err), &place->err);
    assert_int_equal(6, lethe_secret_size(token));
    assert_memory_equal("to ken", lethe_secret_bytes(token), 6);
    lethe_secret_free(token);
}

/* The mode is looked at before a byte is read, the size is capped, and nothing is no secret. */
static void what_is_no_token_is_refused(void **state)
{
    static const char spaces[LETHE_SECRET_MAX_BYTES + 1] = "";
    const struct {
        const char *bytes;
        size_t size_bytes;
        mode_t mode;
        lethe_result result;
    } rows[] = {
        {"token", 5, 0600, LETHE_OK},
        {"token", 5, 0400, LETHE_OK},
        {"token", 5, 0640, LETHE_UNPROTECTED},
        {"token", 5, 0602, LETHE_UNPROTECTED},
        {"", 0, 0600, LETHE_INTEGRITY},
        {" \r\n", 3, 0600, LETHE_INVALID},
        {spaces, sizeof spaces, 0600, LETHE_INTEGRITY},
    };
    struct place *place = *state;
    const char *path = path_in(place->directory, "token");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_secret *token = (void *)1;
        unlink(path);
        put_file(path, rows[i].bytes, rows[i].size_bytes);
        assert_int_equal(0, chmod(path, rows[i].mode));
        assert_result(rows[i].result, lethe_secret_read_file(path, &token, &place->err));
        assert_true((token != NULL) == (rows[i].result == LETHE_OK));
        lethe_secret_free(token);
    }
    struct lethe_secret *token;
    assert_result(LETHE_UNAVAILABLE, lethe_secret_read_file("/nowhere/token", &token, NULL));
    assert_result(LETHE_INTEGRITY, lethe_secret_read_file(place->directory, &token, NULL));
}

#define HOME_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOME_TEST(where_no_home_is_none_is_opened),
        HOME_TEST(a_process_has_one_home_open),
        HOME_TEST(a_home_that_others_can_read_is_refused),
        HOME_TEST(wipes_are_on_record_while_the_home_is_open),
        HOME_TEST(a_program_that_exits_leaves_its_records),
        HOME_TEST(the_log_is_handed_over_with_its_signer),
        cmocka_unit_test(a_passphrase_comes_by_descriptor),
        HOME_TEST(a_model_lists_its_shards),
        HOME_TEST(a_changed_model_is_refused_on_record),
        HOME_TEST(a_model_of_a_revoked_signer_is_refused),
        HOME_TEST(where_no_model_is_none_is_opened),
        HOME_TEST(a_success_leaves_the_error_as_it_was),
        HOME_TEST(a_token_is_read_without_the_space_around_it),
        HOME_TEST(what_is_no_token_is_refused),
    };
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
