/* What a consumer writes it reads again, and nobody else does. */
#include "pool_site.h"

#include "chance.h"

#define KIB 1024u
#define BLOCK (64u * KIB)

/* ---- bytes ----------------------------------------------------------------------------------- */

static void must_write(struct pool_site *site, struct lethe_pool_lease *lease, uint64_t offset,
                       const void *bytes, size_t size_bytes)
{
    assert_ok(lethe_pool_write(lease, offset, bytes, size_bytes, &site->err), &site->err);
}

static void must_read(struct pool_site *site, struct lethe_pool_lease *lease, uint64_t offset,
                      const void *expected, size_t size_bytes)
{
    uint8_t *out = malloc(size_bytes + 1);
    memset(out, 0xee, size_bytes + 1);
    assert_ok(lethe_pool_read(lease, offset, out, size_bytes, &site->err), &site->err);
    assert_memory_equal(out, expected, size_bytes);
    assert_int_equal(out[size_bytes], 0xee);
    free(out);
}

static void what_is_written_is_read(void **state)
{
    struct pool_site *site = *state;
    static const uint32_t sizes[] = {4 * KIB, 64 * KIB, 1024 * KIB};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t size_bytes = 5 * (size_t)sizes[i];
        struct lethe_pool_lease *lease = site_lease(site, size_bytes, sizes[i], 1);
        uint8_t *bytes = malloc(size_bytes);
        assert_int_equal(lethe_pool_lease_bytes(lease), size_bytes);
        site_fill(bytes, size_bytes, i);
        must_write(site, lease, 0, bytes, size_bytes);
        must_read(site, lease, 0, bytes, size_bytes);
        must_read(site, lease, sizes[i], bytes + sizes[i], sizes[i]);
        assert_false(hostile_sees(site->providers[0], bytes, 16)); /* P-12 */
        site_release(site, lease);
        free(bytes);
    }
    struct hostile_counters count;
    hostile_count(site->providers[0], &count);
    assert_int_equal(count.leases, 0);
    assert_int_equal(count.released, ARRAY_LEN(sizes));
}

static void what_was_never_written_reads_as_zeros(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, 4 * BLOCK, BLOCK, 1);
    uint8_t *zeros = calloc(1, 4 * BLOCK);
    struct hostile_counters count;
    must_read(site, lease, 0, zeros, 4 * BLOCK);
    must_read(site, lease, 3 * BLOCK + 77, zeros, 1000);
    hostile_count(site->providers[0], &count);
    assert_int_equal(count.reads, 0);
    must_write(site, lease, BLOCK + 100, "little", 6); /* zeros around it */
    must_read(site, lease, BLOCK, zeros, 100);
    must_read(site, lease, BLOCK + 100, "little", 6);
    must_read(site, lease, BLOCK + 106, zeros, BLOCK - 106);
    site_release(site, lease);
    free(zeros);
}

/* At every edge of a block, and over it. */
static void parts_of_blocks_keep_the_rest(void **state)
{
    struct pool_site *site = *state;
    static const struct {
        uint64_t offset;
        size_t size_bytes;
    } parts[] = {{0, 1},
                 {1, 1},
                 {BLOCK - 1, 1},
                 {BLOCK - 1, 2},
                 {BLOCK, 1},
                 {100, BLOCK},
                 {BLOCK - 5, 2 * BLOCK + 10},
                 {4 * BLOCK - 1, 1},
                 {3 * BLOCK, BLOCK},
                 {0, 4 * BLOCK},
                 {2 * BLOCK + 9, 0}};
    uint8_t *model = malloc(4 * BLOCK), *bytes = malloc(4 * BLOCK);
    struct lethe_pool_lease *lease = site_lease(site, 4 * BLOCK, BLOCK, 1);
    site_fill(model, 4 * BLOCK, 1);
    must_write(site, lease, 0, model, 4 * BLOCK);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        site_fill(bytes, parts[i].size_bytes, 100 + i);
        memcpy(model + parts[i].offset, bytes, parts[i].size_bytes);
        must_write(site, lease, parts[i].offset, bytes, parts[i].size_bytes);
        must_read(site, lease, 0, model, 4 * BLOCK);
        must_read(site, lease, parts[i].offset, model + parts[i].offset, parts[i].size_bytes);
    }
    site_release(site, lease);
    free(model);
    free(bytes);
}

