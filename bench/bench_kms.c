/* The key service beside nginx, which answers a constant: the same client asks both, over mutual
 * TLS 1.3 and connections that stay open. What a key is asked for costs what the two differ by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "kms_service.h"

#define ROUNDS 5u
#define ROUND_S 0.25
#define WARM_S 0.1
#define PLAIN_BYTES 1024u
#define KEY_BYTES 32u
#define BATCH_ITEMS 1000u
#define IDLE_CONNECTIONS 5000u
#define MIB_BYTES ((double)(1 << 20))

/* X(what, name, least ratio to nginx, with durable audit) */
#define QUESTIONS(X)                                                                               \
    X(CONSTANT, "constant", 0.55, 0.55)                                                            \
    X(DECRYPT, "decrypt 1 KiB", 0.30, 0.24)                                                        \
    X(UNWRAP, "unwrap", 0.30, 0.24)                                                                \
    X(SIGN, "sign Ed25519", 0.30, 0.24)
enum question {
#define QUESTION_ENUM(what, name, least, durable) what,
    QUESTIONS(QUESTION_ENUM)
#undef QUESTION_ENUM
        QUESTION_COUNT
};
static const struct {
    const char *name;
    double least[2];
} questions[] = {
#define QUESTION_ROW(what, name, least, durable) {name, {least, durable}},
    QUESTIONS(QUESTION_ROW)
#undef QUESTION_ROW
};

enum audit { EMITTED, DURABLE, AUDITS };
static const char *const audit_names[] = {"", " durable"};

struct bench {
    struct nginx nginx;
    struct kms_service services[AUDITS];
    struct buffer constant; /* for nginx */
    struct buffer requests[AUDITS][QUESTION_COUNT];
};

/* ---- what is asked --------------------------------------------------------------------------- */

static void add_base64(struct buffer *out, size_t size_bytes)
{
    uint8_t *bytes = malloc(size_bytes);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    base64_append(out, bytes, size_bytes);
    free(bytes);
}

static void make_ciphertext(struct kms_service *service, const char *key, size_t size_bytes,
                            struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer body = {0};
    char path[64];
    snprintf(path, sizeof path, "transit/encrypt/%s", key);
    buffer_text(&body, "{\"plaintext\":\"");
    add_base64(&body, size_bytes);
    buffer_text(&body, "\"}");
    buffer_byte(&body, '\0');
    service_take(service, path, body.bytes, "ciphertext", out);
    buffer_byte(out, '\0');
}

static void make_decrypt(struct kms_service *service, const char *key, size_t size_bytes,
                         const char *more, struct buffer *request)
{
    CLEANUP(buffer_clear) struct buffer text = {0}, body = {0};
    char path[64];
    make_ciphertext(service, key, size_bytes, &text);
    snprintf(path, sizeof path, "/v1/transit/decrypt/%s", key);
    buffer_format(&body, "{\"ciphertext\":\"%s\"%s}", text.bytes, more);
    buffer_byte(&body, '\0');
    load_request(request, "POST", path, service->token, body.bytes);
}

static void make_requests(struct kms_service *service, struct buffer requests[QUESTION_COUNT])
{
    CLEANUP(buffer_clear) struct buffer body = {0};
    service_call(service, "POST", "transit/keys/bench", NULL);
    service_call(service, "POST", "transit/keys/acme.llama.hot", NULL);
    service_call(service, "POST", "transit/keys/bench-signer", "{\"type\":\"ed25519\"}");
    load_request(&requests[CONSTANT], "GET", "/v1/auth/token/lookup-self", service->token, NULL);
    make_decrypt(service, "bench", PLAIN_BYTES, "", &requests[DECRYPT]);
    make_decrypt(service, "acme.llama.hot", KEY_BYTES,
                 ",\"purpose\":\"load\",\"shard\":\"0000\",\"release\":1", &requests[UNWRAP]);
    buffer_text(&body, "{\"input\":\"");
    add_base64(&body, KEY_BYTES);
    buffer_text(&body, "\"}");
    buffer_byte(&body, '\0');
    load_request(&requests[SIGN], "POST", "/v1/transit/sign/bench-signer", service->token,
                 body.bytes);
}

/* ---- speed ----------------------------------------------------------------------------------- */

struct samples {
    double per_s[ROUNDS], p50_s[ROUNDS], p99_s[ROUNDS];
};

static void sample(struct load *load, const struct buffer *request, unsigned round,
                   struct samples *samples)
{
    struct load_result result;
    load_run(load, request, ROUND_S, &result);
    samples->per_s[round] = result.per_s;
    samples->p50_s[round] = result.p50_s;
    samples->p99_s[round] = result.p99_s;
}

static struct load_result median_of(struct samples *samples)
{
    return (struct load_result){.per_s = bench_median(samples->per_s, ROUNDS),
                                .p50_s = bench_median(samples->p50_s, ROUNDS),
                                .p99_s = bench_median(samples->p99_s, ROUNDS)};
}

/* With few connections the disk's pace shows, with many it does not: there the aims are. */
static void report_speed(enum question question, enum audit audit, unsigned connections,
                         const struct load_result *ours, double nginx_per_s)
{
    char name[48];
    snprintf(name, sizeof name, "kms/%s%s x%u", questions[question].name, audit_names[audit],
             connections);
    bench_report(&(struct bench_result){.name = name,
                                        .value = ours->per_s / 1e3,
                                        .unit = "k/s",
                                        .against = "nginx, constant",
                                        .ratio = ours->per_s / nginx_per_s,
                                        .aim = connections >= 64 ? BENCH_AT_LEAST : BENCH_NO_AIM,
                                        .target = questions[question].least[audit]});
    snprintf(name, sizeof name, "kms/%s%s x%u p99", questions[question].name, audit_names[audit],
             connections);
    bench_report(&(struct bench_result){.name = name,
                                        .value = ours->p99_s * 1e6,
                                        .unit = "us",
                                        .against = "its median",
                                        .ratio = ours->p99_s / ours->p50_s,
                                        .aim = BENCH_AT_MOST,
                                        .target = 3});
}

