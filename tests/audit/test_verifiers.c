/* Two verifiers that share no code, ours and tests/audit/verify_log, and logs that are spoilt in
 * many ways: they say the same of each. */
#include "small_log.h"

#include "base/text.h"

#define COPIES_MAX 40000

/* One spoilt file, and the two others as they were, in a directory of their own. */
struct trial {
    struct node *node;
    struct log_copy good;
    char *parent;
    unsigned copies;
    char *ours[COPIES_MAX]; /* "<records> <root>", or "refused" */
};

static char *our_verdict(const struct node *node, const char *directory)
{
    char text[128] = "refused", root[2 * MERKLE_HASH_BYTES + 1];
    struct audit_verify_report report;
    if (verify_log(node, directory, &report, NULL) == LETHE_OK) {
        hex_encode(report.root, sizeof report.root, root);
        snprintf(text, sizeof text, "%llu %s", (unsigned long long)report.records, root);
    }
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

static void try_file(struct trial *trial, size_t file, const void *bytes, size_t size_bytes)
{
    char directory[600];
    assert_true(trial->copies < COPIES_MAX);
    snprintf(directory, sizeof directory, "%s/%05u", trial->parent, trial->copies);
    assert_int_equal(mkdir(directory, 0700), 0);
    log_put(&trial->good, directory);
    put_log_file(directory, log_files[file], bytes, size_bytes);
    trial->ours[trial->copies++] = our_verdict(trial->node, directory);
}

/* ---- spoiling -------------------------------------------------------------------------------- */

static void change_bytes(struct trial *trial, size_t file, size_t step)
{
    static const char others[] = {'\n', '\r', ' ', '0', '\x00', '\xc2', '"'};
    struct buffer *bytes = &trial->good.files[file];
    struct buffer spoilt = {0};
    buffer_append(&spoilt, bytes->bytes, bytes->size_bytes);
    for (size_t at = 0; at < bytes->size_bytes; at += step) {
        char before = bytes->bytes[at];
        for (unsigned bit = 0; bit < 8; bit += 2) {
            spoilt.bytes[at] = before ^ (char)(1 << (at + bit) % 8);
            try_file(trial, file, spoilt.bytes, spoilt.size_bytes);
        }
        spoilt.bytes[at] = others[at % sizeof others];
        try_file(trial, file, spoilt.bytes, spoilt.size_bytes);
        spoilt.bytes[at] = before;
    }
    buffer_clear(&spoilt);
}

static void cut_and_extend(struct trial *trial, size_t file, size_t step)
{
    static const char *const tails[] = {"\n", "\n\n", " ", "x", "x\n", "{}\n", "\r\n"};
    const struct buffer *bytes = &trial->good.files[file];
    for (size_t size_bytes = 0; size_bytes <= bytes->size_bytes; size_bytes += step)
        try_file(trial, file, bytes->bytes, size_bytes);
    try_file(trial, file, bytes->bytes, bytes->size_bytes - 1);
    try_file(trial, file, bytes->bytes, bytes->size_bytes); /* as it was */
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        struct buffer longer = {0};
        buffer_append(&longer, bytes->bytes, bytes->size_bytes);
        buffer_text(&longer, tails[i]);
        try_file(trial, file, longer.bytes, longer.size_bytes);
        buffer_clear(&longer);
    }
}

