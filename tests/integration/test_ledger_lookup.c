/*
 * Names of Redis servers are looked up beside the loop, not in it: here the look-up itself is held
 * up, and the loop must go on turning. getaddrinfo below takes the place of the C library's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ledger_world.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held, inside;   /* to be held; one is held now */
static const char *answers; /* what redis.test is */
static int looked_up;

/* Held for five seconds at most: where the loop itself waits here, nobody lets it go. */
static void wait_until_let_go(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    inside = true;
    while (held && pthread_cond_timedwait(&changed, &lock, &until) == 0)
        continue;
    inside = false;
}

typedef int (*getaddrinfo_fn)(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **found)
{
    getaddrinfo_fn real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!host || strcmp(host, "redis.test") != 0)
        return real(host, port, hints, found);
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    pthread_mutex_lock(&lock);
    looked_up++;
    wait_until_let_go();
    const char *answer = answers;
    pthread_mutex_unlock(&lock);
    return answer ? real(answer, port, hints, found) : EAI_NONAME;
}

static void set(bool hold, const char *answer)
{
    pthread_mutex_lock(&lock);
    held = hold;
    answers = answer;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool is_inside(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    bool now = inside;
    pthread_mutex_unlock(&lock);
    return now;
}

static void init(struct ledger_world *w)
{
    static char host[] = "redis.test";
    ledger_world_init(w, IDENTITY_SEQUENCE, true, NULL);
    w->config.unix_path = NULL;
    w->config.host = host;
    w->config.port = redis_peer_listen(&w->redis);
    looked_up = 0;
}

static bool turned_often(void *arg)
{
    return ++*(int *)arg > 20;
}

static void test_loop_turns_while_a_name_is_looked_up(void **state)
{
    struct ledger_world w;
    int turns = 0;
    (void)state;
    init(&w);
    set(true, "127.0.0.1");
    ledger_world_open(&w, false);
    ledger_world_until(&w, is_inside, NULL, "a look-up");
    ledger_world_until(&w, turned_often, &turns, "turns of the loop");
    assert_true(is_inside(NULL)); /* still: nobody let it go */
    assert_int_equal(looked_up, 1);
    assert_false(ledger_is_up(w.ledger));
    set(false, "127.0.0.1");
    ledger_world_until_up(&w, true);
    ledger_world_deinit(&w);
}

static bool says_unknown(void *arg)
{
    return strstr(ledger_why_down(((struct ledger_world *)arg)->ledger),
                  "no address for redis.test") != NULL;
}

static void test_unknown_name_is_told_and_asked_for_again(void **state)
{
    struct ledger_world w;
    (void)state;
    init(&w);
    set(false, NULL);
    ledger_world_open(&w, false);
    ledger_world_until(&w, says_unknown, &w, "the name's trouble");
    set(false, "127.0.0.1");
    ledger_world_until_up(&w, true);
    ledger_world_deinit(&w);
}

/* Managed servers move by their name. */
static void test_name_that_moved_is_followed(void **state)
{
    struct ledger_world w;
    (void)state;
    init(&w);
    set(false, "127.0.0.1");
    ledger_world_open(&w, true);
    assert_non_null(strstr(redis_peer_do(&w.redis, "CLIENT LIST TYPE normal"), "laddr=127.0.0.1:"));
    set(false, "127.0.0.2");
    redis_peer_do(&w.redis, "CLIENT KILL TYPE normal SKIPME yes");
    ledger_world_until_up(&w, false);
    ledger_world_until_up(&w, true);
    const char *clients = redis_peer_do(&w.redis, "CLIENT LIST TYPE normal");
    assert_non_null(strstr(clients, "laddr=127.0.0.2:"));
    assert_null(strstr(clients, "laddr=127.0.0.1:"));
    ledger_world_deinit(&w);
}

/* The look-up outlives the ledger, and then finds nobody. */
static void test_ledger_may_go_while_a_name_is_looked_up(void **state)
{
    struct ledger_world w;
    (void)state;
    init(&w);
    set(true, "127.0.0.1");
    ledger_world_open(&w, false);
    ledger_world_until(&w, is_inside, NULL, "a look-up");
    ledger_world_close(&w);
    set(false, NULL);
    ledger_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_turns_while_a_name_is_looked_up),
        cmocka_unit_test(test_unknown_name_is_told_and_asked_for_again),
        cmocka_unit_test(test_name_that_moved_is_followed),
        cmocka_unit_test(test_ledger_may_go_while_a_name_is_looked_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
