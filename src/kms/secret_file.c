#include "kms/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"

/* ---- files ----------------------------------------------------------------------------------- */

typedef lethe_result status_check(const char *path, const struct stat *status,
                                  struct lethe_error *err);

/* *fd is the caller's to close, whatever the result. */
static lethe_result open_checked(const char *path, status_check *check, int *fd, size_t *size_bytes,
                                 struct lethe_error *err)
{
    struct stat status;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, LETHE_UNAVAILABLE, "%s is not there", path);
    if (*fd < 0 || fstat(*fd, &status) != 0)
        return error_from_errno(err, "opening %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "%s is not a regular file", path);
    TRY(check(path, &status, err));
    if (status.st_size < 1 || status.st_size > SECRET_FILE_MAX)
        return error_set(err, LETHE_INTEGRITY, "%s has %lld bytes instead of 1 to %d", path,
                         (long long)status.st_size, SECRET_FILE_MAX);
    *size_bytes = (size_t)status.st_size;
    return LETHE_OK;
}

static lethe_result read_checked(const char *path, status_check *check, struct lethe_secret **out,
                                 struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(fd_close) int fd = -1;
    size_t size_bytes = 0;
    TRY(open_checked(path, check, &fd, &size_bytes, err));
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    TRY(lethe_secret_create(size_bytes, &secret, err));
    TRY(file_read_at(fd, path, 0, lethe_secret_bytes(secret), size_bytes, err));
    *out = MOVE(secret);
    return LETHE_OK;
}

lethe_result secret_file_read(const char *path, struct lethe_secret **out, struct lethe_error *err)
{
    return read_checked(path, file_check_private, out, err);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The part [begin, end) of a secret, as one of its own. */
static lethe_result cut_out(const struct lethe_secret *whole, size_t begin, size_t end,
                            struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(end - begin, out, err));
    memcpy(lethe_secret_bytes(*out), lethe_secret_bytes_const(whole) + begin, end - begin);
    return LETHE_OK;
}

/* Without the white space around it; `what` is empty when nothing is left. */
static lethe_result cut_space(const struct lethe_secret *whole, const char *what,
                              struct lethe_secret **out, struct lethe_error *err)
{
    const uint8_t *bytes = lethe_secret_bytes_const(whole);
    size_t begin = 0;
    size_t end = lethe_secret_size(whole);
    while (begin < end && is_space(bytes[begin]))
        begin++;
    while (begin < end && is_space(bytes[end - 1]))
        end--;
    if (begin == end)
        return error_set(err, LETHE_INVALID, "%s is empty", what);
    return cut_out(whole, begin, end, out, err);
}

lethe_result secret_token_read(const char *path, struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *whole = NULL;
    TRY(secret_file_read(path, &whole, err));
    return cut_space(whole, path, out, err);
}

/* ---- credentials ----------------------------------------------------------------------------- */

/* systemd hands credentials over as files of this user, or as files of root that an access control
 * list opens to it; the list shows in the group's bits. */
static lethe_result check_credential(const char *path, const struct stat *status,
                                     struct lethe_error *err)
{
    bool through_list = status->st_uid == 0 && (status->st_mode & 0037) == 0;
    return through_list ? LETHE_OK : file_check_private(path, status, err);
}

lethe_result secret_credential_path(const char *name, char **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(validate_identifier("a credential's name", name, IDENTIFIER_MAX, err));
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (directory == NULL || directory[0] != '/') {
        error_set(err, LETHE_UNAVAILABLE, "systemd has passed no credentials to this process");
        error_hint(err, "use LoadCredential=%s:... in the unit, or systemd-run -p", name);
        return LETHE_UNAVAILABLE;
    }
    *out = path_join(directory, name);
    return *out != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "no memory for a path");
}

lethe_result secret_credential_read(const char *name, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *whole = NULL;
    TRY(secret_credential_path(name, &path, err));
    TRY(read_checked(path, check_credential, &whole, err));
    return error_context(err, cut_space(whole, name, out, err), "the credential");
}

/* ---- passphrases ----------------------------------------------------------------------------- */

/* A terminal that neither shows what is typed nor acts on it; we see every key. */
struct quiet_terminal {
    int fd;
    bool quiet;
    struct termios before;
    int signals; /* readable when one waits that would end the process: first the terminal is
                  * restored */
    sigset_t mask;
};

static lethe_result hold_signals(struct quiet_terminal *terminal, struct lethe_error *err)
{
    static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(ending); i++)
        sigaddset(&set, ending[i]);
    terminal->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (terminal->signals < 0)
        return error_from_errno(err, "signals");
    sigprocmask(SIG_BLOCK, &set, &terminal->mask);
    return LETHE_OK;
}

static lethe_result terminal_quiet(struct quiet_terminal *terminal, struct lethe_error *err)
{
    terminal->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal->fd < 0 || tcgetattr(terminal->fd, &terminal->before) != 0) {
        error_set(err, LETHE_UNAVAILABLE, "there is no terminal to ask for the passphrase on");
        error_hint(err, "give it on a descriptor: --passphrase-fd N");
        return LETHE_UNAVAILABLE;
    }
    TRY(hold_signals(terminal, err));
    struct termios quiet = terminal->before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    terminal->quiet = tcsetattr(terminal->fd, TCSAFLUSH, &quiet) == 0;
    return terminal->quiet ? LETHE_OK : error_from_errno(err, "hiding what is typed");
}

