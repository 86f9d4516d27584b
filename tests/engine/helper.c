/* An engine for the tests: it does what real engines do, and what hostile ones would.
 *
 *     helper OUT COMMAND ARGUMENT...     what it has to say goes to the file OUT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weights.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "helper: not %s: %s\n", #condition, strerror(errno));                  \
            exit(99);                                                                              \
        }                                                                                          \
    } while (0)

/* Opens and maps a whole file; the mapping lives as long as the process. */
static const uint8_t *map(const char *path, size_t *size_bytes)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0 && fstat(fd, &status) == 0);
    *size_bytes = (size_t)status.st_size;
    if (*size_bytes == 0)
        return NULL;
    const uint8_t *bytes = mmap(NULL, *size_bytes, PROT_READ, MAP_SHARED, fd, 0);
    MUST(bytes != MAP_FAILED);
    close(fd);
    return bytes;
}

/* ---- reading ---- */

/* check PATH SEED SIZE...: mapped and read, each file is what it should be. */
static int check(char **words)
{
    for (; words[0] != NULL; words += 3) {
        uint64_t seed = strtoull(words[1], NULL, 10);
        size_t size_bytes;
        const uint8_t *mapped = map(words[0], &size_bytes);
        uint8_t *copy = malloc(size_bytes + 1);
        int fd = open(words[0], O_RDONLY);
        MUST(size_bytes == strtoull(words[2], NULL, 10));
        MUST(read(fd, copy, size_bytes) == (ssize_t)size_bytes);
        MUST(weights_equal(mapped, size_bytes, seed) && weights_equal(copy, size_bytes, seed));
        close(fd);
        free(copy);
        printf("%s\n", words[0]);
    }
    return 0;
}

/* ---- attacking ---- */

static char *attacked; /* the weights */
static pid_t guardian;

static bool can_write(const char *path)
{
    int fd = open(path, O_RDWR);
    bool wrote = fd >= 0 && pwrite(fd, "x", 1, 0) == 1;
    if (fd >= 0)
        close(fd);
    return wrote;
}

static bool by_writing(void)
{
    return can_write(attacked);
}

static bool by_mode(void)
{
    (void)!chmod(attacked, 0600);
    return can_write(attacked);
}

static bool by_truncating(void)
{
    return truncate(attacked, 1) == 0;
}

static bool by_punching(void)
{
    int fd = open(attacked, O_RDWR);
    return fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
}

static bool by_reopening(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(attacked, O_RDONLY));
    return can_write(path);
}

static bool by_mapping(void)
{
    for (int mode = O_RDONLY; mode <= O_RDWR; mode += O_RDWR) {
        int fd = open(attacked, mode);
        if (fd >= 0 && mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
            return true;
    }
    return false;
}

static bool by_protecting(void)
{
    for (int mode = O_RDONLY; mode <= O_RDWR; mode += O_RDWR) {
        int fd = open(attacked, mode);
        void *mapping = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        if (mapping != MAP_FAILED && mprotect(mapping, 4096, PROT_READ | PROT_WRITE) == 0)
            return true;
    }
    return false;
}

/* Remounts and unmounts every directory above the weights. */
static bool by_mounting(void)
{
    char *path = strdup(attacked);
    for (char *above = dirname(path); strlen(above) > 1; above = dirname(above)) {
        if (mount(NULL, above, NULL, MS_REMOUNT | MS_BIND, NULL) == 0 && can_write(attacked))
            return true;
        if (mount(NULL, above, NULL, MS_REMOUNT, NULL) == 0 && can_write(attacked))
            return true;
        if (umount2(above, MNT_DETACH) == 0 && can_write(attacked))
            return true;
    }
    return false;
}

static bool in_a_child(bool (*attack)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(attack());
    int status = 0;
    return waitpid(child, &status, 0) == child && status != 0;
}

static bool with_new_rights(void)
{
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && (by_mounting() || by_writing());
}

static bool by_user_namespace(void)
{
    return in_a_child(with_new_rights);
}

static bool lists(const char *path)
{
    DIR *directory = opendir(path);
    unsigned entries = 0;
    while (directory != NULL && readdir(directory) != NULL)
        entries++;
    if (directory != NULL)
        closedir(directory);
    return entries > 2; /* . and .. */
}

/* Anything of the guardian that opens is a way in. */
static bool by_proc(void)
{
    static const char *const doors[] = {"mem", "root/", "cwd/", "ns/mnt", "environ"};
    char path[64];
    bool opened = false;
    for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", guardian, doors[i]);
        opened = opened || open(path, O_RDONLY) >= 0;
    }
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", guardian, fd);
        opened = opened || open(path, O_RDONLY | O_NONBLOCK) >= 0;
    }
    snprintf(path, sizeof path, "/proc/%d/map_files", guardian);
    return opened || lists(path);
}

static bool by_tracing(void)
{
    return ptrace(PTRACE_SEIZE, guardian, 0, 0) == 0 &&
           ptrace(PTRACE_INTERRUPT, guardian, 0, 0) == 0 &&
           waitpid(guardian, NULL, 0) == guardian && ptrace(PTRACE_DETACH, guardian, 0, 0) == 0;
}

