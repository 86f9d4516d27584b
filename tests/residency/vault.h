/* tests/residency/vault.h -- a spill store that remembers every put, and does what an attacker or a
 * bad disk would. One thread. */
#ifndef TESTS_RESIDENCY_VAULT_H
#define TESTS_RESIDENCY_VAULT_H

#include "kv_check.h"

#define VAULT_PUTS 4096u

struct vault {
    struct vault_put {
        struct lethe_spill_id id;
        uint8_t *bytes;
        size_t size_bytes;
        bool is_dropped;
    } puts[VAULT_PUTS];
    size_t count;
    unsigned calls;       /* of put and get                          */
    unsigned fail_at;     /* the call of that number fails; 0: none  */
    lethe_result failure; /* with this                               */
    /* Called before a get copies `found`, the last put of its id; may give another one. */
    const struct vault_put *(*attack)(struct vault *vault, const struct vault_put *found);
    size_t argument; /* of the attack */
    struct lethe_spill table;
};

static bool id_equal(const struct lethe_spill_id *a, const struct lethe_spill_id *b)
{
    return a->block == b->block && memcmp(a->space, b->space, sizeof a->space) == 0;
}

static bool vault_fails(struct vault *vault)
{
    return ++vault->calls == vault->fail_at;
}

static lethe_result vault_put_one(void *context, const struct lethe_spill_id *id, const void *bytes,
                                  size_t size_bytes, struct lethe_error *err)
{
    struct vault *vault = context;
    if (vault_fails(vault))
        return error_set(err, vault->failure, "the vault is shut");
    assert_true(vault->count < VAULT_PUTS);
    struct vault_put *put = &vault->puts[vault->count++];
    *put = (struct vault_put){.id = *id, .bytes = malloc(size_bytes), .size_bytes = size_bytes};
    assert_non_null(put->bytes);
    memcpy(put->bytes, bytes, size_bytes);
    return LETHE_OK;
}

static const struct vault_put *vault_last(const struct vault *vault,
                                          const struct lethe_spill_id *id)
{
    for (size_t i = vault->count; i > 0; i--)
        if (id_equal(&vault->puts[i - 1].id, id))
            return vault->puts[i - 1].is_dropped ? NULL : &vault->puts[i - 1];
    return NULL;
}

static lethe_result vault_get_one(void *context, const struct lethe_spill_id *id, void *out,
                                  size_t size_bytes, struct lethe_error *err)
{
    struct vault *vault = context;
    const struct vault_put *found = vault_last(vault, id);
    if (vault_fails(vault))
        return error_set(err, vault->failure, "the vault is shut");
    assert_non_null(found); /* nothing is asked for that is not there */
    assert_int_equal(found->size_bytes, size_bytes);
    if (vault->attack != NULL)
        found = vault->attack(vault, found);
    memcpy(out, found->bytes, size_bytes);
    return LETHE_OK;
}

static void vault_drop_one(void *context, const struct lethe_spill_id *id)
{
    struct vault *vault = context;
    struct vault_put *put = (struct vault_put *)vault_last(vault, id);
    if (put != NULL)
        put->is_dropped = true;
}

static struct vault *vault_create(void)
{
    struct vault *vault = calloc(1, sizeof *vault);
    assert_non_null(vault);
    vault->failure = LETHE_IO;
    vault->table = (struct lethe_spill){vault_put_one, vault_get_one, vault_drop_one, vault};
    return vault;
}

static void vault_free(struct vault *vault)
{
    for (size_t i = 0; i < vault->count; i++)
        free(vault->puts[i].bytes);
    free(vault);
}

/* What is neither dropped nor replaced. */
__attribute__((unused)) static size_t vault_kept(const struct vault *vault)
{
    size_t kept = 0;
    for (size_t i = 0; i < vault->count; i++)
        kept += vault_last(vault, &vault->puts[i].id) == &vault->puts[i];
    return kept;
}

/* A cache of so many blocks over a vault. */
__attribute__((unused)) static struct vault *must_vault(struct kv_site *kv, uint64_t blocks)
{
    struct vault *vault = vault_create();
    must_cache_with(kv, blocks, &vault->table);
    return vault;
}

__attribute__((unused)) static void leave_vault(struct kv_site *kv, struct vault *vault)
{
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
    assert_int_equal(vault_kept(vault), 0); /* nothing is left behind there */
    vault_free(vault);
}

#endif
