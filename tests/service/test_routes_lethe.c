/* the log is read and proven over the API by who has nothing but its key. */
#include "service_check.h"

#include <fcntl.h>

#include "audit/proof.h"
#include "base/error.h"
#include "base/file.h"

static void read_log(struct check *check, struct buffer *out)
{
    char path[192];
    struct lethe_error err = {0};
    assert_int_not_equal(0, records(check, "home_created", NULL));
    snprintf(path, sizeof path, "%s/000001.jsonl", check->home->audit);
    assert_ok(file_read_all(AT_FDCWD, path, 1 << 24, out, &err), &err);
}

/* Line `seq` of a text. */
static struct proof_record line_of(const char *text, unsigned seq)
{
    for (; seq > 0; seq--)
        text = strchr(text, '\n') + 1;
    return (struct proof_record){text, strcspn(text, "\n")};
}

static void the_log_is_read_as_it_stands(void **state)
{
    struct check *check = *state;
    CLEANUP(buffer_clear) struct buffer log = {0};
    read_log(check, &log);
    assert_int_equal(200, call(check, "GET", "lethe/audit", check->root, NULL));
    assert_string_equal(check->content_type, "application/x-ndjson");
    assert_int_equal(check->body.size_bytes, log.size_bytes);
    assert_memory_equal(log.bytes, check->body.bytes, log.size_bytes);

    for (unsigned seq = 0; seq < 3; seq++) {
        char path[64];
        struct proof_record line = line_of(log.bytes, seq);
        snprintf(path, sizeof path, "lethe/audit?from=%u&limit=1", seq);
        assert_int_equal(200, call(check, "GET", path, check->root, NULL));
        assert_int_equal(line.length + 1, check->body.size_bytes);
        assert_memory_equal(line.line, check->body.bytes, line.length);
    }
    assert_int_equal(200, call(check, "GET", "lethe/audit?from=1000000", check->root, NULL));
    assert_int_equal(0, check->body.size_bytes);
    assert_int_equal(400, call(check, "GET", "lethe/audit?from=-1", check->root, NULL));
    assert_int_equal(400, call(check, "GET", "lethe/audit?limit=10001", check->root, NULL));
    assert_int_equal(403, call(check, "GET", "lethe/audit", check->other, NULL));
    assert_int_equal(5, records(check, "log_read", NULL)); /* reading is on record */
}

/* Records are numbered over files: where to begin is found without reading all. */
static void any_file_is_read(void **state)
{
    struct check *check = *state;
    check->options.keeper.audit_limits.rotate_bytes = 2048;
    reopen(check);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(200, call(check, "GET", "lethe/audit?limit=0", check->root, NULL));
    for (unsigned seq = 0; seq < 40; seq++) {
        char path[64], wanted[32];
        snprintf(path, sizeof path, "lethe/audit?from=%u&limit=1", seq);
        snprintf(wanted, sizeof wanted, "\"seq\":%u,", seq);
        assert_int_equal(200, call(check, "GET", path, check->root, NULL));
        assert_has(check, wanted);
    }
}

static void key_of(struct check *check, struct audit_key *out)
{
    struct lethe_error err = {0};
    assert_int_equal(200, call(check, "GET", "lethe/audit/key", check->root, NULL));
    assert_ok(audit_key_parse(body_text(check), check->body.size_bytes - 1, out, &err), &err);
}

static void records_are_proven(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    struct audit_key key;
    struct audit_checkpoint checkpoint;
    struct proof_text proof;
    CLEANUP(buffer_clear) struct buffer log = {0};
    key_of(check, &key);
    read_log(check, &log);
    assert_int_equal(200, call(check, "GET", "lethe/audit/proof?seq=1", check->root, NULL));
    assert_ok(proof_text_parse(body_text(check), check->body.size_bytes, &proof, &err), &err);
    struct proof_record line = line_of(log.bytes, 1);
    assert_ok(proof_text_check(&proof, &key, &line, &checkpoint, &err), &err);
    line = line_of(log.bytes, 2); /* the control */
    assert_result(LETHE_INTEGRITY, proof_text_check(&proof, &key, &line, &checkpoint, &err));
    assert_int_equal(404, call(check, "GET", "lethe/audit/proof?seq=99999", check->root, NULL));
    assert_int_equal(400, call(check, "GET", "lethe/audit/proof", check->root, NULL));
    assert_int_equal(403, call(check, "GET", "lethe/audit/proof?seq=1", check->other, NULL));
}

/* A note as a JSON text. */
static void put_old(struct guarded *out, const char *note)
{
    guarded_text(out, "{\"old\":\"");
    for (; *note != '\0'; note++) {
        if (*note == '\n')
            guarded_text(out, "\\n");
        else
            guarded_append(out, note, 1);
    }
    guarded_text(out, "\"}");
    guarded_append(out, "", 1);
}

static void growth_is_proven(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    struct audit_key key;
    struct audit_checkpoint old, now;
    struct proof_growth growth;
    CLEANUP(guarded_clear) struct guarded body = {0};
    key_of(check, &key);
    assert_int_equal(200, call(check, "GET", "lethe/audit/checkpoint", check->root, NULL));
    assert_ok(audit_checkpoint_open(body_text(check), check->body.size_bytes, &key, &old, &err),
              &err);
    put_old(&body, body_text(check));
    call(check, "GET", "lethe/audit", check->root, NULL);
    const char *text = (const char *)body.bytes;
    assert_int_equal(200, call(check, "POST", "lethe/audit/proof", check->root, text));
    assert_ok(proof_growth_parse(body_text(check), check->body.size_bytes, &growth, &err), &err);
    assert_ok(proof_growth_check(&growth, &key, &old, &now, &err), &err);
    assert_true(now.records > old.records);
    body.bytes[20] ^= 1; /* a checkpoint that this log never signed */
    assert_int_equal(400, call(check, "POST", "lethe/audit/proof", check->root, text));
}

static void rotation_is_shown(void **state)
{
    struct check *check = *state;
    assert_int_equal(
        200, call(check, "POST", "transit/keys/a", check->root, "{\"auto_rotate_period\":\"2h\"}"));
    assert_int_equal(200, call(check, "GET", "lethe/rotation", check->root, NULL));
    assert_has(check, "\"name\":\"a\",\"latest_version\":1,");
    assert_has(check, "\"auto_rotate_period\":7200,\"due\":1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(the_log_is_read_as_it_stands),
        ON_SERVICE(any_file_is_read),
        ON_SERVICE(records_are_proven),
        ON_SERVICE(growth_is_proven),
        ON_SERVICE(rotation_is_shown),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