static void terminal_restore(struct quiet_terminal terminal)
{
    if (terminal.quiet)
        tcsetattr(terminal.fd, TCSAFLUSH, &terminal.before);
    if (terminal.signals >= 0)
        sigprocmask(SIG_SETMASK, &terminal.mask, NULL);
    fd_close(terminal.signals);
    fd_close(terminal.fd);
}
DEFINE_CLEANUP(terminal_restore, struct quiet_terminal);

enum key_meaning { KEY_TEXT, KEY_END, KEY_ERASE, KEY_ERASE_ALL, KEY_CANCEL };

/* What a byte means; from anything but a terminal only the end of the line means anything. */
static enum key_meaning meaning_of(uint8_t byte, const struct quiet_terminal *terminal)
{
    if (byte == '\n')
        return KEY_END;
    if (terminal == NULL)
        return KEY_TEXT;
    const struct {
        uint8_t byte;
        enum key_meaning meaning;
    } keys[] = {
        {'\r', KEY_END},
        {terminal->before.c_cc[VEOF], KEY_END},
        {terminal->before.c_cc[VERASE], KEY_ERASE},
        {'\b', KEY_ERASE},
        {terminal->before.c_cc[VKILL], KEY_ERASE_ALL},
        {terminal->before.c_cc[VINTR], KEY_CANCEL},
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (keys[i].byte == byte)
            return keys[i].meaning;
    }
    return KEY_TEXT;
}

/* Waits for a key; true when there is a signal instead. */
static bool is_interrupted(const struct quiet_terminal *terminal)
{
    struct pollfd ends[] = {{.fd = terminal->fd, .events = POLLIN},
                            {.fd = terminal->signals, .events = POLLIN}};
    while (poll(ends, ARRAY_LEN(ends), -1) < 0 && errno == EINTR)
        continue;
    return ends[1].revents != 0;
}

/* Byte by byte, so that what follows the line stays for whoever reads next. The last byte of `line`
 * is where a byte lies that has not been understood yet. */
static lethe_result read_line(int fd, const struct quiet_terminal *terminal,
                              struct lethe_secret *line, size_t *length, struct lethe_error *err)
{
    uint8_t *bytes = lethe_secret_bytes(line);
    *length = 0;
    for (;;) {
        uint8_t *next = &bytes[*length];
        if (terminal != NULL && is_interrupted(terminal))
            return error_set(err, LETHE_CANCELLED, "no passphrase was given");
        ssize_t got = read(fd, next, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_from_errno(err, "reading the passphrase");
        enum key_meaning meaning = got == 0 ? KEY_END : meaning_of(*next, terminal);
        if (meaning == KEY_END)
            return LETHE_OK;
        if (meaning == KEY_CANCEL)
            return error_set(err, LETHE_CANCELLED, "no passphrase was given");
        if (meaning == KEY_TEXT && ++*length > PASSPHRASE_MAX)
            return error_set(err, LETHE_INVALID, "a passphrase has at most %u bytes",
                             PASSPHRASE_MAX);
        if (meaning == KEY_ERASE_ALL)
            *length = 0;
        if (meaning == KEY_ERASE && *length > 0)
            --*length;
    }
}

static lethe_result read_passphrase(int fd, const struct quiet_terminal *terminal,
                                    struct lethe_secret **out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *line = NULL;
    size_t length;
    TRY(lethe_secret_create(PASSPHRASE_MAX + 1, &line, err));
    TRY(read_line(fd, terminal, line, &length, err));
    if (length == 0)
        return error_set(err, LETHE_INVALID, "the passphrase is empty");
    return cut_out(line, 0, length, out, err);
}

static lethe_result ask(const struct quiet_terminal *terminal, const char *question,
                        struct lethe_secret **out, struct lethe_error *err)
{
    TRY(file_write(terminal->fd, "/dev/tty", question, strlen(question), err));
    lethe_result result = read_passphrase(terminal->fd, terminal, out, err);
    (void)!file_write(terminal->fd, "/dev/tty", "\n", 1, NULL);
    return result;
}

static lethe_result ask_on_terminal(bool confirm, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    CLEANUP(terminal_restore) struct quiet_terminal terminal = {.fd = -1, .signals = -1};
    CLEANUP(lethe_secret_free) struct lethe_secret *first = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *second = NULL;
    TRY(terminal_quiet(&terminal, err));
    TRY(ask(&terminal, "Passphrase: ", &first, err));
    if (confirm) {
        TRY(ask(&terminal, "The same again: ", &second, err));
        if (!lethe_secret_equal(first, second))
            return error_set(err, LETHE_INVALID, "the two passphrases are not the same");
    }
    *out = MOVE(first);
    return LETHE_OK;
}

lethe_result secret_passphrase_read(int fd, bool confirm, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    *out = NULL;
    return fd >= 0 ? read_passphrase(fd, NULL, out, err) : ask_on_terminal(confirm, out, err);
}