/* Each line away, twice, changed with the next, and with something before and behind it. */
static void rearrange_lines(struct trial *trial, size_t file)
{
    static const char *const around[][2] = {{" ", ""}, {"", " "}, {"", "\r"}, {"\xef\xbb\xbf", ""}};
    enum { AWAY, TWICE, SWAPPED, AROUND, CHANGES = AROUND + (int)ARRAY_LEN(around) };
    const struct buffer *bytes = &trial->good.files[file];
    const char *line, *next;
    for (size_t n = 0; nth_line(bytes, n, &line) > 0; n++) {
        size_t length = nth_line(bytes, n, &line);
        size_t next_length = nth_line(bytes, n + 1, &next);
        for (int change = AWAY; change < CHANGES; change++) {
            struct buffer out = {0};
            size_t before = (size_t)(line - bytes->bytes), taken = length;
            buffer_append(&out, bytes->bytes, before);
            if (change == SWAPPED) {
                buffer_append(&out, next, next_length);
                taken += next_length;
            }
            if (change >= AROUND)
                buffer_format(&out, "%s%.*s%s\n", around[change - AROUND][0], (int)length - 1, line,
                              around[change - AROUND][1]);
            for (int times = change == TWICE ? 2 : change == SWAPPED; times > 0; times--)
                buffer_append(&out, line, length);
            buffer_append(&out, bytes->bytes + before + taken, bytes->size_bytes - before - taken);
            try_file(trial, file, out.bytes == NULL ? "" : out.bytes, out.size_bytes);
            buffer_clear(&out);
        }
    }
}

/* A checkpoint less, and one twice: four lines each. */
static void take_notes_away(struct trial *trial)
{
    const struct buffer *notes = &trial->good.files[1];
    const char *first, *behind;
    for (size_t n = 0; nth_line(notes, 6 * n, &first) > 0; n++) {
        struct buffer less = {0}, more = {0};
        size_t before = (size_t)(first - notes->bytes);
        if (nth_line(notes, 6 * (n + 1), &behind) == 0)
            behind = notes->bytes + notes->size_bytes;
        buffer_append(&less, notes->bytes, before);
        buffer_append(&less, behind, notes->size_bytes - (size_t)(behind - notes->bytes));
        buffer_append(&more, notes->bytes, (size_t)(behind - notes->bytes));
        buffer_append(&more, first, notes->size_bytes - before);
        try_file(trial, 1, less.bytes, less.size_bytes);
        try_file(trial, 1, more.bytes, more.size_bytes);
        buffer_clear(&less);
        buffer_clear(&more);
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void compare(struct trial *trial, FILE *theirs)
{
    unsigned good = 0;
    char line[512];
    for (unsigned i = 0; i < trial->copies; i++) {
        unsigned number = 0;
        int length = 0;
        assert_non_null(fgets(line, sizeof line, theirs));
        line[strcspn(line, "\n")] = '\0';
        assert_int_equal(sscanf(line, "%u %n", &number, &length), 1);
        assert_int_equal(number, i);
        const char *said = line + length;
        bool refused = strncmp(said, "refused", 7) == 0;
        if (refused ? strcmp(trial->ours[i], "refused") != 0 : strcmp(trial->ours[i], said) != 0)
            fail_msg("%s/%05u: we say %s, the other verifier %s", trial->parent, i, trial->ours[i],
                     said);
        good += !refused;
        free(trial->ours[i]);
    }
    printf("%u logs, %u of them good\n", trial->copies, good);
    assert_in_range(good, 5, trial->copies / 4);
}

/* */
static void both_verifiers_say_the_same(void **state)
{
    static struct trial trial;
    char command[2048];
    struct buffer vkey = {0};
    size_t step = getenv("LETHE_TEST_LONG") != NULL ? 1 : 13;
    trial.node = small_log();
    trial.good = log_take(DIRECTORY(trial.node));
    trial.parent = temp_path("logs");
    assert_int_equal(mkdir(trial.parent, 0700), 0);
    for (size_t file = 0; file < LOG_FILES; file++) {
        change_bytes(&trial, file, step);
        cut_and_extend(&trial, file, 3 * step);
        rearrange_lines(&trial, file);
    }
    take_notes_away(&trial);
    audit_key_text(&trial.node->options.signer.key, &vkey);
    snprintf(command, sizeof command, "/usr/bin/python3 '%s' --each '%s' '%s' 2>&1", VERIFY_LOG,
             trial.parent, vkey.bytes);
    FILE *theirs = popen(command, "r");
    assert_non_null(theirs);
    compare(&trial, theirs);
    assert_int_equal(pclose(theirs), 0);
    buffer_clear(&vkey);
    log_copy_clear(&trial.good);
    free(trial.parent);
    node_free(trial.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_verifiers_say_the_same),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
