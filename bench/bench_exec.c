/* The program as its users run it: how soon an engine starts, and how much memory work takes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"
#include "program.h"

#define SMALL_BYTES (64 * MIB)
#define ROUNDS 5u
#define LINE_MAX_BYTES 4096u

/* ---- a home ---------------------------------------------------------------------------------- */

static void must_run(const char *what, const char *const *arguments)
{
    if (!program_run(arguments)) {
        fprintf(stderr, "lethe-bench: %s fails: try %s by hand\n", what, bench_lethe());
        exit(1);
    }
}

/* Everything the program keeps goes to the place, too. */
static void open_home(struct place *place, uint64_t size_bytes)
{
    char home[160], config[160];
    const char *init[] = {bench_lethe(), "init", NULL};
    place_open(place, place_in_memory(), size_bytes);
    snprintf(home, sizeof home, "%s/home", place->directory);
    snprintf(config, sizeof config, "%s/config", place->directory);
    setenv("LETHE_HOME", home, 1);
    setenv("XDG_CONFIG_HOME", config, 1);
    must_run("lethe init", init);
    place_write_zeros(place);
}

/* ---- start ----------------------------------------------------------------------------------- */

/* The newest record's, in nanoseconds; what exec itself took for loading. */
static double recorded_load_s(void)
{
    static const char event[] = "\"event\":\"model_loaded\"";
    static const char field[] = "\"duration_ns\":";
    const char *show[] = {bench_lethe(), "audit", "show", "--json", NULL};
    struct program program;
    char line[LINE_MAX_BYTES];
    double load_s = 0;
    FILE *records = NULL;
    if (program_start(show, &program))
        records = fdopen(dup(program.output), "re");
    while (records != NULL && fgets(line, sizeof line, records) != NULL) {
        const char *at = strstr(line, event) != NULL ? strstr(line, field) : NULL;
        if (at != NULL)
            load_s = strtod(at + strlen(field), NULL) * 1e-9;
    }
    if (records == NULL || fclose(records) != 0 || !program_wait(&program) || load_s <= 0)
        bench_fail("lethe audit show fails", NULL);
    return load_s;
}

/* Seconds from our start of exec to the engine's first word; false where it cannot run. */
static bool start_engine(const char *handover, const char *model, double *start_s)
{
    const char *exec[] = {bench_lethe(), "exec", "--handover", handover, model,
                          "--",          "echo", "{model}",    NULL};
    struct program program;
    char word;
    double started_s = bench_now_s();
    bool spoke = program_start(exec, &program) && read(program.output, &word, 1) == 1;
    double spoke_s = bench_now_s();
    *start_s = spoke_s - started_s;
    return spoke && program_wait(&program);
}

static void start_by(const char *handover, const struct place *place)
{
    double overheads_s[ROUNDS], loads_s[ROUNDS];
    char name[48];
    snprintf(name, sizeof name, "exec/%s, load", handover);
    for (size_t i = 0; i < ROUNDS; i++) {
        double start_s;
        if (!start_engine(handover, place->model, &start_s)) {
            bench_skip(name, "no engine starts this way here (lethe doctor says why)");
            return;
        }
        loads_s[i] = recorded_load_s();
        overheads_s[i] = start_s - loads_s[i];
    }
    double overhead_ms = bench_median(overheads_s, ROUNDS) * 1e3;
    bench_report(&(struct bench_result){
        .name = name,
        .value = gbytes_per_s(place->size_bytes, bench_median(loads_s, ROUNDS)),
        .unit = "GB/s"});
    snprintf(name, sizeof name, "exec/%s, start", handover);
    bench_report(&(struct bench_result){.name = name,
                                        .value = overhead_ms,
                                        .unit = "ms",
                                        .against = "100 ms on top of the load",
                                        .ratio = overhead_ms / 100,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

void bench_exec(void)
{
    struct place place;
    open_home(&place, place_large_bytes());
    const char *encrypt[] = {bench_lethe(), "encrypt", place.source, "-o", place.model, NULL};
    must_run("lethe encrypt", encrypt);
    start_by("tmpfs", &place);
    start_by("memfd", &place);
    place_close(&place);
}

/* ---- memory ---------------------------------------------------------------------------------- */

enum work { WORK_ENCRYPT, WORK_VERIFY, WORK_DECRYPT, WORK_LOAD, WORK_COUNT };
static const char *const work_names[WORK_COUNT] = {"encrypt", "verify", "decrypt", "load"};

static uint64_t peak_of(const char *const *arguments)
{
    struct program program;
    uint64_t peak_bytes = 0;
    if (!program_start(arguments, &program) || !program_watch(&program, &peak_bytes))
        bench_fail("lethe fails", NULL);
    return peak_bytes;
}

/* The most memory each had, without the weights where they are loaded to. */
static void measure_peaks(uint64_t size_bytes, uint64_t peaks[WORK_COUNT])
{
    struct place place;
    char decrypted[160];
    open_home(&place, size_bytes);
    snprintf(decrypted, sizeof decrypted, "%s/decrypted", place.directory);
    const char *encrypt[] = {bench_lethe(), "encrypt", place.source, "-o", place.model, NULL};
    const char *verify[] = {bench_lethe(), "verify", place.model, NULL};
    const char *decrypt[] = {bench_lethe(), "decrypt", place.model, "-o", decrypted, NULL};
    const char *exec[] = {bench_lethe(), "exec", place.model, "--", "echo", "{model}", NULL};
    peaks[WORK_ENCRYPT] = peak_of(encrypt);
    peaks[WORK_VERIFY] = peak_of(verify);
    peaks[WORK_DECRYPT] = peak_of(decrypt);
    uint64_t with_weights = peak_of(exec);
    peaks[WORK_LOAD] = with_weights > size_bytes ? with_weights - size_bytes : 0;
    place_close(&place);
}

void bench_memory(void)
{
    uint64_t large_bytes = place_large_bytes();
    uint64_t small[WORK_COUNT], large[WORK_COUNT];
    measure_peaks(SMALL_BYTES, small);
    measure_peaks(large_bytes, large);
    for (size_t i = 0; i < WORK_COUNT; i++) {
        char name[48], against[48];
        snprintf(name, sizeof name, "memory/%s %u MiB", work_names[i],
                 (unsigned)(large_bytes / MIB));
        snprintf(against, sizeof against, "peak for %u MiB", (unsigned)(SMALL_BYTES / MIB));
        if (small[i] == 0 || large[i] == 0) {
            bench_skip(name, "it ended before anyone could look");
            continue;
        }
        bench_report(&(struct bench_result){.name = name,
                                            .value = (double)large[i] / (double)MIB,
                                            .unit = "MiB",
                                            .against = against,
                                            .ratio = (double)large[i] / (double)small[i],
                                            .aim = BENCH_AT_MOST,
                                            .target = 1.2});
    }
}
