/* Decisions by policies: the reference policy, and three that are large in one way each. */
#include <stdio.h>
#include <string.h>

#include <lethe/policy.h>

#include "base/buffer.h"
#include "base/thread.h"
#include "bench.h"
#include "policy/policy.h"

#define DECISIONS 500u          /* in one measured piece, for each thread: under a time slice */
#define DECISIONS_BESIDE 20000u /* where threads are started for it */
#define PREPARATIONS 20u
#define ROUNDS 99u
#define ROUNDS_BESIDE 15u
#define INPUTS 16u
#define INPUT_SIZE 512u
#define TARGET_S 10e-6

#define ROLES 1000u
#define RULES 10000u
#define ITEMS 100000u /* of about 100 bytes each in data */

struct subject {
    const char *name;
    const char *rule;
    struct lethe_policy *policy;
    struct lethe_policy_holder *holder; /* NULL: the policy is asked itself */
    char inputs[INPUTS][INPUT_SIZE];    /* all of them are allowed */
    unsigned threads, decisions;
    double load_s;
};

/* ---- policies -------------------------------------------------------------------------------- */

struct texts {
    struct buffer module, data;
};

static void must(lethe_result result, const char *what, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail(what, err);
}

static void reference_texts(struct texts *texts)
{
    buffer_text(&texts->module,
                "package model_serving.decryption\n"
                "allow_decrypt := {\"allowed\": true, \"justification\": \"Conditions met\"} if {\n"
                "\tinput.environment.attestation_report.valid == true\n"
                "\tinput.environment.attestation_report.measurement == env_required_measurement\n"
                "\tinput.request.principal == \"model-loader-sa\"\n"
                "\tinput.request.operation == \"decrypt_for_vram_load\"\n"
                "\tmodel := input.request.model_id\n"
                "\ttenant := input.request.tenant\n"
                "\tdata.tenant_models[tenant][model] == true\n"
                "}\n"
                "env_required_measurement := data.required_measurement\n");
    buffer_text(&texts->data, "{\"required_measurement\": \"sha256:good\", "
                              "\"tenant_models\": {\"acme\": {\"llama\": true}}}");
}

static void reference_input(unsigned number, char out[INPUT_SIZE])
{
    snprintf(
        out, INPUT_SIZE,
        "{\"environment\": {\"attestation_report\": {\"valid\": true, "
        "\"measurement\": \"sha256:good\"}}, \"request\": {\"principal\": \"model-loader-sa\", "
        "\"operation\": \"decrypt_for_vram_load\", \"model_id\": \"llama\", "
        "\"tenant\": \"acme\", \"number\": %u}}",
        number);
}

static void roles_texts(struct texts *texts)
{
    buffer_text(&texts->module, "package bench\n"
                                "allow if {\n"
                                "\tsome role in data.users[input.user]\n"
                                "\tsome grant in data.roles[role]\n"
                                "\tgrant.action == input.action\n"
                                "\tgrant.resource == input.resource\n"
                                "}\n");
    buffer_text(&texts->data, "{\"users\": {");
    for (unsigned i = 0; i < ROLES; i++)
        buffer_format(&texts->data, "%s\"user-%u\": [\"role-%u\", \"role-%u\"]", i > 0 ? ", " : "",
                      i, (i + 1) % ROLES, i);
    buffer_text(&texts->data, "}, \"roles\": {");
    for (unsigned i = 0; i < ROLES; i++) {
        buffer_format(&texts->data, "%s\"role-%u\": [", i > 0 ? ", " : "", i);
        for (unsigned j = 0; j < 4; j++)
            buffer_format(&texts->data,
                          "%s{\"action\": \"action-%u\", \"resource\": \"resource-%u\"}",
                          j > 0 ? ", " : "", j, i);
        buffer_text(&texts->data, "]");
    }
    buffer_text(&texts->data, "}}");
}

static void roles_input(unsigned number, char out[INPUT_SIZE])
{
    unsigned user = number * 61 % ROLES;
    snprintf(out, INPUT_SIZE,
             "{\"user\": \"user-%u\", \"action\": \"action-3\", \"resource\": \"resource-%u\"}",
             user, user);
}

static void rules_texts(struct texts *texts)
{
    buffer_text(&texts->module, "package bench\n");
    for (unsigned i = 0; i < RULES; i++)
        buffer_format(&texts->module,
                      "allow if {\n\tinput.path == \"/v1/items/%u\"\n"
                      "\tinput.method == \"GET\"\n\tinput.role == \"role-%u\"\n}\n",
                      i, i % 7);
    buffer_text(&texts->data, "{}");
}

