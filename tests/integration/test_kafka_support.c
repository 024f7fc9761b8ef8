/* See the header. Everything here fails the running test by cmocka, or ends the program. */
#include "test_kafka_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static char bootstrap_text[128];
static char broker_dir[128];

/* Runs scripts/kafka and keeps the value of "bootstrap=". */
static bool start_broker(void)
{
    char command[256];
    char line[256];
    FILE *pipe;

    snprintf(broker_dir, sizeof(broker_dir), "build/kafka/integration-%d", (int)getpid());
    snprintf(command, sizeof(command), "scripts/kafka start --dir %s", broker_dir);
    pipe = popen(command, "r");
    while (pipe != NULL && fgets(line, sizeof(line), pipe) != NULL) {
        if (strncmp(line, "bootstrap=", 10) == 0)
            str_copy(bootstrap_text, sizeof(bootstrap_text),
                     (struct slice){line + 10, strcspn(line + 10, "\n")});
    }
    return pipe != NULL && pclose(pipe) == 0 && bootstrap_text[0] != '\0';
}

const char *support_bootstrap(void)
{
    const char *given = getenv("ONCEGATE_TEST_KAFKA");

    if (bootstrap_text[0] != '\0')
        return bootstrap_text;
    if (given != NULL && given[0] != '\0') {
        str_copy(bootstrap_text, sizeof(bootstrap_text), slice_of(given));
    } else if (!start_broker()) {
        fprintf(stderr, "SKIPPED: no Kafka: scripts/kafka start failed\n");
        exit(77);
    }
    return bootstrap_text;
}

void support_stop(void)
{
    char command[320];

    if (broker_dir[0] == '\0')
        return;
    snprintf(command, sizeof(command), "scripts/kafka stop --dir %s --kill; rm -rf %s", broker_dir,
             broker_dir);
    if (system(command) != 0)
        fprintf(stderr, "could not stop the broker in %s\n", broker_dir);
}

static bool run_broker_command(const char *verb)
{
    char command[320];

    if (broker_dir[0] == '\0')
        return false;
    snprintf(command, sizeof(command), "scripts/kafka %s --dir %s > /dev/null", verb, broker_dir);
    assert_int_equal(system(command), 0);
    return true;
}

bool support_broker_down(void)
{
    return run_broker_command("stop --kill");
}

bool support_broker_up(void)
{
    return run_broker_command("start");
}

static bool signal_broker(const char *signal)
{
    char command[320];

    if (broker_dir[0] == '\0')
        return false;
    snprintf(command, sizeof(command), "kill -%s $(cat %s/node-1/pid)", signal, broker_dir);
    assert_int_equal(system(command), 0);
    return true;
}

bool support_broker_freeze(void)
{
    return signal_broker("STOP");
}

bool support_broker_thaw(void)
{
    return signal_broker("CONT");
}

void support_property(struct properties *props, const char *name, const char *value)
{
    props->items = mem_realloc(props->items, (props->count + 1) * sizeof(*props->items));
    props->items[props->count++] = (struct property){.name = mem_strdup(name),
                                                     .value = mem_strdup(value)};
}

static void properties_deinit(struct properties *props)
{
    for (size_t i = 0; i < props->count; i++) {
        mem_free(props->items[i].name);
        mem_free(props->items[i].value);
    }
    mem_free(props->items);
}

struct config *support_config(const char *bootstrap)
{
    struct config *config = mem_zalloc(sizeof(*config));

    config->workers = 1;
    support_property(&config->kafka, "bootstrap.servers", bootstrap);
    support_property(&config->kafka, "session.timeout.ms", "6000");
    support_property(&config->kafka, "heartbeat.interval.ms", "300");
    if (getenv("ONCEGATE_TEST_DEBUG") != NULL) {
        log_setup(LOG_DEBUG, LOG_FORMAT_LOGFMT);
        support_property(&config->kafka, "debug", getenv("ONCEGATE_TEST_DEBUG"));
    }
    return config;
}

void support_config_free(struct config **config)
{
    properties_deinit(&(*config)->kafka);
    properties_deinit(&(*config)->kafka_consumer);
    properties_deinit(&(*config)->kafka_producer);
    mem_free(*config);
    *config = NULL;
}

