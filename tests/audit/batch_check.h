/* tests/audit/batch_check.h -- which records of a batch are not in the log. */
#ifndef TESTS_AUDIT_BATCH_CHECK_H
#define TESTS_AUDIT_BATCH_CHECK_H

#include "check.h"

#include "audit/batch.h"

struct refusals {
    size_t tags[1024];
    lethe_result results[1024];
    size_t count;
};

__attribute__((unused)) static void note_refusal(void *context, size_t tag, lethe_result result)
{
    struct refusals *refusals = context;
    assert_true(refusals->count < ARRAY_LEN(refusals->tags));
    refusals->tags[refusals->count] = tag;
    refusals->results[refusals->count++] = result;
}

#endif