static void report_nginx(unsigned connections, const struct load_result *result)
{
    char name[48];
    snprintf(name, sizeof name, "kms/nginx x%u", connections);
    bench_report(&(struct bench_result){
        .name = name, .value = result->per_s / 1e3, .unit = "k/s", .against = NULL});
}

static void speed(struct bench *bench, unsigned connections)
{
    static struct samples nginx, ours[AUDITS][QUESTION_COUNT];
    struct load *load = load_open(&bench->nginx.server, connections), *loads[AUDITS];
    struct load_result ignored;
    load_run(load, &bench->constant, WARM_S, &ignored);
    for (unsigned audit = 0; audit < AUDITS; audit++) {
        loads[audit] = load_open(&bench->services[audit].server, connections);
        for (unsigned question = 0; question < QUESTION_COUNT; question++)
            load_run(loads[audit], &bench->requests[audit][question], WARM_S, &ignored);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        sample(load, &bench->constant, round, &nginx);
        for (unsigned question = 0; question < QUESTION_COUNT; question++)
            for (unsigned audit = 0; audit < AUDITS; audit++)
                sample(loads[audit], &bench->requests[audit][question], round,
                       &ours[audit][question]);
    }
    const struct load_result theirs = median_of(&nginx);
    report_nginx(connections, &theirs);
    for (unsigned question = 0; question < QUESTION_COUNT; question++) {
        for (unsigned audit = 0; audit < AUDITS; audit++) {
            const struct load_result result = median_of(&ours[audit][question]);
            report_speed(question, audit, connections, &result, theirs.per_s);
        }
    }
    load_close(load);
    for (unsigned audit = 0; audit < AUDITS; audit++)
        load_close(loads[audit]);
}

/* ---- batches --------------------------------------------------------------------------------- */

static void make_batch(struct kms_service *service, struct buffer *single, struct buffer *batch)
{
    CLEANUP(buffer_clear) struct buffer text = {0}, body = {0};
    make_ciphertext(service, "bench", KEY_BYTES, &text);
    buffer_format(&body, "{\"ciphertext\":\"%s\"}", text.bytes);
    buffer_byte(&body, '\0');
    load_request(single, "POST", "/v1/transit/decrypt/bench", service->token, body.bytes);
    buffer_truncate(&body, 0);
    buffer_text(&body, "{\"batch_input\":[");
    for (unsigned i = 0; i < BATCH_ITEMS; i++)
        buffer_format(&body, "%s{\"ciphertext\":\"%s\"}", i > 0 ? "," : "", text.bytes);
    buffer_text(&body, "]}");
    buffer_byte(&body, '\0');
    load_request(batch, "POST", "/v1/transit/decrypt/bench", service->token, body.bytes);
}

/* One request in flight either way. */
static void batches(struct kms_service *service)
{
    static struct samples one, many;
    CLEANUP(buffer_clear) struct buffer single = {0}, batch = {0};
    struct load_result ignored;
    make_batch(service, &single, &batch);
    struct load *load = load_open(&service->server, 1);
    load_run(load, &batch, WARM_S, &ignored);
    for (unsigned round = 0; round < ROUNDS; round++) {
        sample(load, &single, round, &one);
        sample(load, &batch, round, &many);
    }
    load_close(load);
    double items_per_s = median_of(&many).per_s * BATCH_ITEMS;
    bench_report(&(struct bench_result){.name = "kms/decrypt 32 B, 1000 in a batch",
                                        .value = items_per_s / 1e3,
                                        .unit = "k/s",
                                        .against = "one in a call",
                                        .ratio = items_per_s / median_of(&one).per_s,
                                        .aim = BENCH_AT_LEAST,
                                        .target = 20});
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void idle(struct kms_service *service)
{
    struct load *load = load_open(&service->server, IDLE_CONNECTIONS);
    double mib = (double)service_memory(service) / MIB_BYTES;
    load_close(load);
    bench_report(&(struct bench_result){.name = "kms/5000 idle connections",
                                        .value = mib,
                                        .unit = "MiB",
                                        .against = "150 MiB",
                                        .ratio = mib / 150,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

/* ---------------------------------------------------------------------------------------------- */

static void clear(struct bench *bench)
{
    buffer_clear(&bench->constant);
    for (unsigned audit = 0; audit < AUDITS; audit++) {
        service_close(&bench->services[audit]);
        for (unsigned question = 0; question < QUESTION_COUNT; question++)
            buffer_clear(&bench->requests[audit][question]);
    }
    nginx_close(&bench->nginx);
}

void bench_kms(void)
{
    static struct bench bench;
    if (!nginx_open(&bench.nginx)) {
        bench_skip("kms", "nginx or openssl is not here");
        return;
    }
    load_request(&bench.constant, "GET", "/v1/auth/token/lookup-self", NULL, NULL);
    for (unsigned audit = 0; audit < AUDITS; audit++) {
        service_open(&bench.services[audit], &bench.nginx, audit == DURABLE);
        make_requests(&bench.services[audit], bench.requests[audit]);
    }
    speed(&bench, 8);
    speed(&bench, 64);
    batches(&bench.services[EMITTED]);
    idle(&bench.services[EMITTED]);
    clear(&bench);
}
