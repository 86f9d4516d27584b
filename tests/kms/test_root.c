/* Roots: made, found again, damaged, lost, and read by the wrong people. */
#include "../store/fixture.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "kms/root.h"
#include "kms/root_record.h"

static struct lethe_error err;

struct opened {
    struct root_spec spec;
    struct lethe_secret *store_key;
};

static lethe_result open_with(const struct buffer *record, int fd, struct opened *out)
{
    *out = (struct opened){0};
    CLEANUP(root_free) struct root *root = NULL;
    TRY(root_read(record, fd, &root, &err));
    out->spec = *root_spec(root);
    return root_unwrap(root, record, &out->store_key, &err);
}

static lethe_result open_result_of(const struct buffer *record, int fd)
{
    struct opened opened;
    lethe_result result = open_with(record, fd, &opened);
    assert_true((result == LETHE_OK) == (opened.store_key != NULL));
    lethe_secret_free(opened.store_key);
    return result;
}

/* A descriptor that gives `text`. */
static int pipe_of(const char *text)
{
    int ends[2];
    assert_int_equal(0, pipe(ends));
    assert_int_equal(strlen(text), write(ends[1], text, strlen(text)));
    close(ends[1]);
    return ends[0];
}

/* ---- names ----------------------------------------------------------------------------------- */

static void roots_are_named(void **state)
{
    struct root_spec spec;
    assert_ok(root_parse("file:/a/b.key", &spec, &err), &err);
    assert_int_equal(ROOT_FILE, spec.kind);
    assert_string_equal("/a/b.key", spec.where);
    assert_ok(root_parse("passphrase", &spec, &err), &err);
    assert_int_equal(ROOT_PASSPHRASE, spec.kind);
    assert_ok(root_parse("credential:lethe-root", &spec, &err), &err);
    assert_int_equal(ROOT_CREDENTIAL, spec.kind);
    assert_string_equal("lethe-root", spec.where);
    static const char *const bad[] = {"",     "file",        "file:",           "passphrase:x",
                                      "tpm3", "credential:", "credential:../x", "Passphrase"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, root_parse(bad[i], &spec, &err));
}

static void a_relative_path_means_the_same_everywhere(void **state)
{
    struct root_spec spec;
    char directory[512];
    char expected[600];
    assert_non_null(getcwd(directory, sizeof directory));
    snprintf(expected, sizeof expected, "%s/x.key", directory);
    assert_ok(root_parse("file:x.key", &spec, &err), &err);
    assert_string_equal(expected, spec.where);
    char too_long[1100] = "file:/";
    memset(too_long + 6, 'x', 1023);
    assert_result(LETHE_INVALID, root_parse(too_long, &spec, &err));
}

static void every_kind_is_described(void **state)
{
    static const enum root_kind kinds[] = {ROOT_FILE, ROOT_PASSPHRASE, ROOT_CREDENTIAL, ROOT_PKCS11,
                                           ROOT_TPM2};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP(buffer_clear) struct buffer text = {0};
        const char *where = kinds[i] == ROOT_PASSPHRASE ? "" : "the-place";
        struct root_spec spec = {.kind = kinds[i]};
        strcpy(spec.where, where);
        root_describe(&spec, &text);
        assert_non_null(strcasestr(text.bytes, "cop")); /* copy, copied */
        assert_int_equal(kinds[i] != ROOT_PASSPHRASE, strstr(text.bytes, "the-place") != NULL);
    }
}

/* ---- a file ---------------------------------------------------------------------------------- */

static void make_file_root(struct fixture *f, struct root_spec *spec, struct buffer *record,
                           struct lethe_secret **store_key)
{
    *spec = (struct root_spec){.kind = ROOT_FILE, .passphrase_fd = -1};
    snprintf(spec->where, sizeof spec->where, "%s/root.key", f->directory);
    assert_ok(root_create(spec, &random_system, record, store_key, &err), &err);
}

static void a_file_opens_what_it_closed(void **state)
{
    struct root_spec spec;
    struct stat status;
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_file_root(*state, &spec, &record, &store_key);
    assert_int_equal(32, lethe_secret_size(store_key));
    assert_int_equal(0, stat(spec.where, &status));
    assert_int_equal(0600, status.st_mode & 07777);
    assert_int_equal(95, status.st_size);

    struct opened opened;
    assert_ok(open_with(&record, -1, &opened), &err);
    assert_true(lethe_secret_equal(store_key, opened.store_key));
    assert_string_equal(spec.where, opened.spec.where);
    lethe_secret_free(opened.store_key);

    struct lethe_secret *again;
    CLEANUP(buffer_clear) struct buffer unused = {0};
    assert_result(LETHE_EXISTS, root_create(&spec, &random_system, &unused, &again, &err));
    assert_null(again);
    assert_result(LETHE_OK, open_result_of(&record, -1)); /* the file was not touched */
}

