/* The connection to Redis, from the first byte of a command to the last one of its answer. */
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "ledger/conn.h"
#include "ledger/resp.h"
#include "redis_peer.h"

enum { LONG = 4 << 20, LONG_CALLS = 3, PATIENCE_S = 30 };

struct world {
    struct redis_peer redis;
    struct redis_config config;
    struct loop *loop;
    struct loop_timer tick;
    struct conn *conn;
    int connects, losses, answers;
};

static void on_connected(void *ctx)
{
    ((struct world *)ctx)->connects++;
}

static void on_lost(void *ctx, const char *why)
{
    (void)why;
    ((struct world *)ctx)->losses++;
}

static void on_tick(void *arg)
{
    (void)arg;
}

static void turn_until(struct world *world, const int *count, int wanted)
{
    uint64_t deadline = clock_mono_ns() + PATIENCE_S * NS_PER_S;
    while (*count < wanted) {
        assert_true(clock_mono_ns() < deadline);
        loop_timer_set_ms(&world->tick, 20);
        loop_turn(world->loop, true);
    }
}

static int setup(void **state)
{
    static struct world world;
    struct err err = {0};
    struct conn_events events = {.connected = on_connected, .lost = on_lost, .ctx = &world};
    world = (struct world){0};
    redis_peer_start(&world.redis, NULL);
    world.config = (struct redis_config){.timeout_ms = PATIENCE_S * 1000};
    world.loop = loop_new(&err);
    if (!world.loop)
        return -1;
    loop_timer_init(&world.tick, world.loop, on_tick, NULL);
    world.conn = conn_new(world.loop, &world.config, NULL, &events);
    conn_aim(world.conn, world.redis.socket, NULL, 0, "");
    turn_until(&world, &world.connects, 1);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    conn_free(&world->conn);
    loop_timer_deinit(&world->tick);
    loop_free(&world->loop);
    redis_peer_stop(&world->redis);
    return 0;
}

static void on_answer(void *arg, const struct redisReply *reply)
{
    (void)reply;
    ((struct world *)arg)->answers++;
}

/* Answers come in the order of the calls, so the next one is of that many equal letters. */
static void on_long_answer(void *arg, const struct redisReply *reply)
{
    struct world *world = arg;
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_int_equal(reply->len, LONG);
    for (size_t i = 0; i < LONG; i += 4096)
        assert_int_equal(reply->str[i], 'a' + world->answers);
    world->answers++;
}

static void send_long(struct world *world)
{
    struct buf command = {0};
    char *text = mem_alloc(LONG);
    for (int i = 0; i < LONG_CALLS; i++) {
        memset(text, 'a' + i, LONG);
        buf_reset(&command);
        resp_begin(&command, 2);
        resp_text(&command, "ECHO");
        resp_arg(&command, text, LONG);
        assert_true(conn_send(world->conn, command.data, command.len, on_long_answer, world));
    }
    mem_free(text);
    buf_deinit(&command);
}

static void turn_a_few_times(struct world *world)
{
    for (int i = 0; i < 5; i++) {
        loop_timer_set_ms(&world->tick, 1);
        loop_turn(world->loop, true);
    }
}

static void send_set(void *arg)
{
    struct world *world = arg;
    struct buf command = {0};
    resp_command(&command, "SET", "sent", "1", NULL);
    assert_true(conn_send(world->conn, command.data, command.len, on_answer, world));
    buf_deinit(&command);
}

static void test_conn_send_from_a_task_is_written_in_the_same_turn(void **state)
{
    struct world *world = *state;
    struct loop_task task;
    uint64_t deadline = clock_mono_ns() + PATIENCE_S * NS_PER_S;
    loop_task_init(&task, send_set, world);
    turn_a_few_times(world); /* what the connecting left to do is done */
    loop_defer(world->loop, &task);
    loop_turn(world->loop, false);
    while (strcmp(redis_peer_do(&world->redis, "GET sent"), "1") != 0)
        assert_true(clock_mono_ns() < deadline);
    turn_until(world, &world->answers, 1);
}

static void test_conn_send_of_more_than_the_socket_takes_goes_on_when_it_can(void **state)
{
    struct world *world = *state;
    redis_peer_signal(&world->redis, SIGSTOP);
    send_long(world);
    turn_a_few_times(world);
    assert_int_equal(world->answers, 0);
    redis_peer_signal(&world->redis, SIGCONT);
    turn_until(world, &world->answers, LONG_CALLS);
    send_set(world); /* and what comes later goes at once again */
    turn_until(world, &world->answers, LONG_CALLS + 1);
    assert_int_equal(world->losses, 0);
}

static void test_conn_drop_while_a_write_waits_connects_anew(void **state)
{
    struct world *world = *state;
    redis_peer_signal(&world->redis, SIGSTOP);
    send_long(world);
    turn_a_few_times(world);
    conn_drop(world->conn, "the test wants it");
    assert_int_equal(world->losses, 1);
    redis_peer_signal(&world->redis, SIGCONT);
    turn_until(world, &world->connects, 2);
    assert_int_equal(world->answers, 0);
    send_set(world);
    turn_until(world, &world->answers, 1);
}

static void test_conn_drop_before_the_turn_ends_sends_nothing(void **state)
{
    struct world *world = *state;
    send_set(world);
    conn_drop(world->conn, "the test wants it");
    turn_until(world, &world->connects, 2);
    assert_int_equal(world->answers, 0);
    assert_string_equal(redis_peer_do(&world->redis, "GET sent"), "(nil)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_conn_send_from_a_task_is_written_in_the_same_turn),
        TEST(test_conn_send_of_more_than_the_socket_takes_goes_on_when_it_can),
        TEST(test_conn_drop_while_a_write_waits_connects_anew),
        TEST(test_conn_drop_before_the_turn_ends_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
