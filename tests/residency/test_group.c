/* Groups: shards that stand or fall together. */
#include "residency_check.h"

#include "crypto/hash.h"

#define MEMBERS 4u
#define MEMBER_BYTES ((size_t)70001)

static const char *const ids[MEMBERS] = {"rank-3", "rank-1", "rank-0", "rank-2"};

static void fill_members(struct lethe_group_member *members)
{
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = (struct lethe_group_member){.placement = {.id = ids[i], .tenant = "acme"},
                                                 .bytes = weights_of(MEMBER_BYTES, i + 1),
                                                 .size_bytes = MEMBER_BYTES,
                                                 .wipe_source = true};
}

static void free_members(struct lethe_group_member *members)
{
    for (size_t i = 0; i < MEMBERS; i++)
        free(members[i].bytes);
}

static struct lethe_group *must_group(struct site *site)
{
    struct lethe_group_member members[MEMBERS];
    struct lethe_group *group = NULL;
    fill_members(members);
    assert_ok(lethe_group_seal(site->worker, "tp-4", members, MEMBERS, &group, &site->err),
              &site->err);
    for (size_t i = 0; i < MEMBERS; i++)
        assert_true(lethe_is_zero(members[i].bytes, MEMBER_BYTES));
    free_members(members);
    return group;
}

static void must_evict_group(struct site *site, struct lethe_group *group)
{
    assert_ok(lethe_group_evict(group, &site->err), &site->err);
    assert_int_equal(used_bytes(site), 0);
}

static struct lethe_shard *member(struct lethe_group *group, size_t index)
{
    size_t count;
    struct lethe_shard *const *shards = lethe_group_shards(group, &count);
    assert_int_equal(count, MEMBERS);
    return shards[index];
}

/* W-4 CI-002: a root that anyone who has the seals can compute. */
static void a_group_is_sealed_used_and_evicted(void **state)
{
    struct site *site = *state;
    struct lethe_group *group = must_group(site);
    struct lethe_seal root, seal;
    struct buffer text = {0};
    uint8_t digest[SHA256_BYTES];
    char hex[65];
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_string_equal(lethe_shard_id(member(group, i)), ids[i]);
        lethe_shard_get_seal(member(group, i), &seal);
        buffer_format(&text, "%s|%s|%llu|%s\n", seal.id, seal.digest,
                      (unsigned long long)seal.sealed_at_s, seal.device);
    }
    sha256(text.bytes, text.size_bytes, digest);
    hex_encode(digest, sizeof digest, hex);
    buffer_clear(&text);
    lethe_group_get_seal(group, &root);
    assert_string_equal(root.id, "tp-4");
    assert_string_equal(root.digest, hex);
    assert_string_equal(root.device, "group:4");
    assert_ok(lethe_seal_check(site->worker, &root, &site->err), &site->err);

    assert_ok(lethe_group_verify(group, LETHE_VERIFY_FAST, &site->err), &site->err);
    assert_ok(lethe_group_verify(group, LETHE_VERIFY_FULL, &site->err), &site->err);
    size_t count;
    struct lethe_shard *const *shards = lethe_group_shards(group, &count);
    struct lethe_execution *execution;
    assert_ok(lethe_execution_begin(site->worker, shards, count, LETHE_VERIFY_DEFAULT, &execution,
                                    &site->err),
              &site->err);
    assert_result(LETHE_BUSY, lethe_group_evict(group, &site->err)); /* all stay */
    assert_ok(lethe_group_verify(group, LETHE_VERIFY_FULL, &site->err), &site->err);
    lethe_execution_end(execution);
    must_evict_group(site, group);
    assert_ok(lethe_group_evict(NULL, &site->err), &site->err);
}

/* W-4: none alone. */
static void members_stay_together(void **state)
{
    struct site *site = *state;
    struct lethe_group *group = must_group(site);
    for (size_t i = 0; i < MEMBERS; i++) {
        struct lethe_shard *shard = member(group, i);
        uint8_t bytes[10] = {1};
        assert_result(LETHE_BUSY, lethe_shard_evict(shard, &site->err));
        assert_result(LETHE_BUSY,
                      lethe_shard_replace(&shard, bytes, sizeof bytes, false, &site->err));
    }
    must_evict_group(site, group);
}

