/* A log's directory, as a verifier finds it: two files of records, `checkpoints`, `checkpoint` and
 * `journal`, one behind the other in the input. Whatever is found good is a beginning of the log
 * that was signed, by a tree that is made here, as RFC 6962 defines it. */
#include "fuzz_log.h"

#include "audit/verify.h"

#define SEPARATOR 0x1e /* in no file of a good log, but for a journal, which is the last */
#define ROOTS_MAX 8u

static const char *const names[] = {"000001.jsonl", "000002.jsonl", "checkpoints", "checkpoint",
                                    "journal"};

/* What the key has signed. */
struct signed_root {
    uint64_t records;
    uint8_t root[MERKLE_HASH_BYTES];
};
static struct signed_root signed_roots[ROOTS_MAX];
static size_t signed_count;

static struct audit_key key;

/* ---- the tree -------------------------------------------------------------------------------- */

struct leaves {
    size_t count;
    uint8_t hashes[64][MERKLE_HASH_BYTES];
};

static void root_of(const uint8_t (*hashes)[MERKLE_HASH_BYTES], size_t count,
                    uint8_t out[MERKLE_HASH_BYTES])
{
    uint8_t joined[1 + 2 * MERKLE_HASH_BYTES] = {1};
    size_t k = 1;
    if (count == 0) {
        sha256("", 0, out);
        return;
    }
    if (count == 1) {
        memcpy(out, hashes[0], MERKLE_HASH_BYTES);
        return;
    }
    while (2 * k < count)
        k *= 2;
    root_of(hashes, k, joined + 1);
    root_of(hashes + k, count - k, joined + 1 + MERKLE_HASH_BYTES);
    sha256(joined, sizeof joined, out);
}

static lethe_result take(void *context, const struct audit_record *record, struct lethe_error *err)
{
    struct leaves *leaves = context;
    CLEANUP(buffer_clear) struct buffer entry = {0};
    buffer_byte(&entry, 0);
    buffer_append(&entry, record->line, record->length);
    if (leaves->count < 64)
        sha256(entry.bytes, entry.size_bytes, leaves->hashes[leaves->count++]);
    return LETHE_OK;
}

/* ---- the log --------------------------------------------------------------------------------- */

static void take_signed(const char *directory)
{
    CLEANUP(buffer_clear) struct buffer notes = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/checkpoints", directory);
    REQUIRE(file_read_all(AT_FDCWD, path, 1 << 20, &notes, NULL) == LETHE_OK);
    for (const char *at = notes.bytes; *at != '\0'; signed_count++) {
        struct audit_checkpoint checkpoint;
        const char *text_end = strstr(at, "\n\n");
        const char *end = text_end != NULL ? strstr(text_end + 2, "\n\n") : NULL;
        REQUIRE(end != NULL && signed_count < ROOTS_MAX);
        REQUIRE(audit_checkpoint_open(at, (size_t)(end + 1 - at), &key, &checkpoint, NULL) ==
                LETHE_OK);
        signed_roots[signed_count].records = checkpoint.records;
        memcpy(signed_roots[signed_count].root, checkpoint.root, MERKLE_HASH_BYTES);
        at = end + 2;
    }
}

static void make_log(void)
{
    CLEANUP(memory_free) char *directory = fuzz_directory();
    key = fuzz_log_make(directory);
    take_signed(directory);
    fuzz_directory_remove(directory);
}

static bool was_signed(const struct leaves *leaves)
{
    uint8_t root[MERKLE_HASH_BYTES];
    root_of((const uint8_t(*)[MERKLE_HASH_BYTES])leaves->hashes, leaves->count, root);
    for (size_t i = 0; i < signed_count; i++) {
        if (signed_roots[i].records == leaves->count &&
            memcmp(signed_roots[i].root, root, sizeof root) == 0)
            return true;
    }
    return false;
}

/* An empty part is a file that is not there. */
static void write_parts(const char *directory, const uint8_t *data, size_t size_bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool last = i + 1 == ARRAY_LEN(names);
        const uint8_t *end = last || size_bytes == 0 ? NULL : memchr(data, SEPARATOR, size_bytes);
        size_t length = end != NULL ? (size_t)(end - data) : size_bytes;
        if (length > 0)
            fuzz_write(directory, names[i], data, length);
        size_t taken = MIN(length + 1, size_bytes);
        data += taken;
        size_bytes -= taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (signed_count == 0)
        make_log();
    CLEANUP(memory_free) char *directory = fuzz_directory();
    struct leaves leaves = {0};
    struct audit_verify_report report;
    struct audit_verify_options options = {
        .directory = directory, .key = key, .allow_tail = true, .visit = take, .context = &leaves};
    write_parts(directory, data, size_bytes);
    if (audit_verify(&options, &report, NULL) == LETHE_OK)
        FUZZ_PROPERTY(report.records == leaves.count && was_signed(&leaves));
    fuzz_directory_remove(directory);
    return 0;
}
