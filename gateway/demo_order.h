/* What an order of the demo looks like on the wire: the stream writes it, the handler and the book
 * read it. */
#ifndef OG_GATEWAY_DEMO_ORDER_H
#define OG_GATEWAY_DEMO_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

enum order_kind {
    ORDER_PLAIN,
    ORDER_FAILS_ONCE, /* 500 to its first call */
    ORDER_FAILS_5S,   /* 503 for 5 s from its first call on */
    ORDER_POISON,     /* 422, whenever it comes */
};
#define ORDER_KINDS  4
#define ORDER_FAIL_S 5

#define ORDER_KEY_MAX   32
#define ORDER_VALUE_MAX 160

/* {"order":17,"customer":"customer-042","cents":1999,"then":"fails-once"} */
void demo_order_write(uint32_t order, uint32_t customer, enum order_kind kind,
                      char value[ORDER_VALUE_MAX]);
bool demo_order_read(struct slice value, uint32_t *order, enum order_kind *kind) MUST_CHECK;
void demo_order_key(uint32_t customer, char key[ORDER_KEY_MAX]);

#endif
