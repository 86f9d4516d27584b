/* fault-run [--KIND CLASS,...:N[:ERRNO]] [--caller] [--while FILE] [--report FILE] COMMAND...
 *
 * Runs the command with one fault at its Nth system call of these classes, other programs that it
 * starts not counted, nor anything while a FILE that was named is not there; KIND is count, kill,
 * kill-half, fail, fail-from or short. FILE gets one line of JSON: how many calls there were, in
 * all and by class, whether the fault happened and at what. Ends as the command did (128 and the
 * signal, if one killed it); 125 when the fault cannot be made. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/fault.h"

#define UNABLE 125

static const char *const kinds[] = {
    [FAULT_COUNT] = "--count", [FAULT_KILL] = "--kill",           [FAULT_KILL_HALF] = "--kill-half",
    [FAULT_FAIL] = "--fail",   [FAULT_FAIL_FROM] = "--fail-from", [FAULT_SHORT] = "--short"};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static const struct {
    const char *name;
    int number;
} numbers[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM}, {"EINTR", EINTR},
               {"EACCES", EACCES}, {"EPERM", EPERM},   {"EMFILE", EMFILE}, {"EAGAIN", EAGAIN},
               {"EROFS", EROFS},   {"EDQUOT", EDQUOT}, {"ENOSYS", ENOSYS}, {"ENOLCK", ENOLCK}};

static void run_command(void *context)
{
    char **command = context;
    execv(command[0], command);
    _exit(UNABLE);
}

static bool parse_number(const char *name, int *out)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            *out = numbers[i].number;
            return true;
        }
    }
    return false;
}

/* "write,sync:3:EIO"; numbers may be left out where the kind does not need them. */
static bool parse_place(char *text, struct fault_plan *plan)
{
    char *rest = text;
    const char *classes = strsep(&rest, ":");
    const char *nth = strsep(&rest, ":");
    plan->number = EIO;
    plan->nth = nth != NULL ? (unsigned)strtoul(nth, NULL, 10) : 0;
    return call_classes_parse(classes, &plan->classes) &&
           (rest == NULL || parse_number(rest, &plan->number));
}

static bool parse_kind(const char *word, enum fault_kind *out)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i], word) == 0) {
            *out = (enum fault_kind)i;
            return true;
        }
    }
    return false;
}

static int parse(char **argv, struct fault_plan *plan, const char **report)
{
    int i = 1;
    while (argv[i] != NULL && strncmp(argv[i], "--", 2) == 0) {
        if (strcmp(argv[i], "--caller") == 0) {
            plan->only_caller = true;
            i++;
        } else if (argv[i + 1] != NULL && strcmp(argv[i], "--report") == 0) {
            *report = argv[i + 1];
            i += 2;
        } else if (argv[i + 1] != NULL && strcmp(argv[i], "--while") == 0) {
            plan->while_path = argv[i + 1];
            i += 2;
        } else if (argv[i + 1] != NULL && parse_kind(argv[i], &plan->kind) &&
                   parse_place(argv[i + 1], plan)) {
            i += 2;
        } else {
            return -1;
        }
    }
    return argv[i] != NULL ? i : -1;
}

static bool write_report(const char *path, const struct fault_report *report)
{
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return false;
    fprintf(out, "{\"calls\":%u,\"hit\":%s,\"where\":\"%s\",\"classes\":{", report->calls,
            report->hit ? "true" : "false", report->where);
    const char *comma = "";
    for (unsigned i = 0; i < CALL_CLASS_COUNT; i++) {
        if (report->by_class[i] == 0)
            continue;
        fprintf(out, "%s\"%s\":%u", comma, call_class_names[i], report->by_class[i]);
        comma = ",";
    }
    fprintf(out, "}}\n");
    return fclose(out) == 0;
}

int main(int argc, char **argv)
{
    struct fault_plan plan = {.body = run_command, .classes = CALLS_CHANGING};
    struct fault_report report;
    const char *path = NULL;
    int command = parse(argv, &plan, &path);
    if (argc < 2 || command < 0) {
        fprintf(stderr, "usage: fault-run [--KIND CLASS,...:N[:ERRNO]] [--caller] [--while FILE] "
                        "[--report FILE] COMMAND...\n");
        return 2;
    }
    plan.context = argv + command;
    plan.program = realpath(argv[command], NULL); /* never freed: there is one */
    if (!fault_run(&plan, &report) || (path != NULL && !write_report(path, &report)))
        return UNABLE;
    return WIFEXITED(report.status) ? WEXITSTATUS(report.status) : 128 + WTERMSIG(report.status);
}
