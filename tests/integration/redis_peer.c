/* Starts and ends a redis-server for one test. It ends with the test program, whatever happens to
 * that. */
#include "redis_peer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "ports.h"

#define LOG_SHOWN 4000 /* bytes of its end */

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

/* What it said at last is in its log, or on standard error where it did not come so far. */
static void show_log(const struct redis_peer *peer)
{
    char path[80], line[400];
    snprintf(path, sizeof(path), "%s/log", peer->dir);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (fseek(file, -LOG_SHOWN, SEEK_END) == 0 && fgets(line, sizeof(line), file)) {
        /* the rest of a line */
    }
    while (fgets(line, sizeof(line), file))
        fprintf(stderr, "redis-server: log: %s", line);
    fclose(file);
}

static void ended_at_once(const struct redis_peer *peer, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        fprintf(stderr, "SKIPPED: redis-server is not installed\n");
        exit(77);
    }
    show_log(peer);
    fprintf(stderr, "redis-server: ended at once, with %s %d\n",
            WIFEXITED(status) ? "exit status" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    exit(1);
}

static void connect_admin(struct redis_peer *peer)
{
    for (int tries = 0; tries < 2000; tries++) {
        int status;
        if (waitpid(peer->pid, &status, WNOHANG) == peer->pid)
            ended_at_once(peer, status);
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
    show_log(peer);
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

uint16_t redis_peer_listen(struct redis_peer *peer)
{
    uint16_t port = ports_take();
    const char *said = redis_peer_do(peer, "CONFIG SET port %u", (unsigned)port);
    if (strcmp(said, "OK") != 0) {
        fprintf(stderr, "redis-server: port %u: %s\n", (unsigned)port, said);
        exit(1);
    }
    return port;
}

static PRINTF_LIKE(2, 0) redisReply *run(struct redis_peer *peer, const char *format, va_list args)
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
