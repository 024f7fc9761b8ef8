/* Orders as bytes; see demo_order.h. Reads only what it wrote itself: no general JSON. */
#include "demo_order.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const char *const THEN[ORDER_KINDS] = {"is-fine", "fails-once", "fails-5s", "is-poison"};

void demo_order_write(uint32_t order, uint32_t customer, enum order_kind kind,
                      char value[ORDER_VALUE_MAX])
{
    char key[ORDER_KEY_MAX];
    demo_order_key(customer, key);
    snprintf(value, ORDER_VALUE_MAX,
             "{\"order\":%u,\"customer\":\"%s\",\"cents\":%u,\"then\":\"%s\"}", order, key,
             100 + (order * 7919u) % 9900, THEN[kind]);
}

bool demo_order_read(struct slice value, uint32_t *order, enum order_kind *kind)
{
    static const char head[] = "{\"order\":";
    const char *digits = value.data + sizeof(head) - 1, *comma, *then;
    uint64_t number = 0;
    if (!slice_starts_with(value, slice_of(head)))
        return false;
    comma = memchr(value.data, ',', value.len);
    if (!comma || comma <= digits ||
        !str_to_u64((struct slice){digits, (size_t)(comma - digits)}, &number) ||
        number > UINT32_MAX)
        return false;
    *order = (uint32_t)number;
    for (int i = 0; i < ORDER_KINDS; i++) {
        size_t len = strlen(THEN[i]);
        then = value.len > len + 2 ? value.data + value.len - len - 2 : value.data;
        if (memcmp(then, THEN[i], len) == 0) {
            *kind = (enum order_kind)i;
            return true;
        }
    }
    return false;
}

void demo_order_key(uint32_t customer, char key[ORDER_KEY_MAX])
{
    snprintf(key, ORDER_KEY_MAX, "customer-%03u", customer);
}
