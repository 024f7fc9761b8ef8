/* Turns of routes: a route alone as much as it likes, several a few each and together no more than
 * a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flow/turns.h"

enum { TRACE_MAX = 64, ROUTES = 5 };

struct player {
    struct turn turn;
    struct world *world;
    char name;
    unsigned left; /* what it has to begin */
};

struct world {
    struct loop *loop;
    struct turns turns;
    struct player players[ROUTES];
    char trace[TRACE_MAX]; /* who was served, in order */
    size_t len;
    unsigned begun;
    struct player *cancels; /* by whoever is served */
};

static unsigned begin(void *arg, unsigned share)
{
    struct player *player = arg;
    struct world *world = player->world;
    unsigned begun = player->left < share ? player->left : share;
    world->trace[world->len++] = player->name;
    world->begun += begun;
    player->left -= begun;
    if (world->cancels)
        turns_cancel(&world->turns, &world->cancels->turn);
    if (player->left > 0)
        turns_ask(&world->turns, &player->turn);
    return begun;
}

static int setup(void **state)
{
    static struct world world;
    struct err err = {0};
    memset(&world, 0, sizeof(world));
    world.loop = loop_new(&err);
    turns_init(&world.turns, world.loop);
    for (size_t i = 0; i < ROUTES; i++)
        world.players[i] = (struct player){.turn = {.begin = begin, .arg = &world.players[i]},
                                           .world = &world,
                                           .name = (char)('a' + i)};
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < ROUTES; i++)
        turns_cancel(&world->turns, &world->players[i].turn);
    turns_deinit(&world->turns);
    loop_free(&world->loop);
    return 0;
}

static void ask(struct world *world, const char *names, unsigned left)
{
    for (; *names; names++) {
        struct player *player = &world->players[*names - 'a'];
        player->left = left;
        turns_ask(&world->turns, &player->turn);
    }
}

/* Who was served in one turn of the loop. */
static const char *turn(struct world *world)
{
    world->len = 0;
    world->begun = 0;
    loop_turn(world->loop, false);
    world->trace[world->len] = '\0';
    return world->trace;
}

static void test_turns_asked_served_later_and_once(void **state)
{
    struct world *world = *state;
    ask(world, "a", 3);
    ask(world, "a", 3);
    assert_int_equal(world->len, 0);
    assert_string_equal(turn(world), "a");
    assert_int_equal(world->begun, 3);
    assert_string_equal(turn(world), "");
}

static void test_turns_alone_begins_all(void **state)
{
    struct world *world = *state;
    ask(world, "a", 300);
    assert_string_equal(turn(world), "a");
    assert_int_equal(world->begun, 300);
}

static void test_turns_several_share_a_bound_in_turn(void **state)
{
    struct world *world = *state;
    ask(world, "abcde", 16);
    assert_string_equal(turn(world), "ab");
    assert_int_equal(world->begun, 16);
    assert_string_equal(turn(world), "cd");
    assert_string_equal(turn(world), "ea");
    assert_string_equal(turn(world), "bc");
    assert_string_equal(turn(world), "de");
    assert_int_equal(world->begun, 16);
    assert_string_equal(turn(world), "");
}

static void test_turns_few_records_of_each_pass_in_one_turn(void **state)
{
    struct world *world = *state;
    ask(world, "abcde", 1);
    assert_string_equal(turn(world), "abcde");
    assert_int_equal(world->begun, 5);
}

static void test_turns_one_that_asks_again_comes_after_all(void **state)
{
    struct world *world = *state;
    ask(world, "abc", 9);
    assert_string_equal(turn(world), "ab");
    assert_string_equal(turn(world), "cab");
    assert_int_equal(world->begun, 10);
    assert_string_equal(turn(world), "c");
}

static void test_turns_cancelled_is_not_served(void **state)
{
    struct world *world = *state;
    world->cancels = &world->players[1];
    ask(world, "abc", 1);
    assert_string_equal(turn(world), "ac");
    assert_string_equal(turn(world), "");
}

static void test_turns_nobody_is_left_of_those_that_waited(void **state)
{
    struct world *world = *state;
    world->cancels = &world->players[2];
    ask(world, "bc", 1);
    assert_string_equal(turn(world), "b");
    assert_string_equal(turn(world), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_turns_asked_served_later_and_once),
        TEST(test_turns_alone_begins_all),
        TEST(test_turns_several_share_a_bound_in_turn),
        TEST(test_turns_few_records_of_each_pass_in_one_turn),
        TEST(test_turns_one_that_asks_again_comes_after_all),
        TEST(test_turns_cancelled_is_not_served),
        TEST(test_turns_nobody_is_left_of_those_that_waited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