/* The store key is nowhere in what is written. */
static void nothing_shows_the_store_key(void **state)
{
    struct fixture *f = *state;
    struct root_spec spec;
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_file_root(f, &spec, &record, &store_key);
    assert_null(memmem(record.bytes, record.size_bytes, lethe_secret_bytes(store_key), 8));
    assert_int_equal(0, count_in_files(f, lethe_secret_bytes(store_key), 8));
    assert_int_equal(1, count_in_files(f, "lethe-root/1 ", 13)); /* control: the search finds */
}

static void every_changed_byte_of_the_file_is_named_as_such(void **state)
{
    struct root_spec spec;
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_file_root(*state, &spec, &record, &store_key);
    uint8_t *bytes;
    size_t size_bytes = read_file(spec.where, &bytes);
    for (size_t at = 0; at < size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            write_file(spec.where, bytes, size_bytes);
            assert_result(LETHE_INTEGRITY, open_result_of(&record, -1));
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t cut = 1; cut < size_bytes; cut++) {
        write_file(spec.where, bytes, cut);
        assert_result(LETHE_INTEGRITY, open_result_of(&record, -1));
    }
    assert_non_null(strstr(err.text, "root file"));
    write_file(spec.where, bytes, size_bytes);
    assert_result(LETHE_OK, open_result_of(&record, -1));
    free(bytes);
}

static void a_file_must_be_private_and_there(void **state)
{
    struct root_spec spec;
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_file_root(*state, &spec, &record, &store_key);
    static const mode_t modes[] = {0640, 0604, 0620, 0660, 0644};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_int_equal(0, chmod(spec.where, modes[i]));
        assert_result(LETHE_UNPROTECTED, open_result_of(&record, -1));
    }
    assert_int_equal(0, chmod(spec.where, 0400));
    assert_result(LETHE_OK, open_result_of(&record, -1));
    assert_int_equal(0, chmod(spec.where, 0600));
    write_file(spec.where, "", 0);
    assert_result(LETHE_INTEGRITY, open_result_of(&record, -1));
    static const char large[5000];
    write_file(spec.where, large, sizeof large);
    assert_result(LETHE_INTEGRITY, open_result_of(&record, -1));
    assert_int_equal(0, unlink(spec.where));
    assert_result(LETHE_UNAVAILABLE, open_result_of(&record, -1));
    assert_int_equal(0, mkfifo(spec.where, 0600));
    assert_result(LETHE_INTEGRITY, open_result_of(&record, -1)); /* and does not wait */
}

/* ---- the record ------------------------------------------------------------------------------ */

static void every_changed_byte_of_the_record_is_named_as_such(void **state)
{
    struct root_spec spec;
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_file_root(*state, &spec, &record, &store_key);
    for (size_t at = 0; at < record.size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            record.bytes[at] ^= (char)(1u << bit);
            assert_result(LETHE_INTEGRITY, open_result_of(&record, -1));
            record.bytes[at] ^= (char)(1u << bit);
        }
    }
    assert_result(LETHE_OK, open_result_of(&record, -1));
    for (size_t cut = 0; cut < record.size_bytes; cut++) {
        const struct buffer shorter = {.bytes = record.bytes, .size_bytes = cut};
        assert_result(LETHE_INTEGRITY, open_result_of(&shorter, -1));
    }
}

/* Someone who can compute the checksum still cannot change what a record says: it is bound. */
static void a_forged_record_does_not_open(void **state)
{
    struct fixture *f = *state;
    struct root_spec spec;
    struct root_record parsed;
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_file_root(f, &spec, &record, &store_key);
    assert_ok(root_record_parse(record.bytes, record.size_bytes, &parsed, &err), &err);

    CLEANUP(buffer_clear) struct buffer same = {0};
    root_record_append(&parsed, &same);
    assert_result(LETHE_OK, open_result_of(&same, -1)); /* control */

    char elsewhere[160];
    snprintf(elsewhere, sizeof elsewhere, "%s/other.key", f->directory);
    assert_int_equal(0, link(spec.where, elsewhere));
    snprintf(parsed.spec.where, sizeof parsed.spec.where, "%s", elsewhere);
    CLEANUP(buffer_clear) struct buffer forged = {0};
    root_record_append(&parsed, &forged);
    assert_result(LETHE_DENIED, open_result_of(&forged, -1));
}

/* ---- a passphrase ---------------------------------------------------------------------------- */