static void rules_input(unsigned number, char out[INPUT_SIZE])
{
    unsigned rule = number * 617 % RULES;
    snprintf(out, INPUT_SIZE,
             "{\"path\": \"/v1/items/%u\", \"method\": \"GET\", \"role\": \"role-%u\"}", rule,
             rule % 7);
}

static void append_items(struct buffer *data)
{
    buffer_text(data, "{\"items\": {");
    for (unsigned i = 0; i < ITEMS; i++)
        buffer_format(data,
                      "%s\"item-%06u\": {\"owner\": \"user-%u\", \"labels\": [\"a\", \"b\"], "
                      "\"size\": %u, \"shared\": false}",
                      i > 0 ? ", " : "", i, i % 1000, i);
    buffer_text(data, "}}");
}

static void items_texts(struct texts *texts)
{
    buffer_text(&texts->module, "package bench\n"
                                "allow if {\n"
                                "\titem := data.items[input.item]\n"
                                "\titem.owner == input.user\n"
                                "}\n");
    append_items(&texts->data);
}

static void items_input(unsigned number, char out[INPUT_SIZE])
{
    unsigned item = number * 6151 % ITEMS;
    snprintf(out, INPUT_SIZE, "{\"item\": \"item-%06u\", \"user\": \"user-%u\"}", item,
             item % 1000);
}

static void rules_and_items_texts(struct texts *texts)
{
    struct texts items = {0};
    rules_texts(texts);
    buffer_clear(&texts->data);
    items_texts(&items);
    texts->data = items.data;
    buffer_clear(&items.module);
}

static const struct kind {
    const char *name;
    const char *rule;
    void (*texts)(struct texts *texts);
    void (*input)(unsigned number, char out[INPUT_SIZE]);
} kinds[] = {
    {"reference", "data.model_serving.decryption.allow_decrypt", reference_texts, reference_input},
    {"1000 roles in data", "data.bench.allow", roles_texts, roles_input},
    {"10000 rules", "data.bench.allow", rules_texts, rules_input},
    {"10 MB of data", "data.bench.allow", items_texts, items_input},
    {"10000 rules + 10 MB", "data.bench.allow", rules_and_items_texts, rules_input},
};
#define KINDS ARRAY_LEN(kinds)

static struct lethe_policy *load(const struct kind *kind, double *load_s)
{
    struct lethe_error err = {0};
    struct texts texts = {0};
    struct lethe_policy *policy = NULL;
    kind->texts(&texts);
    must(buffer_result(&texts.module, &err), "no memory", &err);
    must(buffer_result(&texts.data, &err), "no memory", &err);
    const struct lethe_policy_module module = {"bench.rego", texts.module.bytes,
                                               texts.module.size_bytes};
    double started_s = bench_now_s();
    must(lethe_policy_prepare(
             &(struct lethe_policy_options){.modules = &module,
                                            .module_count = 1,
                                            .data = texts.data.bytes,
                                            .data_size_bytes = texts.data.size_bytes},
             &policy, &err),
         "a policy", &err);
    *load_s = bench_now_s() - started_s;
    buffer_clear(&texts.module);
    buffer_clear(&texts.data);
    return policy;
}

static void make_subject(const struct kind *kind, struct subject *out)
{
    *out = (struct subject){
        .name = kind->name, .rule = kind->rule, .threads = 1, .decisions = DECISIONS};
    out->policy = load(kind, &out->load_s);
    for (unsigned i = 0; i < INPUTS; i++)
        kind->input(i, out->inputs[i]);
}

/* ---- deciding -------------------------------------------------------------------------------- */

static void decide_once(const struct subject *subject, unsigned number)
{
    struct lethe_decision decision;
    const char *input = subject->inputs[number % INPUTS];
    if (subject->holder != NULL)
        lethe_policy_holder_decide(subject->holder, subject->rule, input, strlen(input), &decision);
    else
        lethe_policy_decide(subject->policy, subject->rule, input, strlen(input), &decision);
    if (!decision.allowed)
        bench_fail(decision.text, NULL);
}

static lethe_result decide_often(void *context, unsigned worker, struct lethe_error *err)
{
    const struct subject *subject = context;
    for (unsigned i = 0; i < subject->decisions; i++)
        decide_once(subject, i + worker);
    return LETHE_OK;
}

static void decide_in_threads(void *context)
{
    struct lethe_error err = {0};
    struct subject *subject = context;
    must(threads_run(subject->threads, decide_often, subject, &err), "threads", &err);
}

