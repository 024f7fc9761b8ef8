"""Errors that brokers answer: row 5 (commits), and those of row 6 that only an answer can tell.

The real broker executes a request and the proxy changes its answer, or the proxy spoils the request and
the real broker refuses it."""

import contextlib

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_produce import demand_held, extra_copies
from faults.kafka_filter import OFFSET_COMMIT, PRODUCE, KafkaFilter
from faults.windows import now_us

TROUBLE = ('0.03:{"fail_for_ms":700}', '0.01:{"poison":true}')
COMMIT_ERRORS = {"ILLEGAL_GENERATION": 22, "UNKNOWN_MEMBER_ID": 25, "REBALANCE_IN_PROGRESS": 27,
                 "NOT_COORDINATOR": 16, "COORDINATOR_LOAD_IN_PROGRESS": 14, "REQUEST_TIMED_OUT": 7,
                 "COORDINATOR_NOT_AVAILABLE": 15}
PRODUCE_ERRORS = {"REQUEST_TIMED_OUT": 7, "NOT_ENOUGH_REPLICAS_AFTER_APPEND": 20,
                  "NOT_LEADER_OR_FOLLOWER": 6, "NOT_ENOUGH_REPLICAS": 19}
FATAL_ERRORS = {"OUT_OF_ORDER_SEQUENCE_NUMBER": 45, "INVALID_PRODUCER_EPOCH": 47,
                "UNKNOWN_PRODUCER_ID": 59}


COPIES = ("retry.", "dlq.")


def inject_each(scene, kafka_filter, api, errors, times, topics=("",), refused=False):
    """Each of the errors in the answers for each of these topics; of how many records they told."""
    records = 0
    for name, code in errors.items():
        for topic in topics:
            injection = kafka_filter.inject(api, code, times, topic, refused=refused)
            wait_until(lambda injection=injection: injection.left <= 0, 60,
                       lambda name=name, topic=topic: "answers of %s %s" % (name, topic))
            records += injection.records
            scene.traffic(150, 90)
    demand_read(scene, kafka_filter)
    return records


def demand_read(scene, kafka_filter):
    scene.demand(kafka_filter.unread == 0, "%d messages could not be read" % kafka_filter.unread)
    scene.demand(kafka_filter.executed == 0, "%d that were spoilt were executed" % kafka_filter.executed)


@contextlib.contextmanager
def filtered(scene, more=200):
    """Answers of the brokers pass a filter; afterwards traffic goes on. To put it there breaks
    connections, what was under way is unknown and goes again: before anything is changed. It stays."""
    kafka_filter = KafkaFilter()
    scene.broker.use_filter(kafka_filter)
    scene.traffic(300)
    yield kafka_filter
    scene.traffic(more)


@row("5", "commits answered with errors: generation, member, rebalance, coordinator, timeout",
     short=True, kafka_proxy=True, rules=TROUBLE, rate=300, doubles=0)
def commit_errors(scene):
    with filtered(scene, 300) as kafka_filter:
        inject_each(scene, kafka_filter, OFFSET_COMMIT, COMMIT_ERRORS, 2)


@row("5", "commits refused for the same reasons, and not executed", kafka_proxy=True, rules=TROUBLE,
     rate=300, doubles=0)
def commits_refused(scene):
    with filtered(scene, 300) as kafka_filter:
        inject_each(scene, kafka_filter, OFFSET_COMMIT, COMMIT_ERRORS, 2, refused=True)


@row("5", "connections to Kafka broken again and again", kafka_proxy=True, rules=TROUBLE, doubles=0)
def kafka_reset(scene):
    for _ in range(15):
        for proxy in scene.broker.proxies:
            proxy.reset()
        scene.pass_time(0.2, 1.5)


@row("5", "answers of Kafka 5 s late", kafka_proxy=True, rules=TROUBLE, rate=200, doubles=0)
def kafka_late(scene):
    for _ in range(2):
        for proxy in scene.broker.proxies:
            proxy.stall(["down"])
        scene.pass_time(5)
        for proxy in scene.broker.proxies:
            proxy.heal()
        scene.traffic(200)


@row("6", "copies and dead letters answered with errors although they were appended", kafka_proxy=True,
     rules=TROUBLE, rate=300)
def append_unknown(scene):
    """At most one more copy for each unknown acknowledgement; no effect for that."""
    with filtered(scene) as kafka_filter:
        unknown = inject_each(scene, kafka_filter, PRODUCE, PRODUCE_ERRORS, 3, COPIES)
    scene.demand(unknown >= 3 * len(PRODUCE_ERRORS) * len(COPIES), "%d are unknown" % unknown)
    scene.notes["unknown"] = unknown

    def few_more(found):
        more = sum(extra_copies(found).values())
        scene.notes["more_copies"] = more
        scene.demand(more <= unknown, "%d copies more, %d were unknown" % (more, unknown))
    scene.at_end.append(few_more)


def demand_no_copy_more(scene, found):
    more = extra_copies(found)
    scene.demand(not more, "what was not appended was written again: %s" % more)


@row("6", "copies and dead letters refused with the same errors, and not appended", kafka_proxy=True,
     rules=TROUBLE, rate=300)
def append_refused(scene):
    with filtered(scene) as kafka_filter:
        inject_each(scene, kafka_filter, PRODUCE, {**PRODUCE_ERRORS, "KAFKA_STORAGE_ERROR": 56}, 3, COPIES,
                    refused=True)
    scene.at_end.append(lambda found: demand_no_copy_more(scene, found))


@row("6", "the idempotent producer goes fatal, at copies and at dead letters", kafka_proxy=True,
     rules=TROUBLE, rate=300)
def producer_fatal(scene):
    """What was under way is unknown then and goes again with the next producer, each once."""
    with filtered(scene) as kafka_filter:
        inject_each(scene, kafka_filter, PRODUCE, FATAL_ERRORS, 1, COPIES)

    def few_more(found):
        more = extra_copies(found)
        scene.notes["more_copies"] = sum(more.values())
        scene.demand(max(more.values(), default=0) <= len(FATAL_ERRORS) * len(COPIES),
                     "one copy was written again more often than there were producers")
    scene.at_end.append(few_more)


@row("6", "an access list refuses copies and dead letters for a while", kafka_proxy=True,
     rules=TROUBLE, rate=200)
def copies_denied(scene):
    with filtered(scene) as kafka_filter:
        since = now_us()
        injection = kafka_filter.inject(PRODUCE, 29, 10**6, COPIES, refused=True)
        wait_until(lambda: injection.done >= 3, 60, "copies are refused")
        demand_held(scene, since)
        injection.left = 0
        demand_read(scene, kafka_filter)
    scene.at_end.append(lambda found: demand_no_copy_more(scene, found))
