/* Starts and ends a redis-server for one test. It ends with the test program, whatever happens to
 * that. */
#include "redis_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void give_up(const char *what)
{
    fprintf(stderr, "redis-server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void exec_server(const struct redis_peer *peer)
{
    const char *fixed[] = {"--port",
                           "0",
                           "--unixsocket",
                           peer->socket,
                           "--dir",
                           peer->dir,
                           "--save",
                           "",
                           "--logfile",
                           "log",
                           "--enable-debug-command",
                           "yes"};
    const char *argv[64] = {"redis-server"};
    char config[80];
    size_t n = 1;
    if (peer->config) {
        snprintf(config, sizeof(config), "%s/redis.conf", peer->dir);
        argv[n++] = config;
    }
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        argv[n++] = fixed[i];
    for (size_t i = 0; peer->options[i] && n < 63; i++)
        argv[n++] = peer->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[0], (char *const *)argv);
    _exit(errno == ENOENT ? 77 : 1);
}

static void connect_admin(struct redis_peer *peer)
{
    for (int tries = 0; tries < 2000; tries++) {
        int status;
        if (waitpid(peer->pid, &status, WNOHANG) == peer->pid) {
            if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                fprintf(stderr, "SKIPPED: redis-server is not installed\n");
                exit(77);
            }
            give_up("ended at once");
        }
        peer->admin = redisConnectUnix(peer->socket);
        if (peer->admin && !peer->admin->err) {
            redisReply *reply = redisCommand(peer->admin, "PING");
            bool ready = reply && reply->type == REDIS_REPLY_STATUS;
            freeReplyObject(reply);
            if (ready)
                return;
        }
        if (peer->admin)
            redisFree(peer->admin);
        poll(NULL, 0, 5);
    }
    give_up("does not answer");
}

void redis_peer_resume(struct redis_peer *peer)
{
    peer->pid = fork();
    if (peer->pid < 0)
        give_up("fork");
    if (peer->pid == 0)
        exec_server(peer);
    connect_admin(peer);
}

static void write_config(const struct redis_peer *peer)
{
    char path[80];
    snprintf(path, sizeof(path), "%s/redis.conf", peer->dir);
    FILE *file = fopen(path, "w");
    if (!file || fputs(peer->config, file) < 0 || fclose(file) != 0)
        give_up(path);
}

void redis_peer_start_with(struct redis_peer *peer, const char *config, const char *const *options)
{
    memset(peer, 0, sizeof(*peer));
    for (size_t i = 0; options && options[i] && i < 39; i++)
        peer->options[i] = options[i];
    snprintf(peer->dir, sizeof(peer->dir), "/tmp/og-redis-XXXXXX");
    if (!mkdtemp(peer->dir))
        give_up("mkdtemp");
    snprintf(peer->socket, sizeof(peer->socket), "%s/socket", peer->dir);
    peer->config = config;
    if (config)
        write_config(peer);
    redis_peer_resume(peer);
}

void redis_peer_start(struct redis_peer *peer, const char *const *options)
{
    redis_peer_start_with(peer, NULL, options);
}

void redis_peer_kill(struct redis_peer *peer)
{
    if (peer->admin)
        redisFree(peer->admin);
    peer->admin = NULL;
    if (peer->pid > 0) {
        kill(peer->pid, SIGKILL);
        waitpid(peer->pid, NULL, 0);
    }
    peer->pid = 0;
}

void redis_peer_stop(struct redis_peer *peer)
{
    redis_peer_kill(peer);
    if (!peer->dir[0])
        return;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", peer->dir, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    peer->dir[0] = '\0';
}

void redis_peer_signal(struct redis_peer *peer, int signo)
{
    if (peer->pid <= 0 || kill(peer->pid, signo) != 0)
        give_up("no signal");
}

unsigned short redis_peer_free_port(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &len) != 0)
        give_up("no free port");
    close(fd);
    return ntohs(name.sin_port);
}

unsigned short redis_peer_listen(struct redis_peer *peer)
{
    for (int tries = 0; tries < 20; tries++) {
        unsigned short port = redis_peer_free_port();
        if (strcmp(redis_peer_do(peer, "CONFIG SET port %u", (unsigned)port), "OK") == 0)
            return port;
    }
    give_up("listens nowhere");
    return 0;
}

static redisReply *run(struct redis_peer *peer, const char *format, va_list args)
{
    char line[2000];
    const char *argv[64];
    int argc = 0;
    vsnprintf(line, sizeof(line), format, args);
    char *save = NULL;
    for (char *word = strtok_r(line, " ", &save); word && argc < 64;
         word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    redisReply *reply = redisCommandArgv(peer->admin, argc, argv, NULL);
    if (!reply) {
        /* A sentinel ends the connections of a server that it demotes. */
        redisFree(peer->admin);
        connect_admin(peer);
        reply = redisCommandArgv(peer->admin, argc, argv, NULL);
    }
    if (!reply)
        give_up("no answer to the test's own connection");
    return reply;
}

const char *redis_peer_do(struct redis_peer *peer, const char *format, ...)
{
    static char text[4000];
    va_list args;
    va_start(args, format);
    redisReply *reply = run(peer, format, args);
    va_end(args);
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(text, sizeof(text), "%lld", reply->integer);
    else
        snprintf(text, sizeof(text), "%s", reply->str ? reply->str : "(nil)");
    freeReplyObject(reply);
    return text;
}

long long redis_peer_number(struct redis_peer *peer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = run(peer, format, args);
    va_end(args);
    long long n = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    freeReplyObject(reply);
    return n;
}
