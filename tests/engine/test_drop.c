/* --drop-after-ready: weights that an engine has copied are wiped and freed while it runs, and
 * those that it still has are not. */
#include "engine_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/notify.h"
#include "engine/ready_url.h"

/* ---- what is dropped, and what is kept ------------------------------------------------------- */

struct holding {
    const char *how;
    const char *said;
    const char *weights; /* on record */
    const char *reason;  /* a part of it */
};

static struct engine_options dropping(struct place *place, const char *const *words)
{
    struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    options.drop_after_ready = true;
    return options;
}

static void check_record(struct place *place, const struct holding *holding)
{
    CLEANUP(json_decref) json_t *record = last_record(place, "engine_ready");
    bool dropped = strcmp(holding->weights, "dropped") == 0;
    assert_string_equal(text_of(record, "weights"), holding->weights);
    assert_int_equal(number_of(record, "bytes"), dropped ? SMALL_BYTES : 0);
    if (dropped)
        assert_null(json_object_get(record, "reason"));
    else
        assert_non_null(strstr(text_of(record, "reason"), holding->reason));
}

static void only_what_nobody_has_is_dropped(void **state)
{
    /* "there 1": under its name, with its memory. */
    static const struct holding holdings[] = {
        {"copy", "gone 0\n", "dropped", NULL},      {"map", "there 1\n", "kept", "mapped"},
        {"private", "there 1\n", "kept", "mapped"}, {"open", "there 1\n", "kept", "open"},
        {"child", "there 1\n", "kept", "mapped"},   {"unseen", "there 1\n", "kept", "mapped"},
    };
    if (!host_gives(HANDOVER_TMPFS))
        skip();
    struct place *place = PLACE(state);
    open_small_model(place);
    for (size_t i = 0; i < ARRAY_LEN(holdings); i++) {
        const char *const words[] = {helper,    place->out, "ready",  holdings[i].how,
                                     "{model}", "3",        "100001", NULL};
        const struct engine_options options = dropping(place, words);
        struct engine_exit end;
        print_message("%s\n", holdings[i].how);
        assert_ok(run_engine(place, &options, &end), &place->models->err);
        assert_int_equal(end.exit_code, 0);
        assert_true(end.wiped);
        assert_int_equal(end.wiped_bytes, SMALL_BYTES); /* once, not twice */
        assert_said(place, holdings[i].said);
        check_record(place, &holdings[i]);
    }
}

