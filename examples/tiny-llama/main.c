/* tiny-llama -- answers prompts with a small llama.
 *
 * One prompt per line of standard input, one request each. What a user says is read, computed with
 * and written in the session's memory; no stream buffers it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <lethe/home.h>
#include <lethe/model.h>
#include <lethe/pool.h>

#include "llama.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define LINE_BYTES 65536u /* of a prompt */
#define WORD_BYTES 16u    /* of a token's id */
#define RANDOM_BYTES 6u   /* erand48's */
#define BLOCK_TOKENS 16u  /* of the KV cache, unless it is told otherwise */

/* How it is called. A row without a range takes a text. */
enum {
    MODEL,
    SEALED,
    HOME,
    VERIFY,
    EVERY,
    POOL,
    POOL_ID,
    CA,
    CERTIFICATE,
    KEY,
    TOKENS,
    CONTEXT,
    TEMPERATURE,
    SEED,
    CACHE,
    COPIES,
    OPTIONS
};
static struct option {
    const char *name, *value, *help;
    double least, most;
} options[OPTIONS] = {
    [MODEL] = {.name = "MODEL", .help = "a GGUF file, mapped as any engine does it"},
    [SEALED] = {.name = "--sealed", .help = "instead: encrypted, goes into sealed memory"},
    [HOME] = {.name = "--home", .help = "of the keys and the log (as lethe finds it)"},
    [VERIFY] = {.name = "--verify", .value = "default", .help = "full or fast"},
    [EVERY] = {.name = "--verify-every", .value = "request", .help = "request or token (request)"},
    [POOL] = {.name = "--pool", .help = "HOST:PORT: what is over --cache spills to this pool"},
    [POOL_ID] = {.name = "--pool-id", .help = "who its control plane must prove to be"},
    [CA] = {.name = "--ca", .help = "whom to believe (PEM)"},
    [CERTIFICATE] = {.name = "--certificate", .help = "who this is (PEM)"},
    [KEY] = {.name = "--key", .help = "its key (PEM, mode 0600)"},
    [TOKENS] = {"--tokens", "16", "tokens at most, of an answer (16)", 1, 1 << 20},
    [CONTEXT] = {"--context", "512", "tokens at most, of prompt and answer (512)", 1, 1 << 20},
    [TEMPERATURE] = {"--temperature", "0", "0: the likeliest token, always (0)", 0, 1000},
    [SEED] = {"--seed", "1", "for temperatures above 0 (1)", 0, 1e14},
    [CACHE] = {"--cache", "64", "tokens whose keys and values stay here, of a pool's (64)", 16,
               1 << 20},
    [COPIES] = {"--copies", "2", "providers that get the rest (2)", 1, 8},
};
static double numbers[OPTIONS];

