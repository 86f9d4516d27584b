/* A service that asks a policy: prepared once, kept in a holder, replaced while it runs. */
#include <stdio.h>
#include <string.h>

#include <lethe/policy.h>

static const char *const texts[] = {
    "package app\nallow := {\"allowed\": true, \"reason\": \"weekday\"} if input.user == "
    "data.owner\n",
    "package app\nallow := {\"allowed\": false, \"reason\": \"closed\"}\n",
};

static struct lethe_policy *prepare(const char *text)
{
    static const char data[] = "{\"owner\": \"ada\"}";
    const struct lethe_policy_module module = {"app.rego", text, strlen(text)};
    const struct lethe_policy_options options = {
        .modules = &module,
        .module_count = 1,
        .data = data,
        .data_size_bytes = sizeof data - 1,
    };
    struct lethe_policy *policy = NULL;
    struct lethe_error err = {0};
    if (lethe_policy_prepare(&options, &policy, &err) != LETHE_OK)
        fprintf(stderr, "%s\n", err.text);
    return policy;
}

static void ask(struct lethe_policy_holder *holder, const char *input)
{
    struct lethe_decision decision;
    lethe_policy_holder_decide(holder, "data.app.allow", input, strlen(input), &decision);
    printf("%s: %s\n", lethe_policy_reason_code(decision.reason), decision.text);
}

int main(void)
{
    struct lethe_policy_holder *holder;
    struct lethe_policy *first = prepare(texts[0]), *second = prepare(texts[1]);
    struct lethe_error err = {0};
    if (first == NULL || second == NULL ||
        lethe_policy_holder_create(first, &holder, &err) != LETHE_OK)
        return 1;
    ask(holder, "{\"user\": \"ada\"}");
    ask(holder, "{\"user\": \"bob\"}");
    ask(holder, "{");
    lethe_policy_holder_replace(holder, second);
    ask(holder, "{\"user\": \"ada\"}");
    lethe_policy_holder_free(holder);
    return 0;
}