/* The control: without the option nothing goes, and nobody is asked to say anything. */
static void without_the_option_nothing_is_dropped(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *const words[] = {"sh", "-c", "test -z \"$NOTIFY_SOCKET\" # {model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    assert_int_equal(must_run(place, &options), 0);
    assert_events(place, "model_loaded engine_started region_wiped region_wiped engine_exited ");
}

/* An engine that never says anything keeps its weights, and nothing is on record about it. */
static void an_engine_that_is_never_ready_keeps_its_weights(void **state)
{
    if (!host_gives(HANDOVER_TMPFS))
        skip();
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *const words[] = {"sh", "-c", "test -s {model}", NULL};
    const struct engine_options options = dropping(place, words);
    assert_int_equal(must_run(place, &options), 0);
    assert_events(place, "model_loaded engine_started region_wiped region_wiped engine_exited ");
}

static void all_models_are_dropped_together(void **state)
{
    if (!host_gives(HANDOVER_TMPFS))
        skip();
    static const struct part two[] = {{"a.bin", 5000, 1}, {"b/c.bin", 70001, 2}};
    struct place *place = PLACE(state);
    open_small_model(place);
    place->list[1] = (struct engine_model){
        "second", must_open(place->models, make_model(place, "second", two, ARRAY_LEN(two)))};
    const char *const words[] = {helper, place->out, "ready",    "copy", "{model}",
                                 "3",    "100001",   "{second}", NULL};
    const struct engine_options options = dropping(place, words);
    struct engine_exit end;
    assert_ok(run_engine(place, &options, &end), &place->models->err);
    assert_true(end.wiped);
    assert_int_equal(end.wiped_bytes, SMALL_BYTES + 75001);
    CLEANUP(json_decref) json_t *record = last_record(place, "engine_ready");
    assert_int_equal(number_of(record, "bytes"), SMALL_BYTES + 75001);
}

/* The guardian dies after the drop: the supervisor has no mapping left to stumble over. */
static void a_guardian_that_dies_after_a_drop_is_survived(void **state)
{
    if (!host_gives(HANDOVER_TMPFS))
        skip();
    struct place *place = PLACE(state);
    open_small_model(place);
    char script[1024];
    snprintf(script, sizeof script,
             "%s %s ready copy {model} 3 100001; sleep 0.1; kill -KILL $PPID; sleep 30", helper,
             place->out);
    const char *const words[] = {"sh", "-c", script, NULL};
    const struct engine_options options = dropping(place, words);
    assert_int_equal(must_run(place, &options), 137);
    assert_said(place, "gone 0\n");
}

static void memory_files_cannot_be_dropped(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *const words[] = {"true", "{model}", NULL};
    struct engine_options options = dropping(place, words);
    options.handover = HANDOVER_MEMFD;
    struct engine *engine;
    assert_int_not_equal(engine_prepare(&options, &engine, &place->models->err), LETHE_OK);
    assert_null(engine);
}

/* ---- the address ----------------------------------------------------------------------------- */

static void only_addresses_of_this_host_are_asked(void **state)
{
    static const char *const good[] = {"http://127.0.0.1:8080/health", "http://localhost:1/",
                                       "http://[::1]:65535/v1/models?x=y"};
    static const char *const bad[] = {"",
                                      "http://",
                                      "https://127.0.0.1:8080/health",
                                      "http://127.0.0.1/health",
                                      "http://127.0.0.1:8080",
                                      "http://127.0.0.1:0/",
                                      "http://127.0.0.1:65536/",
                                      "http://127.0.0.1:-1/",
                                      "http://127.0.0.1: 1/",
                                      "http://127.0.0.1:1/a b",
                                      "http://127.0.0.1:1/a\r\nX: y",
                                      "http://127.0.0.2:1/",
                                      "http://example.org:80/",
                                      "http://localhost.example.org:80/",
                                      "http://localhost:80@example.org:80/",
                                      "file:///etc/passwd"};
    struct ready_url url;
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_ok(ready_url_parse(good[i], &url, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID, ready_url_parse(bad[i], &url, &err));
        assert_non_null(strstr(err.hint, "--ready-url http://"));
    }
    char *large = malloc(1000);
    memset(large, 'a', 999);
    memcpy(large, "http://[::1]:80/", 16);
    large[999] = '\0';
    assert_result(LETHE_INVALID, ready_url_parse(large, &url, &err));
    free(large);
}

static void only_a_200_is_a_good_answer(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } answers[] = {{"HTTP/1.1 200 OK\r\n", true},
                   {"HTTP/1.0 200\r\n", true},
                   {"HTTP/1.1 503 Loading\r\n", false},
                   {"HTTP/1.1 2000\r\n", false},
                   {"HTTP/1.1 200", false},
                   {"HTTP/2 200 OK\r\n", false},
                   {"200 OK", false},
                   {"", false},
                   {"HTTP/1.1\n200 OK\r\n", false}};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        assert_int_equal(ready_url_is_good_answer(answers[i].text, strlen(answers[i].text)),
                         answers[i].good);
}

static void nobody_there_is_not_ready(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    struct ready_url url = {.port = ntohs(address.sin_port), .path = "/"};
    assert_false(ready_url_answers(&url)); /* refused */
    assert_int_equal(listen(fd, 1), 0);
    assert_false(ready_url_answers(&url)); /* says nothing */
}

/* ---- sd_notify ------------------------------------------------------------------------------- */

static void only_a_whole_line_says_ready(void **state)
{
    static const struct {
        const char *text;
        bool ready;
    } messages[] = {{"READY=1", true},   {"READY=1\n", true},       {"A=b\nREADY=1\nC=d", true},
                    {"READY=0", false},  {"READY=10", false},       {"XREADY=1", false},
                    {"READY=1 ", false}, {"STATUS=READY=1", false}, {"", false},
                    {"\n\n", false},     {"READY=", false}};
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        assert_int_equal(notify_says_ready(messages[i].text, strlen(messages[i].text)),
                         messages[i].ready);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(only_what_nobody_has_is_dropped),
        IN_PLACE(without_the_option_nothing_is_dropped),
        IN_PLACE(an_engine_that_is_never_ready_keeps_its_weights),
        IN_PLACE(all_models_are_dropped_together),
        IN_PLACE(a_guardian_that_dies_after_a_drop_is_survived),
        IN_PLACE(memory_files_cannot_be_dropped),
        cmocka_unit_test(only_addresses_of_this_host_are_asked),
        cmocka_unit_test(only_a_200_is_a_good_answer),
        cmocka_unit_test(nobody_there_is_not_ready),
        cmocka_unit_test(only_a_whole_line_says_ready),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