struct loop *support_loop(void)
{
    struct err err;
    struct loop *loop = loop_new(&err);

    assert_non_null(loop);
    return loop;
}

static void on_tick(void *arg)
{
    loop_timer_set_ms(arg, 20);
}

void support_wait(struct loop *loop, bool (*ready)(void *arg), void *arg, int seconds,
                  const char *what)
{
    uint64_t deadline = clock_mono_ns() + (uint64_t)seconds * NS_PER_S;
    struct loop_timer tick;
    bool done;

    loop_timer_init(&tick, loop, on_tick, &tick);
    loop_timer_set_ms(&tick, 20);
    while (!(done = ready(arg)) && clock_mono_ns() < deadline)
        loop_turn(loop, true);
    loop_timer_deinit(&tick);
    if (!done)
        fail_msg("waited %d s in vain until: %s", seconds, what);
}

const char *support_name(const char *prefix)
{
    static char names[8][96];
    static unsigned at;
    static int64_t run; /* a broker may outlive the numbers of processes */
    char *name = names[at++ % 8];

    if (run == 0)
        run = clock_wall_ms();
    snprintf(name, sizeof(names[0]), "%s-%lld-%d-%u", prefix, (long long)run, (int)getpid(), at);
    return name;
}

struct created {
    bool done;
    char text[256];
};

static void on_created(void *arg, const char *const *failed, size_t count, const struct err *err)
{
    struct created *created = arg;

    created->done = true;
    if (err != NULL)
        str_copy(created->text, sizeof(created->text), slice_of(err->text));
    for (size_t i = 0; err == NULL && i < count; i++) {
        if (failed[i] != NULL)
            str_copy(created->text, sizeof(created->text), slice_of(failed[i]));
    }
}

static bool is_created(void *arg)
{
    return ((struct created *)arg)->done;
}

void support_topic(struct loop *loop, const struct config *config, const char *topic,
                   int32_t partitions, const struct property *configs, size_t config_count)
{
    struct err err;
    struct kafka_admin *admin = kafka_admin_new(loop, config, &err);
    struct kafka_new_topic new_topic = {topic, partitions, 1, configs, config_count};
    struct created created = {0};

    assert_non_null(admin);
    kafka_admin_create(admin, &new_topic, 1, on_created, &created);
    support_wait(loop, is_created, &created, 30, "the topic is created");
    kafka_admin_free(&admin);
    assert_string_equal(created.text, "");
}

rd_kafka_t *support_client(const char *bootstrap, rd_kafka_type_t type, const char *const *props)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof(text));
    for (size_t i = 0; props != NULL && props[i] != NULL; i += 2)
        assert_int_equal(rd_kafka_conf_set(conf, props[i], props[i + 1], text, sizeof(text)),
                         RD_KAFKA_CONF_OK);
    rk = rd_kafka_new(type, conf, text, sizeof(text));
    assert_non_null(rk);
    return rk;
}

