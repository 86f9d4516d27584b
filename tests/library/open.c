/* What an author of an engine writes next: the program's home, and a model encrypted under it.
 *
 *     open HOME MODEL */
#include <stdio.h>

#include <lethe/home.h>
#include <lethe/model.h>

static lethe_result list_shards(struct lethe_home *home, const char *path, struct lethe_error *err)
{
    struct lethe_model *model;
    lethe_result result = lethe_model_open(home, path, &model, err);
    if (result != LETHE_OK)
        return result;
    for (size_t i = 0; i < lethe_model_shard_count(model); i++) {
        struct lethe_model_shard shard;
        lethe_model_shard(model, i, &shard);
        printf("%s %s %s %llu\n", shard.id, shard.kind, shard.name,
               (unsigned long long)shard.size_bytes);
    }
    lethe_model_close(model);
    return LETHE_OK;
}

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    struct lethe_home *home;
    lethe_result result = argc == 3 ? lethe_home_open(argv[1], &home, &err) : LETHE_INVALID;
    if (result == LETHE_OK) {
        struct lethe_error unwanted; /* a model's failure is told before the home's */
        result = list_shards(home, argv[2], &err);
        lethe_result closed = lethe_home_close(home, result == LETHE_OK ? &err : &unwanted);
        result = result == LETHE_OK ? closed : result;
    }
    if (result != LETHE_OK)
        fprintf(stderr, "%s\n", err.text);
    return lethe_result_exit_code(result);
}
