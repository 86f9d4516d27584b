/* Files of a mixture of experts, taken apart and put together again: by names, by random files that
 * are encrypted, loaded and decrypted, and with limits. */
#include "model_fixture.h"

#include "chance.h"
#include "model/expert_names.h"
#include "model/split.h"

/* ---- names ----------------------------------------------------------------------------------- */

/* Z-1 */
static void names_say_what_a_tensor_is(void **state)
{
    static const enum model_file_type st = MODEL_FILE_SAFETENSORS;
    static const enum model_file_type gguf = MODEL_FILE_GGUF;
    static const struct {
        const char *name;
        enum model_file_type type;
        enum tensor_role role;
        struct expert_id id;
    } cases[] = {
        {"model.layers.3.block_sparse_moe.experts.17.w1.weight", st, TENSOR_EXPERT, {3, 17}},
        {"model.layers.0.mlp.experts.0.gate_proj.weight", st, TENSOR_EXPERT, {0, 0}},
        {"model.layers.60.mlp.experts.255.up_proj.weight_scale_inv", st, TENSOR_EXPERT, {60, 255}},
        {"layers.1.ffn.experts.2.w3.weight", st, TENSOR_EXPERT, {1, 2}},
        {"model.layers.9.feed_forward.experts.8.down_proj.weight", st, TENSOR_EXPERT, {9, 8}},
        {"model.language_model.layers.4.mlp.experts.5.up_proj.weight", st, TENSOR_EXPERT, {4, 5}},
        {"model.layers.65535.mlp.experts.65535.x", st, TENSOR_EXPERT, {65535, 65535}},
        {"model.layers.7.mlp.experts.gate_up_proj", st, TENSOR_EXPERTS, {7, 0}},
        {"model.layers.7.mlp.experts.down_proj_blocks", st, TENSOR_EXPERTS, {7, 0}},
        {"language_model.model.layers.7.feed_forward.experts.down_proj", st, TENSOR_EXPERTS, {7}},
        {"model.layers.3.block_sparse_moe.gate.weight", st, TENSOR_ROUTER, {3, 0}},
        {"model.layers.3.mlp.gate.e_score_correction_bias", st, TENSOR_ROUTER, {3, 0}},
        {"model.layers.3.mlp.router.bias", st, TENSOR_ROUTER, {3, 0}},
        {"model.layers.3.mlp.gate_proj.weight", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.shared_expert.up_proj.weight", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.shared_experts.up_proj.weight", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.shared_expert_gate.weight", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.experts.0", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.experts.00.w", st, TENSOR_DENSE, {0}},
        {"model.layers.03.mlp.experts.0.w", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.experts.65536.w", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.experts.99999999999999999999999.w", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.experts..w", st, TENSOR_DENSE, {0}},
        {"model.layers.3.mlp.experts.-1.w", st, TENSOR_DENSE, {0}},
        {"model.layers..mlp.experts.1.w", st, TENSOR_DENSE, {0}},
        {"mtp.layers.0.mlp.experts.0.up_proj.weight", st, TENSOR_DENSE, {0}},
        {"encoder.layers.0.mlp.experts.0.up_proj.weight", st, TENSOR_DENSE, {0}},
        {"xmodel.layers.0.mlp.experts.0.up_proj.weight", st, TENSOR_DENSE, {0}},
        {"blk.3.ffn_gate_exps.weight", st, TENSOR_DENSE, {0}},
        {"", st, TENSOR_DENSE, {0}},
        {"blk.3.ffn_gate_exps.weight", gguf, TENSOR_EXPERTS, {3, 0}},
        {"blk.3.ffn_up_exps.bias", gguf, TENSOR_EXPERTS, {3, 0}},
        {"blk.12.ffn_down_exps.weight", gguf, TENSOR_EXPERTS, {12, 0}},
        {"blk.12.ffn_gate_up_exps.weight", gguf, TENSOR_EXPERTS, {12, 0}},
        {"blk.3.ffn_gate.4.weight", gguf, TENSOR_EXPERT, {3, 4}},
        {"blk.3.ffn_up.4.weight", gguf, TENSOR_EXPERT, {3, 4}},
        {"blk.3.ffn_down.4.weight", gguf, TENSOR_EXPERT, {3, 4}},
        {"blk.3.ffn_gate_inp.weight", gguf, TENSOR_ROUTER, {3, 0}},
        {"blk.3.exp_probs_b.bias", gguf, TENSOR_ROUTER, {3, 0}},
        {"blk.3.exp_probs_b", gguf, TENSOR_ROUTER, {3, 0}},
        {"blk.3.ffn_gate_tid2eid.weight", gguf, TENSOR_ROUTER, {3, 0}},
        {"blk.3.ffn_gate.weight", gguf, TENSOR_DENSE, {0}},
        {"blk.3.ffn_gate_shexp.weight", gguf, TENSOR_DENSE, {0}},
        {"blk.3.ffn_gate_inp_shexp.weight", gguf, TENSOR_DENSE, {0}},
        {"blk.3.ffn_norm_exps.weight", gguf, TENSOR_DENSE, {0}},
        {"blk.3.ffn_gate.4x.weight", gguf, TENSOR_DENSE, {0}},
        {"model.layers.0.mlp.experts.0.up_proj.weight", gguf, TENSOR_DENSE, {0}},
        {"model.layers.0.mlp.experts.0.up_proj.weight", MODEL_FILE_OTHER, TENSOR_DENSE, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct expert_id id;
        enum tensor_role role = tensor_role_of(cases[i].type, cases[i].name, &id);
        bool same = role == TENSOR_DENSE || expert_order(id, cases[i].id) == 0;
        if (role != cases[i].role || !same)
            fail_msg("%s: role %d, expert %d of layer %d", cases[i].name, (int)role, (int)id.index,
                     (int)id.layer);
    }
}

/* ---- lists of tensors ------------------------------------------------------------------------ */

static void add(struct tensor_list *list, const char *name, const uint64_t *shape,
                unsigned dimensions)
{
    struct lethe_error err = {0};
    uint64_t begin = list->count == 0 ? 100 : list->tensors[list->count - 1].end;
    struct tensor tensor = {.name = (char *)name,
                            .dtype = "U8",
                            .dimensions = dimensions,
                            .begin = begin,
                            .end = begin + 1};
    for (unsigned i = 0; i < dimensions; i++) {
        tensor.shape[i] = shape[i];
        tensor.end = begin + (tensor.end - begin) * shape[i];
    }
    assert_ok(tensor_list_add(list, &tensor, &err), &err);
}

static size_t count_parts(const struct tensor_list *list, lethe_result expected)
{
    struct lethe_error err = {0};
    CLEANUP(split_clear) struct split split;
    uint64_t end = list->tensors[list->count - 1].end;
    assert_result(expected, split_experts(list, end + 7, &split, &err));
    if (expected != LETHE_OK)
        assert_true(split.count == 0 && split.items == NULL);
    return split.count;
}

static void merged_tensors_are_sliced_or_left(void **state)
{
    static const struct {
        uint64_t shape[3];
        unsigned dimensions;
        size_t parts; /* with the dense one */
    } cases[] = {{{4, 3, 2}, 3, 5}, {{4, 3}, 2, 5}, {{1, 3, 2}, 3, 2},  {{4}, 1, 0},
                 {{0, 3}, 2, 0},    {{4, 0}, 2, 0}, {{65537, 1}, 2, 0}, {{65536, 1}, 2, 65537}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(tensor_list_clear) struct tensor_list list = {.type = MODEL_FILE_SAFETENSORS};
        add(&list, "model.layers.1.mlp.experts.down_proj", cases[i].shape, cases[i].dimensions);
        assert_int_equal(count_parts(&list, LETHE_OK), cases[i].parts);
    }
}

static void no_experts_are_no_parts(void **state)
{
    CLEANUP(tensor_list_clear) struct tensor_list list = {.type = MODEL_FILE_SAFETENSORS};
    add(&list, "model.layers.0.mlp.gate.weight", (uint64_t[]){3, 3}, 2);
    add(&list, "model.layers.0.mlp.up_proj.weight", (uint64_t[]){3, 3}, 2);
    add(&list, "model.layers.0.mlp.experts.0.up_proj.weight", (uint64_t[]){0, 3}, 2);
    assert_int_equal(count_parts(&list, LETHE_OK), 0);
}

static void too_many_experts_are_refused(void **state)
{
    static const uint64_t many[] = {65536, 1};
    CLEANUP(tensor_list_clear) struct tensor_list list = {.type = MODEL_FILE_SAFETENSORS};
    add(&list, "model.layers.0.mlp.experts.down_proj", many, 2);
    assert_int_equal(count_parts(&list, LETHE_OK), 65537);
    add(&list, "model.layers.1.mlp.experts.down_proj", many, 2);
    count_parts(&list, LETHE_LIMIT); /* shards */
    for (unsigned i = 2; i <= SPLIT_CLAIMS_MAX / 65536; i++)
        add(&list, "model.layers.0.mlp.experts.down_proj_scales", many, 2);
    count_parts(&list, LETHE_LIMIT); /* matrices */
}

/* ---- whole models, of random files ----------------------------------------------------------- */

struct random_file {
    uint8_t *bytes;
    size_t size;
};

/* Mostly small and of odd sizes, some without bytes, some larger than a segment. */
static size_t random_size(void)
{
    switch (chance(12)) {
    case 0:
        return 0;
    case 1:
        return chance(1 << 16);
    case 2:
        return ((size_t)1 << 20) + chance(80) - 60;
    case 3:
        return chance(3 << 20);
    default:
        return 1 + chance(5000);
    }
}

static void random_name(char *out, size_t size, unsigned number)
{
    unsigned layer = (unsigned)chance(3);
    switch (chance(4)) {
    case 0:
        snprintf(out, size, "model.layers.%u.self_attn.%u", layer, number);
        break;
    case 1:
        snprintf(out, size, "model.layers.%u.mlp.gate.%u", layer, number);
        break;
    default:
        snprintf(out, size, "model.layers.%u.mlp.experts.%u.%u", layer, (unsigned)chance(4),
                 number);
    }
}

static struct random_file make_random_file(unsigned tensors)
{
    CLEANUP(buffer_clear) struct buffer header = {0};
    size_t data_bytes = 0;
    for (unsigned i = 0; i < tensors; i++) {
        char name[80];
        size_t bytes = random_size();
        random_name(name, sizeof name, i);
        buffer_format(&header,
                      "%s\"%s\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}",
                      i == 0 ? "{" : ",", name, bytes, data_bytes, data_bytes + bytes);
        data_bytes += bytes;
    }
    buffer_text(&header, "}");
    assert_int_equal(buffer_result(&header, NULL), LETHE_OK);
    uint64_t header_bytes = header.size_bytes; /* little-endian, as this machine is */
    struct random_file file = {.size = sizeof header_bytes + header.size_bytes + data_bytes};
    file.bytes = pattern(file.size, (uint64_t)chance(1 << 30) << 20);
    memcpy(file.bytes, &header_bytes, sizeof header_bytes);
    memcpy(file.bytes + sizeof header_bytes, header.bytes, header.size_bytes);
    return file;
}

static void must_encrypt_split(struct fixture *f, const char *source, const char *output)
{
    struct encrypt_summary summary;
    struct encrypt_options options = options_for(&source, output);
    options.split = SPLIT_EXPERTS;
    options.force = true;
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    assert_int_equal(summary.files, 1);
}

/* One call of each way in which a model is read. */
static void must_read_equal(struct fixture *f, struct model *model, const struct random_file *file)
{
    uint8_t *loaded = pattern(file->size, 1);
    const struct model_file *made = &model_manifest(model)->files.items[0];
    assert_int_equal(model_manifest(model)->files.count, 1);
    assert_int_equal(made->size_bytes, file->size);
    assert_ok(model_load_file(model, 0, &f->keys->source, loaded, &two_threads, &f->err), &f->err);
    assert_memory_equal(loaded, file->bytes, file->size);
    assert_ok(model_check_file_digests(model, 0, loaded, 2, &f->err), &f->err);
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    size_t place = chance(file->size);
    loaded[place] ^= 1;
    assert_result(LETHE_INTEGRITY, model_check_file_digests(model, 0, loaded, 2, &f->err));
    free(loaded);

    size_t size;
    assert_ok(model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err), &f->err);
    uint8_t *decrypted = get_file(AT(f, "out/m.safetensors"), &size);
    assert_int_equal(size, file->size);
    assert_memory_equal(decrypted, file->bytes, size);
    assert_ok(file_remove_tree(AT_FDCWD, AT(f, "out"), &f->err), &f->err);
    free(decrypted);
}

/* A shard on its own is what residency loads. */
static void must_load_shards_equal(struct fixture *f, struct model *model,
                                   const struct random_file *file)
{
    const struct manifest *manifest = model_manifest(model);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = &manifest->shards[i];
        uint8_t *loaded = malloc(shard->size + 1);
        uint8_t *expected = malloc(shard->size + 1);
        assert_ok(model_load_shard(model, i, &f->keys->source, loaded, &two_threads, &f->err),
                  &f->err);
        extent_list_gather(&shard->extents, 0, expected, shard->size, file->bytes);
        assert_memory_equal(loaded, expected, shard->size);
        free(loaded);
        free(expected);
    }
}

/* Z-1 */
static void random_files_come_back(void **state)
{
    struct fixture *f = *state;
    chance_seed_by_time();
    size_t most_shards = 0;
    for (unsigned round = 0; round < 12; round++) {
        struct random_file file = make_random_file(1 + (unsigned)chance(round < 6 ? 40 : 4));
        put_file(AT(f, "m.safetensors"), file.bytes, file.size);
        must_encrypt_split(f, AT(f, "m.safetensors"), AT(f, "model"));
        CLEANUP(model_close) struct model *model = must_open(f, AT(f, "model"));
        must_read_equal(f, model, &file);
        must_load_shards_equal(f, model, &file);
        most_shards = MAX(most_shards, model_manifest(model)->count);
        free(file.bytes);
    }
    assert_true(most_shards > 3);
}

static void flip_byte(const char *path, size_t from_end)
{
    size_t size;
    uint8_t *bytes = get_file(path, &size);
    bytes[size - from_end] ^= 1;
    put_file(path, bytes, size);
    free(bytes);
}

/* Z-2: the shards that were loaded before the bad one are gone, too. */
static void a_bad_shard_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    chance_seed(7);
    struct random_file file = make_random_file(60);
    put_file(AT(f, "m.safetensors"), file.bytes, file.size);
    must_encrypt_split(f, AT(f, "m.safetensors"), AT(f, "model"));
    size_t count = count_names(AT(f, "model/shards"));
    char last[64];
    assert_true(count > 3);
    snprintf(last, sizeof last, "model/shards/%04zu.tink", count - 1);
    flip_byte(AT(f, last), 1);
    CLEANUP(model_close) struct model *model = must_open(f, AT(f, "model"));
    assert_result(LETHE_INTEGRITY,
                  model_load_file(model, 0, &f->keys->source, file.bytes, &two_threads, &f->err));
    assert_true(lethe_is_zero(file.bytes, file.size));
    assert_result(LETHE_INTEGRITY,
                  model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err));
    assert_int_not_equal(access(AT(f, "out"), F_OK), 0);
    free(file.bytes);
}

