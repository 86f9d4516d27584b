#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RESULTS_MAX 400u
#define ROUNDS_MAX 99u
#define WAYS_MAX 8u

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
#define BENCH_ROW(name) {#name, bench_##name},
    BENCH_PARTS(BENCH_ROW)
#undef BENCH_ROW
};

/* ---- memory ---------------------------------------------------------------------------------- */

/* Static, and in one file only: some compilers give the clones names that other files do not know,
 * and what chooses between them a name that all files share. */
__attribute__((target_clones("avx512f", "avx2", "default"))) static uint64_t
fold(const uint64_t *words, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= words[i];
    return all;
}

uint64_t bench_fold(const uint64_t *words, size_t count)
{
    return fold(words, count);
}

/* ---- time ------------------------------------------------------------------------------------ */

double bench_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], compare_times);
    return values[count / 2];
}

void bench_medians(const struct bench_way *ways, size_t count, unsigned rounds, double *medians_s)
{
    static double times_s[WAYS_MAX][ROUNDS_MAX];
    REQUIRE(count <= WAYS_MAX && rounds <= ROUNDS_MAX && rounds % 2 == 1);
    for (size_t way = 0; way < count; way++)
        ways[way].run(ways[way].context);
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t way = 0; way < count; way++) {
            double started_s = bench_now_s();
            ways[way].run(ways[way].context);
            times_s[way][round] = bench_now_s() - started_s;
        }
    }
    for (size_t way = 0; way < count; way++)
        medians_s[way] = bench_median(times_s[way], rounds);
}

/* ---- results --------------------------------------------------------------------------------- */

static struct kept_result {
    char name[48];
    char unit[16];
    char against[48];
    double value;
    double ratio;
    enum bench_aim aim;
    double target;
} results[RESULTS_MAX];
static size_t result_count;

static const char *aim_sign(enum bench_aim aim)
{
    return aim == BENCH_AT_LEAST ? ">=" : "<=";
}

static bool is_met(const struct kept_result *result)
{
    return result->aim == BENCH_AT_LEAST ? result->ratio >= result->target
                                         : result->ratio <= result->target;
}

void bench_report(const struct bench_result *result)
{
    REQUIRE(result_count < RESULTS_MAX);
    struct kept_result *kept = &results[result_count++];
    snprintf(kept->name, sizeof kept->name, "%s", result->name);
    snprintf(kept->unit, sizeof kept->unit, "%s", result->unit);
    snprintf(kept->against, sizeof kept->against, "%s", result->against ? result->against : "");
    kept->value = result->value;
    kept->ratio = result->ratio;
    kept->aim = result->aim;
    kept->target = result->target;

    printf("%-29s %8.4g %-5s", kept->name, kept->value, kept->unit);
    if (kept->against[0] != '\0')
        printf(" %7.3g x %-33s", kept->ratio, kept->against);
    if (kept->aim != BENCH_NO_AIM)
        printf(" %s %-5g %s", aim_sign(kept->aim), kept->target, is_met(kept) ? "met" : "MISSED");
    printf("\n");
    fflush(stdout);
}

void bench_skip(const char *name, const char *why)
{
    printf("%-29s skipped: %s\n", name, why);
}

void bench_fail(const char *why, const struct lethe_error *err)
{
    fprintf(stderr, "lethe-bench: %s: %s\n", why, err != NULL ? err->text : "");
    exit(1);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Names are our own plain text: nothing to escape. */
static void write_result(FILE *file, const struct kept_result *result)
{
    fprintf(file, "  {\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", ", result->name,
            result->value, result->unit);
    if (result->against[0] != '\0')
        fprintf(file, "\"against\": \"%s\", \"ratio\": %.6g, ", result->against, result->ratio);
    else
        fprintf(file, "\"against\": null, \"ratio\": null, ");
    if (result->aim != BENCH_NO_AIM)
        fprintf(file, "\"target\": \"%s %g\", \"met\": %s}", aim_sign(result->aim), result->target,
                is_met(result) ? "true" : "false");
    else
        fprintf(file, "\"target\": null, \"met\": null}");
}

static bool write_json(const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file, "[\n");
    for (size_t i = 0; i < result_count; i++) {
        write_result(file, &results[i]);
        fprintf(file, i + 1 < result_count ? ",\n" : "\n");
    }
    fprintf(file, "]\n");
    bool is_written = ferror(file) == 0;
    return fclose(file) == 0 && is_written;
}

/* ---- main ------------------------------------------------------------------------------------ */

static const char usage[] =
    "usage: lethe-bench [--json FILE] [--lethe PROGRAM] [START_OF_A_NAME]\n";

static struct {
    const char *json;
    const char *lethe;
    const char *start;
} options = {.start = ""};

const char *bench_lethe(void)
{
    static char beside[4096];
    if (options.lethe != NULL)
        return options.lethe;
    ssize_t length = readlink("/proc/self/exe", beside, sizeof beside - sizeof "../lethe");
    char *name = length > 0 ? memrchr(beside, '/', (size_t)length) : NULL;
    if (name == NULL)
        bench_fail("where this program lies is not known: use --lethe", NULL);
    strcpy(name + 1, "../lethe");
    return beside;
}

static bool read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"json", required_argument, NULL, 'j'}, {"lethe", required_argument, NULL, 'l'}, {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (letter == 'j')
            options.json = optarg;
        else if (letter == 'l')
            options.lethe = optarg;
        else
            return false;
    }
    if (optind < argc)
        options.start = argv[optind++];
    return optind == argc;
}

static size_t run_parts(const char *start)
{
    size_t ran = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (strncmp(parts[i].name, start, strlen(start)) != 0)
            continue;
        parts[i].run();
        ran++;
    }
    return ran;
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (run_parts(options.start) == 0) {
        fprintf(stderr, "lethe-bench: no part's name starts with \"%s\"\n", options.start);
        return 2;
    }
    if (options.json != NULL && !write_json(options.json)) {
        fprintf(stderr, "lethe-bench: %s: %m\n", options.json);
        return 1;
    }
    return 0;
}
