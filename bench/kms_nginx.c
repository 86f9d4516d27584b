#include "kms_nginx.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "port.h"

#define BODY_BYTES 300
#define START_TRIES 200
#define START_PAUSE_US 20000

/* ---- certificates: an authority, and one certificate of it for both sides ---------------------
 */

static bool make_certificates(const struct nginx *nginx)
{
    char ca_key[96], request[96];
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", nginx->directory);
    snprintf(request, sizeof request, "%s/request.pem", nginx->directory);
    const char *const root[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:P-256",
                                "-nodes",
                                "-subj",
                                "/CN=bench authority",
                                "-days",
                                "2",
                                "-keyout",
                                ca_key,
                                "-out",
                                nginx->ca,
                                NULL};
    const char *const both[] = {"openssl",
                                "req",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:P-256",
                                "-nodes",
                                "-subj",
                                "/CN=bench",
                                "-addext",
                                "subjectAltName=IP:127.0.0.1",
                                "-keyout",
                                nginx->key,
                                "-out",
                                request,
                                NULL};
    const char *const issue[] = {"openssl", "x509",    "-req",   "-in",  request,
                                 "-CA",     nginx->ca, "-CAkey", ca_key, "-copy_extensions",
                                 "copy",    "-days",   "2",      "-out", nginx->certificate,
                                 NULL};
    return program_run(root) && program_run(both) && program_run(issue);
}

/* ---- the server ------------------------------------------------------------------------------ */

static const char configuration[] =
    "daemon off;\n"
    "worker_processes 1;\n"
    "pid %1$s/nginx.pid;\n"
    "error_log stderr error;\n"
    "events { worker_connections 8192; }\n"
    "http {\n"
    "  access_log off;\n"
    "  keepalive_requests 100000000;\n"
    "  keepalive_timeout 600;\n"
    "  client_body_temp_path %1$s; proxy_temp_path %1$s; fastcgi_temp_path %1$s;\n"
    "  uwsgi_temp_path %1$s; scgi_temp_path %1$s;\n"
    "  server {\n"
    "    listen 127.0.0.1:%2$u ssl;\n"
    "    ssl_protocols TLSv1.3;\n"
    "    ssl_certificate %3$s;\n"
    "    ssl_certificate_key %4$s;\n"
    "    ssl_client_certificate %5$s;\n"
    "    ssl_verify_client on;\n"
    "    default_type application/json;\n"
    "    location / { return 200 \"%6$s\"; }\n"
    "  }\n"
    "}\n";

static void write_configuration(const struct nginx *nginx, const char *path)
{
    char body[BODY_BYTES + 1];
    memset(body, 'x', BODY_BYTES);
    body[BODY_BYTES] = '\0';
    FILE *file = fopen(path, "we");
    if (file == NULL)
        bench_fail("nginx's configuration cannot be written", NULL);
    fprintf(file, configuration, nginx->directory, nginx->server.port, nginx->certificate,
            nginx->key, nginx->ca, body);
    if (fclose(file) != 0)
        bench_fail("nginx's configuration cannot be written", NULL);
}

static bool start(struct nginx *nginx, const char *path)
{
    const char *const words[] = {"/usr/sbin/nginx", "-c", path, "-p", nginx->directory, NULL};
    if (!program_start(words, &nginx->program))
        return false;
    for (unsigned i = 0; i < START_TRIES; i++) {
        if (port_is_listening(nginx->server.port))
            return true;
        usleep(START_PAUSE_US);
    }
    bench_fail("nginx does not start", NULL);
}

/* A bench that fails leaves no server behind. */
static struct nginx *running;
static void close_running(void)
{
    if (running != NULL)
        nginx_close(running);
}

bool nginx_open(struct nginx *nginx)
{
    char path[96];
    *nginx = (struct nginx){.directory = "/tmp/lethe-bench-nginx-XXXXXX"};
    if (access("/usr/sbin/nginx", X_OK) != 0)
        return false;
    if (mkdtemp(nginx->directory) == NULL)
        bench_fail("no temporary directory", NULL);
    snprintf(nginx->ca, sizeof nginx->ca, "%s/ca.pem", nginx->directory);
    snprintf(nginx->certificate, sizeof nginx->certificate, "%s/both.pem", nginx->directory);
    snprintf(nginx->key, sizeof nginx->key, "%s/both.key", nginx->directory);
    snprintf(path, sizeof path, "%s/nginx.conf", nginx->directory);
    nginx->server = (struct load_server){.port = port_free(),
                                         .ca_path = nginx->ca,
                                         .certificate_path = nginx->certificate,
                                         .key_path = nginx->key};
    if (running == NULL)
        atexit(close_running);
    running = nginx;
    if (!make_certificates(nginx))
        return false;
    write_configuration(nginx, path);
    return start(nginx, path);
}

void nginx_close(struct nginx *nginx)
{
    struct lethe_error err = {0};
    running = NULL;
    if (nginx->program.pid > 0) {
        kill(nginx->program.pid, SIGTERM);
        program_wait(&nginx->program);
    }
    if (nginx->ca[0] != '\0' && file_remove_tree(AT_FDCWD, nginx->directory, &err) != LETHE_OK)
        bench_fail("a directory is left", &err);
}