static void nothing_is_outside_a_lease(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, 3 * BLOCK - 5, BLOCK, 1);
    uint8_t byte = 1;
    assert_int_equal(lethe_pool_lease_bytes(lease), 3 * BLOCK);
    static const struct {
        uint64_t offset;
        size_t size_bytes;
    } outside[] = {{3 * BLOCK, 1},  {3 * BLOCK + 1, 0},     {3 * BLOCK - 1, 2}, {0, 3 * BLOCK + 1},
                   {UINT64_MAX, 1}, {UINT64_MAX, SIZE_MAX}, {1, SIZE_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        assert_result(LETHE_INVALID, lethe_pool_write(lease, outside[i].offset, &byte,
                                                      outside[i].size_bytes, &site->err));
        assert_result(LETHE_INVALID, lethe_pool_read(lease, outside[i].offset, &byte,
                                                     outside[i].size_bytes, &site->err));
    }
    must_write(site, lease, 3 * BLOCK, &byte, 0);
    assert_result(LETHE_INVALID, lethe_pool_read(lease, 0, NULL, 1, &site->err));
    site_release(site, lease);
}

/* One go, all or an error. */
static void pieces_are_scattered_and_gathered(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, 16 * BLOCK, BLOCK, 2);
    enum { PIECES = 300 };
    static uint8_t in[PIECES][512], out[PIECES][512];
    struct lethe_pool_piece pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        site_fill(in[i], 512, i);
        pieces[i] = (struct lethe_pool_piece){
            .offset = (PIECES - i) * 3000, .bytes = in[i], .size_bytes = 512};
    }
    assert_ok(lethe_pool_write_pieces(lease, pieces, PIECES, &site->err), &site->err);
    for (size_t i = 0; i < PIECES; i++)
        pieces[i].bytes = out[i];
    assert_ok(lethe_pool_read_pieces(lease, pieces, PIECES, &site->err), &site->err);
    assert_memory_equal(in, out, sizeof in);
    pieces[PIECES - 1].offset = 16 * BLOCK;
    assert_result(LETHE_INVALID, lethe_pool_read_pieces(lease, pieces, PIECES, &site->err));
    site_release(site, lease);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static size_t take(struct pool_site *site, struct lethe_pool_queue *queue,
                   struct lethe_pool_completion *out, size_t capacity, size_t wanted)
{
    size_t taken = 0;
    while (taken < wanted) {
        size_t count;
        assert_ok(
            lethe_pool_complete(queue, out + taken, capacity - taken, 5000, &count, &site->err),
            &site->err);
        assert_true(count > 0);
        taken += count;
    }
    return taken;
}

/* Of one block in the order in which they were submitted: the last write holds, and a read sees
 * those before it. */
static void a_block_is_done_in_order(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, 4 * BLOCK, BLOCK, 2);
    struct lethe_pool_queue *queue;
    enum { ROUNDS = 200 };
    static uint8_t in[ROUNDS][1000], out[ROUNDS][1000];
    static struct lethe_pool_completion done[2 * ROUNDS];
    assert_ok(lethe_pool_queue_create(site->pool, &queue, &site->err), &site->err);
    for (size_t i = 0; i < ROUNDS; i++) {
        memset(in[i], (int)i, sizeof in[i]);
        const struct lethe_pool_piece write = {BLOCK - 500, in[i], 1000},
                                      read = {BLOCK - 500, out[i], 1000};
        const struct lethe_pool_submission submissions[] = {
            {LETHE_POOL_WRITE, lease, &write, 1, NULL},
            {LETHE_POOL_READ, lease, &read, 1, &out[i]}};
        assert_ok(lethe_pool_submit(queue, &submissions[0], &site->err), &site->err);
        assert_ok(lethe_pool_submit(queue, &submissions[1], &site->err), &site->err);
    }
    (void)take(site, queue, done, ARRAY_LEN(done), ARRAY_LEN(done));
    for (size_t i = 0; i < ARRAY_LEN(done); i++)
        assert_result(LETHE_OK, done[i].result);
    assert_memory_equal(in, out, sizeof in);
    lethe_pool_queue_free(queue);
    site_release(site, lease);
}

