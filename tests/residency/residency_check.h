/* tests/residency/residency_check.h -- a worker on the host with a log of its own, and what is in
 * that log. */
#ifndef TESTS_RESIDENCY_RESIDENCY_CHECK_H
#define TESTS_RESIDENCY_RESIDENCY_CHECK_H

#include "audit/audit_check.h"
#include "residency/inside.h"

struct site {
    struct node *node;
    struct audit_log *log;
    struct audit_signer signer;
    struct lethe_log recorder;
    struct lethe_worker *worker;
    uint64_t now_s;
    atomic_bool log_fails; /* its signer does, so that nothing becomes durable */
    struct lethe_error err;
};

static lethe_result site_sign(void *context, const void *bytes, size_t size_bytes,
                              uint8_t signature[64], struct lethe_error *err)
{
    struct site *site = context;
    if (atomic_load(&site->log_fails))
        return error_set(err, LETHE_IO, "the signer is out of order");
    return node_sign(site->node, bytes, size_bytes, signature, err);
}

static uint64_t site_now_ns(void *context)
{
    const struct site *site = context;
    return __atomic_load_n(&site->now_s, __ATOMIC_RELAXED) * 1000000000;
}

/* Memory that this host cannot lock is not what is tested here. */
static struct lethe_worker_options site_options(struct site *site)
{
    return (struct lethe_worker_options){.name = "w0",
                                         .policy = LETHE_HOST_ALLOWED,
                                         .threads = 2,
                                         .optional = LETHE_LOCKED,
                                         .log = &site->recorder,
                                         .wall_ns = site_now_ns,
                                         .clock_context = site};
}

__attribute__((unused)) static struct lethe_worker *
must_create(struct site *site, const struct lethe_worker_options *options)
{
    struct lethe_worker *worker = NULL;
    assert_ok(lethe_worker_create(options, &worker, &site->err), &site->err);
    return worker;
}

/* With no worker yet. */
static struct site *site_without_worker(void)
{
    struct site *site = calloc(1, sizeof *site);
    assert_non_null(site);
    site->now_s = 1795176000; /* 2026-11-20T12:00:00Z */
    site->node = node_fresh("alpha");
    site->node->options.signer.sign = site_sign;
    site->node->options.signer.context = site;
    site->signer = site->node->options.signer;
    site->log = must_open(site->node);
    site->recorder = (struct lethe_log){
        .log = site->log, .actor = "uid:1000", .signer = &site->signer, .node = "alpha"};
    return site;
}

/* cmocka setup and teardown. Quarantines are the process's: a test begins without. */
static int site_setup(void **state)
{
    struct lethe_error err = {0};
    assert_ok(lethe_device_release(LETHE_DEVICE_HOST, 0, &err), &err);
    struct site *site = site_without_worker();
    const struct lethe_worker_options options = site_options(site);
    site->worker = must_create(site, &options);
    assert_ok(lethe_worker_ready(site->worker, &site->err), &site->err);
    *state = site;
    return 0;
}

