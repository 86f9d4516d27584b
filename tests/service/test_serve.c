/* K-12: an address that others reach takes a word. The supervisor holds no secret, starts its
 * children again, and ends them in order. The children here are none that serve: they say what they
 * see. */
#include "service/serve.h"

#include "check_files.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "service/control.h"
#include "service/serve_child.h"
#include "service/serve_listen.h"

/* ---- a service in a process of its own ---------------------------------------------------------
 */

struct note {  /* what a part tells the test */
    char who;  /* 'k', 'd', 's' (the supervisor's `ready`) */
    char what; /* 's' started, 'p' peer, 'h' reload, 'd' drain, 'e' end, 'x' word of the other */
    pid_t pid;
    int result;
    char text[64];
};

/* A pipe: whole notes. A child keeps only the first three descriptors, of which one is for this. */
static int notes[2];
#define NOTES_FD STDIN_FILENO

static void tell(char who, char what, const char *text)
{
    struct note note = {who, what, getpid(), 0, ""};
    snprintf(note.text, sizeof note.text, "%s", text);
    assert_int_equal(write(NOTES_FD, &note, sizeof note), sizeof note);
}

static struct note kept[256]; /* what has come before it was asked for */
static size_t kept_count;

static void hear(void)
{
    struct pollfd polled = {notes[0], POLLIN, 0};
    assert_true(kept_count < ARRAY_LEN(kept));
    assert_int_equal(poll(&polled, 1, 20000), 1);
    assert_int_equal(read(notes[0], &kept[kept_count], sizeof *kept), sizeof *kept);
    kept_count++;
}

/* The first such note that was not taken yet. */
static void expect(char who, char what, struct note *out)
{
    for (size_t i = 0;; i++) {
        if (i == kept_count)
            hear();
        if (kept[i].who != who || kept[i].what != what)
            continue;
        *out = kept[i];
        memmove(&kept[i], &kept[i + 1], (--kept_count - i) * sizeof *kept);
        return;
    }
}

/* Until the end of its control: passes on what it hears, over its peer too. */
static void live(const struct serve_ends *ends, char who)
{
    int peer = -1;
    for (bool going = true; going;) {
        enum control_letter letter;
        int fd;
        struct pollfd polled[] = {{ends->control, POLLIN, 0}, {peer, POLLIN, 0}};
        poll(polled, 2, -1);
        char word[8] = "";
        if (peer >= 0 && polled[1].revents != 0) {
            if (recv(peer, word, sizeof word - 1, MSG_DONTWAIT) > 0)
                tell(who, 'x', word);
            else
                fd_close(FD_MOVE(peer));
        }
        lethe_result result;
        while ((result = control_receive(ends->control, &letter, &fd, NULL)) == LETHE_OK) {
            if (letter == CONTROL_RELOAD && who == 'd')
                (void)!control_send(ends->control, CONTROL_LOST, -1, NULL);
            if (letter == CONTROL_PEER) {
                fd_close(peer);
                peer = fd;
                tell(who, 'p', "");
                if (who == 'd') {
                    assert_int_equal(send(peer, "hello", 5, MSG_NOSIGNAL), 5);
                    (void)!control_send(ends->control, CONTROL_READY, -1, NULL);
                }
            } else {
                tell(who, letter == CONTROL_DRAIN ? 'd' : 'h', "");
                going = letter != CONTROL_DRAIN;
            }
        }
        going = going && result == LETHE_NOT_FOUND;
    }
    fd_close(peer);
    tell(who, 'e', "");
}

/* What others have open here does not reach a child. */
static void has_nothing_else_open(const struct serve_ends *ends)
{
    for (int fd = 3; fd < 256; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        bool is_given = fd == ends->control || fd == ends->admin;
        for (size_t i = 0; i < ends->listener_count; i++)
            is_given = is_given || fd == ends->listeners[i];
        assert_true(is_given);
    }
}

static lethe_result keeper_part(const struct serve_options *options, const struct serve_ends *ends,
                                struct lethe_error *err)
{
    has_nothing_else_open(ends);
    tell('k', 's', ends->admin >= 0 ? "admin" : "");
    live(ends, 'k');
    return LETHE_OK;
}

static lethe_result door_part(const struct serve_options *options, const struct serve_ends *ends,
                              struct lethe_error *err)
{
    has_nothing_else_open(ends);
    tell('d', 's', ends->addresses[0]);
    live(ends, 'd');
    return LETHE_OK;
}

static lethe_result broken_part(const struct serve_options *options, const struct serve_ends *ends,
                                struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "this is what the test wants");
}

static void ready(void *context, const char *const *addresses, bool sealed)
{
    tell('s', sealed ? 'S' : 'r', addresses[0]);
}

/* A child is this program again: the environment tells it what it is to be. */
#define PARTS_VARIABLE "TEST_SERVE_PARTS"

