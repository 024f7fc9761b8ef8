/* The reading of what swap_states answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "ledger/known_states.h"
#include "ledger/scope.h"
#include "ledger/swap.h"
#include "ledger/wire.h"

#define TIME 8  /* bytes in front of the answers */
#define FREE 42 /* bytes of a state that is told */

struct world {
    struct known_states *states;
    struct name_cache *names;
    struct ledger_scope *scope;
    struct ledger_owner owner;
    struct ledger_op ops[2]; /* a claim and a finish */
    bool swapped[LEDGER_BATCH_MAX];
    struct err err;
};

static void set_up(struct world *w)
{
    static char ns[] = "og";
    const struct redis_config redis = {.ns = ns, .shards = 1};
    const struct ledger_scope_config config = {.group = "g",
                                               .topic = "orders",
                                               .kind = IDENTITY_SEQUENCE,
                                               .ordered = true,
                                               .ttl_ms = 1000,
                                               .ghost_ttl_ms = 500,
                                               .parked_cap = 3};
    *w = (struct world){.owner = {.name = "orders/2", .token = 9}};
    w->states = known_states_new(&w->err);
    assert_non_null(w->states);
    w->names = name_cache_new();
    w->scope = scope_new(&redis, &config);
    for (size_t i = 0; i < 2; i++) {
        w->ops[i] = (struct ledger_op){.verb = i == 0 ? LEDGER_CLAIM : LEDGER_FINISH,
                                       .fact = LEDGER_SUCCEEDED,
                                       .scope = w->scope,
                                       .owner = &w->owner,
                                       .key = i == 0 ? SLICE_LIT("a") : SLICE_LIT("b"),
                                       .number = 7,
                                       .origin_topic = SLICE_LIT("orders"),
                                       .origin_offset = 70,
                                       .lease_ms = 5};
        w->ops[i].key_hash = scope_hash_key(w->scope, w->ops[i].key);
    }
}

static void tear_down(struct world *w)
{
    ledger_scope_free(&w->scope);
    name_cache_free(&w->names);
    known_states_free(&w->states);
}

/* Answers of both operations, a byte each, and as many bytes of states; of it all `len` bytes, and
 * nothing may be read behind them. */
static bool read_bytes(struct world *w, uint8_t claim, uint8_t finish, size_t states, size_t len)
{
    char text[TIME + 2 + 3 * FREE] = {0};
    struct ledger_op *list[2] = {&w->ops[0], &w->ops[1]};
    assert_in_range(TIME + 2 + states, len, sizeof(text));
    text[TIME] = (char)claim;
    text[TIME + 1] = (char)finish;
    memset(text + TIME + 2, 16, states);
    redisReply reply = {.type = REDIS_REPLY_STRING, .str = mem_alloc(len), .len = len};
    memcpy(reply.str, text, len);
    memset(w->swapped, 0, sizeof(w->swapped));
    w->ops[0].code = w->ops[1].code = LEDGER_FENCED;
    w->err = (struct err){0};
    bool read = swaps_read(w->states, w->names, &reply, list, 2, w->swapped, &w->err);
    mem_free(reply.str);
    return read;
}

static bool read_all(struct world *w, uint8_t claim, uint8_t finish, size_t states)
{
    return read_bytes(w, claim, finish, states, TIME + 2 + states);
}

static void test_answers_with_and_without_states_are_read(void **state)
{
    struct world w;
    (void)state;
    set_up(&w);
    assert_true(read_all(&w, 0, 0, 0));
    assert_false(w.swapped[0]);
    assert_false(w.swapped[1]);
    assert_true(read_all(&w, 3, 1, 0));
    assert_true(w.swapped[0]);
    assert_true(w.swapped[1]);
    assert_int_equal(w.ops[0].code, LEDGER_GO);
    assert_int_equal(w.ops[1].code, LEDGER_OK);
    assert_true(read_all(&w, 2, 0, FREE));
    assert_true(w.swapped[0]);
    assert_false(w.swapped[1]);
    assert_int_equal(w.ops[0].code, LEDGER_GO);
    tear_down(&w);
}

/* None of it is believed then: no operation has an answer. */
static void refuses(struct world *w, bool read)
{
    assert_false(read);
    assert_int_equal(w->err.code, ERR_PROTOCOL);
    for (size_t i = 0; i < 2; i++) {
        assert_false(w->swapped[i]);
        assert_int_equal(w->ops[i].code, LEDGER_FENCED);
    }
}

static void test_answers_that_do_not_fit_are_refused(void **state)
{
    struct world w;
    (void)state;
    set_up(&w);
    refuses(&w, read_bytes(&w, 1, 1, 0, 0));
    refuses(&w, read_bytes(&w, 1, 1, 0, TIME - 1));
    refuses(&w, read_bytes(&w, 1, 1, 0, TIME));
    refuses(&w, read_bytes(&w, 1, 1, 0, TIME + 1));
    refuses(&w, read_all(&w, 1, 1, 1));
    refuses(&w, read_all(&w, 1, 1, FREE)); /* of nobody */
    refuses(&w, read_all(&w, 2, 1, 0));
    refuses(&w, read_all(&w, 2, 1, FREE - 1));
    refuses(&w, read_all(&w, 2, 1, 2 * FREE));
    refuses(&w, read_all(&w, 4, 1, 0));
    refuses(&w, read_all(&w, 1, 2, FREE)); /* a finish claims nothing */
    refuses(&w, read_all(&w, 1, 3, 0));
    tear_down(&w);
}

static void test_answer_of_another_type_is_refused(void **state)
{
    struct world w;
    char text[] = "NOSCRIPT";
    char whole[TIME + 1] = {0}; /* as it would be of a string */
    redisReply number = {.type = REDIS_REPLY_INTEGER, .integer = 1},
               status = {.type = REDIS_REPLY_STATUS, .str = whole, .len = sizeof(whole)},
               error = {.type = REDIS_REPLY_ERROR, .str = text, .len = sizeof(text) - 1};
    (void)state;
    set_up(&w);
    struct ledger_op *list[1] = {&w.ops[0]};
    w.ops[0].code = w.ops[1].code = LEDGER_FENCED;
    refuses(&w, swaps_read(w.states, w.names, &number, list, 1, w.swapped, &w.err));
    refuses(&w, swaps_read(w.states, w.names, &status, list, 1, w.swapped, &w.err));
    assert_false(swaps_read(w.states, w.names, &error, list, 1, w.swapped, &w.err));
    assert_int_equal(w.err.code, ERR_UNAVAILABLE);
    assert_string_equal(w.err.text, text);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_with_and_without_states_are_read),
        cmocka_unit_test(test_answers_that_do_not_fit_are_refused),
        cmocka_unit_test(test_answer_of_another_type_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