static void a_passphrase_opens_what_it_closed(void **state)
{
    struct root_spec spec = {.kind = ROOT_PASSPHRASE};
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    CLEANUP(fd_close) int first = pipe_of("correct horse\n");
    spec.passphrase_fd = first;
    assert_ok(root_create(&spec, &random_system, &record, &store_key, &err), &err);

    CLEANUP(fd_close) int without_newline = pipe_of("correct horse");
    struct opened opened;
    assert_ok(open_with(&record, without_newline, &opened), &err);
    assert_true(lethe_secret_equal(store_key, opened.store_key));
    lethe_secret_free(opened.store_key);

    CLEANUP(fd_close) int wrong = pipe_of("correct horsf\n");
    assert_result(LETHE_DENIED, open_result_of(&record, wrong));
    CLEANUP(fd_close) int empty = pipe_of("\n");
    assert_result(LETHE_INVALID, open_result_of(&record, empty));
    CLEANUP(fd_close) int nothing = pipe_of("");
    assert_result(LETHE_INVALID, open_result_of(&record, nothing));
    char text[1026];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CLEANUP(fd_close) int too_long = pipe_of(text);
    assert_result(LETHE_INVALID, open_result_of(&record, too_long));
}

/* A record must not make us spend any amount of memory. */
static void an_absurd_cost_is_refused(void **state)
{
    struct root_record record = {.spec = {.kind = ROOT_PASSPHRASE}, .log2_n = 24, .r = 8, .p = 1};
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    root_record_append(&record, &bytes);
    CLEANUP(fd_close) int fd = pipe_of("x\n");
    assert_result(LETHE_INTEGRITY, open_result_of(&bytes, fd));
}

static void what_follows_the_passphrase_stays(void **state)
{
    struct root_record record = {.spec = {.kind = ROOT_PASSPHRASE}, .log2_n = 1, .r = 1, .p = 1};
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    root_record_append(&record, &bytes);
    CLEANUP(fd_close) int fd = pipe_of("word\nrest");
    assert_result(LETHE_DENIED, open_result_of(&bytes, fd));
    char rest[8] = "";
    assert_int_equal(4, read(fd, rest, sizeof rest));
    assert_string_equal("rest", rest);
}

/* ---- a terminal ------------------------------------------------------------------------------ */

/* In a child with a terminal of its own: makes a passphrase root there, gives the result. */
static lethe_result ask_there(void)
{
    struct root_spec spec = {.kind = ROOT_PASSPHRASE, .passphrase_fd = -1};
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    return root_create(&spec, &random_system, &record, &store_key, &err);
}

static void read_until(int fd, char *text, size_t capacity, const char *wanted)
{
    size_t length = strlen(text);
    while (strstr(text, wanted) == NULL && length + 1 < capacity) {
        ssize_t got = read(fd, text + length, capacity - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        text[length] = '\0';
    }
    if (strstr(text, wanted) == NULL)
        fail_msg("\"%s\" did not come, but: %s", wanted, text);
}

/* With a terminal of its own, where it asks. */
static const int asking_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

/* Whatever ignores signals around the tests (nohup, a shell's background) does not reach the child.
 */
static pid_t fork_asking(int *terminal)
{
    pid_t child = forkpty(terminal, NULL, NULL, NULL);
    assert_true(child >= 0);
    if (child == 0) {
        for (size_t i = 0; i < ARRAY_LEN(asking_signals); i++)
            signal(asking_signals[i], SIG_DFL);
        execl("/proc/self/exe", "test_root", "ask", (char *)NULL);
        _exit(99);
    }
    return child;
}

/* Types `first` and `second` at the two questions; gives the child's result and what was shown. */
static lethe_result type_at_terminal(const char *first, const char *second, char *shown,
                                     size_t capacity)
{
    int terminal;
    pid_t child = fork_asking(&terminal);
    shown[0] = '\0';
    read_until(terminal, shown, capacity, "Passphrase: ");
    assert_int_equal(strlen(first), write(terminal, first, strlen(first)));
    if (second != NULL) {
        read_until(terminal, shown, capacity, "again: ");
        assert_int_equal(strlen(second), write(terminal, second, strlen(second)));
    }
    int status = wait_for(child);
    size_t length = strlen(shown);
    ssize_t got = read(terminal, shown + length, capacity - 1 - length);
    shown[length + (got > 0 ? (size_t)got : 0)] = '\0';
    close(terminal);
    assert_true(WIFEXITED(status));
    return (lethe_result)WEXITSTATUS(status);
}

static void a_terminal_asks_twice_and_shows_nothing(void **state)
{
    char shown[512];
    /* "sx", one erased, then the rest */
    assert_result(LETHE_OK, type_at_terminal("sx\177ecret\n", "secret\r", shown, sizeof shown));
    assert_null(strstr(shown, "secret"));
    assert_null(strstr(shown, "sx"));
    assert_result(LETHE_INVALID, type_at_terminal("secret\n", "secreT\n", shown, sizeof shown));
    assert_result(LETHE_INVALID, type_at_terminal("\n", NULL, shown, sizeof shown));
    assert_result(LETHE_CANCELLED, type_at_terminal("sec\003", NULL, shown, sizeof shown));
}

static bool echoes(int terminal)
{
    struct termios now;
    assert_int_equal(tcgetattr(terminal, &now), 0);
    return (now.c_lflag & ECHO) != 0 && (now.c_lflag & ICANON) != 0;
}

static void a_signal_leaves_the_terminal_as_it_was(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(asking_signals); i++) {
        char shown[512] = "";
        int terminal;
        pid_t child = fork_asking(&terminal);
        read_until(terminal, shown, sizeof shown, "Passphrase: ");
        assert_false(echoes(terminal)); /* the control */
        assert_int_equal(kill(child, asking_signals[i]), 0);
        int status = wait_for(child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == asking_signals[i]);
        assert_true(echoes(terminal));
        close(terminal);
    }
}

