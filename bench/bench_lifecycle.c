/* The life of a key: how long a model of many shards takes to follow a rotation, and how long it
 * takes to encrypt one anew, beside encrypting its sources. */
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

/* ---- encrypting anew ------------------------------------------------------------------------- */

#define MODEL_BYTES (1024 * MIB)
#define REENCRYPT_ROUNDS 5u

static lethe_result no_record(void *context, const struct reencrypt_summary *summary,
                              struct lethe_error *err)
{
    return LETHE_OK;
}

static void encrypt(void *context)
{
    place_encrypt(context);
}

static void reencrypt(void *context)
{
    struct place *place = context;
    struct reencrypt_summary summary;
    const struct reencrypt_options options = {.path = place->model,
                                              .clock = &clock_system,
                                              .random = &random_system,
                                              .published = no_record};
    place_must(model_reencrypt(&options, &place->keys.source, &summary, &place->err), place);
}

/* Both write the same bytes; this one decrypts what it reads, too. */
static void reencrypt_in(const char *name, const char *parent)
{
    struct place place;
    double s[2];
    place_open(&place, parent, MODEL_BYTES);
    place_write_source(&place);
    place_encrypt(&place);
    const struct bench_way ways[] = {{reencrypt, &place}, {encrypt, &place}};
    bench_medians(ways, ARRAY_LEN(ways), REENCRYPT_ROUNDS, s);
    place_close(&place);
    bench_report(&(struct bench_result){.name = name,
                                        .value = gbytes_per_s(MODEL_BYTES, s[0]),
                                        .unit = "GB/s",
                                        .against = "speed of encrypt",
                                        .ratio = s[1] / s[0],
                                        .aim = BENCH_AT_LEAST,
                                        .target = 0.9});
}

void bench_reencrypt(void)
{
    reencrypt_in("reencrypt/on disk", place_on_disk());
    reencrypt_in("reencrypt/in memory", place_in_memory());
}
