/* The processes of `oncegate demo` that are this program as well: a Kafka that is none, and the
 * sample handler. Each serves until it is ended and dies with its parent. */
#ifndef OG_GATEWAY_DEMO_PARTS_H
#define OG_GATEWAY_DEMO_PARTS_H

#include "cli.h"

/* oncegate demo --part mock NAME:PARTITIONS...: prints "ready HOST:PORT" and serves. */
int demo_part_mock(struct cli *cli);

/*
 * oncegate demo --part handler LOG: prints "ready HOST:PORT" and serves. LOG gets a line for the
 * begin ("b <us> <order> <status> <attempt>") and the end ("e <us> <order>") of each call, us on
 * the monotonic clock. What a call is answered stands in the order itself (demo_order.h); between
 * SIGUSR1 and SIGUSR2 every call is answered 503.
 */
int demo_part_handler(struct cli *cli);

#endif
