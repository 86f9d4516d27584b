#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "service/attested_core.h"

#define NS_PER_S UINT64_C(1000000000)
#define CHAINS_REMEMBERED 1024u

uint64_t attested_now_s(const struct attested *attested)
{
    const struct clock_source *clock = attested->service->options.keeper.clock;
    return clock_wall_ns(clock != NULL ? clock : &clock_system) / NS_PER_S;
}

lethe_result attested_random(const struct attested *attested, void *out, size_t size_bytes)
{
    const struct random_source *random = attested->service->options.keeper.random;
    return random_fill(random != NULL ? random : &random_system, out, size_bytes);
}

_Static_assert(ATTEST_REFERENCE_NAME_MAX == ATTESTED_NAME_MAX, "one rule for names");

lethe_result attested_check_name(const char *what, const char *name, struct lethe_error *err)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(name);
    if (length > 0 && length <= ATTESTED_NAME_MAX && strspn(name, letters) == length &&
        name[0] != '.')
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "names of %s are 1 to %u of [A-Za-z0-9._-]", what,
                     ATTESTED_NAME_MAX);
}

static lethe_result name_service(struct attested *attested, struct lethe_error *err)
{
    struct audit_key key;
    uint8_t hash[SHA256_BYTES];
    static const char prefix[] = "lethe-kms:";
    TRY(keeper_log_key(attested->service->keeper, &key, err));
    sha256(key.public_key, sizeof key.public_key, hash);
    memcpy(attested->name, prefix, sizeof prefix - 1);
    hex_encode(hash, sizeof hash, attested->name + sizeof prefix - 1);
    return LETHE_OK;
}

lethe_result attested_refresh(struct attested *attested, struct lethe_error *err)
{
    TRY(machines_refresh(attested, err));
    return references_refresh(attested, err);
}

static lethe_result open_parts(struct attested *attested, struct lethe_error *err)
{
    TRY(sevsnp_cache_create(CHAINS_REMEMBERED, &attested->cache, err));
    TRY(name_service(attested, err));
    return attested_refresh(attested, err);
}

lethe_result attested_open(struct service *service, struct attested **out, struct lethe_error *err)
{
    *out = NULL;
    struct attested *attested = calloc(1, sizeof *attested);
    if (attested == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for machines and challenges");
    attested->service = service;
    lethe_result result = open_parts(attested, err);
    if (result != LETHE_OK)
        attested_free(attested);
    else
        *out = attested;
    return result;
}

void attested_free(struct attested *attested)
{
    if (attested == NULL)
        return;
    for (size_t i = 0; i < ENROLMENTS_MAX; i++)
        lethe_secret_free(attested->enrolments[i].secret);
    guarded_clear(&attested->keys);
    sevsnp_cache_free(attested->cache);
    free(attested->machines);
    free(attested->references);
    free(attested);
}

struct guarded *attested_keys(struct attested *attested)
{
    return &attested->keys;
}

const char *attested_service(const struct attested *attested)
{
    return attested->name;
}

struct evidence_trust attested_trust(struct attested *attested, uint64_t now_s)
{
    const struct attest_options *options = &attested->service->options.attest;
    return (struct evidence_trust){
        .now_s = now_s,
        .pcr_mask = references_pcrs(attested),
        .loader_path = options->loader_path,
        .crls = options->snp_crls,
        .crls_bytes = options->snp_crls != NULL ? strlen(options->snp_crls) : 0,
        .snp_anchors = options->snp_anchors,
        .snp_anchors_product = options->snp_anchors_product,
        .cache = attested->cache,
    };
}

void attested_count(struct attested *attested, const char *code)
{
    struct attested_count *at = attested->counts;
    while (at->code != NULL && strcmp(at->code, code) != 0)
        at++;
    REQUIRE(at < attested->counts + ATTESTED_CODES_MAX - 1);
    at->code = code;
    at->count++;
}

const struct attested_count *attested_count_at(const struct attested *attested, size_t index)
{
    return attested->counts[index].code != NULL ? &attested->counts[index] : NULL;
}
