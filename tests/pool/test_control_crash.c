/* A control plane is killed at every step at which it changes a file. Then rows, records, and what
 * providers have agree; nothing that was answered is missing. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crypto/crypto_check.h"
#include "../store/faults.h"
#include "control_check.h"

#include "base/error.h"
#include "base/file.h"
#include "pool/control_rules.h"

static struct check check;
static struct lethe_error err;
static struct node a, b;
static struct asker anna, eva;

/* ---- the child ------------------------------------------------------------------------------- */

static struct buffer read_text(const char *directory, const char *name)
{
    char path[256];
    struct buffer text = {0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_ok(file_read_all(AT_FDCWD, path, 1 << 20, &text, &err), &err);
    return text;
}

static struct tls_context *read_context(const char *directory)
{
    struct tls_context *tls;
    struct lethe_secret *key;
    struct buffer ca = read_text(directory, "ca.pem"), own = read_text(directory, "control.pem");
    struct buffer text = read_text(directory, "control.key");
    assert_ok(lethe_secret_create(text.size_bytes, &key, &err), &err);
    memcpy(lethe_secret_bytes(key), text.bytes, text.size_bytes);
    const struct tls_options options = {.certificates_pem = own.bytes,
                                        .key_pem = key,
                                        .roots_pem = ca.bytes,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    assert_ok(tls_server_create(&options, &tls, &err), &err);
    lethe_secret_free(key);
    buffer_clear(&ca);
    buffer_clear(&own);
    buffer_clear(&text);
    return tls;
}

struct told {
    long step;
    int fd;
};

/* From here on it dies. */
static void tell_address(void *context, const char *address)
{
    const struct told *told = context;
    char line[64] = {0};
    snprintf(line, sizeof line, "%s", address);
    assert_int_equal(sizeof line, write(told->fd, line, sizeof line));
    faults_arm(FAULT_KILL, told->step);
}

static int serve_until_killed(char **arguments)
{
    struct home home;
    struct control *control;
    struct lethe_policy *policy;
    struct lethe_policy_holder *holder;
    char data[256];
    struct told told = {atol(arguments[1]), atoi(arguments[2])};
    assert_int_equal(0, start_crypto(NULL));
    home_init(&home, arguments[0]);
    snprintf(data, sizeof data, "%s/data.json", arguments[0]);
    const struct control_rules rules = {.data = data};
    assert_ok(control_rules_load(&rules, &policy, &err), &err);
    assert_ok(lethe_policy_holder_create(policy, &holder, &err), &err);
    const struct control_options options = {.keeper = must_open_home(&home),
                                            .listen = "127.0.0.1:0",
                                            .tls = read_context(arguments[0]),
                                            .policy = holder,
                                            .ready = tell_address,
                                            .signals = true,
                                            .context = &told};
    assert_ok(control_create(&options, &control, &err), &err);
    assert_ok(control_run(control, &err), &err);
    return faults_disarm() < told.step ? 0 : 1;
}

static int start_child(const char *directory, long step)
{
    int out[2];
    char step_text[24], fd_text[24];
    assert_int_equal(0, pipe(out));
    snprintf(step_text, sizeof step_text, "%ld", step);
    snprintf(fd_text, sizeof fd_text, "%d", out[1]);
    int child = spawn_self((const char *const[]){"serve", directory, step_text, fd_text, NULL});
    close(out[1]);
    assert_int_equal(sizeof check.address, read(out[0], check.address, sizeof check.address));
    close(out[0]);
    return child;
}

/* ---- what is asked of it --------------------------------------------------------------------- */

struct outcome {
    bool granted, dropped, quota, revoked;
    struct wire_allocated got;
};

/* Until it is dead: what it has answered is kept. */
static void use(struct outcome *out)
{
    *out = (struct outcome){0};
    if (node_join(&check, &a, &err) != LETHE_OK || node_join(&check, &b, &err) != LETHE_OK)
        return;
    asker_open(&check, &anna, ANNA, WIRE_CONSUMER);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
    out->granted = ask_allocate(&anna, MIB, 2, &out->got, &err) == LETHE_OK;
    out->quota = ask_order(&eva, WIRE_QUOTA, "acme", 64 * MIB, false, &err) == LETHE_OK;
    out->revoked = ask_order(&eva, WIRE_REVOKE, CARL, 0, false, &err) == LETHE_OK;
    if (!out->granted)
        return;
    b.leases[b.lease_count - 1].state = LEASE_RECLAIMED;
    b.leases[b.lease_count - 1].cause = LEASE_CAUSE_RELEASED;
    b.leases[b.lease_count - 1].told = false;
    out->dropped = node_report(&b, &err) == LETHE_OK;
}

/* The child may be dead, or still be there when all was asked. */
static bool end_child(int child)
{
    kill(child, SIGTERM);
    int status = wait_for(child);
    bool is_finished = WIFEXITED(status);
    assert_true(is_finished ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    asker_close(&anna);
    asker_close(&eva);
    asker_close(&a.asker);
    asker_close(&b.asker);
    anna = eva = (struct asker){0};
    a.asker = b.asker = (struct asker){0};
    return is_finished;
}

/* ---- and what is then ------------------------------------------------------------------------ */

static size_t count_text(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void assert_leases(const struct outcome *outcome, const char *status)
{
    char hex[LEASE_ID_HEX_SIZE];
    assert_int_equal(node_running(&a) + node_running(&b), count_text(status, "{\"lease\":"));
    if (!outcome->granted)
        return;
    for (size_t i = 0; i < 2; i++) {
        bool on_b = strcmp(outcome->got.copies[i].provider, NODE_B) == 0;
        lease_id_hex(&outcome->got.copies[i].lease, hex);
        assert_int_equal(on_b ? 0 : 1, count_text(status, hex) > 0); /* the one of b has ended */
    }
}

static size_t granted_ever, ended_ever;

/* Opened anew, by this process: providers join again with what they have. */
static void assert_agreement(const struct outcome *outcome)
{
    check.address[0] = '\0';
    check_start(&check);
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(node_join(&check, &b, &err), &err);
    assert_ok(node_report(&a, &err), &err);
    assert_ok(node_report(&b, &err), &err);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
    const char *status = ask_status(&eva);
    assert_leases(outcome, status);
    if (outcome->quota)
        assert_non_null(strstr(status, "\"quota\":67108864"));
    if (outcome->revoked)
        assert_non_null(strstr(status, "\"id\":\"" CARL "\""));
    size_t running = node_running(&a) + node_running(&b);
    asker_close(&eva);
    check_stop(&check);
    granted_ever = count_records(check.home, "lease_granted", NULL);
    ended_ever = count_records(check.home, "lease_released", NULL) +
                 count_records(check.home, "lease_lost", NULL) +
                 count_records(check.home, "lease_revoked", NULL);
    assert_int_equal(granted_ever, ended_ever + running);
    assert_int_equal(running, count_rows(check.home, "pool/leases/"));
}

static void test_killed_at_every_step(void **state)
{
    char directory[128];
    bool is_finished = false;
    check = (struct check){.home = *state};
    must_make_home(check.home);
    snprintf(directory, sizeof directory, "%s", check.home->store);
    *strrchr(directory, '/') = '\0';
    check_write_files(directory);
    assert_result(LETHE_OK, loop_create(&check.loop, NULL));
    node_init(&a, NODE_A, 64 * MIB);
    node_init(&b, NODE_B, 64 * MIB);
    long step = 1, stride = (long)table_stride(3);
    for (; !is_finished; step += stride) {
        struct outcome outcome;
        int child = start_child(directory, step);
        use(&outcome);
        is_finished = end_child(child);
        assert_agreement(&outcome);
    }
    print_message("killed at steps up to %ld; %zu leases granted, %zu ended\n", step - 2,
                  granted_ever, ended_ever);
    assert_true(step > 10);
    assert_log_verifies(check.home);
    node_clear(&a);
    node_clear(&b);
    loop_free(check.loop);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return serve_until_killed(argv + 2);
    const struct CMUnitTest tests[] = {
        ON_HOME(test_killed_at_every_step),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
