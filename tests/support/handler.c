/* og-support handler: options, the listeners and the loop.
 *
 * Two listeners: one for deliveries, which can be made to refuse connections, and one for control,
 * which never does. The log is written once per turn of the loop, before it sleeps, so that a line
 * is in the file at the latest when its answer could have been read. */
#include "handler.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "verbs.h"

static SSL_CTX *tls_load(const char *arg)
{
    const char *comma = strchr(arg, ',');
    char *cert = tool_copy(arg, comma != NULL ? (size_t)(comma - arg) : 0);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (comma == NULL || tls == NULL || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, comma + 1, SSL_FILETYPE_PEM) != 1)
        tool_die("--tls wants CERT,KEY that can be read: %s", arg);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    free(cert);
    return tls;
}

static void log_flush(struct server *srv)
{
    size_t at = 0;

    while (at < srv->log.len) {
        ssize_t n = write(srv->log_fd, srv->log.data + at, srv->log.len - at);

        if (n < 0 && errno != EINTR)
            tool_die("cannot write the log: %s", strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    srv->log.len = 0;
}

static int watch_signals(struct server *srv)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = srv};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    epoll_ctl(srv->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

static void serve(struct server *srv)
{
    struct epoll_event events[256];

    while (!srv->stop) {
        int n = epoll_wait(srv->epoll_fd, events, 256, call_wait_ms(srv));

        for (int i = 0; i < n; i++) {
            void *ptr = events[i].data.ptr;

            if (ptr == srv)
                srv->stop = true;
            else if (ptr == &srv->main || ptr == &srv->control)
                conn_accept(srv, ptr);
            else
                conn_on_event(ptr, events[i].events);
        }
        call_on_due(srv);
        conn_reap(srv);
        if (srv->log.len > 0)
            log_flush(srv);
    }
}

static void teardown(struct server *srv)
{
    conn_unlisten(srv, &srv->main);
    conn_unlisten(srv, &srv->control);
    while (srv->conns != NULL)
        conn_kill(srv->conns, false);
    conn_reap(srv);
    if (srv->log.len > 0)
        log_flush(srv);
    if (srv->main.address != NULL && srv->main.address[0] == '/')
        unlink(srv->main.address);
}

/* O_DSYNC cannot be set by fcntl: the log is opened anew through its descriptor. */
static void sync_log(struct server *srv)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", srv->log_fd);
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_DSYNC);
    if (fd < 0)
        tool_die("--sync goes with --log: %s", strerror(errno));
    close(srv->log_fd);
    srv->log_fd = fd;
}

static void usage(void)
{
    puts("usage: og-support handler [--listen HOST:PORT|/PATH] [--control HOST:PORT]\n"
         "                          [--tls CERT,KEY] [--log FILE [--sync]] [--capture]");
    exit(64);
}

static void options(struct server *srv, int argc, char **argv, const char **listen_at,
                    const char **control_at)
{
    static const struct option table[] = {{"listen", 1, NULL, 'l'},
                                          {"control", 1, NULL, 'c'},
                                          {"tls", 1, NULL, 't'},
                                          {"log", 1, NULL, 'o'},
                                          {"capture", 0, NULL, 'x'},
                                          {"sync", 0, NULL, 's'},
                                          {0}};
    int opt;

    while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (opt == 'l') {
            *listen_at = optarg;
        } else if (opt == 'c') {
            *control_at = optarg;
        } else if (opt == 't') {
            srv->tls = tls_load(optarg);
        } else if (opt == 'o') {
            srv->log_fd = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
            if (srv->log_fd < 0)
                tool_die("cannot open %s: %s", optarg, strerror(errno));
        } else if (opt == 'x') {
            srv->capture = true;
        } else if (opt == 's') { /* a line is on the disk when its answer is read */
            sync_log(srv);
        } else {
            usage();
        }
    }
}

int verb_handler(int argc, char **argv)
{
    static struct server srv = {.log_fd = -1, .fallback = {.status = 200}};
    const char *listen_at = "127.0.0.1:0";
    const char *control_at = "127.0.0.1:0";

    options(&srv, argc, argv, &listen_at, &control_at);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    srv.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    srv.main.tls = srv.tls != NULL;
    srv.control.control = true;
    watch_signals(&srv);
    if (!conn_listen(&srv, &srv.main, listen_at) || !conn_listen(&srv, &srv.control, control_at))
        tool_die("cannot listen: %s", strerror(errno));
    printf("listening %s control %s\n", srv.main.address, srv.control.address);
    fflush(stdout);
    serve(&srv);
    teardown(&srv);
    return 0;
}
