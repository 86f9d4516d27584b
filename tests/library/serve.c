/* What the author of a server writes: experts of an encrypted model, sealed within a budget,
 * verified before every use, and gone at the end.
 *
 *     serve HOME MODEL LAYER INDEX */
#include <stdio.h>
#include <stdlib.h>

#include <lethe/home.h>
#include <lethe/model.h>
#include <lethe/residency.h>

struct server {
    struct lethe_home *home;
    struct lethe_model *model;
    struct lethe_worker *worker;
    struct lethe_expert_cache *cache;
};

static lethe_result start(struct server *server, char **argv, struct lethe_error *err)
{
    lethe_result result = lethe_home_open(argv[1], &server->home, err);
    if (result == LETHE_OK)
        result = lethe_model_open(server->home, argv[2], &server->model, err);
    if (result != LETHE_OK)
        return result;
    const struct lethe_worker_options worker = {
        .name = "server", .policy = LETHE_HOST_ALLOWED, .log = lethe_home_log(server->home)};
    const struct lethe_expert_cache_options cache = {.name = "experts", .budget_bytes = 64 << 20};
    result = lethe_worker_create(&worker, &server->worker, err);
    if (result == LETHE_OK)
        result =
            lethe_expert_cache_create(server->worker, server->model, &cache, &server->cache, err);
    return result == LETHE_OK ? lethe_worker_ready(server->worker, err) : result;
}

/* One request: prints the expert's bytes, as an engine would compute with them. */
static lethe_result execute(struct server *server, struct lethe_shard *shard,
                            struct lethe_error *err)
{
    struct lethe_execution *execution;
    lethe_result result =
        lethe_execution_begin(server->worker, &shard, 1, LETHE_VERIFY_DEFAULT, &execution, err);
    if (result != LETHE_OK)
        return result;
    fwrite(lethe_execution_address(execution, shard), 1, (size_t)lethe_shard_size(shard), stdout);
    lethe_execution_end(execution);
    return LETHE_OK;
}

static lethe_result serve(struct server *server, char **argv, struct lethe_error *err)
{
    size_t place;
    struct lethe_shard *shard;
    if (lethe_model_expert(server->model, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                           &place, 1) == 0)
        return LETHE_NOT_FOUND;
    lethe_result result = lethe_expert_acquire(server->cache, place, &shard, err);
    if (result != LETHE_OK)
        return result;
    result = execute(server, shard, err);
    lethe_expert_release(server->cache, place);
    return result;
}

static lethe_result first_failure(lethe_result before, lethe_result now)
{
    return before != LETHE_OK ? before : now;
}

int main(int argc, char **argv)
{
    struct lethe_error err = {0}, late = {0};
    struct server server = {0};
    if (argc != 5)
        return 2;
    lethe_result result = start(&server, argv, &err);
    if (result == LETHE_OK)
        result = serve(&server, argv, &err);
    result = first_failure(result, lethe_expert_cache_free(server.cache, &late));
    result = first_failure(result, lethe_worker_free(server.worker, &late));
    lethe_model_close(server.model);
    result = first_failure(result, lethe_home_close(server.home, &late));
    if (result != LETHE_OK)
        fprintf(stderr, "%s %s\n", err.text, late.text);
    return lethe_result_exit_code(result);
}
