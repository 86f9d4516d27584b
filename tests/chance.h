/* tests/chance.h -- numbers for random tests: the same for the same seed, which is printed. */
#ifndef TESTS_CHANCE_H
#define TESTS_CHANCE_H

#include "check.h"

#include "base/clock.h"

static uint64_t chance_state;

static inline void chance_seed(uint64_t seed)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    chance_state = seed;
}

/* Another each time the test is run. */
__attribute__((unused)) static void chance_seed_by_time(void)
{
    chance_seed(clock_wall_ns(&clock_system));
}

/* 0 to bound - 1: SplitMix64, whose bits are good enough for a remainder. */
static inline size_t chance(size_t bound)
{
    uint64_t mixed = chance_state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (size_t)((mixed ^ (mixed >> 31)) % bound);
}

#endif
