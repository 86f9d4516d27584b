#include "policy/evaluate_memory.h"

#include <string.h>

#include "policy/evaluate_equal.h"

#define CAPACITY_FIRST 8
#define PROBES_MAX 8 /* so many entries in a row are looked at for one key */

/* ---- hashing: of large values only a part is looked at ---- */

#define HASH_DEPTH_MAX 3
#define HASH_ELEMENTS_MAX 8
#define HASH_BYTES_MAX 64

static uint64_t mix(uint64_t hash, uint64_t more)
{
    hash = (hash ^ more) * 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 29);
}

/* The beginning and the end: names often differ in only one of them. */
static uint64_t hash_string(uint64_t hash, const struct value *value)
{
    size_t part = MIN(value->count, HASH_BYTES_MAX / 2);
    const char *ends[] = {value->string, value->string + value->count - part};
    for (size_t end = 0; end < ARRAY_LEN(ends); end++) {
        for (size_t i = 0; i < part; i += sizeof(uint64_t)) {
            uint64_t word = 0;
            memcpy(&word, ends[end] + i, MIN(part - i, sizeof word));
            hash = mix(hash, word);
        }
    }
    return hash;
}

static uint64_t hash_number(uint64_t hash, const struct number *number)
{
    switch (number->form) {
    case NUMBER_SMALL:
        return mix(hash, (uint64_t)number->small);
    case NUMBER_REAL:
        return mix(mix(hash, number->significand), (uint64_t)(uint32_t)number->exponent);
    case NUMBER_BIG:
        break;
    }
    return hash;
}

static uint64_t hash_value(uint64_t hash, const struct value *value, unsigned depth)
{
    hash = mix(hash, ((uint64_t)value->count << 8) | value->kind);
    uint32_t elements = depth == 0 ? 0 : MIN(value->count, HASH_ELEMENTS_MAX);
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        return hash;
    case VALUE_BOOLEAN:
        return mix(hash, value->boolean);
    case VALUE_NUMBER:
        return hash_number(hash, &value->number);
    case VALUE_STRING:
        return hash_string(hash, value);
    case VALUE_OBJECT:
        for (uint32_t i = 0; i < elements; i++) {
            hash = hash_value(hash, value->pairs[i].key, depth - 1);
            hash = hash_value(hash, value->pairs[i].value, depth - 1);
        }
        return hash;
    case VALUE_ARRAY:
    case VALUE_SET:
        break;
    }
    for (uint32_t i = 0; i < elements; i++)
        hash = hash_value(hash, value->items[i], depth - 1);
    return hash;
}

struct memory_key memory_key_make(const void *subject, const struct value *const *arguments,
                                  uint32_t argument_count)
{
    uint64_t hash = mix(argument_count, (uintptr_t)subject);
    for (uint32_t i = 0; i < argument_count; i++)
        hash = hash_value(hash, arguments[i], HASH_DEPTH_MAX);
    return (struct memory_key){.subject = subject,
                               .arguments = arguments,
                               .argument_count = argument_count,
                               .hash = (uint32_t)(hash >> 32)};
}

/* ---- finding ---- */

static struct memory_entry *entry_at(const struct memory *memory, uint32_t hash, size_t probe)
{
    return &memory->entries[(hash + probe) & (memory->capacity - 1)];
}

/* A table without a limit forgets nothing, however many keys have one hash. */
static size_t probes_max(const struct memory *memory)
{
    return memory->capacity_max == 0 ? memory->capacity : MIN(memory->capacity, PROBES_MAX);
}

static lethe_result is_of_key(const struct memory_entry *entry, const struct memory_key *key,
                              struct builtin_meter *meter, bool *is)
{
    *is = entry->hash == key->hash && entry->subject == key->subject;
    if (*is)
        TRY(meter_spend(meter, 1));
    for (uint32_t i = 0; i < key->argument_count && *is; i++)
        TRY(metered_equal(meter, entry->arguments[i], key->arguments[i], is));
    return LETHE_OK;
}

lethe_result memory_find(const struct memory *memory, const struct memory_key *key,
                         struct builtin_meter *meter, const struct memory_entry **out)
{
    *out = NULL;
    for (size_t probe = 0; probe < probes_max(memory) && *out == NULL; probe++) {
        const struct memory_entry *entry = entry_at(memory, key->hash, probe);
        if (entry->subject == NULL)
            return LETHE_OK;
        bool is;
        TRY(is_of_key(entry, key, meter, &is));
        if (is)
            *out = entry;
    }
    return LETHE_OK;
}

/* ---- keeping ---- */

static struct memory_entry *free_entry(const struct memory *memory, uint32_t hash)
{
    for (size_t probe = 0; probe < probes_max(memory); probe++) {
        struct memory_entry *entry = entry_at(memory, hash, probe);
        if (entry->subject == NULL)
            return entry;
    }
    return NULL;
}

/* What finds no place near by is forgotten. */
static void move_entries(const struct memory *from, struct memory *to)
{
    to->count = 0;
    for (size_t i = 0; i < from->capacity; i++) {
        const struct memory_entry *moving = &from->entries[i];
        struct memory_entry *entry = moving->subject == NULL ? NULL : free_entry(to, moving->hash);
        if (entry == NULL)
            continue;
        *entry = *moving;
        to->count++;
    }
}

static bool is_full(const struct memory *memory)
{
    return memory->capacity_max != 0 && memory->capacity >= memory->capacity_max;
}

/* false: the arena has failed. */
static bool grow(struct memory *memory, struct arena *arena)
{
    struct memory larger = *memory;
    larger.capacity = MAX(2 * memory->capacity, CAPACITY_FIRST);
    larger.entries = arena_zalloc(arena, larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL)
        return false;
    move_entries(memory, &larger);
    *memory = larger;
    return true;
}

/* A free entry, or one that is forgotten for it; NULL: the arena has failed. */
static struct memory_entry *entry_for(struct memory *memory, struct arena *arena, uint32_t hash)
{
    for (;;) {
        bool crowded = 4 * memory->count >= 3 * memory->capacity;
        struct memory_entry *entry = crowded && !is_full(memory) ? NULL : free_entry(memory, hash);
        if (entry != NULL) {
            memory->count++;
            return entry;
        }
        if (is_full(memory))
            return entry_at(memory, hash, 0);
        if (!grow(memory, arena))
            return NULL;
    }
}

/* What is forgotten leaves its room to what has no more arguments. NULL: the arena has failed. */
static const struct value **arguments_room(struct arena *arena, const struct memory_entry *entry,
                                           uint32_t count)
{
    if (entry->subject != NULL && entry->argument_count >= count)
        return entry->arguments;
    return arena_alloc(arena, count * sizeof(const struct value *));
}

bool memory_keep(struct memory *memory, struct arena *arena, const struct memory_key *key,
                 const struct value *value, const struct object_entry *conflict)
{
    struct memory_entry *entry = entry_for(memory, arena, key->hash);
    const struct value **arguments =
        entry == NULL ? NULL : arguments_room(arena, entry, key->argument_count);
    if (arguments == NULL)
        return false;
    for (uint32_t i = 0; i < key->argument_count; i++)
        arguments[i] = key->arguments[i];
    *entry = (struct memory_entry){.subject = key->subject,
                                   .arguments = arguments,
                                   .argument_count = key->argument_count,
                                   .hash = key->hash,
                                   .value = value,
                                   .conflict = conflict};
    return true;
}
