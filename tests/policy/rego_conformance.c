/* rego-conformance FILE.jsonl... [--v0] [--known FILE] [--reordered] [--only TEXT]
 *
 * Runs cases of OPA's conformance suite: one JSON object a line. Prints each case that fails and
 * why, and how many of each tier pass; nothing is skipped. Each case runs in a process of its own,
 * in all its orders, so that one that dies is a failure like another. Exits 1 when any case failed
 * that --known does not list, or one passed that it does. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "rego_case.h"

#define FILE_SIZE_MAX ((size_t)256 << 20)
#define WHY_SIZE_MAX ((size_t)1 << 20)
#define REORDERINGS 3
#define TIERS_MAX 8
#define KNOWN_MAX 256

struct known {
    char *id, *reason;
    bool met;
};

struct report {
    struct rego_settings settings;
    bool reordered;
    const char *only; /* cases whose id has it; NULL: all */
    struct buffer known_text;
    struct known known[KNOWN_MAX];
    size_t known_count;
    struct tier {
        char name[16];
        size_t total, passed;
    } tiers[TIERS_MAX];
    size_t failures; /* that nobody knew of */
};

/* ---- known failures ---- */

/* Lines of an id and a reason; # begins a comment. */
static lethe_result known_read(struct report *report, const char *path, struct lethe_error *err)
{
    TRY(file_read_all(AT_FDCWD, path, FILE_SIZE_MAX, &report->known_text, err));
    char *rest = report->known_text.bytes;
    for (char *line = strtok_r(rest, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == '#')
            continue;
        char *reason = strchr(line, ' ');
        if (reason == NULL || report->known_count == KNOWN_MAX)
            return error_set(err, LETHE_MALFORMED, "%s: %s has no reason, or is one too many", path,
                             line);
        *reason++ = '\0';
        report->known[report->known_count++] = (struct known){.id = line, .reason = reason};
    }
    return LETHE_OK;
}

static struct known *known_find(struct report *report, const char *id)
{
    for (size_t i = 0; i < report->known_count; i++) {
        if (strcmp(report->known[i].id, id) == 0)
            return &report->known[i];
    }
    return NULL;
}

/* A list that names what is not there says nothing about what is. */
static void report_unmet(struct report *report)
{
    for (size_t i = 0; i < report->known_count && report->only == NULL; i++) {
        if (report->known[i].met)
            continue;
        printf("FAIL %s: listed as known to fail, but there is no such case\n",
               report->known[i].id);
        report->failures++;
    }
}

/* ---- one case in a process of its own ---- */

static bool passes_in_every_order(const struct report *report, const struct value *fields,
                                  struct buffer *why)
{
    struct rego_settings settings = report->settings;
    if (!rego_case_passes(fields, &settings, why))
        return false;
    for (settings.seed = 1; report->reordered && settings.seed <= REORDERINGS; settings.seed++) {
        if (!rego_case_passes(fields, &settings, why)) {
            buffer_format(why, " (in another order: seed %llu)", (unsigned long long)settings.seed);
            return false;
        }
    }
    return true;
}

static _Noreturn void case_child(int fd, const struct report *report, const struct value *fields)
{
    struct buffer why = {0};
    bool passes = passes_in_every_order(report, fields, &why);
    if (why.size_bytes > 0 &&
        file_write(fd, "pipe", why.bytes, MIN(why.size_bytes, WHY_SIZE_MAX), NULL) != LETHE_OK)
        _exit(2);
    _exit(passes ? 0 : 1);
}

