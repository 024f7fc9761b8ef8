/*
 * The demo's stand-in for Kafka: librdkafka's mock cluster in a process of its own, so that the
 * gateway can be killed beside it. It holds nothing that outlives it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "demo_parts.h"
#include "kafka/mock.h"

/* "name:partitions"; cuts the argument at the colon. */
static bool read_topic(char *arg, struct kafka_mock_topic *topic)
{
    char *colon = strrchr(arg, ':');
    uint64_t partitions = 0;
    if (!colon || !str_to_u64(slice_of(colon + 1), &partitions) || partitions == 0 ||
        partitions > 100)
        return false;
    *colon = '\0';
    topic->name = arg;
    topic->partitions = (int32_t)partitions;
    return true;
}

static void serve(struct kafka_mock *mock)
{
    sigset_t set;
    int signo = 0;
    printf("ready %s\n", kafka_mock_bootstrap(mock));
    fflush(stdout);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &signo);
}

int demo_part_mock(struct cli *cli)
{
    struct kafka_mock_topic *topics = mem_calloc((size_t)cli->argc + 1, sizeof(*topics));
    struct kafka_mock *mock = NULL;
    struct err err = {0};
    sigset_t set;
    bool good = true;
    int code = EXIT_OK;
    /* Before the threads of the cluster are made: they inherit it. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; good && i < cli->argc; i++)
        good = read_topic(cli->argv[i], &topics[i]);
    if (!good)
        code = cli_usage("demo", "a topic is NAME:PARTITIONS");
    else if (!(mock = kafka_mock_new(topics, (size_t)cli->argc, &err)))
        code = cli_fail(&err);
    if (mock)
        serve(mock);
    kafka_mock_free(&mock);
    mem_free(topics);
    return code;
}
