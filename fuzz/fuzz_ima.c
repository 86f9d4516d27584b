/* IMA logs from other machines: whatever stands in one, the loader's digests are texts of ours. */
#include <string.h>

#include "attest/ima.h"
#include "crypto/crypto.h"

#include "fuzz.h"

static void check_text(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-:";
    FUZZ_PROPERTY(strlen(text) < 72 && strspn(text, allowed) == strlen(text));
    FUZZ_PROPERTY(strchr(text, ':') != NULL && text[0] != ':');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nowhere[32] = {1};
    char loaders[ATTEST_LOADERS_MAX][72];
    struct ima_replay replay = {
        .pcr = nowhere, .loader_path = "/usr/bin/lethe", .loaders = loaders};
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    FUZZ_PROPERTY(ima_replay(data, size, &replay, NULL) == LETHE_DENIED); /* no log leads there */
    FUZZ_PROPERTY(replay.loader_count <= ATTEST_LOADERS_MAX && replay.violations <= replay.entries);
    for (size_t i = 0; i < replay.loader_count; i++) {
        check_text(loaders[i]);
        for (size_t j = 0; j < i; j++)
            FUZZ_PROPERTY(strcmp(loaders[i], loaders[j]) != 0);
    }
    return 0;
}
