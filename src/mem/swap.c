#include "mem/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/host.h"

/* crypttab(5): key files that make a volume's key a new one at every boot. */
static const char *const throwaway_keys[] = {"/dev/urandom", "/dev/random", "/dev/hwrng"};

/* Reads the first line of a file, without its end. */
static bool read_word(const char *path, char word[static 256])
{
    FILE *file = host.open(path);
    if (file == NULL)
        return false;
    bool found = fscanf(file, "%255s", word) == 1;
    fclose(file);
    return found;
}

static bool has_throwaway_key(const char *volume)
{
    FILE *table = host.open("/etc/crypttab");
    if (table == NULL)
        return false;
    char *line = NULL;
    size_t line_bytes = 0;
    bool throwaway = false;
    while (!throwaway && getline(&line, &line_bytes, table) > 0) {
        char name[256], key[256];
        if (sscanf(line, " %255s %*s %255s", name, key) != 2 || strcmp(name, volume) != 0)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(throwaway_keys); i++)
            throwaway |= strcmp(key, throwaway_keys[i]) == 0;
    }
    free(line);
    fclose(table);
    return throwaway;
}

/* Plain dm-crypt (never LUKS, which keeps its key in a header) over a key drawn at boot. */
static bool is_ephemeral(const char *device)
{
    static const char plain[] = "CRYPT-PLAIN-";
    if (strncmp(device, "/dev/dm-", 8) != 0)
        return false;
    char path[300], uuid[256];
    snprintf(path, sizeof path, "/sys/block/%s/dm/uuid", device + strlen("/dev/"));
    return read_word(path, uuid) && strncmp(uuid, plain, strlen(plain)) == 0 &&
           has_throwaway_key(uuid + strlen(plain));
}

bool swap_may_keep_pages(void)
{
    FILE *swaps = host.open("/proc/swaps");
    if (swaps == NULL)
        return true;
    bool may_keep = false;
    char *line = NULL;
    size_t line_bytes = 0;
    bool has_heading = getline(&line, &line_bytes, swaps) > 0;
    while (getline(&line, &line_bytes, swaps) > 0) {
        char device[256];
        may_keep |= sscanf(line, "%255s", device) == 1 && !is_ephemeral(device);
    }
    free(line);
    fclose(swaps);
    return may_keep || !has_heading;
}
