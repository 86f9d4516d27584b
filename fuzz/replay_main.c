/* Replays inputs through a fuzz target: each argument is a file, or a directory of files. Prints
 * how many; an input that fails crashes here as it does under libFuzzer. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#include "fuzz.h"

#define INPUT_BYTES_MAX ((size_t)64 << 20)

static unsigned replayed;

static bool replay_file(const char *path)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer content = {0};
    if (file_read_all(AT_FDCWD, path, INPUT_BYTES_MAX, &content, &err) != LETHE_OK) {
        fprintf(stderr, "fuzz: %s\n", err.text);
        return false;
    }
    /* A copy of the exact size: a read past the end is then one past a heap block. */
    uint8_t *exact = malloc(content.size_bytes);
    if (exact == NULL && content.size_bytes > 0)
        return false;
    if (content.size_bytes > 0)
        memcpy(exact, content.bytes, content.size_bytes);
    LLVMFuzzerTestOneInput(exact, content.size_bytes);
    free(exact);
    replayed++;
    return true;
}

static bool replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        perror(path);
        return false;
    }
    bool fine = true;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        CLEANUP(memory_free) char *file = path_join(path, entry->d_name);
        fine = file != NULL && replay_file(file) && fine;
    }
    closedir(directory);
    return fine;
}

int main(int argc, char **argv)
{
    bool fine = true;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool is_directory = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        fine = (is_directory ? replay_directory(argv[i]) : replay_file(argv[i])) && fine;
    }
    printf("replayed %u inputs\n", replayed);
    return fine && replayed > 0 ? 0 : 1;
}