/* Nothing lies at that address: only who may read at all is told so. */
static bool by_process_vm(void)
{
    char byte;
    const struct iovec here = {&byte, 1};
    const struct iovec there = {(void *)(uintptr_t)8, 1};
    return process_vm_readv(guardian, &here, 1, &there, 1, 0) < 0 && errno == EFAULT;
}

static bool by_unlinking(void)
{
    struct stat status;
    return lstat(attacked, &status) == 0 && S_ISREG(status.st_mode) && unlink(attacked) == 0;
}

/* attack PATH GUARDIAN: prints the names of the attacks that worked. */
static int attack(char **words)
{
    static const struct {
        const char *name;
        bool (*works)(void);
    } attacks[] = {{"write", by_writing},
                   {"chmod", by_mode},
                   {"punch", by_punching},
                   {"reopen", by_reopening},
                   {"map", by_mapping},
                   {"protect", by_protecting},
                   {"mount", by_mounting},
                   {"namespace", by_user_namespace},
                   {"proc", by_proc},
                   {"trace", by_tracing},
                   {"process_vm", by_process_vm},
                   {"truncate", by_truncating},
                   {"unlink", by_unlinking}};
    attacked = words[0];
    guardian = words[1] != NULL ? atoi(words[1]) : getppid();
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        if (attacks[i].works())
            printf("%s ", attacks[i].name);
    }
    return 0;
}

/* ---- being ready ---- */

static void say_ready(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char message[] = "STATUS=loaded\nREADY=1\n";
    MUST(getenv("NOTIFY_SOCKET") != NULL);
    strncpy(address.sun_path, getenv("NOTIFY_SOCKET"), sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    MUST(sendto(fd, message, strlen(message), 0, (struct sockaddr *)&address, sizeof address) > 0);
    close(fd);
}

/* What an engine may still have of the weights; "copy": nothing. */
static void hold(const char *how, const char *path)
{
    size_t size_bytes;
    if (strcmp(how, "map") == 0)
        map(path, &size_bytes);
    if (strcmp(how, "private") == 0)
        MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, open(path, O_RDONLY), 0) !=
             MAP_FAILED);
    if (strcmp(how, "open") == 0)
        MUST(open(path, O_RDONLY) >= 0);
    if (strcmp(how, "child") == 0 && fork() == 0) {
        map(path, &size_bytes);
        setsid();
        for (;;)
            pause();
    }
    if (strcmp(how, "unseen") == 0) {
        map(path, &size_bytes);
        MUST(prctl(PR_SET_DUMPABLE, 0) == 0);
    }
}

/* ready HOW PATH SEED SIZE: copies, holds on in that way, says that it is ready, and tells whether
 * the file goes away, and what is left of it. */
static int ready(char **words)
{
    char *path = strdup(words[1]);
    size_t size_bytes = strtoull(words[3], NULL, 10);
    uint8_t *copy = malloc(size_bytes);
    int above = open(dirname(path), O_RDONLY | O_DIRECTORY);
    int fd = open(words[1], O_RDONLY);
    MUST(above >= 0 && copy != NULL && read(fd, copy, size_bytes) == (ssize_t)size_bytes);
    close(fd);
    hold(words[0], words[1]);
    usleep(20000); /* the child */
    say_ready();
    struct stat status;
    bool gone = false;
    for (int i = 0; i < 40 && !gone; i++) {
        usleep(10000);
        gone = stat(words[1], &status) != 0 && errno == ENOENT;
    }
    const char *name = strrchr(words[1], '/') + 1;
    for (int i = 0; i < 100 && gone && fstatat(above, name, &status, 0) == 0; i++) {
        if (status.st_blocks == 0)
            break;
        usleep(10000);
    }
    if (!gone)
        MUST(fstatat(above, name, &status, 0) == 0);
    MUST(weights_equal(copy, size_bytes, strtoull(words[2], NULL, 10)));
    printf("%s %d\n", gone ? "gone" : "there", status.st_blocks > 0);
    return 0;
}

/* ---- looking at itself ---- */

static void print_file(const char *path)
{
    char text[8192];
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text);
    MUST(fwrite(text, 1, (size_t)got, stdout) == (size_t)got);
    close(fd);
}

/* status: what the kernel says of this process. */
static int status(char **words)
{
    struct rlimit cores;
    struct rlimit files;
    MUST(getrlimit(RLIMIT_CORE, &cores) == 0 && getrlimit(RLIMIT_NOFILE, &files) == 0);
    print_file("/proc/self/status");
    printf("core\t%ju %ju\nfiles\t%ju\n", (uintmax_t)cores.rlim_cur, (uintmax_t)cores.rlim_max,
           (uintmax_t)files.rlim_cur);
    printf("filter\t");
    print_file("/proc/self/coredump_filter");
    printf("group\t%d\nopen\t", (int)getpgrp());
    for (int fd = 0; fd < 2000; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    }
    printf("\nhome\t%s\ntmp\t%s\n", getenv("HOME"), getenv("TMPDIR"));
    return 0;
}

