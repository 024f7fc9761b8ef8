/*
 * How fast the ledger is: keys claimed and finished per second through the real client on a private
 * redis-server, with a window of operations open at a time, and what that costs in CPU on either
 * side.
 *
 *   ledger [rounds]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "integration/redis_peer.h"
#include "ledger/ledger.h"

#define KEYS 10000

struct bench {
    struct loop *loop;
    struct ledger *ledger;
    struct ledger_scope *scope;
    struct ledger_owner owner;
    struct ledger_op ops[KEYS];
    char keys[KEYS][24];
    size_t submitted, done, wrong;
    bool fenced;
    uint64_t number;
    enum ledger_verb verb;
};

static void on_done(struct ledger_op *op)
{
    struct bench *bench = op->arg;
    bench->done++;
    bench->wrong += op->code != (bench->verb == LEDGER_CLAIM ? LEDGER_GO : LEDGER_OK);
}

static void on_fenced(void *arg, const struct err *err)
{
    if (err)
        exit(1);
    ((struct bench *)arg)->fenced = true;
}

static void submit(struct bench *bench)
{
    struct ledger_op *op = &bench->ops[bench->submitted];
    *op = (struct ledger_op){.verb = bench->verb,
                             .scope = bench->scope,
                             .owner = &bench->owner,
                             .kind = IDENTITY_SEQUENCE,
                             .key = slice_of(bench->keys[bench->submitted]),
                             .number = bench->number,
                             .origin_topic = SLICE_LIT("orders"),
                             .origin_offset = (int64_t)(bench->number * KEYS + bench->submitted),
                             .lease_ms = 30000,
                             .fact = LEDGER_SUCCEEDED,
                             .done = on_done,
                             .arg = bench};
    bench->submitted++;
    ledger_submit(bench->ledger, op);
}

static double own_cpu_s(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double redis_cpu_s(struct redis_peer *peer)
{
    const char *text = redis_peer_do(peer, "INFO cpu");
    const char *sys = strstr(text, "used_cpu_sys:"), *user = strstr(text, "used_cpu_user:");
    return (sys ? strtod(sys + 13, NULL) : 0) + (user ? strtod(user + 14, NULL) : 0);
}

static void round_of(struct bench *bench, struct redis_peer *peer, enum ledger_verb verb,
                     size_t window, bool print)
{
    bench->verb = verb;
    bench->submitted = bench->done = bench->wrong = 0;
    double own = own_cpu_s(), redis = redis_cpu_s(peer);
    uint64_t start = clock_mono_ns();
    while (bench->done < KEYS) {
        while (bench->submitted < KEYS && bench->submitted - bench->done < window)
            submit(bench);
        loop_turn(bench->loop, true);
    }
    double seconds = (double)(clock_mono_ns() - start) / 1e9;
    if (bench->wrong)
        fprintf(stderr, "%zu unexpected answers\n", bench->wrong);
    if (print)
        printf("%-7s window %4zu: %7.0f keys/s, CPU per key: gateway %5.2f us, redis %5.2f us\n",
               verb == LEDGER_CLAIM ? "claim" : "finish", window, KEYS / seconds,
               (own_cpu_s() - own) / KEYS * 1e6, (redis_cpu_s(peer) - redis) / KEYS * 1e6);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static char ns[] = "og";
    struct redis_peer peer;
    struct err err = {0};
    uint64_t rounds = 3;
    if (argc > 1 && !str_to_u64(slice_of(argv[1]), &rounds))
        return 64;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    redis_peer_start(&peer, NULL);
    struct redis_config config = {
        .unix_path = peer.socket, .ns = ns, .shards = 64, .timeout_ms = 5000};
    struct ledger_scope_config scope = {.group = "orders-app",
                                        .topic = "orders",
                                        .ordered = true,
                                        .ttl_ms = 2592000000,
                                        .ghost_ttl_ms = 3600000,
                                        .parked_cap = 10000};
    bench.loop = loop_new(&err);
    bench.ledger = bench.loop ? ledger_new(bench.loop, &config, NULL, NULL, &err) : NULL;
    if (!bench.ledger)
        return 1;
    bench.scope = ledger_scope_new(bench.ledger, &scope);
    snprintf(bench.owner.name, sizeof(bench.owner.name), "orders/0");
    for (size_t i = 0; i < KEYS; i++)
        snprintf(bench.keys[i], sizeof(bench.keys[i]), "customer-%zu", i);
    ledger_fence(bench.ledger, "orders-app", &bench.owner, on_fenced, &bench);
    while (!bench.fenced)
        loop_turn(bench.loop, true);
    static const size_t windows[] = {32, 64, 256, 512, 2048};
    for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
        for (uint64_t i = 0; i <= rounds; i++) {
            bench.number++;
            round_of(&bench, &peer, LEDGER_CLAIM, windows[w], i > 0);
            round_of(&bench, &peer, LEDGER_FINISH, windows[w], i > 0);
        }
    }
    const char *key = redis_peer_do(&peer, "RANDOMKEY");
    char name[128];
    snprintf(name, sizeof(name), "%s", key);
    printf("state of a key: %lld bytes", redis_peer_number(&peer, "STRLEN %s", name));
    printf(", %lld in Redis with its name and TTL\n",
           redis_peer_number(&peer, "MEMORY USAGE %s", name));
    ledger_free(&bench.ledger);
    ledger_scope_free(&bench.scope);
    loop_free(&bench.loop);
    redis_peer_stop(&peer);
    return 0;
}
