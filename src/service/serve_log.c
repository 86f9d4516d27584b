#include "service/serve_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/validate.h"

static const char *own_name = "supervisor";

void serve_log_name(const char *name)
{
    own_name = name;
}

/* One write for a line: three processes share the descriptor. */
void serve_log(enum serve_priority priority, const char *format, ...)
{
    char text[512];
    char clean[512];
    char line[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    text_sanitise(text, strlen(text), clean, sizeof clean);
    int length = getenv("JOURNAL_STREAM") != NULL
                     ? snprintf(line, sizeof line, "<%d>%s: %s\n", (int)priority, own_name, clean)
                     : snprintf(line, sizeof line, "lethe: %s: %s\n", own_name, clean);
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) != length)
        return; /* nobody is left to tell */
}

static bool notify_address(const char *text, struct sockaddr_un *address, socklen_t *length)
{
    size_t text_length = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || text_length >= sizeof address->sun_path)
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, text, text_length + 1);
    if (text[0] == '@') /* the abstract name space */
        address->sun_path[0] = '\0';
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + text_length);
    return true;
}

void serve_notify(const char *state)
{
    const char *to = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t length;
    if (to == NULL || to[0] == '\0')
        return;
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !notify_address(to, &address, &length) ||
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, length) <
            0)
        serve_log(SERVE_WARNING, "NOTIFY_SOCKET cannot be told");
}
