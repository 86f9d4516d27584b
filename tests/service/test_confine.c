/* K-4: what a taken-over door or keeper could still do: next to nothing. Each attack is tried by a
 * process that is confined as the real one is, and, as a control, by one that is not. */
#include "service/confine.h"

#include "check_files.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"

static char *home, *elsewhere, *certificate;
static pid_t parent;

enum { DONE, REFUSED, KILLED };

/* ---- attacks: DONE, or REFUSED with errno ------------------------------------------------------
 */

static int open_it(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd >= 0 ? DONE : REFUSED;
}

static int read_passwords(void)
{
    return open_it("/etc/passwd", O_RDONLY);
}

static int read_home(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/store.db", home);
    return open_it(path, O_RDONLY);
}

static int write_home(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/new", home);
    return open_it(path, O_RDWR | O_CREAT);
}

static int write_elsewhere(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/new", elsewhere);
    return open_it(path, O_RDWR | O_CREAT);
}

static int read_certificate(void)
{
    return open_it(certificate, O_RDONLY);
}

static int write_certificate(void)
{
    return open_it(certificate, O_RDWR);
}

static int make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? DONE : REFUSED;
}

static int make_local_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? DONE : REFUSED;
}

static int run_program(void)
{
    char *const words[] = {(char[]){"true"}, NULL};
    char *const none[] = {NULL};
    execve("/bin/true", words, none); /* which ends with 0, as DONE does */
    return REFUSED;
}

static int start_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 ? DONE : REFUSED;
}

static int look_into_parent(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)parent);
    return open_it(path, O_RDONLY);
}

/* ---- who tries ---------------------------------------------------------------------------------
 */

enum who { NOBODY_CONFINED, THE_KEEPER, THE_DOOR };

static lethe_result confine_as(enum who who, struct lethe_error *err)
{
    const char *const writable[] = {home, NULL};
    const struct core_sockets sockets = {.control = -1, .admin = -1, .writable = writable};
    const struct serve_options options = {.home = home, .certificate_path = certificate};
    switch (who) {
    case THE_KEEPER:
        return core_confine(&sockets, err);
    case THE_DOOR:
        return door_confine(&options, err);
    default:
        return LETHE_OK;
    }
}

static int outcome(enum who who, int (*attack)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct lethe_error err = {0};
        if (confine_as(who, &err) != LETHE_OK) {
            fprintf(stderr, "%s\n", err.text);
            _exit(99);
        }
        _exit(attack());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : 98;
    return WEXITSTATUS(status);
}

static void confined_processes_can_do_what_they_must_and_no_more(void **state)
{
    static const struct {
        const char *what;
        int (*attack)(void);
        int keeper, door;
    } cases[] = {
        {"reading the home", read_home, DONE, REFUSED},
        {"writing the home", write_home, DONE, REFUSED},
        {"writing elsewhere", write_elsewhere, REFUSED, REFUSED},
        {"reading /etc/passwd", read_passwords, REFUSED, REFUSED},
        {"reading the certificate", read_certificate, REFUSED, DONE},
        {"writing the certificate", write_certificate, REFUSED, REFUSED},
        {"a socket", make_socket, KILLED, KILLED},
        {"a local socket", make_local_socket, KILLED, KILLED},
        {"running a program", run_program, KILLED, KILLED},
        {"looking into the parent's memory", look_into_parent, REFUSED, REFUSED},
    };
    if (HAS_SANITIZER) {
        print_message("what is built with a sanitizer has no filter of calls\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const int got[] = {outcome(NOBODY_CONFINED, cases[i].attack),
                           outcome(THE_KEEPER, cases[i].attack),
                           outcome(THE_DOOR, cases[i].attack)};
        /* The parent's memory is closed to all who are not root; the others only show something
         * when they work at all. */
        bool is_control = geteuid() == 0 || cases[i].attack != look_into_parent;
        if ((is_control && got[0] != DONE) || got[1] != cases[i].keeper || got[2] != cases[i].door)
            fail_msg("%s: %d without, %d as keeper, %d as door", cases[i].what, got[0], got[1],
                     got[2]);
    }
}

/* The keeper has threads, but no processes; the door has neither. */
static void the_door_starts_nothing(void **state)
{
    if (HAS_SANITIZER) {
        print_message("what is built with a sanitizer has no filter of calls\n");
        skip();
    }
    assert_int_equal(outcome(NOBODY_CONFINED, start_process), DONE);
    assert_int_equal(outcome(THE_DOOR, start_process), KILLED);
}

static void nothing_is_confined_without_places(void **state)
{
    const struct core_sockets sockets = {.control = -1, .admin = -1};
    struct lethe_error err = {0};
    assert_ok(core_confine(&sockets, &err), &err);
    assert_int_equal(read_passwords(), DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confined_processes_can_do_what_they_must_and_no_more),
        cmocka_unit_test(the_door_starts_nothing),
        cmocka_unit_test(nothing_is_confined_without_places),
    };
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    parent = getpid();
    home = temp_dir();
    elsewhere = temp_dir();
    certificate = temp_path("certificate.pem");
    char store[512];
    snprintf(store, sizeof store, "%s/store.db", home);
    put_file(store, "x", 1);
    put_file(certificate, "x", 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(home);
    free(elsewhere);
    free(certificate);
    return failed;
}
