/* bench/bench.h -- the frame of `lethe-bench`: parts, medians, a table, and JSON.
 *
 * A part measures our way of doing something beside another way, in turns within one run, because
 * only ratios mean anything on a machine that others use too. To add a part, write bench_<name>()
 * in a file of its own and a line in BENCH_PARTS. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/base.h"

/* X(name): bench_<name>() is run by `lethe-bench` and by `lethe-bench <start of name>`. */
#define BENCH_PARTS(X)                                                                             \
    X(wipe)                                                                                        \
    X(slab)                                                                                        \
    X(digest)                                                                                      \
    X(load)                                                                                        \
    X(tags)                                                                                        \
    X(residency)                                                                                   \
    X(encrypt)                                                                                     \
    X(verify)                                                                                      \
    X(exec)                                                                                        \
    X(memory)                                                                                      \
    X(audit)                                                                                       \
    X(prove)                                                                                       \
    X(rewrap)                                                                                      \
    X(reencrypt)                                                                                   \
    X(kv)                                                                                          \
    X(policy)                                                                                      \
    X(attest)                                                                                      \
    X(release)                                                                                     \
    X(kms)                                                                                         \
    X(tls)                                                                                         \
    X(pool)

#define BENCH_DECLARE(name) void bench_##name(void);
BENCH_PARTS(BENCH_DECLARE)
#undef BENCH_DECLARE

/* One way of doing the work. */
struct bench_way {
    void (*run)(void *context);
    void *context;
};

/* Runs all ways in turns, `rounds` times (odd, at most 99), after one round that does not count,
 * and gives the median of each in seconds. */
void bench_medians(const struct bench_way *ways, size_t count, unsigned rounds, double *medians_s);
/* Of an odd number of values, which it sorts. */
double bench_median(double *values, size_t count);
double bench_now_s(void); /* CLOCK_MONOTONIC */
/* Reads memory as wide as this processor does: all words, ORed. */
uint64_t bench_fold(const uint64_t *words, size_t count);

/* The program, where a part runs it: --lethe, or the one of the same build. */
const char *bench_lethe(void);

enum bench_aim {
    BENCH_NO_AIM,
    BENCH_AT_LEAST, /* the ratio should be `target` or more */
    BENCH_AT_MOST,  /* ... or less                          */
};

struct bench_result {
    const char *name; /* "<part>/<what>", at most 47 bytes */
    double value;
    const char *unit;
    const char *against; /* "speed of memset", at most 47 bytes; NULL: nothing */
    double ratio;        /* ours over that                                     */
    enum bench_aim aim;
    double target;
};

/* Prints a line of the table and keeps it for the JSON file. */
void bench_report(const struct bench_result *result);
/* In place of a result that cannot be had here. */
void bench_skip(const char *name, const char *why);

/* Ends the program, because a part cannot work at all. */
_Noreturn void bench_fail(const char *why, const struct lethe_error *err);

#endif
