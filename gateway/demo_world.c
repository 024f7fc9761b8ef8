/*
 * Setting up; see demo_world.h. Order matters: the handler and the mock cluster say where they
 * listen, then the configuration is written, then topics are made and the gateway is started.
 * Ports are chosen by whoever listens, but for those of gateway and console, which stand in the
 * configuration.
 */
#include "demo_world.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "demo_book.h"
#include "topic_plan.h"

#define START_MS        10000
#define TOPICS_MS       30000
#define GATEWAY_MS      25000 /* above shutdown.drain */
#define END_MS          3000
#define PLACE_MAX       200
#define LOG_TAIL        4000
#define BASE_MAX        60 /* the path of a unix socket is at most 107 bytes */
#define TOPICS_OF_GROUP 3
#define TOPICS_BESIDE   (3 + TOPICS_OF_GROUP) /* source, redrive, dead letters */
#define PLACEHOLDER     "127.0.0.1:1"

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
}

static char *temporary_dir(const char *what, struct err *err)
{
    const char *base = getenv("TMPDIR");
    bool usable = base && *base && strlen(base) < BASE_MAX;
    char *dir = mem_printf("%s/oncegate-%s.XXXXXX", usable ? base : "/tmp", what);
    if (mkdtemp(dir))
        return dir;
    (void)err_set(err, ERR_IO, "no directory %s: %s", dir, strerror(errno));
    mem_free(dir);
    return NULL;
}

static bool make_dir(struct demo_world *world, const char *dir, struct err *err)
{
    char real[4096];
    if (!dir) {
        world->dir = temporary_dir("demo", err);
        return world->dir != NULL;
    }
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "no directory %s: %s", dir, strerror(errno));
    if (!realpath(dir, real))
        return err_set(err, ERR_IO, "no directory %s: %s", dir, strerror(errno));
    world->dir = mem_strdup(real);
    return true;
}

static char *in_dir(const struct demo_world *world, const char *name)
{
    char *path = mem_printf("%s/%s", world->dir, name);
    return path;
}

/* A part of the demo that is this program; its first line says where it listens. */
static bool start_part(struct demo_world *world, struct child *child, const char *const argv[],
                       const char *log_name, char *place, size_t size, struct err *err)
{
    char *log = in_dir(world, log_name);
    char line[PLACE_MAX];
    bool good = child_start(child, argv, log, true, err) &&
                child_read_line(child, line, sizeof(line), START_MS, err);
    if (good && strncmp(line, "ready ", 6) != 0)
        good = err_set(err, ERR_INTERNAL, "%s said: %s", child->name, line);
    if (good)
        snprintf(place, size, "%s", line + 6);
    else
        (void)err_prefix(err, "see %s", log);
    mem_free(log);
    return good;
}

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    unsigned port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool redis_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 1};
    char answer[8] = "";
    bool pong = false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6)
        pong = recv(fd, answer, 5, MSG_WAITALL) == 5 && strncmp(answer, "+PONG", 5) == 0;
    if (fd >= 0)
        close(fd);
    return pong;
}

static bool start_redis(struct demo_world *world, struct err *err)
{
    char *log = in_dir(world, "redis.log"), *socket_path;
    uint64_t until = clock_mono_ns() + START_MS * NS_PER_MS;
    bool good;
    world->redis_dir = temporary_dir("redis", err);
    if (!world->redis_dir) {
        mem_free(log);
        return false;
    }
    socket_path = mem_printf("%s/redis.sock", world->redis_dir);
    const char *argv[] = {"redis-server",
                          "--port",
                          "0",
                          "--unixsocket",
                          socket_path,
                          "--save",
                          "",
                          "--dir",
                          world->redis_dir,
                          "--appendonly",
                          "no",
                          "--maxmemory-policy",
                          "noeviction",
                          NULL};
    good = child_start(&world->redis, argv, log, false, err);
    while (good && !redis_answers(socket_path)) {
        if (!child_running(&world->redis))
            good = err_set(err, ERR_UNAVAILABLE,
                           "redis-server does not start (is it installed?), see %s", log);
        else if (clock_mono_ns() > until)
            good = err_set(err, ERR_UNAVAILABLE, "redis-server does not answer, see %s", log);
        else
            pause_ms(10);
    }
    mem_free(socket_path);
    mem_free(log);
    return good;
}

