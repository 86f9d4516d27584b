#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

static _Noreturn void usage(const struct gpu_program *program)
{
    fprintf(stderr, "%s: usage: %s [--help] [--device N]\n", program->name, program->name);
    exit(2);
}

static size_t parse_device(const struct gpu_program *program, const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number > 1000)
        usage(program);
    return number;
}

size_t gpu_program_start(const struct gpu_program *program, int argc, char **argv, size_t *only)
{
    struct lethe_error err = {0};
    const char *why, *wish = NULL;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(program->help, stdout);
        exit(0);
    }
    if (argc == 3 && strcmp(argv[1], "--device") == 0)
        wish = argv[2];
    else if (argc != 1)
        usage(program);
    size_t asked = wish != NULL ? parse_device(program, wish) : 0;
    size_t count = lethe_device_count(LETHE_DEVICE_CUDA, &why);
    if (count == 0 || asked >= count) {
        fprintf(stderr, "%s: no GPU to run on: %s\n", program->name,
                count == 0 ? why : "there is none with that number");
        exit(EXIT_UNAVAILABLE);
    }
    if (crypto_start(&err) != LETHE_OK) {
        fprintf(stderr, "%s: %s\n", program->name, err.text);
        exit(1);
    }
    *only = wish != NULL ? asked : count;
    return count;
}