static void a_queue_has_limits_and_a_descriptor(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, 4 * BLOCK, BLOCK, 1);
    struct lethe_pool_queue *queue;
    struct lethe_pool_completion done[8];
    struct lethe_pool_piece pieces[257];
    uint8_t bytes[16] = "sixteen bytes ab";
    size_t count;
    for (size_t i = 0; i < 257; i++)
        pieces[i] = (struct lethe_pool_piece){i * 16, bytes, 16};
    assert_ok(lethe_pool_queue_create(site->pool, &queue, &site->err), &site->err);
    struct lethe_pool_submission submission = {LETHE_POOL_WRITE, lease, pieces, 0, &count};
    assert_result(LETHE_INVALID, lethe_pool_submit(queue, &submission, &site->err));
    submission.count = 257;
    assert_result(LETHE_INVALID, lethe_pool_submit(queue, &submission, &site->err));
    assert_ok(lethe_pool_complete(queue, done, 8, 0, &count, &site->err), &site->err);
    assert_int_equal(count, 0);
    fd_set ready;
    int fd = lethe_pool_queue_fd(queue);
    submission.count = 256;
    assert_ok(lethe_pool_submit(queue, &submission, &site->err), &site->err);
    FD_ZERO(&ready);
    FD_SET(fd, &ready);
    struct timeval most = {.tv_sec = 10};
    assert_int_equal(select(fd + 1, &ready, NULL, NULL, &most), 1);
    assert_ok(lethe_pool_complete(queue, done, 8, 0, &count, &site->err), &site->err);
    assert_int_equal(count, 1);
    assert_ptr_equal(done[0].cookie, &count);
    FD_ZERO(&ready);
    FD_SET(fd, &ready);
    most = (struct timeval){0};
    assert_int_equal(select(fd + 1, &ready, NULL, NULL, &most), 0);
    hostile_unplug(site->providers[0], true);
    submission.count = 1;
    size_t taken = 0;
    while (taken < 4096 && lethe_pool_submit(queue, &submission, &site->err) == LETHE_OK)
        taken++;
    assert_int_equal(taken, 4096);
    assert_result(LETHE_BUSY, lethe_pool_submit(queue, &submission, &site->err));
    hostile_unplug(site->providers[0], false);
    lethe_pool_queue_free(queue); /* waits */
    site_release(site, lease);
}

/* ---- who asks -------------------------------------------------------------------------------- */

static void options_are_checked(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool *pool = NULL;
    const struct lethe_pool_options good = site_pool_options(site);
    struct lethe_pool_options bad[8];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = good;
    bad[0].control = NULL;
    bad[1].control_id = "";
    bad[2].ca_path = NULL;
    bad[3].certificate_path = NULL;
    bad[4].key_path = NULL;
    bad[5].threads = 17;
    bad[6].connections = 17;
    bad[7].control_id = "https://not.spiffe";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID, lethe_pool_open(&bad[i], &pool, &site->err));
        assert_null(pool);
    }
    assert_int_equal(chmod(site->key, 0644), 0);
    assert_result(LETHE_UNPROTECTED, lethe_pool_open(&good, &pool, &site->err));
    assert_null(pool);
}

static void leases_are_checked(void **state)
{
    struct pool_site *site = *state;
    static const struct lethe_pool_lease_options bad[] = {
        {.bytes = 0},
        {.bytes = 1, .block_bytes = 2048},
        {.bytes = 1, .block_bytes = 5000},
        {.bytes = 1, .block_bytes = 2u << 20},
        {.bytes = 1, .ttl_ms = 999},
        {.bytes = 1, .ttl_ms = 31ull * 24 * 3600 * 1000},
        {.bytes = 1, .copies = 9},
        {.bytes = UINT64_MAX},
    };
    struct lethe_pool_lease *lease = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID, lethe_pool_allocate(site->pool, &bad[i], &lease, &site->err));
        assert_null(lease);
    }
    const struct lethe_pool_lease_options many = {.bytes = 1, .copies = 4};
    assert_result(LETHE_NO_SPACE, lethe_pool_allocate(site->pool, &many, &lease, &site->err));
    static const lethe_result refusals[] = {LETHE_DENIED, LETHE_REVOKED, LETHE_NO_SPACE};
    const struct lethe_pool_lease_options good = {.bytes = 1};
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        small_control_refuse(site->control, refusals[i]);
        assert_result(refusals[i], lethe_pool_allocate(site->pool, &good, &lease, &site->err));
    }
    struct hostile_counters count;
    hostile_count(site->providers[0], &count);
    assert_int_equal(count.leases, 0);
}

