/* tests/net/https_peer.h -- a server in a program of its own, which ends with its stdin. */
#ifndef TESTS_NET_HTTPS_PEER_H
#define TESTS_NET_HTTPS_PEER_H

#include <spawn.h>
#include <sys/wait.h>

#include "check_files.h"

extern char **environ;

struct peer {
    pid_t pid;
    int input;
    char url[64];
};

/* `arguments` behind the script's name, up to NULL. It prints its port first. */
static inline void peer_start(struct peer *peer, const char *script, const char *const *arguments)
{
    int input[2];
    int output[2];
    char line[32] = "";
    const char *words[16] = {"python3", script};
    posix_spawn_file_actions_t actions;
    for (size_t i = 0; arguments[i] != NULL; i++)
        words[i + 2] = arguments[i];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    assert_int_equal(
        posix_spawnp(&peer->pid, "python3", &actions, NULL, (char *const *)words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    peer->input = input[1];
    for (size_t length = 0; length < sizeof line - 1 && strchr(line, '\n') == NULL; length++)
        assert_int_equal(read(output[0], line + length, 1), 1);
    close(output[0]);
    snprintf(peer->url, sizeof peer->url, "https://localhost:%d", atoi(line));
}

static inline void peer_stop(struct peer *peer)
{
    close(peer->input);
    waitpid(peer->pid, NULL, 0);
}

static inline void write_text(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

#endif