/* Where a person says nothing of splitting, and where there is nothing to split, the manifest is of
 * the old form, which older readers take. */
static void whole_files_have_no_new_fields(void **state)
{
    struct fixture *f = *state;
    static const char source[] = TEST_VECTORS "/models/silero_vad_16k.safetensors";
    must_encrypt_split(f, source, AT(f, "model"));
    CLEANUP(model_close) struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->count, 1);
    assert_int_equal(model_manifest(model)->shards[0].kind, SHARD_WEIGHTS);
    size_t size;
    uint8_t *text = get_file(AT(f, "model/manifest.json"), &size);
    assert_null(strstr((char *)text, "extents"));
    assert_null(strstr((char *)text, "\"expert\""));
    free(text);
}

/* Its names are those of weights. */
static void an_optimizer_stays_whole(void **state)
{
    struct fixture *f = *state;
    chance_seed(7);
    struct random_file file = make_random_file(20);
    put_file(AT(f, "optimizer.safetensors"), file.bytes, file.size);
    must_encrypt_split(f, AT(f, "optimizer.safetensors"), AT(f, "model"));
    CLEANUP(model_close) struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->count, 1);
    assert_int_equal(model_manifest(model)->shards[0].kind, SHARD_OPTIMIZER);
    free(file.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_what_a_tensor_is),
        cmocka_unit_test(merged_tensors_are_sliced_or_left),
        cmocka_unit_test(no_experts_are_no_parts),
        cmocka_unit_test(too_many_experts_are_refused),
        cmocka_unit_test_setup_teardown(random_files_come_back, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_bad_shard_leaves_nothing, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(whole_files_have_no_new_fields, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(an_optimizer_stays_whole, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
