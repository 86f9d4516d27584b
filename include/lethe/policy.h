/* lethe/policy.h -- decisions by written policy: Rego, in process.
 *
 * A policy is modules of Rego (the language of Open Policy Agent; openpolicyagent.org/docs
 * describes it) and a JSON document of data. It is prepared once: parsed, checked, ordered,
 * indexed. After that a decision takes microseconds. Whatever is not a clear yes is a no, with its
 * reason:
 *
 *     lethe_policy_prepare(&options, &policy, &err);
 *     lethe_policy_decide(policy, "data.lethe.authz.allow", input, size, &decision);
 *     if (decision.allowed) ...
 *     lethe_policy_free(policy);
 *
 * A service that loads a new policy while it answers keeps it in a lethe_policy_holder.
 *
 * Thread rule: a prepared policy never changes; any number of threads may decide with it at once,
 * without a lock. Freeing: when nobody uses it any more. A program that uses crypto.* in policies
 * and the rest of Lethe as well calls lethe_home_open() before it decides: Lethe takes care of
 * OpenSSL's memory, and can only before OpenSSL has any. */
#ifndef LETHE_POLICY_H
#define LETHE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

struct lethe_policy;

struct lethe_policy_module {
    const char *name; /* of the file, for errors */
    const char *text; /* UTF-8; need not end in NUL, and is copied */
    size_t size_bytes;
};

/* What one decision may use at most. 0: the default. Reaching a limit is a no, with that reason.
 * The last one is for preparing, and for as long as the policy lives: reaching it is LETHE_LIMIT.
 */
struct lethe_policy_limits {
    uint64_t steps;           /* 10,000,000 */
    uint32_t depth;           /* 2,000, which fits in 1 MiB of the thread's stack */
    size_t memory_bytes;      /* 64 MiB */
    uint64_t time_ms;         /* 1,000 */
    size_t load_memory_bytes; /* 1 GiB: of modules, data and what is made of them; patterns that
                                 are prepared come on top, with up to 512 MiB */
};

struct lethe_policy_options {
    const struct lethe_policy_module *modules;
    size_t module_count;
    const char *data; /* JSON, an object; NULL: {} */
    size_t data_size_bytes;
    bool v0; /* the older syntax, but for modules that say `import rego.v1` */
    struct lethe_policy_limits limits;
};

/* Prepares a policy. On success the caller owns *out and frees it with lethe_policy_free(); it is
 * NULL otherwise.
 * LETHE_MALFORMED: a module is no Rego, or the data no JSON: the text begins with file:line:column.
 * LETHE_INVALID:   a module is Rego, but cannot be run as it stands (an unsafe variable, recursion,
 *                  an unknown function, rules that contradict each other): likewise.
 * LETHE_LIMIT, LETHE_NO_MEMORY: as they say. */
LETHE_MUST_CHECK lethe_result lethe_policy_prepare(const struct lethe_policy_options *options,
                                                   struct lethe_policy **out,
                                                   struct lethe_error *err);
void lethe_policy_free(struct lethe_policy *policy); /* NULL is fine */

/* "sha256:" and 64 hex digits: of syntax, names and texts of modules, and data (docs/formats.md).
 * Equal for equal policies, whatever order the modules came in. Lives as long as the policy. */
const char *lethe_policy_digest(const struct lethe_policy *policy);
#define LETHE_POLICY_DIGEST_SIZE 72

/* X(name, code for records, sentence) */
#define LETHE_POLICY_REASONS(X)                                                                    \
    X(REFUSED, "refused", "the policy says no")                                                    \
    X(ALLOWED, "allowed", "the policy allows it")                                                  \
    X(UNDEFINED, "undefined", "no rule of the policy allows it")                                   \
    X(NOT_A_DECISION, "not_a_decision",                                                            \
      "the policy's answer is neither true nor an object with \"allowed\": true")                  \
    X(BAD_RULE, "bad_rule", "what was asked for is not the path of a rule")                        \
    X(BAD_INPUT, "bad_input", "the input is not JSON")                                             \
    X(ERROR, "error", "evaluating the policy failed")                                              \
    X(LIMIT_STEPS, "limit_steps", "the policy took too many steps")                                \
    X(LIMIT_DEPTH, "limit_depth", "the policy went too deep")                                      \
    X(LIMIT_MEMORY, "limit_memory", "the policy needed too much memory")                           \
    X(LIMIT_TIME, "limit_time", "the policy took too long")                                        \
    X(NO_MEMORY, "no_memory", "there was not enough memory to decide")
enum lethe_policy_reason {
#define LETHE_POLICY_REASON_ENUM(name, code, sentence) LETHE_POLICY_##name,
    LETHE_POLICY_REASONS(LETHE_POLICY_REASON_ENUM)
#undef LETHE_POLICY_REASON_ENUM
};
const char *lethe_policy_reason_code(enum lethe_policy_reason reason);
const char *lethe_policy_reason_sentence(enum lethe_policy_reason reason);

struct lethe_decision {
    bool allowed; /* true with LETHE_POLICY_ALLOWED only */
    enum lethe_policy_reason reason;
    /* What the policy says about it ("justification" or "reason" of its answer, when that is a
     * string), or what went wrong; else the reason's sentence. Cut where it is too long. */
    char text[256];
    char policy_digest[LETHE_POLICY_DIGEST_SIZE];
};

/* Asks one rule ("data.lethe.authz.allow") about one input (JSON). Allowed is: the answer is
 * `true`, or an object whose "allowed" is `true`. `false`, and an object whose "allowed" is
 * `false`, are LETHE_POLICY_REFUSED. Everything else is a no as well: this never fails otherwise.
 */
void lethe_policy_decide(const struct lethe_policy *policy, const char *rule, const char *input,
                         size_t input_size_bytes, struct lethe_decision *out);

/* A place for the policy in force. Deciding takes no lock, and goes on with the policy it began
 * with; replacing waits until nobody uses the old one any more, and frees it. */
struct lethe_policy_holder;
/* Takes over the policy, also when it fails (then it is freed). */
LETHE_MUST_CHECK lethe_result lethe_policy_holder_create(struct lethe_policy *policy,
                                                         struct lethe_policy_holder **out,
                                                         struct lethe_error *err);
void lethe_policy_holder_free(struct lethe_policy_holder *holder); /* when nobody uses it */
/* Takes over the policy. From any thread, but not from within a decision. */
void lethe_policy_holder_replace(struct lethe_policy_holder *holder, struct lethe_policy *policy);
void lethe_policy_holder_decide(struct lethe_policy_holder *holder, const char *rule,
                                const char *input, size_t input_size_bytes,
                                struct lethe_decision *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