static pid_t start(const struct serve_options *options, const char *parts)
{
    kept_count = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    assert_int_equal(dup2(notes[1], NOTES_FD), NOTES_FD);
    alarm(60);
    setenv(PARTS_VARIABLE, parts, 1);
    struct lethe_error err = {0};
    lethe_result result = serve(options, &err);
    struct note note = {'s', 'e', getpid(), (int)result, ""};
    snprintf(note.text, sizeof note.text, "%.60s", err.text);
    _exit(write(notes[1], &note, sizeof note) == sizeof note ? 0 : 1);
}

static char *admin;
static struct serve_options plain(void)
{
    return (struct serve_options){
        .listen = {"127.0.0.1:0"}, .listen_count = 1, .admin_path = admin, .ready = ready};
}

/* Waits for what does not come: the other part's end is the first news. */
static lethe_result silent_part(const struct serve_options *options, const struct serve_ends *ends,
                                struct lethe_error *err)
{
    enum control_letter letter;
    int fd;
    struct pollfd polled = {ends->control, POLLIN, 0};
    while (control_receive(ends->control, &letter, &fd, NULL) != LETHE_UNAVAILABLE) {
        fd_close(fd);
        poll(&polled, 1, -1);
    }
    return LETHE_OK;
}

static const struct {
    const char *name;
    struct serve_parts parts;
} part_rows[] = {
    {"fakes", {keeper_part, door_part}},
    {"broken keeper", {broken_part, silent_part}},
    {"broken door", {silent_part, broken_part}},
};

static void be_part(void)
{
    const char *name = getenv(PARTS_VARIABLE);
    for (size_t i = 0; i < ARRAY_LEN(part_rows); i++) {
        if (name != NULL && strcmp(name, part_rows[i].name) == 0)
            serve_as_part(&part_rows[i].parts);
    }
}

static void is_gone(pid_t pid)
{
    /* Children of the supervisor: the test is not their parent, and looks. */
    for (int i = 0; i < 2000 && kill(pid, 0) == 0; i++)
        usleep(5000);
    assert_int_equal(kill(pid, 0), -1);
}

static void finish(pid_t supervisor, lethe_result expected)
{
    struct note note;
    expect('s', 'e', &note);
    assert_int_equal(note.result, expected);
    assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
}

/* ---- a life ------------------------------------------------------------------------------------
 */

static void both_start_meet_and_end(void **state)
{
    struct note keeper, door, note;
    struct stat status;
    const struct serve_options options = plain();
    pid_t supervisor = start(&options, "fakes");
    expect('k', 's', &keeper);
    assert_string_equal(keeper.text, "admin");
    assert_int_equal(stat(admin, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0600);
    expect('s', 'r', &note);
    assert_memory_equal(note.text, "https://127.0.0.1:", 18);
    assert_string_not_equal(note.text, "https://127.0.0.1:0");
    expect('k', 'x', &note);
    assert_string_equal(note.text, "hello");
    assert_int_equal(kill(supervisor, SIGHUP), 0);
    expect('d', 'h', &door);
    expect('k', 'x', &note); /* the door had lost the keeper, and both met again */
    assert_int_equal(kill(supervisor, SIGTERM), 0);
    expect('d', 'd', &note); /* the door first ... */
    expect('d', 'e', &note);
    expect('k', 'e', &note); /* ... and the keeper when it is gone */
    finish(supervisor, LETHE_OK);
    assert_int_equal(access(admin, F_OK), -1);
    is_gone(keeper.pid);
    is_gone(door.pid);
}

static void who_is_killed_starts_again_and_meets_the_other(void **state)
{
    struct note keeper, door, note;
    const struct serve_options options = plain();
    pid_t supervisor = start(&options, "fakes");
    expect('k', 's', &keeper);
    expect('d', 's', &door);
    expect('s', 'r', &note);
    expect('k', 'x', &note);
    for (int i = 0; i < 2; i++) {
        kill(keeper.pid, SIGKILL);
        expect('k', 's', &keeper);
        expect('k', 'x', &note);
        assert_int_equal(note.pid, keeper.pid);
        kill(door.pid, SIGKILL);
        expect('d', 's', &door);
        expect('k', 'x', &note); /* the same keeper, which the new door has met */
        assert_int_equal(note.pid, keeper.pid);
    }
    kill(supervisor, SIGINT);
    finish(supervisor, LETHE_OK);
}

static void a_killed_supervisor_takes_both_along(void **state)
{
    struct note keeper, door, note;
    const struct serve_options options = plain();
    pid_t supervisor = start(&options, "fakes");
    expect('k', 's', &keeper);
    expect('d', 's', &door);
    expect('s', 'r', &note);
    kill(supervisor, SIGKILL);
    assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
    is_gone(keeper.pid);
    is_gone(door.pid);
    /* What it left of the admin socket makes room. */
    assert_int_equal(access(admin, F_OK), 0);
    pid_t next = start(&options, "fakes");
    expect('s', 'r', &note);
    kill(next, SIGTERM);
    finish(next, LETHE_OK);
}

static void what_cannot_start_ends_the_service_with_its_code(void **state)
{
    const struct serve_options options = plain();
    finish(start(&options, "broken keeper"), LETHE_INTEGRITY);
    finish(start(&options, "broken door"), LETHE_INTEGRITY);
}

/* ---- addresses ---------------------------------------------------------------------------------
 */

static void public_addresses_need_a_word(void **state)
{
    static const char *const public_ones[] = {"0.0.0.0:0", "[::]:0"};
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(public_ones); i++) {
        struct serve_options options = {.listen = {public_ones[i]}, .listen_count = 1};
        struct serve_listeners listeners;
        assert_result(LETHE_DENIED, serve_listen(&options, &listeners, &err));
        assert_int_equal(listeners.count, 0);
    }
    struct serve_options options = {
        .listen = {public_ones[0]}, .listen_count = 1, .allow_public = true};
    struct serve_listeners listeners;
    assert_ok(serve_listen(&options, &listeners, &err), &err);
    serve_listeners_close(&listeners);
}

