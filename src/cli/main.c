/* lethe -- the program: prepare the process, find the command, report what happened. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "base/validate.h"
#include "cli/command.h"
#include "crypto/crypto.h"

static void report(const struct lethe_error *err)
{
    char text[sizeof err->text];
    text_sanitise(err->text, strlen(err->text), text, sizeof text);
    fprintf(stderr, "lethe: error: %s\n", text);
    if (err->hint[0] != '\0')
        fprintf(stderr, "lethe: hint: %s\n", err->hint);
}

static lethe_result run(int argc, char **argv, int *exit_code, struct lethe_error *err)
{
    /* In this order: an undumpable process may no longer set what its engines inherit. */
    TRY(sandbox_no_core_across_exec(err));
    TRY(sandbox_no_dump(err));
    TRY(crypto_start(err));
    struct invocation invocation;
    lethe_result result = invocation_parse(argc, argv, &invocation, err);
    if (result == LETHE_OK)
        result = invocation.command->run(&invocation, err);
    *exit_code = invocation.exit_code;
    invocation_clear(&invocation);
    return result;
}

/* A full disk or a closed pipe behind stdout must not pass for success. */
static lethe_result flush_output(struct lethe_error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_from_errno(err, "standard output");
    return LETHE_OK;
}

static int finish(lethe_result result, int exit_code, const struct lethe_error *err)
{
    if (result == LETHE_OK)
        return exit_code;
    report(err);
    return lethe_result_exit_code(result);
}

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (argc < 2) {
        error_set(&err, LETHE_INVALID, "no command was given");
        error_hint(&err, "lethe --help lists them");
        return finish(err.code, 0, &err);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_all();
        return finish(flush_output(&err), 0, &err);
    }
    static char version[] = "version";
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = version;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit fails, and is cleaned up after */
    int exit_code = 0;
    lethe_result result = run(argc - 1, argv + 1, &exit_code, &err);
    if (result == LETHE_OK)
        result = flush_output(&err);
    return finish(result, exit_code, &err);
}