static void write_text(struct demo_world *world, const char *bootstrap, const char *handler,
                       unsigned admin_port, unsigned console_port, const char *prefix)
{
    struct buf *out = &world->text;
    buf_reset(out);
    buf_printf(out,
               "version: 1\n"
               "kafka:\n"
               "  bootstrap.servers: \"%s\"\n"
               "  consumer: {session.timeout.ms: 6000}\n"
               "redis: {url: \"unix://%s/redis.sock\"}\n"
               "admin: {listen: \"127.0.0.1:%u\"}\n"
               "console: {listen: \"127.0.0.1:%u\", index: \"%s\", allow_changes: true}\n"
               "routes:\n"
               "  - name: orders\n"
               "    topics: [%s" DEMO_TOPIC "]\n"
               "    group: %sshop\n"
               "    ordering: key\n"
               "    dedup: {identity: sequence, from: \"header:seq\"}\n"
               "    handler: {url: \"http://%s/orders\", timeout: 3s}\n"
               "    retry: {tiers: [2s, 5s]}\n"
               "    breaker: {probe_every: 1s}\n",
               bootstrap, world->redis_dir, admin_port, console_port, world->index_file, prefix,
               prefix, handler);
}

static bool parse(struct demo_world *world, struct err *err)
{
    struct config_problems problems = {0};
    struct buf out = {0};
    config_free(&world->config);
    world->config = config_parse(world->text.data, world->text.len, world->config_file, &problems,
                                 err);
    if (!world->config) {
        config_problems_print(&problems, world->config_file, &out);
        (void)err_prefix(err, "the demo's configuration: %.300s", out.len > 0 ? out.data : "");
    }
    buf_deinit(&out);
    config_problems_free(&problems);
    return world->config != NULL;
}

static bool save(const struct demo_world *world, struct err *err)
{
    FILE *file = fopen(world->config_file, "we");
    bool good = file && fwrite(world->text.data, 1, world->text.len, file) == world->text.len;
    if (file && fclose(file) != 0)
        good = false;
    return good || err_set(err, ERR_IO, "cannot write %s: %s", world->config_file, strerror(errno));
}

/* The mock cluster makes its topics at its start: their names follow from a configuration that
 * does not know yet where it will listen. */
static bool start_mock(struct demo_world *world, char *place, size_t size, struct err *err)
{
    const struct route_config *route;
    char *topics[DEMO_TIERS + TOPICS_BESIDE], *args[DEMO_TIERS + TOPICS_BESIDE];
    const char *argv[DEMO_TIERS + TOPICS_BESIDE + 5];
    size_t count = 0, argc = 0;
    bool good;
    if (!parse(world, err))
        return false;
    route = &world->config->routes[0];
    topics[count++] = mem_strdup(route->topics[0]);
    for (size_t i = 0; i < route->retry.tier_count && i < DEMO_TIERS; i++)
        topics[count++] = config_tier_topic(route, route->topics[0], route->retry.tiers_ms[i]);
    topics[count++] = config_redrive_topic(route, route->topics[0]);
    topics[count++] = config_dlq_topic(route, route->topics[0]);
    topics[count++] = config_dlq_state_topic(route);
    topics[count++] = config_dlq_jobs_topic(route);
    topics[count++] = config_audit_topic(route);
    argv[argc++] = world->program;
    argv[argc++] = "demo";
    argv[argc++] = "--part";
    argv[argc++] = "mock";
    for (size_t i = 0; i < count; i++)
        argv[argc++] = args[i] = mem_printf("%s:%d", topics[i],
                                            i + TOPICS_OF_GROUP < count ? DEMO_PARTITIONS : 1);
    argv[argc] = NULL;
    good = start_part(world, &world->kafka, argv, "kafka.log", place, size, err);
    for (size_t i = 0; i < count; i++) {
        mem_free(topics[i]);
        mem_free(args[i]);
    }
    return good;
}

static bool start_all(struct demo_world *world, const char *bootstrap, const char *prefix,
                      struct err *err)
{
    char handler[PLACE_MAX], kafka[PLACE_MAX];
    const char *argv[] = {world->program, "demo", "--part", "handler", world->handler_log, NULL};
    unsigned admin_port = free_port(), console_port = free_port();
    snprintf(kafka, sizeof(kafka), "%s", bootstrap ? bootstrap : "");
    if (!start_redis(world, err) ||
        !start_part(world, &world->handler, argv, "handler.log", handler, sizeof(handler), err))
        return false;
    if (!bootstrap) {
        write_text(world, PLACEHOLDER, handler, admin_port, console_port, prefix);
        if (!start_mock(world, kafka, sizeof(kafka), err))
            return false;
    }
    world->bootstrap = mem_strdup(kafka);
    write_text(world, kafka, handler, admin_port, console_port, prefix);
    return parse(world, err) && save(world, err);
}

