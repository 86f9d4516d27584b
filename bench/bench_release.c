/* Attested release, as the door asks for it: from a challenge to the wrapped keys of 100 shards, by
 * a TPM that the tests play, and a service in this process. TLS and network are not in it:
 * bench_kms has what they cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench.h"
#include "service/release_check.h"

#define ROUNDS 9u
#define CALLS 20u
#define TARGET_S 5e-3

struct measured {
    struct scene *scene;
    const struct wanted *wanted;
};

static void ask(void *context)
{
    const struct measured *measured = context;
    for (unsigned i = 0; i < CALLS; i++)
        if (ask_release(measured->scene, measured->wanted) != 200)
            bench_fail("a release that is denied", NULL);
}

static void measure(struct scene *scene)
{
    static const struct wanted one = {.shards = 1}, hundred = {.shards = 100};
    struct measured first = {scene, &one}, many = {scene, &hundred};
    const struct bench_way ways[] = {{ask, &many}, {ask, &first}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    bench_report(&(struct bench_result){.name = "release/100 shards",
                                        .value = medians_s[0] / CALLS * 1e3,
                                        .unit = "ms",
                                        .against = "time of 5 ms",
                                        .ratio = medians_s[0] / CALLS / TARGET_S,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
    bench_report(&(struct bench_result){.name = "release/1 shard",
                                        .value = medians_s[1] / CALLS * 1e3,
                                        .unit = "ms",
                                        .against = "time of 100 shards",
                                        .ratio = medians_s[1] / medians_s[0]});
}

void bench_release(void)
{
    void *scene;
    if (service_start(&scene) != 0 || scene_setup(&scene) != 0)
        bench_fail("no service to ask", NULL);
    measure(scene);
    scene_teardown(&scene);
}