/* W-4: one that cannot be sealed takes the others with it; and all sources are wiped. */
static void all_or_none(void **state)
{
    struct site *site = *state;
    for (size_t broken = 0; broken < MEMBERS; broken++) {
        struct lethe_group_member members[MEMBERS];
        struct lethe_group *group;
        fill_members(members);
        members[broken].placement.expected_digest =
            "0000000000000000000000000000000000000000000000000000000000000000";
        assert_result(LETHE_INTEGRITY,
                      lethe_group_seal(site->worker, "tp-4", members, MEMBERS, &group, &site->err));
        assert_null(group);
        assert_int_equal(used_bytes(site), 0);
        for (size_t i = 0; i < MEMBERS; i++)
            assert_true(lethe_is_zero(members[i].bytes, MEMBER_BYTES));
        free_members(members);
    }
    assert_recorded(MEMBERS, site, "\"event\":\"integrity_violation\"");
    assert_recorded(0 + 1 + 2 + 3, site, "\"event\":\"vram_sealed\"");
    assert_recorded(1 + 2 + 3 + 4, site, "\"event\":\"vram_deallocated\"", "\"wiped\":true");
    must_evict_group(site, must_group(site)); /* the ids are free again */
}

/* W-4 W-1: one changed byte in one member, and none is used again. */
static void one_changed_member_fails_the_group(void **state)
{
    struct site *site = *state;
    struct lethe_group *group = must_group(site);
    flip_byte(member(group, 2), MEMBER_BYTES - 1);
    assert_result(LETHE_INTEGRITY, lethe_group_verify(group, LETHE_VERIFY_FAST, &site->err));
    assert_non_null(strstr(site->err.text, "tp-4"));
    for (size_t i = 0; i < MEMBERS; i++) {
        struct lethe_shard *shard = member(group, i);
        struct lethe_execution *execution;
        assert_result(LETHE_INTEGRITY,
                      lethe_execution_begin(site->worker, &shard, 1, LETHE_VERIFY_DEFAULT,
                                            &execution, &site->err));
    }
    assert_result(LETHE_INTEGRITY, lethe_group_verify(group, LETHE_VERIFY_SIGNATURE, &site->err));
    must_evict_group(site, group);
}

/* CI-002 W-1: members that are each as sealed, but are not this group. */
static void a_root_of_other_members_is_refused(void **state)
{
    struct site *site = *state;
    struct lethe_group *group = must_group(site);
    struct lethe_shard *shard = member(group, 1);
    uint64_t now_s = site->now_s;
    shard->seal.sealed_at_s += 60; /* sealed anew, properly, by this very worker */
    assert_ok(seal_sign(site->worker->seal_key, &shard->seal, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_int_equal(site->now_s, now_s);
    assert_result(LETHE_INTEGRITY, lethe_group_verify(group, LETHE_VERIFY_FAST, &site->err));
    assert_recorded(1, site, "\"event\":\"seal_verification_failed\"", "\"shard\":\"tp-4\"",
                    "its root is not the one that was sealed");
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_STOPPED);
    assert_true(device_is_quarantined(site->worker->devices[0]));
    must_evict_group(site, group);
}

static void arguments_that_make_no_group(void **state)
{
    struct site *site = *state;
    struct lethe_group_member members[MEMBERS];
    struct lethe_group *group;
    fill_members(members);
    assert_result(LETHE_INVALID,
                  lethe_group_seal(site->worker, NULL, members, MEMBERS, &group, &site->err));
    assert_result(LETHE_INVALID,
                  lethe_group_seal(site->worker, "a b", members, MEMBERS, &group, &site->err));
    assert_result(LETHE_INVALID,
                  lethe_group_seal(site->worker, "tp", members, 0, &group, &site->err));
    assert_result(LETHE_INVALID, lethe_group_seal(site->worker, "tp", NULL, 4, &group, &site->err));
    members[1].placement.id = members[0].placement.id;
    assert_result(LETHE_EXISTS,
                  lethe_group_seal(site->worker, "tp", members, MEMBERS, &group, &site->err));
    void *bytes = members[3].bytes;
    members[1].placement.id = ids[1];
    members[3].bytes = NULL; /* and no model */
    assert_result(LETHE_INVALID,
                  lethe_group_seal(site->worker, "tp", members, MEMBERS, &group, &site->err));
    members[3].bytes = bytes;
    assert_int_equal(used_bytes(site), 0);
    free_members(members);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_group_is_sealed_used_and_evicted),
        TEST(members_stay_together),
        TEST(all_or_none),
        TEST(one_changed_member_fails_the_group),
        TEST(a_root_of_other_members_is_refused),
        TEST(arguments_that_make_no_group),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