void support_produce(const char *bootstrap, const char *topic, int32_t partition, int count)
{
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_PRODUCER, NULL);

    for (int i = 0; i < count; i++) {
        char key[16];
        char value[16];
        int key_len = snprintf(key, sizeof(key), "k%d", i % 10);
        int value_len = snprintf(value, sizeof(value), "v%d", i);

        assert_int_equal(
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_KEY(key, (size_t)key_len),
                              RD_KAFKA_V_VALUE(value, (size_t)value_len), RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static rd_kafka_topic_partition_list_t *fetch_committed(const char *bootstrap, const char *group,
                                                        const char *topic, int32_t partition)
{
    const char *const props[] = {"group.id", group, NULL};
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_CONSUMER, props);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition);
    assert_int_equal(rd_kafka_committed(rk, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
    return list;
}

int64_t support_committed(const char *bootstrap, const char *group, const char *topic,
                          int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = fetch_committed(bootstrap, group, topic, partition);
    int64_t offset = list->elems[0].offset;

    rd_kafka_topic_partition_list_destroy(list);
    return offset < 0 ? -1 : offset;
}

const char *support_committed_note(const char *bootstrap, const char *group, const char *topic,
                                   int32_t partition)
{
    static char notes[4][128];
    static unsigned at;
    char *note = notes[at++ % 4];
    rd_kafka_topic_partition_list_t *list = fetch_committed(bootstrap, group, topic, partition);

    assert_true(list->elems[0].metadata_size < sizeof(notes[0]));
    snprintf(note, sizeof(notes[0]), "%.*s", (int)list->elems[0].metadata_size,
             list->elems[0].metadata_size > 0 ? (const char *)list->elems[0].metadata : "");
    rd_kafka_topic_partition_list_destroy(list);
    return note;
}

void support_commit_note(const char *bootstrap, const char *group, const char *topic,
                         int32_t partition, int64_t offset, const char *note)
{
    const char *const props[] = {"group.id", group, NULL};
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_CONSUMER, props);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_add(list, topic, partition);

    item->offset = offset;
    item->metadata_size = strlen(note);
    item->metadata = rd_kafka_mem_malloc(rk, item->metadata_size + 1);
    memcpy(item->metadata, note, item->metadata_size + 1);
    assert_int_equal(rd_kafka_commit(rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

void support_set_committed(const char *bootstrap, const char *group, const char *topic,
                           int32_t partition, int64_t offset)
{
    support_commit_note(bootstrap, group, topic, partition, offset, "");
}

void support_delete_topic(const char *bootstrap, const char *topic)
{
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_PRODUCER, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_event_t *event;

    rd_kafka_DeleteTopics(rk, &request, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, 30000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(request);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

void support_abort(const char *bootstrap, const char *topic, int32_t partition)
{
    const char *const props[] = {"transactional.id", support_name("tx"), NULL};
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_PRODUCER, props);
    char value[] = "aborted";

    assert_null(rd_kafka_init_transactions(rk, 30000));
    assert_null(rd_kafka_begin_transaction(rk));
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_VALUE(value, sizeof(value) - 1), RD_KAFKA_V_END),
            RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_null(rd_kafka_abort_transaction(rk, 30000));
    rd_kafka_destroy(rk);
}

void support_delete_records(const char *bootstrap, const char *topic, int32_t partition,
                            int64_t before)
{
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_PRODUCER, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteRecords_t *request;
    rd_kafka_event_t *event;

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
    request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, 30000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static void on_missing(void *ctx, const struct kafka_missing_offset *items, size_t count)
{
    struct member *member = ctx;
    enum offset_start starts[MEMBER_MAX];

    member->missing++;
    member->last_missing = count;
    member->missing_out_of_range = items[0].out_of_range;
    member->missing_former = items[0].former;
    member->missing_committed = items[0].committed;
    for (size_t i = 0; i < count; i++)
        starts[i] = member->start;
    kafka_consumer_start_missing(member->consumer, starts, count);
}

static void on_assigned(void *ctx, struct kafka_partition **partitions, size_t count)
{
    struct member *member = ctx;

    assert_true(count <= MEMBER_MAX);
    member->assigned++;
    member->partition_count = count;
    for (size_t i = 0; i < count; i++) {
        member->partitions[i] = partitions[i];
        member->next[i] = partitions[i]->start_offset;
        member->seen[i] = 0;
    }
}

static void on_revoked(void *ctx, bool lost)
{
    struct member *member = ctx;

    member->revoked++;
    member->lost += lost ? 1 : 0;
    if (lost || !member->hold_revoke)
        member->partition_count = 0;
    if (!lost && !member->hold_revoke)
        kafka_consumer_revoke_done(member->consumer);
}

static void on_readable(void *ctx)
{
    struct member *member = ctx;

    if (member->taking)
        member_take(member);
}

static void on_out_of_range(void *ctx, struct kafka_partition *partition, int64_t offset)
{
    struct member *member = ctx;

    member->out_of_range++;
    member->bad = partition;
    member->bad_offset = offset;
}

static void on_trouble(void *ctx, const struct err *err)
{
    struct member *member = ctx;

    member->troubles++;
    member->trouble = *err;
}

void member_take(struct member *member)
{
    int left = member->budget > 0 ? member->budget : 1000000;
    struct record rec;

    for (size_t i = 0; i < member->partition_count && left > 0; i++) {
        if (member->partitions[i] == member->skip)
            continue;
        while (left > 0 && kafka_consumer_take(member->consumer, member->partitions[i], &rec) ==
                               KAFKA_TAKE_RECORD) {
            if (rec.offset < member->next[i])
                member->disorder++;
            member->next[i] = rec.offset + 1;
            member->seen[i]++;
            member->records++;
            left--;
            record_release(&rec);
        }
    }
    if (left == 0)
        kafka_consumer_rearm(member->consumer);
}

const char *rig_topic(struct rig *rig, int32_t partitions)
{
    const char *topic = support_name("topic");

    support_topic(rig->loop, rig->config, topic, partitions, NULL, 0);
    return topic;
}

static bool has_records(void *arg)
{
    struct member *member = arg;

    member_take(member);
    return member->records >= member->budget;
}

void member_take_all(struct rig *rig, struct member *member, int count)
{
    member->budget = count;
    support_wait(rig->loop, has_records, member, 20, "all records are taken");
    member->budget = 0;
}

static void on_made_again(void *ctx)
{
    struct member *member = ctx;

    member->made_again++;
}

void member_start(struct member *member, struct loop *loop, const struct config *config,
                  const char *group, const char **topics, size_t topic_count)
{
    struct kafka_consumer_events events = {
        .ctx = member,
        .missing = on_missing,
        .assigned = on_assigned,
        .revoked = on_revoked,
        .readable = on_readable,
        .out_of_range = on_out_of_range,
        .trouble = on_trouble,
        .made_again = on_made_again,
    };
    struct kafka_consumer_config consumer_config;
    struct err err;

    member->route.name = (char *)(uintptr_t) "test";
    member->route.group = (char *)(uintptr_t)group;
    consumer_config = (struct kafka_consumer_config){
        .config = config,
        .route = &member->route,
        .worker = member->worker,
        .topics = topics,
        .topic_count = topic_count,
        .written = &member->written,
        .written_count = member->written != NULL,
        .prefetch_bytes = 64 * 1024 * 1024,
    };
    member->consumer = kafka_consumer_new(loop, &consumer_config, &events, &err);
    if (member->consumer == NULL)
        fail_msg("%s", err.text);
}

void member_stop(struct member *member)
{
    kafka_consumer_free(&member->consumer, 5000);
    member->partition_count = 0;
}

int member_find(const struct member *member, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < member->partition_count; i++) {
        if (member->partitions[i]->partition == partition &&
            strcmp(member->partitions[i]->topic, topic) == 0)
            return (int)i;
    }
    return -1;
}

static void on_commit(void *arg, const struct err *err)
{
    struct commit_result *result = arg;

    result->calls++;
    err_clear(&result->err);
    if (err != NULL)
        result->err = *err;
}

void member_commit(struct member *member, struct kafka_partition *partition, int64_t offset,
                   struct commit_result *result)
{
    struct kafka_commit_item item = {partition, offset};

    *result = (struct commit_result){0};
    kafka_consumer_commit(member->consumer, &item, 1, on_commit, result);
    assert_int_equal(result->calls, 0);
}

static bool is_committed(void *arg)
{
    return ((struct commit_result *)arg)->calls > 0;
}

void support_await_commit(struct loop *loop, struct commit_result *result)
{
    support_wait(loop, is_committed, result, 15, "the commit is answered");
    assert_int_equal(result->calls, 1);
}

bool member_is_assigned(void *arg)
{
    const struct member *member = arg;

    return member->assigned > member->revoked;
}

bool member_is_revoked(void *arg)
{
    return ((const struct member *)arg)->revoked > 0;
}

bool member_is_out_of_range(void *arg)
{
    return ((const struct member *)arg)->out_of_range > 0;
}

int rig_set_up(void **state)
{
    static struct rig rig;

    rig = (struct rig){.bootstrap = support_bootstrap()};
    rig.loop = support_loop();
    rig.config = support_config(rig.bootstrap);
    *state = &rig;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;

    kafka_admin_free(&rig->admin);
    metrics_free(&rig->metrics);
    support_config_free(&rig->config);
    loop_free(&rig->loop);
    return 0;
}