static void without_a_terminal_it_says_so(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        setsid(); /* gives up the terminal, if there is one */
        execl("/proc/self/exe", "test_root", "ask", (char *)NULL);
        _exit(99);
    }
    int status = wait_for(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(LETHE_UNAVAILABLE, WEXITSTATUS(status));
}

/* ---- a credential ---------------------------------------------------------------------------- */

static void a_credential_opens_what_it_closed(void **state)
{
    struct fixture *f = *state;
    struct root_spec spec;
    struct lethe_secret *store_key;
    struct opened opened;
    char path[160];
    static const char value[] = "  0123456789abcdef0123456789abcdef\n";
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(buffer_clear) struct buffer unused = {0};
    assert_ok(root_parse("credential:lethe", &spec, &err), &err);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_result(LETHE_UNAVAILABLE, root_create(&spec, &random_system, &unused, &store_key, &err));
    setenv("CREDENTIALS_DIRECTORY", "relative", 1);
    assert_result(LETHE_UNAVAILABLE, root_create(&spec, &random_system, &unused, &store_key, &err));
    setenv("CREDENTIALS_DIRECTORY", f->directory, 1);
    assert_result(LETHE_UNAVAILABLE, root_create(&spec, &random_system, &unused, &store_key, &err));

    snprintf(path, sizeof path, "%s/lethe", f->directory);
    write_file(path, "short", 5);
    assert_result(LETHE_INVALID, root_create(&spec, &random_system, &unused, &store_key, &err));
    write_file(path, " \n\t ", 4);
    assert_result(LETHE_INVALID, root_create(&spec, &random_system, &unused, &store_key, &err));
    write_file(path, value, strlen(value));
    assert_ok(root_create(&spec, &random_system, &record, &store_key, &err), &err);

    write_file(path, value + 2, strlen(value) - 3); /* without the white space: the same */
    assert_ok(open_with(&record, -1, &opened), &err);
    assert_true(lethe_secret_equal(store_key, opened.store_key));
    lethe_secret_free(opened.store_key);
    lethe_secret_free(store_key);
    assert_int_equal(0, chmod(path, 0444));
    assert_result(LETHE_UNPROTECTED, open_result_of(&record, -1));
    assert_int_equal(0, chmod(path, 0400));
    assert_result(LETHE_OK, open_result_of(&record, -1));

    CLEANUP(memory_free) char *located = NULL;
    assert_ok(root_locate(&spec, &located, &err), &err);
    assert_string_equal(path, located);
    unsetenv("CREDENTIALS_DIRECTORY");
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 2 && strcmp(argv[1], "ask") == 0)
        return (int)ask_there();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_named),
        cmocka_unit_test(a_relative_path_means_the_same_everywhere),
        cmocka_unit_test(every_kind_is_described),
        ON_FIXTURE(a_file_opens_what_it_closed),
        ON_FIXTURE(nothing_shows_the_store_key),
        ON_FIXTURE(every_changed_byte_of_the_file_is_named_as_such),
        ON_FIXTURE(a_file_must_be_private_and_there),
        ON_FIXTURE(every_changed_byte_of_the_record_is_named_as_such),
        ON_FIXTURE(a_forged_record_does_not_open),
        cmocka_unit_test(a_passphrase_opens_what_it_closed),
        cmocka_unit_test(an_absurd_cost_is_refused),
        cmocka_unit_test(what_follows_the_passphrase_stays),
        cmocka_unit_test(a_terminal_asks_twice_and_shows_nothing),
        cmocka_unit_test(a_signal_leaves_the_terminal_as_it_was),
        cmocka_unit_test(without_a_terminal_it_says_so),
        ON_FIXTURE(a_credential_opens_what_it_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
