/* Connections for bulk against the `openssl` program, in both roles. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "crypto/crypto.h"
#include "net/tls_core.h"
#include "peer.h"
#include "serving.h"
#include "tls_pair.h"

#define BYTES ((size_t)1 << 20)
#define LINE_BYTES 4096u /* of what is turned round */
#define PATIENCE_MS 8000

extern char **environ;
static struct identity_files authority, server, client;
static char directory[] = "/tmp/lethe-test-XXXXXX";
static uint8_t sent[BYTES], got[BYTES];

static struct tls_context *context_of(const struct identity_files *identity)
{
    const struct tls_options options = {.certificates_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .roots_pem = authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    return pair_context(&options, identity == &server);
}

/* ---- the program ----------------------------------------------------------------------------- */

static pid_t start_program(const char *const *words, int in, int out)
{
    pid_t pid;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failure =
        posix_spawnp(&pid, words[0], &files, NULL, (char *const *)(uintptr_t)words, environ);
    posix_spawn_file_actions_destroy(&files);
    if (failure == 0)
        return pid;
    printf("openssl is not installed\n");
    skip();
    return -1;
}

static void end_program(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int open_file(const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* ---- our side -------------------------------------------------------------------------------- */

static void wait_as_wanted(const struct side *side)
{
    struct pollfd wanted = {.fd = tls_fd(side->connection),
                            .events = side->want == TLS_WANT_WRITE ? POLLIN | POLLOUT : POLLIN};
    assert_true(poll(&wanted, 1, PATIENCE_MS) > 0);
}

static void shake_hands_alone(struct side *side, uint64_t records_per_key)
{
    do {
        assert_ok(tls_handshake(side->connection, &side->want, &side->err), &side->err);
        if (side->want != TLS_DONE)
            wait_as_wanted(side);
    } while (side->want != TLS_DONE);
    tls_set_records_per_key(side->connection, records_per_key);
}

/* Says all of `sent` and hears as much, at the same time. */
static void say_and_hear(struct side *side, size_t heard_bytes)
{
    size_t said = 0, heard = 0, step;
    while (said < BYTES || heard < heard_bytes) {
        enum tls_want reads = TLS_WANT_READ;
        if (heard < heard_bytes)
            assert_ok(tls_read(side->connection, got + heard, heard_bytes - heard, &step, &reads,
                               &side->err),
                      &side->err);
        heard += reads == TLS_DONE ? step : 0;
        assert_int_not_equal(reads, TLS_CLOSED);
        const struct iovec part = {sent + said, BYTES - said};
        assert_ok(tls_write_parts(side->connection, &part, 1, &step, &side->want, &side->err),
                  &side->err);
        said += step;
        if (side->want == TLS_DONE)
            assert_ok(tls_flush(side->connection, &side->want, &side->err), &side->err);
        if (reads == TLS_WANT_READ && (said < BYTES || heard < heard_bytes))
            wait_as_wanted(side);
    }
    while (side->want != TLS_DONE) {
        wait_as_wanted(side);
        assert_ok(tls_flush(side->connection, &side->want, &side->err), &side->err);
    }
}

static int accept_one(int listener)
{
    struct pollfd wanted = {.fd = listener, .events = POLLIN};
    assert_true(poll(&wanted, 1, PATIENCE_MS) > 0);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static void s_client_is_served(void **state)
{
    char address[32];
    uint16_t port;
    struct side side = {0};
    struct tls_context *context = context_of(&server);
    int listener = listen_on_loopback(&port);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    const char *words[] = {"openssl",    "s_client", "-quiet",         "-connect",
                           address,      "-CAfile",  "authority.pem",  "-cert",
                           "client.pem", "-key",     "client-key.pem", "-verify_return_error",
                           NULL};
    int in = open_file("sent", O_RDONLY), out = open_file("got", O_RDWR | O_CREAT | O_TRUNC);
    pid_t pid = start_program(words, in, out);
    assert_result(LETHE_OK, tls_accept(context, accept_one(listener), &side.connection, NULL));
    shake_hands_alone(&side, 5);
    say_and_hear(&side, BYTES);
    assert_memory_equal(sent, got, BYTES);
    tls_free(side.connection); /* which ends the program */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    memset(got, 0, sizeof got);
    assert_int_equal(pread(out, got, sizeof got, 0), BYTES);
    assert_memory_equal(sent, got, BYTES);
    tls_context_free(context);
    close(listener);
    close(in);
    close(out);
}

/* "ACCEPT 127.0.0.1:PORT" */
static uint16_t port_of(int output)
{
    char text[1024];
    size_t length = 0;
    for (;;) {
        struct pollfd wanted = {.fd = output, .events = POLLIN};
        assert_true(poll(&wanted, 1, PATIENCE_MS) > 0 && length < sizeof text - 1);
        ssize_t more = read(output, text + length, sizeof text - 1 - length);
        assert_true(more > 0);
        length += (size_t)more;
        text[length] = '\0';
        const char *line = strstr(text, "ACCEPT 127.0.0.1:");
        if (line != NULL && strchr(line, '\n') != NULL)
            return (uint16_t)atoi(line + strlen("ACCEPT 127.0.0.1:"));
    }
}

static void assert_turned_round(void)
{
    for (size_t i = 0; i < BYTES; i++) {
        size_t line = i - i % LINE_BYTES, in_line = i % LINE_BYTES;
        size_t from = in_line == LINE_BYTES - 1 ? i : line + LINE_BYTES - 2 - in_line;
        if (got[i] != sent[from])
            fail_msg("byte %zu is another one", i);
    }
}

static void s_server_serves(void **state)
{
    int output[2];
    struct side side = {0};
    struct tls_context *context = context_of(&client);
    const char *words[] = {"openssl",
                           "s_server",
                           "-rev",
                           "-accept",
                           "127.0.0.1:0",
                           "-naccept",
                           "1",
                           "-CAfile",
                           "authority.pem",
                           "-Verify",
                           "1",
                           "-verify_return_error",
                           "-cert",
                           "server.pem",
                           "-key",
                           "server-key.pem",
                           NULL};
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = start_program(words, nothing, output[1]);
    int fd = dial(port_of(output[0]));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_result(LETHE_OK, tls_connect(context, fd, "localhost", &side.connection, NULL));
    shake_hands_alone(&side, 40); /* after which s_server sleeps a second */
    say_and_hear(&side, BYTES);
    assert_turned_round();
    tls_free(side.connection);
    end_program(pid);
    tls_context_free(context);
    close(nothing);
    close(output[0]);
    close(output[1]);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void write_file(const char *name, const void *bytes, size_t size_bytes)
{
    int fd = open_file(name, O_WRONLY | O_CREAT);
    REQUIRE(write(fd, bytes, size_bytes) == (ssize_t)size_bytes);
    close(fd);
}

static void write_identity(const char *name, const struct identity_files *identity)
{
    char file[32];
    snprintf(file, sizeof file, "%s.pem", name);
    write_file(file, identity->certificate_pem, strlen(identity->certificate_pem));
    snprintf(file, sizeof file, "%s-key.pem", name);
    write_file(file, lethe_secret_bytes(identity->key_pem), lethe_secret_size(identity->key_pem));
}

static int make_files(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost", 10, &server);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    for (size_t i = 0; i < BYTES; i++) /* lines of text, each another one */
        sent[i] = (uint8_t)(i % LINE_BYTES == LINE_BYTES - 1 ? '\n' : 'a' + i * i / 7 % 26);
    assert_non_null(mkdtemp(directory));
    write_identity("authority", &authority);
    write_identity("server", &server);
    write_identity("client", &client);
    write_file("sent", sent, sizeof sent);
    return chdir(directory);
}

static int remove_files(void **state)
{
    static const char *const names[] = {
        "authority.pem", "authority-key.pem", "server.pem", "server-key.pem",
        "client.pem",    "client-key.pem",    "sent",       "got"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlink(names[i]);
    certificate_free(&authority);
    certificate_free(&server);
    certificate_free(&client);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s_client_is_served),
        cmocka_unit_test(s_server_serves),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