/* peek SECRET PID: by its path, from a working directory inside, and through another process. */
static int peek(char **words)
{
    char around[512];
    snprintf(around, sizeof around, "/proc/%s/root%s", words[1], words[0]);
    printf("%s %s %s\n", open(words[0], O_RDONLY) >= 0 ? "path" : "-",
           open(basename(words[0]), O_RDONLY) >= 0 ? "directory" : "-",
           open(around, O_RDONLY) >= 0 ? "process" : "-");
    return 0;
}

/* ---- ending ---- */

static volatile sig_atomic_t caught;

static void count_signal(int number)
{
    caught++;
}

/* catch SIGNAL PID: asks process PID for that signal (0: says that it is ready) and ends with how
 * often it came within a while. */
static int catch (char **words)
{
    struct sigaction action = {.sa_handler = count_signal};
    MUST(sigaction(atoi(words[0]), &action, NULL) == 0);
    printf("ready\n");
    fflush(stdout);
    if (atoi(words[1]) > 0)
        MUST(kill(atoi(words[1]), atoi(words[0])) == 0);
    for (int i = 0; i < 2000 && caught == 0; i++)
        usleep(1000);
    usleep(50000);
    return 40 + caught;
}

/* crash PATH: with the weights in a mapping, on the heap and on the stack. */
static int crash(char **words)
{
    size_t size_bytes;
    const uint8_t *mapped = map(words[0], &size_bytes);
    uint8_t *heap = malloc(size_bytes);
    uint8_t stack[4096];
    MUST(heap != NULL);
    memcpy(heap, mapped, size_bytes);
    memcpy(stack, mapped, sizeof stack);
    __asm__ volatile("" : : "r"(heap), "r"(stack) : "memory");
    raise(SIGSEGV);
    return 0;
}

/* linger PATH: ends at once, and leaves a process and its child, which hold the weights and do not
 * want to end. */
static int linger(char **words)
{
    size_t size_bytes;
    if (fork() != 0) {
        usleep(20000);
        return 3;
    }
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    MUST(setsid() > 0);
    map(words[0], &size_bytes);
    (void)!fork();
    printf("%d\n", (int)getpid());
    fflush(stdout);
    for (;;)
        pause();
}

/* litter PATH SEED: leaves weights in every corner of HOME and TMPDIR, some of them locked. */
static int litter(char **words)
{
    size_t size_bytes;
    const uint8_t *mapped = map(words[0], &size_bytes);
    MUST(chdir(getenv("HOME")) == 0);
    MUST(mkdir("a", 0700) == 0 && mkdir("a/b", 0700) == 0 && mkdir("a/b/c", 0700) == 0);
    static const char *const places[] = {"x", ".cache/y", "a/b/c/z", "../tmp/t", "../root"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int fd = open(places[i], O_RDWR | O_CREAT | O_EXCL, 0600);
        MUST(fd >= 0 && write(fd, mapped, size_bytes) == (ssize_t)size_bytes);
        MUST(fchmod(fd, 0) == 0);
        close(fd);
    }
    MUST(truncate("x", 1) == 0 || errno == EACCES);
    int sparse = open("sparse", O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(sparse >= 0 && pwrite(sparse, mapped, 100, (off_t)1 << 40) == 100);
    MUST(symlink("/etc/passwd", "link") == 0 && mkfifo("fifo", 0600) == 0);
    MUST(link("a/b/c/z", "hard") == 0 || errno == EPERM);
    MUST(chmod("a/b/c", 0) == 0 && chmod("a/b", 0) == 0 && chmod("a", 0) == 0);
    MUST(chmod("..", 0) == 0);
    printf("littered\n");
    return 0;
}

/* kill WHO PID: "supervisor" (PID), the whole "group", "guardian" (its own parent), or "both", and
 * then waits. */
static int kill_someone(char **words)
{
    pid_t supervisor = atoi(words[1]);
    pid_t parent = getppid();
    printf("running\n");
    fflush(stdout);
    if (strcmp(words[0], "both") == 0)
        MUST(kill(parent, SIGSTOP) == 0);
    if (strcmp(words[0], "guardian") != 0)
        MUST(kill(strcmp(words[0], "group") == 0 ? 0 : supervisor, SIGKILL) == 0);
    if (strcmp(words[0], "supervisor") != 0)
        MUST(kill(parent, SIGKILL) == 0);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(char **words);
    } commands[] = {{"check", check},   {"attack", attack}, {"status", status},
                    {"peek", peek},     {"catch", catch},   {"crash", crash},
                    {"linger", linger}, {"litter", litter}, {"kill", kill_someone},
                    {"ready", ready}};
    if (argc < 3)
        return 98;
    int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    MUST(out >= 0 && dup2(out, STDOUT_FILENO) == STDOUT_FILENO && close(out) == 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[2], commands[i].name) == 0) {
            int result = commands[i].run(argv + 3);
            MUST(fflush(stdout) == 0);
            return result;
        }
    }
    return 98;
}
