/* Ends a partition in offsets that hold no record to read: a transaction that is aborted. */
#include <getopt.h>
#include <string.h>

#include "kafka_tool.h"
#include "tool.h"
#include "verbs.h"

#define TIMEOUT_MS 20000
#define RECORDS    3

static void demand(rd_kafka_error_t *error, const char *what)
{
    if (error != NULL)
        tool_die("%s: %s", what, rd_kafka_error_string(error));
}

/* og-support aborted -b BROKERS TOPIC PARTITION */
int verb_aborted(int argc, char **argv)
{
    const char *const props[] = {"transactional.id", "og-support-aborted", NULL};
    char value[] = "nothing";
    const char *brokers = "127.0.0.1:9092";
    rd_kafka_t *rk;
    int option;

    while ((option = getopt(argc, argv, "b:")) != -1) {
        if (option != 'b')
            return 64;
        brokers = optarg;
    }
    if (optind + 2 != argc)
        return 64;
    rk = kafka_tool_producer(brokers, props, NULL, NULL);
    demand(rd_kafka_init_transactions(rk, TIMEOUT_MS), "init_transactions");
    demand(rd_kafka_begin_transaction(rk), "begin_transaction");
    for (int i = 0; i < RECORDS; i++) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            rk, RD_KAFKA_V_TOPIC(argv[optind]),
            RD_KAFKA_V_PARTITION((int32_t)tool_number(argv[optind + 1], "partition")),
            RD_KAFKA_V_VALUE(value, sizeof(value) - 1), RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            tool_die("produce: %s", rd_kafka_err2str(code));
    }
    if (rd_kafka_flush(rk, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("flush");
    demand(rd_kafka_abort_transaction(rk, TIMEOUT_MS), "abort_transaction");
    rd_kafka_destroy(rk);
    return 0;
}