static bool case_passes(const struct report *report, const struct value *fields, struct buffer *why)
{
    int ends[2], status;
    fflush(NULL);
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
        case_child(ends[1], report, fields);
    fd_close(ends[1]);
    lethe_result result = file_read_to_end(ends[0], "pipe", WHY_SIZE_MAX, why, NULL);
    fd_close(ends[0]);
    REQUIRE(result == LETHE_OK && waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        buffer_format(why, "died of signal %d", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- all cases ---- */

static struct tier *tier_of(struct report *report, const char *name)
{
    for (size_t i = 0; i < TIERS_MAX; i++) {
        struct tier *tier = &report->tiers[i];
        if (tier->total == 0)
            snprintf(tier->name, sizeof tier->name, "%s", name);
        if (strcmp(tier->name, name) == 0)
            return tier;
    }
    return &report->tiers[TIERS_MAX - 1];
}

static void note_outcome(struct report *report, const char *id, bool passes,
                         const struct buffer *why)
{
    struct known *known = known_find(report, id);
    if (known != NULL)
        known->met = true;
    if (!passes && known != NULL)
        printf("known %s: %s\n", id, known->reason);
    else if (!passes)
        printf("FAIL %s: %s\n", id, why->size_bytes > 0 ? why->bytes : "no reason");
    else if (known != NULL)
        printf("FAIL %s: passes, but is listed as known to fail\n", id);
    report->failures += passes != (known == NULL);
}

static void run_one(struct report *report, const struct value *fields)
{
    const char *id = rego_case_text(fields, "id");
    if (report->only != NULL && strstr(id, report->only) == NULL)
        return;
    CLEANUP(buffer_clear) struct buffer why = {0};
    bool passes = case_passes(report, fields, &why);
    struct tier *tier = tier_of(report, rego_case_text(fields, "tier"));
    tier->total++;
    tier->passed += passes;
    note_outcome(report, id, passes, &why);
}

static lethe_result run_line(struct report *report, const char *line, size_t length,
                             struct lethe_error *err)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    const struct value *fields;
    TRY(value_parse_json(&arena, line, length, &fields, err));
    if (!value_is(fields, VALUE_OBJECT) || rego_case_text(fields, "id")[0] == '\0')
        return error_set(err, LETHE_MALFORMED, "a case is an object with an id");
    run_one(report, fields);
    return LETHE_OK;
}

static lethe_result run_file(struct report *report, const char *path, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(file_read_all(AT_FDCWD, path, FILE_SIZE_MAX, &text, err));
    const char *at = text.bytes, *end = text.bytes + text.size_bytes;
    for (unsigned number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline != NULL ? newline : end;
        if (line_end > at)
            TRY(error_context(err, run_line(report, at, (size_t)(line_end - at), err), "%s:%u",
                              path, number));
        at = line_end + 1;
    }
    return LETHE_OK;
}

static void print_totals(const struct report *report)
{
    size_t total = 0, passed = 0;
    for (size_t i = 0; i < TIERS_MAX && report->tiers[i].total > 0; i++) {
        const struct tier *tier = &report->tiers[i];
        printf("%-5s %zu/%zu\n", tier->name, tier->passed, tier->total);
        total += tier->total;
        passed += tier->passed;
    }
    printf("all   %zu/%zu\n", passed, total);
}

static lethe_result run_all(struct report *report, char **paths, const char *known,
                            struct lethe_error *err)
{
    if (known != NULL)
        TRY(known_read(report, known, err));
    for (size_t i = 0; paths[i] != NULL; i++)
        TRY(run_file(report, paths[i], err));
    report_unmet(report);
    print_totals(report);
    return LETHE_OK;
}

static const struct option long_options[] = {
    {"v0", no_argument, NULL, 'v'},
    {"known", required_argument, NULL, 'k'},
    {"reordered", no_argument, NULL, 'r'},
    {"only", required_argument, NULL, 'o'},
    {0},
};

int main(int argc, char **argv)
{
    static struct report report;
    struct lethe_error err = {0};
    const char *known = NULL;
    bool usage = false;
    int letter;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        report.settings.v0 |= letter == 'v';
        report.reordered |= letter == 'r';
        known = letter == 'k' ? optarg : known;
        report.only = letter == 'o' ? optarg : report.only;
        usage |= letter == '?';
    }
    if (usage || argv[optind] == NULL) {
        fprintf(stderr, "usage: rego-conformance FILE.jsonl... [--v0] [--known FILE] "
                        "[--reordered] [--only TEXT]\n");
        return 2;
    }
    lethe_result result = run_all(&report, argv + optind, known, &err);
    buffer_clear(&report.known_text);
    if (result != LETHE_OK)
        fprintf(stderr, "rego-conformance: %s\n", err.text);
    return result != LETHE_OK ? 2 : report.failures > 0 ? 1 : 0;
}