bool demo_world_open(struct demo_world *world, const char *dir, const char *bootstrap,
                     const char *prefix, struct err *err)
{
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    memset(world, 0, sizeof(*world));
    world->kafka = CHILD_INIT("the mock cluster");
    world->redis = CHILD_INIT("redis-server");
    world->handler = CHILD_INIT("the sample handler");
    world->gateway = CHILD_INIT("the gateway");
    world->console = CHILD_INIT("the console");
    world->opener = CHILD_INIT("xdg-open");
    world->mock = !bootstrap;
    if (len <= 0)
        return err_set(err, ERR_INTERNAL, "where is this program? %s", strerror(errno));
    program[len] = '\0';
    world->program = mem_strdup(program);
    if (!make_dir(world, dir, err))
        return false;
    world->config_file = in_dir(world, "oncegate.yaml");
    world->handler_log = in_dir(world, "deliveries.log");
    world->gateway_log = in_dir(world, "gateway.log");
    world->console_log = in_dir(world, "console.log");
    world->index_file = in_dir(world, "dead-letters.db");
    /* A directory may be used again; logs are read from their beginning. */
    (void)unlink(world->handler_log);
    (void)unlink(world->gateway_log);
    return start_all(world, bootstrap, prefix, err);
}

struct source {
    bool done;
    struct err err;
};

static void source_created(void *arg, const char *const *failed, size_t count,
                           const struct err *err)
{
    struct source *source = arg;
    source->done = true;
    if (err)
        source->err = *err;
    else if (count > 0 && failed[0])
        (void)err_set(&source->err, ERR_DENIED, "topic " DEMO_TOPIC ": %s", failed[0]);
}

static bool make_source(const struct config *config, struct err *err)
{
    struct kafka_new_topic topic = {
        .name = config->routes[0].topics[0], .partitions = DEMO_PARTITIONS, .replication = -1};
    struct source source = {0};
    struct loop *loop = loop_new(err);
    struct kafka_admin *admin = loop ? kafka_admin_new(loop, config, err) : NULL;
    if (admin)
        kafka_admin_create(admin, &topic, 1, source_created, &source);
    /* The admin's own bound on a request ends this. */
    while (admin && !source.done)
        loop_turn(loop, true);
    kafka_admin_free(&admin);
    loop_free(&loop);
    if (!source.err.code)
        return source.done;
    *err = source.err;
    return false;
}

/* Plans until the cluster shows what was made: its metadata comes a moment later. */
bool demo_world_make_topics(struct demo_world *world, struct err *err)
{
    uint64_t until = clock_mono_ns() + TOPICS_MS * NS_PER_MS;
    bool good, ready = false;
    if (world->mock)
        return true;
    good = make_source(world->config, err);
    while (good && !ready) {
        struct plan plan;
        good = plan_make(world->config, 0, TOPICS_MS, &plan, err);
        ready = good && plan.missing == 0 && plan.create == 0;
        if (good && plan.missing == 0 && plan.create > 0)
            good = plan_apply(world->config, &plan, TOPICS_MS, err);
        plan_free(&plan);
        if (good && !ready && clock_mono_ns() > until)
            good = err_set(err, ERR_TIMEOUT, "the brokers do not show the topics that were made");
        if (good && !ready)
            pause_ms(50);
    }
    return good;
}

bool demo_world_start_gateway(struct demo_world *world, struct err *err)
{
    const char *argv[] = {world->program, "run", "-c", world->config_file, NULL};
    return child_start(&world->gateway, argv, world->gateway_log, false, err);
}

bool demo_world_start_console(struct demo_world *world, struct err *err)
{
    const char *argv[] = {world->program, "console", "-c", world->config_file, NULL};
    return world->mock || child_start(&world->console, argv, world->console_log, false, err);
}

void demo_world_show_log(const struct demo_world *world)
{
    FILE *file = fopen(world->gateway_log, "re");
    char chunk[LOG_TAIL + 1];
    size_t len;
    if (!file)
        return;
    if (fseek(file, -LOG_TAIL, SEEK_END) != 0)
        rewind(file);
    len = fread(chunk, 1, LOG_TAIL, file);
    fprintf(stderr, "--- the end of %s\n%.*s\n", world->gateway_log, (int)len, chunk);
    fclose(file);
}

void demo_world_close(struct demo_world *world)
{
    child_end(&world->opener, SIGTERM, END_MS);
    child_end(&world->console, SIGTERM, END_MS);
    child_end(&world->gateway, SIGTERM, GATEWAY_MS);
    child_end(&world->handler, SIGTERM, END_MS);
    child_end(&world->kafka, SIGTERM, END_MS);
    child_end(&world->redis, SIGTERM, END_MS);
    if (world->redis_dir) {
        char *socket_path = mem_printf("%s/redis.sock", world->redis_dir);
        (void)unlink(socket_path);
        (void)rmdir(world->redis_dir);
        mem_free(socket_path);
    }
    config_free(&world->config);
    buf_deinit(&world->text);
    mem_free(world->program);
    mem_free(world->dir);
    mem_free(world->redis_dir);
    mem_free(world->config_file);
    mem_free(world->handler_log);
    mem_free(world->gateway_log);
    mem_free(world->console_log);
    mem_free(world->index_file);
    mem_free(world->bootstrap);
    memset(world, 0, sizeof(*world));
}
