/* K-2: roots in hardware, tried with real software of the kind: SoftHSM2 as the token, swtpm as the
 * TPM. What is not installed is skipped. */
#include "../store/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "kms/root.h"
#include "kms/root_record.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

static struct lethe_error err;

static void say_nothing(void)
{
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
}

static int run(const char *const *argv)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        say_nothing();
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void write_private(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(0, chmod(path, 0600));
}

static void make_root(const char *text, struct buffer *record, struct lethe_secret **store_key)
{
    struct root_spec spec;
    assert_ok(root_parse(text, &spec, &err), &err);
    assert_ok(root_create(&spec, &random_system, record, store_key, &err), &err);
}

static lethe_result open_root(const struct buffer *record, struct lethe_secret **store_key)
{
    CLEANUP(root_free) struct root *root = NULL;
    *store_key = NULL;
    TRY(root_read(record, -1, &root, &err));
    return root_unwrap(root, record, store_key, &err);
}

static void assert_opens_to(const struct buffer *record, const struct lethe_secret *expected)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    assert_ok(open_root(record, &opened), &err);
    assert_true(lethe_secret_equal(expected, opened));
}

static void assert_refused(lethe_result expected, const struct buffer *record)
{
    struct lethe_secret *opened;
    assert_result(expected, open_root(record, &opened));
    assert_null(opened);
    assert_true(err.text[0] != '\0');
}

/* Another store key under the same root; the old record goes on being opened. */
static void assert_rotates(struct buffer *record, const struct lethe_secret *store_key)
{
    CLEANUP(root_free) struct root *root = NULL;
    CLEANUP(root_rotation_clear) struct root_rotation rotation = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    assert_ok(root_read(record, -1, &root, &err), &err);
    assert_ok(root_unwrap(root, record, &opened, &err), &err);
    assert_ok(root_rotate(root, &random_system, &rotation, &err), &err);
    assert_false(rotation.new_root_key);
    assert_true(rotation.kept[0] != '\0');
    assert_false(lethe_secret_equal(store_key, rotation.store_key));
    assert_opens_to(&rotation.record, rotation.store_key);
    assert_opens_to(record, store_key);
}

/* ---- a token ----------------------------------------------------------------------------------
 */

struct token {
    char directory[64];
    char pin[96];
    char uri[512];
};

