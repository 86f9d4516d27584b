/* What a key service answers, read without a tree: as jansson reads it with one. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "kms/client_json.h"

#include "fuzz.h"

/* Numbers that no double holds are refused there; names that are there twice are taken. */
static bool is_excused(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_stack_overflow;
}

static unsigned depth_of(const uint8_t *data, size_t size)
{
    unsigned brackets = 0; /* at least as many as there are levels */
    for (size_t i = 0; i < size; i++)
        brackets += data[i] == '[' || data[i] == '{';
    return brackets;
}

static void compare_text(const struct json_piece *piece, const json_t *value)
{
    char *text = malloc(piece->length + 1);
    size_t length = 0;
    FUZZ_PROPERTY(text != NULL);
    FUZZ_PROPERTY(json_piece_text(piece, text, piece->length, &length) == LETHE_OK);
    FUZZ_PROPERTY(json_is_string(value) && length == json_string_length(value));
    FUZZ_PROPERTY(memcmp(text, json_string_value(value), length) == 0);
    FUZZ_PROPERTY(json_piece_is(piece, json_string_value(value)));
    free(text);
}

static void look_up(const struct json_piece *answer, const json_t *tree)
{
    struct json_piece piece = {0};
    uint64_t number = 0;
    const json_t *value = json_object_get(json_object_get(tree, "data"), "plaintext");
    lethe_result result = json_piece_find(answer, "data/plaintext", &piece);
    if (result == LETHE_NOT_FOUND)
        FUZZ_PROPERTY(value == NULL);
    if (result != LETHE_OK)
        return;
    FUZZ_PROPERTY(value != NULL);
    if (piece.kind == JSON_PIECE_TEXT)
        compare_text(&piece, value);
    if (json_piece_unsigned(&piece, &number) == LETHE_OK && number <= INT64_MAX)
        FUZZ_PROPERTY(json_is_integer(value) && (uint64_t)json_integer_value(value) == number);
}

/* Whatever the text is, these only say no. */
static void read_answer(const uint8_t *data, size_t size)
{
    char errors[64];
    struct json_piece answer = {0};
    struct guarded body = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer payload = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    client_answer_errors(data, size, errors, sizeof errors);
    FUZZ_PROPERTY(memchr(errors, '\0', sizeof errors) != NULL);
    guarded_append(&body, data, size);
    if (size > 0 && client_answer(&body, &answer, NULL) == LETHE_OK) {
        lethe_result opened = client_answer_secret(&answer, "data/plaintext", &secret, NULL);
        FUZZ_PROPERTY((opened == LETHE_OK) == (secret != NULL));
        if (client_answer_vault(&answer, "data/ciphertext", &text, &payload, NULL) == LETHE_OK)
            FUZZ_PROPERTY(strncmp(text.bytes, "vault:v", 7) == 0 && payload.size_bytes > 0 &&
                          strpbrk(text.bytes, "\"\\ \n") == NULL);
    }
    guarded_clear(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t error;
    struct json_piece answer = {0};
    json_t *tree = json_loadb((const char *)data, size, JSON_DECODE_ANY, &error);
    lethe_result result = json_scan(data, size, &answer, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_MALFORMED);
    if (result == LETHE_OK)
        FUZZ_PROPERTY(tree != NULL || is_excused(&error));
    else
        FUZZ_PROPERTY(tree == NULL || depth_of(data, size) > JSON_SCAN_DEPTH_MAX);
    if (result == LETHE_OK && tree != NULL)
        look_up(&answer, tree);
    read_answer(data, size);
    json_decref(tree);
    return 0;
}
