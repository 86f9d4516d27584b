/* The tree's stored hashes, which anybody may have changed: the input is the first tile. Whatever
 * is in it, every proof that is given shows what it says, and every record has one. */
#include "fuzz_log.h"

#include "audit/prover.h"
#include "audit/verify.h"

static char *directory;
static struct audit_key key;
static struct buffer lines[FUZZ_LOG_RECORDS];
static struct audit_checkpoint empty; /* the oldest checkpoint */

static lethe_result take(void *context, const struct audit_record *record, struct lethe_error *err)
{
    buffer_append(&lines[record->seq], record->line, record->length);
    return LETHE_OK;
}

static void remove_log(void)
{
    fuzz_directory_remove(directory);
}

static void make_log(void)
{
    directory = fuzz_directory();
    atexit(remove_log);
    key = fuzz_log_make(directory);
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = directory, .key = key, .visit = take};
    REQUIRE(audit_verify(&options, &report, NULL) == LETHE_OK &&
            report.records == FUZZ_LOG_RECORDS);
    sha256("", 0, empty.root);
}

static void check_inclusion(struct prover *prover, uint64_t seq)
{
    struct proof_text text, read;
    struct audit_checkpoint checkpoint;
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    FUZZ_PROPERTY(prover_inclusion(prover, seq, &text, NULL) == LETHE_OK);
    proof_text_append(&text, &bytes);
    const struct proof_record record = {lines[seq].bytes, lines[seq].size_bytes};
    FUZZ_PROPERTY(proof_text_parse(bytes.bytes, bytes.size_bytes, &read, NULL) == LETHE_OK);
    FUZZ_PROPERTY(proof_text_check(&read, &key, &record, &checkpoint, NULL) == LETHE_OK);
}

static void check_growth(struct prover *prover)
{
    struct proof_growth growth;
    struct audit_checkpoint checkpoint;
    FUZZ_PROPERTY(prover_growth(prover, &empty, &growth, NULL) == LETHE_OK);
    FUZZ_PROPERTY(proof_growth_check(&growth, &key, &empty, &checkpoint, NULL) == LETHE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(prover_close) struct prover *prover = NULL;
    if (directory == NULL)
        make_log();
    fuzz_write(directory, "tile/0/000", data, size_bytes);
    REQUIRE(prover_open(directory, &key, &prover, NULL) == LETHE_OK);
    for (uint64_t seq = 0; seq < FUZZ_LOG_RECORDS; seq++)
        check_inclusion(prover, seq);
    check_growth(prover);
    return 0;
}