struct engine {
    struct lethe_home *home;
    struct lethe_model *model;
    struct lethe_worker *worker;
    struct lethe_shard *shard;         /* NULL: the file is mapped  */
    struct lethe_execution *execution; /* of a request              */
    enum lethe_verify_mode verify;     /* how it begins             */
    void *mapped;
    uint64_t file_bytes;
    struct llama llama;
    struct lethe_kv_cache *cache;
    struct lethe_pool *pool; /* NULL: all is kept here */
    struct lethe_pool_spill *spill;
    unsigned short *random; /* these are memory of the session */
    char *line, *word;
    uint32_t *tokens, count;
    bool is_end;                 /* of standard input */
    uint32_t requests, computed; /* tokens, and in what time */
    uint64_t all_ns, verify_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the model's file ------------------------------------------------------------------------ */

/* As any engine does it; under `lethe exec` the file is in memory that Lethe wipes. */
static lethe_result map(struct engine *engine, struct lethe_error *err)
{
    int fd = open(options[MODEL].value, O_RDONLY | O_CLOEXEC);
    engine->file_bytes = (uint64_t)lseek(fd, 0, SEEK_END);
    engine->mapped = mmap(NULL, engine->file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (engine->mapped == MAP_FAILED)
        return lethe_error_set(err, LETHE_IO, "%s cannot be mapped", options[MODEL].value);
    return LETHE_OK;
}

/* The home's keys open the model, its shard is decrypted straight into guarded memory, and sealed
 * there: on the host, because that is where this program computes. */
static lethe_result seal(struct engine *engine, struct lethe_error *err)
{
    struct lethe_model_shard shard;
    TRY(lethe_model_open(engine->home, options[SEALED].value, &engine->model, err));
    if (lethe_model_shard_count(engine->model) != 1)
        return lethe_error_set(err, LETHE_INVALID, "%s is not one file", options[SEALED].value);
    lethe_model_shard(engine->model, 0, &shard);
    engine->file_bytes = shard.size_bytes;
    return lethe_shard_seal_model(engine->worker, engine->model, 0, &(struct lethe_placement){0},
                                  &engine->shard, err);
}

/* Where a sealed file lies is known for the time of an execution only, which is the request's. */
static lethe_result verify(struct engine *engine, struct lethe_error *err)
{
    uint64_t began_ns = now_ns();
    engine->llama.file = engine->mapped;
    if (engine->shard == NULL)
        return LETHE_OK;
    TRY(engine->execution != NULL ? lethe_execution_verify(engine->execution, err)
                                  : lethe_execution_begin(engine->worker, &engine->shard, 1,
                                                          engine->verify, &engine->execution, err));
    engine->llama.file = lethe_execution_address(engine->execution, engine->shard);
    engine->verify_ns += now_ns() - began_ns;
    return LETHE_OK;
}

static void forget_file(struct engine *engine)
{
    lethe_execution_end(engine->execution);
    engine->execution = NULL;
    engine->llama.file = NULL;
}

/* Also without sealed weights there is a worker: sessions belong to one. */
static lethe_result open_model(struct engine *engine, struct lethe_error *err)
{
    struct lethe_worker_options worker = {.name = "tiny-llama", .policy = LETHE_HOST_ALLOWED};
    if (options[SEALED].value != NULL) {
        TRY(lethe_home_open(options[HOME].value, &engine->home, err));
        worker.log = lethe_home_log(engine->home);
    }
    TRY(lethe_worker_create(&worker, &engine->worker, err));
    TRY(options[SEALED].value != NULL ? seal(engine, err) : map(engine, err));
    TRY(lethe_worker_ready(engine->worker, err));
    TRY(verify(engine, err));
    lethe_result result = llama_read(&engine->llama, engine->file_bytes, err);
    engine->verify_ns = 0; /* what loading takes is not told */
    forget_file(engine);
    return result;
}

/* Memory of other machines, as much as the cache would have here. They see ciphertext. */
static lethe_result open_pool(struct engine *engine, const struct lethe_kv_options *kv,
                              struct lethe_error *err)
{
    const struct lethe_pool_options pool = {.control = options[POOL].value,
                                            .control_id = options[POOL_ID].value,
                                            .ca_path = options[CA].value,
                                            .certificate_path = options[CERTIFICATE].value,
                                            .key_path = options[KEY].value};
    const struct lethe_pool_spill_options spill = {.slot_bytes = lethe_kv_spill_bytes(kv),
                                                   .budget_bytes = 2 * kv->budget_bytes,
                                                   .copies = (unsigned)numbers[COPIES]};
    TRY(lethe_pool_open(&pool, &engine->pool, err));
    return lethe_pool_spill_create(engine->pool, &spill, &engine->spill, err);
}

static lethe_result open_cache(struct engine *engine, struct lethe_error *err)
{
    struct llama *llama = &engine->llama;
    llama->context = MIN(llama->context, (uint32_t)numbers[CONTEXT]);
    struct lethe_kv_options kv = {.name = "kv", .layers = llama->layers};
    kv.row_bytes = llama->kv_width * (uint32_t)sizeof(float);
    kv.budget_bytes = (uint64_t)llama->context + BLOCK_TOKENS; /* the last block is not full */
    kv.budget_bytes *= (uint64_t)kv.layers * 2 * kv.row_bytes;
    if (options[POOL].value == NULL)
        return lethe_kv_cache_create(engine->worker, &kv, &engine->cache, err);
    TRY(open_pool(engine, &kv, err));
    const struct lethe_spill spill = lethe_pool_spill_table(engine->spill);
    kv.spill = &spill;
    kv.budget_bytes = (uint64_t)numbers[CACHE] * kv.layers * 2 * kv.row_bytes;
    llama->spills = true;
    return lethe_kv_cache_create(engine->worker, &kv, &engine->cache, err);
}

/* ---- a request ------------------------------------------------------------------------------- */

/* Token ids, and spaces. Byte by byte: what follows the line belongs to the next session. */
static lethe_result read_prompt(struct engine *engine, struct lethe_error *err)
{
    ssize_t got;
    char *at = engine->line;
    while ((got = read(STDIN_FILENO, at, 1)) > 0 && *at != '\n' && at < engine->word)
        at++;
    if (got < 0)
        return lethe_error_set(err, LETHE_IO, "standard input: %s", strerror(errno));
    if (at == engine->word)
        return lethe_error_set(err, LETHE_LIMIT, "a prompt has over %u bytes", LINE_BYTES);
    engine->is_end = got == 0 && at == engine->line;
    *at = '\0';
    char *end;
    for (at = engine->line; at[strspn(at, " ")] != '\0'; at = end) {
        unsigned long token = strtoul(at, &end, 10);
        if (end == at || token >= engine->llama.vocabulary)
            return lethe_error_set(err, LETHE_INVALID, "the prompt is no list of token ids");
        if (engine->count == engine->llama.context)
            return lethe_error_set(err, LETHE_LIMIT, "more than %u tokens", engine->count);
        engine->tokens[engine->count++] = (uint32_t)token;
    }
    if (engine->count == 0 && !engine->is_end)
        return lethe_error_set(err, LETHE_INVALID, "the prompt is empty");
    return LETHE_OK;
}

static lethe_result write_text(const char *text, struct lethe_error *err)
{
    if (write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text))
        return LETHE_OK;
    return lethe_error_set(err, LETHE_IO, "standard output: %s", strerror(errno));
}

/* One token after another goes in: those of the prompt, then each that was chosen. */
static lethe_result compute(struct engine *engine, struct lethe_error *err)
{
    struct llama *llama = &engine->llama;
    uint32_t prompt = engine->count;
    uint32_t last = MIN(prompt + (uint32_t)numbers[TOKENS], llama->context);
    for (uint32_t i = 0; i < engine->count && engine->count < last; i++, engine->computed++) {
        if (i == 0 || strcmp(options[EVERY].value, "token") == 0)
            TRY(verify(engine, err));
        TRY(llama_step(llama, engine->tokens[i], err));
        if (i + 1 < engine->count)
            continue;
        uint32_t token = llama_choose(llama, (float)numbers[TEMPERATURE], engine->random);
        if (token == llama->end)
            break;
        engine->tokens[engine->count++] = token;
        snprintf(engine->word, WORD_BYTES, i < prompt ? "%u" : " %u", token);
        TRY(write_text(engine->word, err));
    }
    return write_text("\n", err);
}

static lethe_result serve(struct engine *engine, struct lethe_kv *session, struct lethe_error *err)
{
    uint64_t seed = (uint64_t)numbers[SEED];
    size_t tokens_bytes = engine->llama.context * sizeof *engine->tokens;
    uint8_t *random;
    void *memory;
    TRY(lethe_kv_seed(session, RANDOM_BYTES, &random, err));
    TRY(lethe_kv_buffer(session, tokens_bytes + LINE_BYTES + WORD_BYTES, &memory, err));
    TRY(llama_start(&engine->llama, session, err));
    engine->random = memcpy(random, &seed, RANDOM_BYTES);
    engine->tokens = memory;
    engine->line = (char *)memory + tokens_bytes;
    engine->word = engine->line + LINE_BYTES;
    engine->count = 0;
    TRY(read_prompt(engine, err));
    uint64_t began_ns = now_ns();
    lethe_result result = engine->is_end ? LETHE_OK : compute(engine, err);
    engine->all_ns += now_ns() - began_ns;
    return result;
}

/* Whatever became of it, nothing of a request stays. */
static lethe_result serve_one(struct engine *engine, struct lethe_error *err)
{
    char name[32];
    struct lethe_kv *session;
    snprintf(name, sizeof name, "request-%u", ++engine->requests);
    const struct lethe_kv_session_options kv = {.tenant = "default", .session = name};
    TRY(lethe_kv_open(engine->cache, &kv, now_ns() / 1000000, &session, err));
    lethe_result result = serve(engine, session, err);
    bool is_good = result == LETHE_OK;
    forget_file(engine);
    lethe_result ended = lethe_kv_end(
        session, is_good ? LETHE_SESSION_ENDED : LETHE_SESSION_CANCELLED, is_good ? err : NULL);
    return is_good ? ended : result;
}

/* ---- the command line ------------------------------------------------------------------------ */

static lethe_result parse(struct engine *engine, char **argv, struct lethe_error *err)
{
    for (char **word = argv + 1; *word != NULL; word++) {
        size_t row = SEALED;
        while (row < OPTIONS && strcmp(*word, options[row].name) != 0)
            row++;
        if (row == OPTIONS && **word != '-' && options[MODEL].value == NULL)
            options[MODEL].value = *word;
        else if (row < OPTIONS && word[1] != NULL)
            options[row].value = *++word;
        else
            return lethe_error_set(err, LETHE_INVALID, "%s is too much, or too little", *word);
    }
    for (struct option *option = &options[TOKENS]; option < &options[OPTIONS]; option++) {
        char *end;
        double number = strtod(option->value, &end);
        if (*end != '\0' || !(number >= option->least && number <= option->most))
            return lethe_error_set(err, LETHE_INVALID, "%s is a number from %g to %g", option->name,
                                   option->least, option->most);
        numbers[option - options] = number;
    }
    while (strcmp(options[VERIFY].value, lethe_verify_mode_name(engine->verify)) != 0)
        if (engine->verify++ == LETHE_VERIFY_SIGNATURE)
            return lethe_error_set(err, LETHE_INVALID, "%s is full or fast", options[VERIFY].name);
    if (strcmp(options[EVERY].value, "request") != 0 && strcmp(options[EVERY].value, "token") != 0)
        return lethe_error_set(err, LETHE_INVALID, "%s is request or token", options[EVERY].name);
    if ((options[MODEL].value == NULL) == (options[SEALED].value == NULL))
        return lethe_error_set(err, LETHE_INVALID, "give one model (--help)");
    return LETHE_OK;
}

static lethe_result run(struct engine *engine, char **argv, struct lethe_error *err)
{
    TRY(parse(engine, argv, err));
    TRY(open_model(engine, err));
    TRY(open_cache(engine, err));
    while (!engine->is_end)
        TRY(serve_one(engine, err));
    fprintf(stderr, "tiny-llama: %u tokens, %.1f a second, and %.1f without verification\n",
            engine->computed, engine->computed * 1e9 / (double)engine->all_ns,
            engine->computed * 1e9 / (double)(engine->all_ns - engine->verify_ns));
    return LETHE_OK;
}

/* Says what failed, and gives what failed first. */
static lethe_result tell(lethe_result before, lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        fprintf(stderr, "tiny-llama: error: %s%s%s\n", err->text, err->hint[0] != '\0' ? ": " : "",
                err->hint);
    return before != LETHE_OK ? before : result;
}

int main(int argc, char **argv)
{
    struct engine engine = {0};
    struct lethe_error err = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("tiny-llama [OPTION VALUE]... MODEL: answers lines of token ids with such lines");
        for (size_t i = 0; i < OPTIONS; i++)
            printf("  %-16s%s\n", options[i].name, options[i].help);
        return 0;
    }
    prctl(PR_SET_DUMPABLE, 0); /* no core file, and no debugger of the same user */
    signal(SIGPIPE, SIG_IGN);  /* who reads no more ends the program, after it has wiped */
    lethe_result result = tell(LETHE_OK, run(&engine, argv, &err), &err);
    result = tell(result, lethe_kv_cache_free(engine.cache, &err), &err);
    result = tell(result, lethe_pool_spill_free(engine.spill, &err), &err);
    lethe_pool_close(engine.pool);
    result = tell(result, lethe_shard_evict(engine.shard, &err), &err);
    result = tell(result, lethe_worker_free(engine.worker, &err), &err);
    lethe_model_close(engine.model);
    result = tell(result, lethe_home_close(engine.home, &err), &err);
    lethe_gguf_free(engine.llama.gguf);
    return lethe_result_exit_code(result);
}