static void an_address_in_use_is_named(void **state)
{
    struct serve_options options = {.listen = {"127.0.0.1:0"}, .listen_count = 1};
    struct serve_listeners first, second;
    struct lethe_error err = {0};
    assert_ok(serve_listen(&options, &first, &err), &err);
    options.listen[0] = first.addresses[0] + strlen("https://");
    assert_result(LETHE_UNAVAILABLE, serve_listen(&options, &second, &err));
    assert_non_null(strstr(err.text, "127.0.0.1"));
    serve_listeners_close(&first);
}

static void a_socket_that_answers_keeps_its_place(void **state)
{
    CLEANUP(memory_free) char *path = temp_path("run/x.sock");
    CLEANUP(memory_free) char *file = temp_path("file");
    struct lethe_error err = {0};
    int first, second;
    assert_ok(serve_listen_unix(path, 0600, &first, &err), &err);
    assert_result(LETHE_UNAVAILABLE, serve_listen_unix(path, 0600, &second, &err));
    fd_close(first); /* as when it was killed: the name stays, and nobody answers */
    assert_ok(serve_listen_unix(path, 0600, &second, &err), &err);
    fd_close(second);
    put_file(file, "x", 1);
    assert_result(LETHE_EXISTS, serve_listen_unix(file, 0600, &second, &err));
    char endless[300] = "/";
    memset(endless + 1, 'x', 200);
    assert_result(LETHE_LIMIT, serve_listen_unix(endless, 0600, &second, &err));
}

/* ---- backoff, letters --------------------------------------------------------------------------
 */

static void waits_grow_and_a_long_life_makes_them_short(void **state)
{
    struct serve_child child = {.control = -1};
    uint64_t now = 1000;
    static const uint64_t waits[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        child.started_ms = now;
        serve_child_ended(&child, now);
        assert_int_equal(child.due_ms - now, waits[i]);
        now = child.due_ms;
    }
    child.started_ms = now;
    serve_child_ended(&child, now + SERVE_LIFE_THAT_COUNTS_MS);
    assert_int_equal(child.due_ms - now, SERVE_LIFE_THAT_COUNTS_MS + 100);
}

static void letters_bring_descriptors(void **state)
{
    int ends[2], pair[2], fd;
    char byte = 'x';
    enum control_letter letter;
    struct lethe_error err = {0};
    assert_ok(control_pair(ends, &err), &err);
    assert_result(LETHE_NOT_FOUND, control_receive(ends[1], &letter, &fd, &err));
    assert_int_equal(pipe(pair), 0);
    assert_ok(control_send(ends[0], CONTROL_PEER, pair[1], &err), &err);
    fd_close(pair[1]);
    assert_ok(control_receive(ends[1], &letter, &fd, &err), &err);
    assert_int_equal(letter, CONTROL_PEER);
    assert_int_equal(write(fd, &byte, 1), 1);
    fd_close(fd);
    fd_close(pair[0]);
    assert_int_equal(send(ends[0], "two", 3, 0), 3);
    assert_result(LETHE_MALFORMED, control_receive(ends[1], &letter, &fd, &err));
    fd_close(ends[0]);
    assert_result(LETHE_UNAVAILABLE, control_receive(ends[1], &letter, &fd, &err));
    assert_result(LETHE_UNAVAILABLE, control_send(ends[1], CONTROL_READY, -1, &err));
    fd_close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_start_meet_and_end),
        cmocka_unit_test(who_is_killed_starts_again_and_meets_the_other),
        cmocka_unit_test(a_killed_supervisor_takes_both_along),
        cmocka_unit_test(what_cannot_start_ends_the_service_with_its_code),
        cmocka_unit_test(public_addresses_need_a_word),
        cmocka_unit_test(an_address_in_use_is_named),
        cmocka_unit_test(a_socket_that_answers_keeps_its_place),
        cmocka_unit_test(waits_grow_and_a_long_life_makes_them_short),
        cmocka_unit_test(letters_bring_descriptors),
    };
    struct lethe_error err = {0};
    if (serve_is_part())
        be_part();
    if (pipe2(notes, O_CLOEXEC) != 0 || crypto_start(&err) != LETHE_OK)
        return 1;
    admin = temp_path("run/admin.sock");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(admin);
    return failed;
}