/* P-1: a control plane that is somebody else is not asked anything. */
static void only_the_right_control_plane_is_believed(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_options options = site_pool_options(site);
    struct lethe_pool_lease *lease;
    options.control_id = "spiffe://pool.test/other";
    site_reopen(site, &options);
    const struct lethe_pool_lease_options good = {.bytes = 1};
    assert_result(LETHE_DENIED, lethe_pool_allocate(site->pool, &good, &lease, &site->err));
}

/* What cannot be attached everywhere is not left behind anywhere. */
static void an_allocation_is_whole_or_none(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease;
    const struct lethe_pool_lease_options two = {.bytes = BLOCK, .copies = 2};
    struct hostile_counters count[2];
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = 500;
    site_reopen(site, &options);
    hostile_unplug(site->providers[1], true);
    assert_result(LETHE_UNAVAILABLE, lethe_pool_allocate(site->pool, &two, &lease, &site->err));
    for (unsigned i = 0; i < 2; i++) {
        hostile_count(site->providers[i], &count[i]);
        assert_int_equal(count[i].leases, 0);
    }
    hostile_unplug(site->providers[1], false);
    static const enum hostile_attach lies[] = {ATTACH_OTHER_SIZE, ATTACH_NO_CHANNEL, ATTACH_SILENT};
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        hostile_play_attach(site->providers[1], lies[i]);
        assert_result(i == 2 ? LETHE_UNAVAILABLE : LETHE_MALFORMED,
                      lethe_pool_allocate(site->pool, &two, &lease, &site->err));
        hostile_count(site->providers[0], &count[0]);
        assert_int_equal(count[0].leases, 0);
    }
    hostile_play_attach(site->providers[1], ATTACH_HONEST);
    lease = site_lease(site, BLOCK, BLOCK, 2);
    site_release(site, lease);
}

/* ---- many at once ---------------------------------------------------------------------------- */

struct user {
    pthread_t thread;
    struct lethe_pool_lease *lease;
    unsigned number;
    lethe_result result;
};

static void *use(void *context)
{
    struct user *user = context;
    uint8_t in[3000], out[3000];
    for (unsigned i = 0; i < 200 && user->result == LETHE_OK; i++) {
        uint64_t at = user->number * 10000 + i * 13;
        site_fill(in, sizeof in, user->number * 1000 + i);
        user->result = lethe_pool_write(user->lease, at, in, sizeof in, NULL);
        if (user->result == LETHE_OK)
            user->result = lethe_pool_read(user->lease, at, out, sizeof out, NULL);
        if (memcmp(in, out, sizeof in) != 0)
            user->result = LETHE_FAILED;
    }
    return NULL;
}

/* Threads that share blocks, each with bytes of its own. */
static void threads_share_a_lease(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_options options = site_pool_options(site);
    options.threads = 2;
    options.connections = 3;
    site_reopen(site, &options);
    struct user users[6] = {0};
    struct lethe_pool_lease *leases[3];
    for (unsigned i = 0; i < 3; i++)
        leases[i] = site_lease(site, 4 * BLOCK, BLOCK, 1 + i);
    for (unsigned i = 0; i < ARRAY_LEN(users); i++) {
        users[i].lease = leases[i % 3];
        users[i].number = i;
        assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(users); i++) {
        pthread_join(users[i].thread, NULL);
        assert_result(LETHE_OK, users[i].result);
    }
    for (unsigned i = 0; i < 3; i++)
        site_release(site, leases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(what_is_written_is_read),
        SITE_TEST(what_was_never_written_reads_as_zeros),
        SITE_TEST(parts_of_blocks_keep_the_rest),
        SITE_TEST(nothing_is_outside_a_lease),
        SITE_TEST(pieces_are_scattered_and_gathered),
        SITE_TEST(a_block_is_done_in_order),
        SITE_TEST(a_queue_has_limits_and_a_descriptor),
        SITE_TEST(options_are_checked),
        SITE_TEST(leases_are_checked),
        SITE_TEST(only_the_right_control_plane_is_believed),
        SITE_TEST(an_allocation_is_whole_or_none),
        SITE_TEST(threads_share_a_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
