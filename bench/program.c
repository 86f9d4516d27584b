#include "program.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define WATCH_INTERVAL_US 2000u

bool program_start(const char *const *arguments, struct program *out)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    *out = (struct program){.output = ends[0]};
    bool started = posix_spawnp(&out->pid, arguments[0], &actions, NULL,
                                (char **)(uintptr_t)arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (!started)
        close(ends[0]);
    return started;
}

static bool ended_well(struct program *program, int status)
{
    close(program->output);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool program_wait(struct program *program)
{
    int status = -1;
    waitpid(program->pid, &status, 0);
    return ended_well(program, status);
}

/* 0 once it has ended. */
static uint64_t resident_peak(pid_t pid)
{
    static const char field[] = "VmHWM:";
    CLEANUP(buffer_clear) struct buffer text = {0};
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (file_read_all(AT_FDCWD, path, 65536, &text, NULL) != LETHE_OK || text.bytes == NULL)
        return 0;
    const char *line = strstr(text.bytes, field);
    return line != NULL ? strtoull(line + strlen(field), NULL, 10) * 1024 : 0;
}

bool program_watch(struct program *program, uint64_t *peak_bytes)
{
    int status = -1;
    *peak_bytes = 0;
    while (waitpid(program->pid, &status, WNOHANG) == 0) {
        *peak_bytes = MAX(*peak_bytes, resident_peak(program->pid));
        usleep(WATCH_INTERVAL_US);
    }
    return ended_well(program, status);
}

bool program_run(const char *const *arguments)
{
    struct program program;
    return program_start(arguments, &program) && program_wait(&program);
}