static int site_teardown(void **state)
{
    struct site *site = *state;
    struct lethe_error err = {0};
    lethe_result result = lethe_worker_free(site->worker, &err);
    if (result == LETHE_OK && site->log != NULL)
        result = audit_close(site->log, &err);
    if (result != LETHE_OK)
        fprintf(stderr, "teardown: %s\n", err.text);
    node_free(site->node);
    free(site);
    return result == LETHE_OK ? 0 : -1;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* The same for the same seed, and no two places alike. The caller frees. */
__attribute__((unused)) static uint8_t *weights_of(size_t size_bytes, uint64_t seed)
{
    uint8_t *bytes = malloc(size_bytes + 8);
    assert_non_null(bytes);
    for (size_t i = 0; i < size_bytes; i += 8) {
        uint64_t mixed = (seed * 0x100000000 + i + 1) * 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 29;
        memcpy(bytes + i, &mixed, 8);
    }
    return bytes;
}

__attribute__((unused)) static lethe_result try_seal(struct site *site, const char *id,
                                                     size_t size_bytes, struct lethe_shard **out)
{
    uint8_t *bytes = weights_of(size_bytes, 1);
    lethe_result result =
        lethe_shard_seal(site->worker, &(struct lethe_placement){.id = id, .tenant = "acme"}, bytes,
                         size_bytes, true, out, &site->err);
    free(bytes);
    return result;
}

__attribute__((unused)) static struct lethe_shard *must_seal(struct site *site, const char *id,
                                                             size_t size_bytes)
{
    struct lethe_shard *shard = NULL;
    assert_ok(try_seal(site, id, size_bytes, &shard), &site->err);
    return shard;
}

__attribute__((unused)) static void must_evict(struct site *site, struct lethe_shard *shard)
{
    assert_ok(lethe_shard_evict(shard, &site->err), &site->err);
}

/* What somebody does who gets at the device's memory. */
__attribute__((unused)) static void flip_byte(struct lethe_shard *shard, size_t at)
{
    uint8_t *bytes = device_memory_address(shard->memory);
    struct lethe_error err = {0};
    assert_ok(device_set_read_only(shard->memory, false, &err), &err);
    bytes[at] ^= 1;
    assert_ok(device_set_read_only(shard->memory, true, &err), &err);
}

__attribute__((unused)) static uint64_t used_bytes(const struct site *site)
{
    struct lethe_capacity capacity;
    assert_result(LETHE_OK, lethe_worker_capacity(site->worker, 0, &capacity));
    return capacity.used_bytes;
}

/* ---- the log --------------------------------------------------------------------------------- */

/* All of it, as on disk; the caller clears it. */
static struct buffer site_log_text(struct site *site)
{
    assert_ok(audit_sync(site->log, &site->err), &site->err);
    return log_file(site->node->options.directory, "000001.jsonl");
}

/* Only what is durable: emitted records may not be there yet. */
__attribute__((unused)) static struct buffer site_log_on_disk(const struct site *site)
{
    return log_file(site->node->options.directory, "000001.jsonl");
}

static size_t count_text(const struct buffer *text, const char *wanted)
{
    size_t count = 0;
    for (const char *at = text->bytes; (at = strstr(at, wanted)) != NULL; at++)
        count++;
    return count;
}

/* Lines that hold all of these texts (NULL at the end). */
__attribute__((unused)) static size_t count_lines(const struct buffer *text,
                                                  const char *const *wanted)
{
    size_t count = 0;
    const char *line;
    size_t length;
    for (size_t n = 0; (length = nth_line(text, n, &line)) > 0; n++) {
        bool has_all = true;
        for (size_t i = 0; wanted[i] != NULL; i++)
            has_all = has_all && memmem(line, length, wanted[i], strlen(wanted[i])) != NULL;
        count += has_all;
    }
    return count;
}

__attribute__((unused)) static size_t count_records(struct site *site, const char *event)
{
    char wanted[80];
    struct buffer text = site_log_text(site);
    snprintf(wanted, sizeof wanted, "\"event\":\"%s\"", event);
    size_t count = count_text(&text, wanted);
    buffer_clear(&text);
    return count;
}

/* A line with all of these texts is there, how often. */
#define assert_recorded(expected, site, ...)                                                       \
    do {                                                                                           \
        const char *const check_wanted[] = {__VA_ARGS__, NULL};                                    \
        struct buffer check_text = site_log_text(site);                                            \
        size_t check_found = count_lines(&check_text, check_wanted);                               \
        if (check_found != (size_t)(expected))                                                     \
            fail_msg("%zu records instead of %zu with " #__VA_ARGS__ " in\n%s", check_found,       \
                     (size_t)(expected), check_text.bytes);                                        \
        buffer_clear(&check_text);                                                                 \
    } while (0)

#endif
