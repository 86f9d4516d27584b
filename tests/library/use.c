/* What an author of an engine would write first: a secret, a region, a session; nothing else
 * linked. */
#include <stdio.h>
#include <string.h>

#include <lethe/mem.h>

int main(void)
{
    struct lethe_error err = {0};
    struct lethe_secret *token;
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    struct lethe_region *region;
    if (lethe_secret_create(32, &token, &err) != LETHE_OK ||
        lethe_region_create(1 << 20, &options, &region, &err) != LETHE_OK) {
        fprintf(stderr, "%s (%s)\n", err.text, err.hint);
        return lethe_result_exit_code(err.code);
    }
    memset(lethe_secret_bytes(token), 7, lethe_secret_size(token));
    memset(lethe_region_bytes(region), 7, lethe_region_size(region));
    lethe_region_free(region);
    lethe_secret_free(token);
    return 0;
}