/* What an engine that is made anew for every request would cost. */
static void prepare_and_decide(void *context)
{
    double load_s;
    struct subject *subject = context;
    for (unsigned i = 0; i < PREPARATIONS; i++) {
        struct subject fresh = *subject;
        fresh.policy = load(&kinds[0], &load_s);
        decide_once(&fresh, i);
        lethe_policy_free(fresh.policy);
    }
}

/* ---- reports --------------------------------------------------------------------------------- */

static void report_decision(const char *what, double each_s, double reference_s)
{
    char name[48];
    snprintf(name, sizeof name, "policy/%s", what);
    bench_report(&(struct bench_result){.name = name,
                                        .value = each_s * 1e6,
                                        .unit = "us",
                                        .against = "time for the reference policy",
                                        .ratio = each_s / reference_s});
}

static void report_target(double reference_s)
{
    bench_report(&(struct bench_result){.name = "policy/reference",
                                        .value = reference_s * 1e6,
                                        .unit = "us",
                                        .against = "time of 10 us",
                                        .ratio = reference_s / TARGET_S,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

static void report_threads(const struct subject *reference)
{
    struct subject single = *reference, many = *reference;
    double medians_s[2];
    single.decisions = many.decisions = DECISIONS_BESIDE;
    many.threads = threads_available();
    const struct bench_way ways[] = {{decide_in_threads, &single}, {decide_in_threads, &many}};
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS_BESIDE, medians_s);
    bench_report(
        &(struct bench_result){.name = "policy/decisions, all threads",
                               .value = DECISIONS_BESIDE * many.threads / medians_s[1] / 1e3,
                               .unit = "k/s",
                               .against = "decisions of one thread",
                               .ratio = many.threads * medians_s[0] / medians_s[1]});
}

static void report_ways(struct subject *reference)
{
    struct lethe_error err = {0};
    struct subject held = *reference;
    double medians_s[3];
    double load_s;
    must(lethe_policy_holder_create(load(&kinds[0], &load_s), &held.holder, &err), "a holder",
         &err);
    const struct bench_way ways[] = {
        {decide_in_threads, reference},
        {decide_in_threads, &held},
        {prepare_and_decide, reference},
    };
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    double each_s = medians_s[0] / DECISIONS;
    report_target(each_s);
    report_decision("through a holder", medians_s[1] / DECISIONS, each_s);
    report_decision("prepared anew each time", medians_s[2] / PREPARATIONS, each_s);
    lethe_policy_holder_free(held.holder);
}

static void report_sizes(struct subject *subjects)
{
    struct bench_way ways[KINDS];
    double medians_s[KINDS];
    for (size_t i = 0; i < KINDS; i++)
        ways[i] = (struct bench_way){decide_in_threads, &subjects[i]};
    bench_medians(ways, KINDS, ROUNDS, medians_s);
    for (size_t i = 1; i < KINDS; i++)
        report_decision(subjects[i].name, medians_s[i] / DECISIONS, medians_s[0] / DECISIONS);
}

static void report_load(const struct subject *subject)
{
    char name[48];
    snprintf(name, sizeof name, "policy/load: %s", subject->name);
    bench_report(
        &(struct bench_result){.name = name, .value = subject->load_s * 1e3, .unit = "ms"});
}

/* What an evaluation takes from its arena, input included. */
static void report_memory(const struct subject *subject)
{
    struct lethe_error err = {0};
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = EVALUATION_MEMORY_DEFAULT};
    struct evaluation_options options = {.world.now_ns = 1};
    struct evaluation_failure failure;
    struct policy_path path;
    const struct value *answer;
    const char *input = subject->inputs[0];
    char name[48];
    must(policy_path_parse(&arena, subject->rule, &path), "a path", NULL);
    must(value_parse_json(&arena, input, strlen(input), &options.input, &err), "an input", &err);
    must(evaluate_path(subject->policy->plan, path.keys, path.count, &options, &arena, &answer,
                       &failure),
         "an evaluation", NULL);
    snprintf(name, sizeof name, "policy/memory: %s", subject->name);
    bench_report(&(struct bench_result){
        .name = name, .value = (double)arena.used_bytes / 1024, .unit = "KiB"});
}

void bench_policy(void)
{
    static struct subject subjects[KINDS];
    for (size_t i = 0; i < KINDS; i++)
        make_subject(&kinds[i], &subjects[i]);
    report_ways(&subjects[0]);
    report_threads(&subjects[0]);
    report_sizes(subjects);
    for (size_t i = 0; i < KINDS; i++)
        report_load(&subjects[i]);
    for (size_t i = 0; i < KINDS; i++)
        report_memory(&subjects[i]);
    for (size_t i = 0; i < KINDS; i++)
        lethe_policy_free(subjects[i].policy);
}
