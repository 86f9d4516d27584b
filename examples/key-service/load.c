/* A program that uses a model whose keys a key service keeps: it opens them, looks at the weights,
 * and stops when a key is revoked. All that the service takes is connect(), and keys_still_good().
 *
 *     load MODEL URL CA TOKEN               with a token, in a file
 *     load MODEL URL CA CERTIFICATE KEY     with the node's certificate, in two
 *     load MODEL URL CA CERTIFICATE KEY TPM the same, with evidence of this machine's TPM, named
 *                                           as tpm2-tss does: device:/dev/tpmrm0
 *
 * It waits for a line on its standard input before each look at the weights, and ends with it. */
#include <stdio.h>
#include <sys/prctl.h>

#include <lethe/home.h>
#include <lethe/key_service.h>
#include <lethe/model.h>
#include <lethe/residency.h>

struct program {
    struct lethe_home *home;
    struct lethe_model *model;
    struct lethe_worker *worker;
    struct lethe_shard *shard; /* the model's first */
};

/* The home keeps the log of what this program does, and no key. */
static lethe_result connect(struct program *program, int argc, char **argv, struct lethe_error *err)
{
    const struct lethe_key_service service = {
        .url = argv[2],
        .ca_path = argv[3],
        .token_path = argc == 5 ? argv[4] : NULL,
        .certificate_path = argc >= 6 ? argv[4] : NULL,
        .key_path = argc >= 6 ? argv[5] : NULL,
        .attest = argc == 7 ? "tpm2" : NULL,
        .tpm = argc == 7 ? argv[6] : NULL,
        .offline_s = 30, /* as long as the service may be away before this program stops */
    };
    lethe_result result = lethe_home_open(NULL, &program->home, err);
    return result == LETHE_OK ? lethe_home_use_key_service(program->home, &service, err) : result;
}

/* From here on it is as with a home that keeps its keys itself: examples/tiny-llama has more. */
static lethe_result seal(struct program *program, const char *path, struct lethe_error *err)
{
    lethe_result result = lethe_model_open(program->home, path, &program->model, err);
    if (result != LETHE_OK)
        return result;
    const struct lethe_worker_options options = {
        .name = "load", .policy = LETHE_HOST_ALLOWED, .log = lethe_home_log(program->home)};
    const struct lethe_placement placement = {0};
    result = lethe_worker_create(&options, &program->worker, err);
    if (result == LETHE_OK) /* the service is asked for the shard's key here */
        result = lethe_shard_seal_model(program->worker, program->model, 0, &placement,
                                        &program->shard, err);
    return result == LETHE_OK ? lethe_worker_ready(program->worker, err) : result;
}

/* Before every use: the service is asked at most once a second. */
static lethe_result keys_still_good(struct program *program, struct lethe_error *err)
{
    return lethe_home_check_keys(program->home, program->model, err);
}

static lethe_result look(struct program *program, struct lethe_error *err)
{
    struct lethe_execution *execution;
    unsigned long long sum = 0;
    lethe_result result = keys_still_good(program, err);
    if (result == LETHE_OK)
        result = lethe_execution_begin(program->worker, &program->shard, 1, LETHE_VERIFY_DEFAULT,
                                       &execution, err);
    if (result != LETHE_OK)
        return result;
    const unsigned char *weights = lethe_execution_address(execution, program->shard);
    for (uint64_t i = 0; i < lethe_shard_size(program->shard); i++)
        sum += weights[i];
    lethe_execution_end(execution);
    printf("%llu bytes, their sum is %llu\n", (unsigned long long)lethe_shard_size(program->shard),
           sum);
    fflush(stdout);
    return LETHE_OK;
}

static lethe_result run(struct program *program, int argc, char **argv, struct lethe_error *err)
{
    char line[80];
    lethe_result result = connect(program, argc, argv, err);
    if (result == LETHE_OK)
        result = seal(program, argv[1], err);
    while (result == LETHE_OK && fgets(line, sizeof line, stdin) != NULL)
        result = look(program, err);
    return result;
}

/* In the order that the library asks for. Weights are wiped with the worker, and that is on record.
 */
static lethe_result end(struct program *program, lethe_result result, struct lethe_error *err)
{
    struct lethe_error late = {0};
    lethe_result freed = lethe_worker_free(program->worker, result == LETHE_OK ? err : &late);
    lethe_model_close(program->model);
    result = result == LETHE_OK ? freed : result;
    lethe_result closed = lethe_home_close(program->home, result == LETHE_OK ? err : &late);
    return result == LETHE_OK ? closed : result;
}

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    struct program program = {0};
    if (argc < 5 || argc > 7) {
        fprintf(stderr, "usage: load MODEL URL CA TOKEN|CERTIFICATE [KEY [TPM]]\n");
        return 2;
    }
    prctl(PR_SET_DUMPABLE, 0); /* what it opens is in no core file, and no debugger's */
    lethe_result result = end(&program, run(&program, argc, argv, &err), &err);
    if (result != LETHE_OK)
        fprintf(stderr, "load: %s\n%s%s", err.text, err.hint, err.hint[0] != '\0' ? "\n" : "");
    return lethe_result_exit_code(result);
}