static int token_setup(void **state)
{
    static struct token token;
    char path[128];
    char text[256];
    if (access(MODULE, R_OK) != 0)
        return 0;
    strcpy(token.directory, "/tmp/lethe-token-XXXXXX");
    if (mkdtemp(token.directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/softhsm2.conf", token.directory);
    snprintf(text, sizeof text, "directories.tokendir = %s\nobjectstore.backend = file\n",
             token.directory);
    write_private(path, text);
    setenv("SOFTHSM2_CONF", path, 1);
    snprintf(token.pin, sizeof token.pin, "%s/pin", token.directory);
    write_private(token.pin, "4711\n");
    snprintf(token.uri, sizeof token.uri,
             "pkcs11:token=lethe;object=root?module-path=" MODULE "&pin-source=file:%s", token.pin);
    const char *const argv[] = {"softhsm2-util", "--init-token", "--free",   "--label", "lethe",
                                "--pin",         "4711",         "--so-pin", "0815",    NULL};
    *state = run(argv) == 0 ? &token : NULL;
    return 0;
}

static int token_teardown(void **state)
{
    struct token *token = *state;
    if (token != NULL) {
        const char *const argv[] = {"rm", "-rf", token->directory, NULL};
        run(argv);
    }
    return 0;
}

static struct token *need_token(void **state)
{
    if (*state == NULL) {
        print_message("SoftHSM2 is not installed\n");
        skip();
    }
    return *state;
}

static void a_token_opens_what_it_sealed(void **state)
{
    struct token *token = need_token(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_root(token->uri, &record, &store_key);
    assert_opens_to(&record, store_key);
    assert_rotates(&record, store_key);
    assert_null(memmem(record.bytes, record.size_bytes, "4711", 4));
}

/* A second home under the same key; each opens its own. */
static void a_key_that_is_there_is_used(void **state)
{
    struct token *token = need_token(state);
    CLEANUP(buffer_clear) struct buffer first = {0};
    CLEANUP(buffer_clear) struct buffer second = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *one = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *two = NULL;
    make_root(token->uri, &first, &one);
    make_root(token->uri, &second, &two);
    assert_opens_to(&first, one);
    assert_opens_to(&second, two);
}

static void a_wrong_pin_is_said(void **state)
{
    struct token *token = need_token(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_root(token->uri, &record, &store_key);
    write_private(token->pin, "4712");
    assert_refused(LETHE_DENIED, &record);
    assert_null(strstr(err.text, "4712"));
    chmod(token->pin, 0644);
    assert_refused(LETHE_UNPROTECTED, &record);
    unlink(token->pin);
    assert_refused(LETHE_UNAVAILABLE, &record);
}

static void a_changed_record_does_not_open(void **state)
{
    struct token *token = need_token(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    struct root_record parsed;
    make_root(token->uri, &record, &store_key);
    assert_ok(root_record_parse(record.bytes, record.size_bytes, &parsed, &err), &err);
    parsed.sealed[20] ^= 1;
    buffer_truncate(&record, 0);
    root_record_append(&parsed, &record); /* with a right checksum */
    assert_refused(LETHE_DENIED, &record);
    parsed.sealed[20] ^= 1;
    parsed.salt[0] ^= 1; /* only bound, not used */
    buffer_truncate(&record, 0);
    root_record_append(&parsed, &record);
    assert_refused(LETHE_DENIED, &record);
}

static void a_token_that_is_gone_is_said(void **state)
{
    struct token *token = need_token(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_root(token->uri, &record, &store_key);
    const char *const argv[] = {"softhsm2-util", "--delete-token", "--token", "lethe", NULL};
    assert_int_equal(0, run(argv));
    assert_refused(LETHE_UNAVAILABLE, &record);
}

static void uris_are_checked(void **state)
{
    static const char *const bad[] = {
        "pkcs11:",
        "pkcs11:token=a",
        "pkcs11:token=a;object=b",
        "pkcs11:token=a;object=b?module-path=/m.so",
        "pkcs11:token=a;object=b?pin-source=file:/p",
        "pkcs11:token=a;object=b?module-path=m.so&pin-source=file:/p",
        "pkcs11:token=a;object=b?module-path=/m.so&pin-value=1234",
        "pkcs11:token=a;object=?module-path=/m.so&pin-source=file:/p",
        "pkcs11:token=%;object=b?module-path=/m.so&pin-source=file:/p",
        "pkcs11:token=a;object=b;colour=red?module-path=/m.so&pin-source=file:/p",
    };
    struct root_spec spec;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID, root_parse(bad[i], &spec, &err));
        assert_null(strstr(err.text, "1234"));
    }
    assert_ok(
        root_parse("pkcs11:token=a;object=b?module-path=/m.so&pin-source=file:/p", &spec, &err),
        &err);
    assert_int_equal(ROOT_PKCS11, spec.kind);
}

/* ---- a TPM ------------------------------------------------------------------------------------
 */

struct tpm {
    char directory[64];
    char name[256];
    pid_t pid;
};

/* By /proc/net/unix: it has a name before anybody listens there, and asking by a connection would
 * be the one that swtpm has. */
static bool is_listening(const char *path)
{
    char line[512], wanted[160];
    bool found = false;
    FILE *sockets = fopen("/proc/net/unix", "re");
    if (sockets == NULL)
        return access(path, F_OK) == 0;
    snprintf(wanted, sizeof wanted, " %s\n", path);
    while (!found && fgets(line, sizeof line, sockets) != NULL) {
        const char *end = strstr(line, wanted);
        found = end != NULL && strstr(line, " 00010000 ") != NULL; /* SO_ACCEPTCON */
    }
    fclose(sockets);
    return found;
}

static bool socket_is_there(const char *path)
{
    for (int i = 0; i < 500; i++) {
        if (is_listening(path))
            return true;
        usleep(10000);
    }
    return false;
}

/* Over two Unix sockets, so that no port is anybody else's. */
static bool start_tpm(struct tpm *tpm)
{
    char state[128];
    char server[160];
    char control[160];
    snprintf(state, sizeof state, "dir=%s", tpm->directory);
    snprintf(server, sizeof server, "type=unixio,path=%s/s", tpm->directory);
    snprintf(control, sizeof control, "type=unixio,path=%s/s.ctrl", tpm->directory);
    tpm->pid = fork();
    if (tpm->pid == 0) {
        say_nothing();
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
               "--ctrl", control, "--flags", "not-need-init,startup-clear", (char *)NULL);
        _exit(127);
    }
    snprintf(server, sizeof server, "%s/s", tpm->directory);
    return socket_is_there(server);
}

static void stop_tpm(struct tpm *tpm)
{
    kill(tpm->pid, SIGTERM);
    waitpid(tpm->pid, NULL, 0);
}

static int tpm_setup(void **state)
{
    static struct tpm tpm;
    *state = NULL;
    if (access("/usr/bin/swtpm", X_OK) != 0)
        return 0;
    strcpy(tpm.directory, "/tmp/lethe-tpm-XXXXXX");
    if (mkdtemp(tpm.directory) == NULL || !start_tpm(&tpm))
        return -1;
    snprintf(tpm.name, sizeof tpm.name, "@swtpm:path=%s/s", tpm.directory);
    *state = &tpm;
    return 0;
}

static int tpm_teardown(void **state)
{
    struct tpm *tpm = *state;
    if (tpm != NULL) {
        const char *const argv[] = {"rm", "-rf", tpm->directory, NULL};
        stop_tpm(tpm);
        run(argv);
    }
    return 0;
}

static struct tpm *need_tpm(void **state)
{
    if (*state == NULL) {
        print_message("swtpm is not installed\n");
        skip();
    }
    return *state;
}

/* swtpm ends with its only connection, unless it is told otherwise: each use needs a new one. */
static void make_tpm_root(struct tpm *tpm, const char *pcrs, struct buffer *record,
                          struct lethe_secret **store_key)
{
    char text[300];
    snprintf(text, sizeof text, "tpm2:%s%s", pcrs, tpm->name);
    make_root(text, record, store_key);
}

static void a_tpm_opens_what_it_sealed(void **state)
{
    struct tpm *tpm = need_tpm(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    make_tpm_root(tpm, "", &record, &store_key);
    assert_opens_to(&record, store_key);
    assert_rotates(&record, store_key);
}

static void extend_pcr_16(const struct tpm *tpm)
{
    char tcti[160];
    snprintf(tcti, sizeof tcti, "swtpm:path=%s/s", tpm->directory);
    const char *const argv[] = {
        "tpm2_pcrextend", "-T", tcti,
        "16:sha256=0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20", NULL};
    assert_int_equal(0, run(argv));
}

/* What it was sealed to is a state of the machine; in another one it stays closed. */
static void pcrs_in_another_state_keep_it_closed(void **state)
{
    struct tpm *tpm = need_tpm(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(buffer_clear) struct buffer unbound = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *other_key = NULL;
    if (access("/usr/bin/tpm2_pcrextend", X_OK) != 0) {
        print_message("tpm2-tools are not installed\n");
        skip();
    }
    make_tpm_root(tpm, "7+16", &record, &store_key);
    make_tpm_root(tpm, "7", &unbound, &other_key);
    assert_opens_to(&record, store_key);
    extend_pcr_16(tpm);
    assert_refused(LETHE_DENIED, &record);
    assert_opens_to(&unbound, other_key); /* the control: the TPM is there, and 7 is as it was */
}

static void another_tpm_does_not_open_it(void **state)
{
    struct tpm *tpm = need_tpm(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    char state_file[128];
    make_tpm_root(tpm, "", &record, &store_key);
    stop_tpm(tpm);
    snprintf(state_file, sizeof state_file, "%s/tpm2-00.permall", tpm->directory);
    assert_int_equal(0, unlink(state_file)); /* what makes it this TPM */
    assert_true(start_tpm(tpm));
    assert_refused(LETHE_DENIED, &record);
    stop_tpm(tpm);
    assert_refused(LETHE_UNAVAILABLE, &record);
    assert_true(start_tpm(tpm));
}

static void a_changed_blob_does_not_open(void **state)
{
    struct tpm *tpm = need_tpm(state);
    CLEANUP(buffer_clear) struct buffer record = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    struct root_record parsed;
    make_tpm_root(tpm, "", &record, &store_key);
    assert_ok(root_record_parse(record.bytes, record.size_bytes, &parsed, &err), &err);
    for (size_t at = 0; at < parsed.blob_bytes; at += 7) {
        struct lethe_secret *opened;
        parsed.blob[at] ^= 4;
        buffer_truncate(&record, 0);
        root_record_append(&parsed, &record);
        assert_true(open_root(&record, &opened) != LETHE_OK);
        assert_null(opened);
        parsed.blob[at] ^= 4;
    }
}

static void names_of_tpms_are_checked(void **state)
{
    static const char *const bad[] = {"tpm2:x",   "tpm2:7+",   "tpm2:24", "tpm2:+7", "tpm2:7,8",
                                      "tpm2:007", "tpm2:7++8", "tpm2:@",  "tpm2:7@", "tpm2:-1"};
    static const char *const good[] = {"tpm2", "tpm2:", "tpm2:0", "tpm2:0+7+23",
                                       "tpm2:7@device:/d"};
    struct root_spec spec;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, root_parse(bad[i], &spec, &err));
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_ok(root_parse(good[i], &spec, &err), &err);
        assert_int_equal(ROOT_TPM2, spec.kind);
    }
}

#define ON_TOKEN(test) cmocka_unit_test_setup_teardown(test, token_setup, token_teardown)
#define ON_TPM(test) cmocka_unit_test_setup_teardown(test, tpm_setup, tpm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_are_checked),           ON_TOKEN(a_token_opens_what_it_sealed),
        ON_TOKEN(a_key_that_is_there_is_used),        ON_TOKEN(a_wrong_pin_is_said),
        ON_TOKEN(a_changed_record_does_not_open),     ON_TOKEN(a_token_that_is_gone_is_said),
        cmocka_unit_test(names_of_tpms_are_checked),  ON_TPM(a_tpm_opens_what_it_sealed),
        ON_TPM(pcrs_in_another_state_keep_it_closed), ON_TPM(another_tpm_does_not_open_it),
        ON_TPM(a_changed_blob_does_not_open),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
