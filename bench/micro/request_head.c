/*
 * What writing the header lines of one delivery costs, CPU ns per request and bytes.
 *
 *   bench_request_head [requests]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "handler/request.h"

int main(int argc, char **argv)
{
    uint64_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct err err = {0};
    struct route_config route = {.name = (char *)(uintptr_t) "orders",
                                 .group = (char *)(uintptr_t) "orders-app"};
    struct request_template *tpl = request_template_new(&route, &err);
    struct record_header headers[] = {{SLICE_LIT("seq"), SLICE_LIT("12345")},
                                      {SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    struct record rec = {.topic = SLICE_LIT("orders"),
                         .key = SLICE_LIT("customer-00012345"),
                         .value = SLICE_LIT("{}"),
                         .headers = headers,
                         .header_count = 2};
    struct origin origin = {.topic = SLICE_LIT("orders"), .partition = 3};
    struct identity identity = {.kind = IDENTITY_SEQUENCE, .key = rec.key};
    struct request_facts facts = {
        .rec = &rec, .origin = &origin, .identity = &identity, .attempt = 1};
    struct buf out = {0};

    if (!tpl) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int64_t wall_ms = clock_wall_ms();
    clock_t began = clock();
    for (uint64_t i = 0; i < total; i++) {
        identity.number = i;
        origin.offset = (int64_t)i;
        origin.timestamp_ms = wall_ms + (int64_t)(i / 20);
        facts.deadline_wall_ms = origin.timestamp_ms + 15000;
        buf_reset(&out);
        request_write(tpl, &facts, &out);
    }
    double took_s = (double)(clock() - began) / CLOCKS_PER_SEC;
    printf("requests=%llu bytes=%zu cpu_ns_per_request=%.0f\n", (unsigned long long)total, out.len,
           took_s * 1e9 / (double)total);
    request_template_free(&tpl);
    buf_deinit(&out);
    return 0;
}
