/* policy/yaml_value.h -- values from YAML and as YAML.
 *
 * The same values as OPA's, which reads YAML 1.1 with go-yaml's rules: what JSON cannot hold (a
 * null or a collection as key, an infinity) is refused. Stricter than it: a key that is there
 * twice, a tag that would change a value's kind in a way that JSON cannot say, and bytes behind the
 * document that begin no other are refused too. A second document is not read, as by OPA.
 *
 * Thread rule: pure functions. */
#ifndef POLICY_YAML_VALUE_H
#define POLICY_YAML_VALUE_H

#include "policy/meter.h"
#include "policy/value.h"

#define YAML_SIZE_MAX_BYTES ((size_t)64 << 20) /* libyaml itself has no limit */
#define YAML_ANCHORS_MAX 4096u                 /* names of anchors in one document */
/* What merge keys copy, in weight of keys: a text names it all again with a few bytes. */
#define YAML_MERGED_MAX ((uint64_t)1 << 18)

struct yaml_source {
    const char *text;
    size_t size_bytes;
    struct builtin_meter *meter; /* counts what reading costs; NULL: nobody does */
};
/* Aliases share what they stand for. LETHE_MALFORMED with the line and column; LETHE_LIMIT (of the
 * above, VALUE_DEPTH_MAX, the arena's or the meter's), LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result value_parse_yaml(struct arena *arena,
                                               const struct yaml_source *source,
                                               const struct value **out, struct lethe_error *err);

/* What OPA prints: blocks, sorted keys, sets as arrays. `room_bytes` is how large the text may
 * become: LETHE_LIMIT; also of the meter. LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result value_print_yaml(const struct value *value, size_t room_bytes,
                                               struct builtin_meter *meter, struct buffer *out);

#endif
