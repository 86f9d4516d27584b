/* The life of a key: how long a model of many shards takes to follow a rotation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "place.h"
#include "program.h"

#define SHARDS 1000u
#define ROUNDS 7u

static void must(const char *const *arguments)
{
    if (!program_run(arguments))
        bench_fail(arguments[1], NULL);
}

static void write_sources(const char *directory)
{
    char path[512];
    if (mkdir(directory, 0700) != 0)
        bench_fail("no directory for sources", NULL);
    for (unsigned i = 0; i < SHARDS; i++) {
        snprintf(path, sizeof path, "%s/%04u.bin", directory, i);
        FILE *file = fopen(path, "we");
        if (file == NULL || fprintf(file, "shard %u", i) < 0 || fclose(file) != 0)
            bench_fail("a source cannot be written", NULL);
    }
}

/* The whole command: opening the home, the keys, a thousand links, the signature, the exchange. */
void bench_rewrap(void)
{
    struct place place;
    char home[160], config[160], sources[160];
    double rounds_s[ROUNDS];
    place_open(&place, place_on_disk(), MIB);
    snprintf(home, sizeof home, "%s/home", place.directory);
    snprintf(config, sizeof config, "%s/config", place.directory);
    snprintf(sources, sizeof sources, "%s/sources", place.directory);
    setenv("LETHE_HOME", home, 1);
    setenv("XDG_CONFIG_HOME", config, 1);
    write_sources(sources);
    must((const char *const[]){bench_lethe(), "init", NULL});
    must((const char *const[]){bench_lethe(), "encrypt", sources, "--model", "m", "-o", place.model,
                               NULL});
    for (size_t i = 0; i < ROUNDS; i++) {
        must((const char *const[]){bench_lethe(), "key", "rotate", "default.m.hot", NULL});
        double start_s = bench_now_s();
        must((const char *const[]){bench_lethe(), "rewrap", place.model, NULL});
        rounds_s[i] = bench_now_s() - start_s;
    }
    double median_s = bench_median(rounds_s, ROUNDS);
    place_close(&place);
    bench_report(&(struct bench_result){.name = "rewrap/1,000 shards",
                                        .value = median_s * 1e3,
                                        .unit = "ms",
                                        .against = "200 ms",
                                        .ratio = median_s / 0.2,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}
