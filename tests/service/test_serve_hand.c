/* What the supervisor hands to a child across exec, and what it keeps to itself. */
#include "service/serve_hand.h"

#include "check_files.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "service/control.h"
#include "service/serve_listen.h"

static char *admin;
static int marker;

static void on_ready(void *context, const char *const *addresses, bool sealed)
{
    fail();
}

static struct serve_options full(void)
{
    static const char *const door_names[] = {"a.example", "", "::1", NULL};
    static const char *const readable[] = {"/library", NULL};
    struct serve_options options = {.listen = {"127.0.0.1:1", "[::1]:2"},
                                    .listen_count = 2,
                                    .allow_public = true,
                                    .user = "u",
                                    .home = "/home",
                                    .root_is_device = true,
                                    .certificate_path = "/certificate",
                                    .key_path = "/key",
                                    .client_roots_path = "",
                                    .names = door_names,
                                    .root_readable = readable,
                                    .client_proof = TLS_CLIENT_MUST,
                                    .limits = {.connections = 7, .body_bytes = 8},
                                    .ready = on_ready,

                                    .context = &marker};
    options.service = (struct service_options){
        .keeper = {.store_path = "/store", .node = "n", .audit_limits = {.keep_s = 9}},
        .dev = true,
        .max_ttl_s = 10,
        .policy_directory = "/policies",
        .attest = {.loader_path = "/loader", .ek_roots = "roots", .only = true}};
    return options;
}

static void assert_text(const char *expected, const char *found)
{
    if (expected == NULL)
        assert_null(found);
    else
        assert_string_equal(expected, found);
}

static void assert_texts(const char *const *expected, const char *const *found)
{
    for (; *expected != NULL; expected++, found++)
        assert_string_equal(*expected, *found);
    assert_null(*found);
}

/* Texts are compared, and then everything else at once. */
static void assert_same_options(struct serve_options *a, struct serve_options *b)
{
    const char **const pairs[][2] = {
        {&a->service.keeper.store_path, &b->service.keeper.store_path},
        {&a->service.keeper.audit_directory, &b->service.keeper.audit_directory},
        {&a->service.keeper.lock_path, &b->service.keeper.lock_path},
        {&a->service.keeper.node, &b->service.keeper.node},
        {&a->service.keeper.actor, &b->service.keeper.actor},
        {&a->service.trust_domain, &b->service.trust_domain},
        {&a->service.policy_directory, &b->service.policy_directory},
        {&a->user, &b->user},
        {&a->admin_path, &b->admin_path},
        {&a->home, &b->home},
        {&a->root_path, &b->root_path},
        {&a->certificate_path, &b->certificate_path},
        {&a->key_path, &b->key_path},
        {&a->client_roots_path, &b->client_roots_path},
        {&a->ek_roots_path, &b->ek_roots_path},
        {&a->snp_crls_path, &b->snp_crls_path},
        {&a->service.attest.loader_path, &b->service.attest.loader_path},
        {&a->service.attest.ek_roots, &b->service.attest.ek_roots},
        {&a->service.attest.snp_crls, &b->service.attest.snp_crls},
        {&a->listen[0], &b->listen[0]},
        {&a->listen[1], &b->listen[1]},
        {&a->listen[7], &b->listen[7]},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_text(*pairs[i][0], *pairs[i][1]);
        *pairs[i][0] = *pairs[i][1] = NULL;
    }
    assert_texts(a->names, b->names);
    assert_texts(a->root_readable, b->root_readable);
    assert_null(b->root_writable[0]); /* no list, or one of nothing */
    a->names = b->names = NULL;
    a->root_readable = b->root_readable = b->root_writable = NULL;
    a->ready = NULL;
    a->context = NULL;
    a->service.keeper.passphrase_fd = -1;
    assert_memory_equal(a, b, sizeof *a);
}

/* Takes the descriptors from 3 on: in a process of its own. */
static void hand_on(void)
{
    int pair[2], listener;
    static const char *const addresses[] = {"https://127.0.0.1:1", NULL};
    struct lethe_error err = {0};
    struct serve_options options = full();
    struct serve_handed handed;
    assert_ok(control_pair(pair, &err), &err);
    assert_int_equal(dup2(pair[0], SERVE_FD_FIRST), SERVE_FD_FIRST); /* in each other's places */
    assert_ok(serve_listen_unix(admin, 0600, &listener, &err), &err);
    const struct serve_ends ends = {.control = SERVE_FD_FIRST,
                                    .admin = -1,
                                    .listeners = &listener,
                                    .listener_count = 1,
                                    .addresses = addresses};
    assert_result(LETHE_INVALID, serve_hand_take(&handed, &err)); /* nothing was handed yet */
    assert_ok(serve_hand_over(&options, &ends, 42, &err), &err);
    assert_ok(serve_hand_take(&handed, &err), &err);
    assert_int_equal(42, handed.supervisor);
    assert_int_equal(SERVE_FD_CONTROL, handed.ends.control);
    assert_int_equal(-1, handed.ends.admin);
    assert_int_equal(1, handed.ends.listener_count);
    assert_text(addresses[0], handed.ends.addresses[0]);
    assert_null(handed.ends.addresses[1]);
    for (int fd = SERVE_FD_FIRST + 1; fd < 256; fd++)
        assert_int_equal(-1, fcntl(fd, F_GETFD));
    assert_same_options(&options, &handed.options);
}

static void options_come_out_as_they_went_in(void **state)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        hand_on();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(admin);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(options_come_out_as_they_went_in)};
    admin = temp_path("run/admin.sock");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(admin);
    return failed;
}
