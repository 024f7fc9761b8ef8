"""Processes that die or stand still: rows 1 and 2."""

import subprocess

from support.waiting import wait_until

from faults.catalog import row
from faults.threads import Stopped, threads_of
from faults.windows import now_us

TROUBLE = ('0.02:{"fail_first":1}', '0.004:{"fail_for_ms":1200}', '0.05:{"delay_ms":30}',
           '0.002:{"poison":true}')
# Dead members are noticed sooner, so that a run is shorter.
HASTE = {"kafka": {"session.timeout.ms": 3000, "heartbeat.interval.ms": 300}}
POINTS = ("poll", "claim", "request-sent", "answer", "produce-acknowledged", "finish", "commit")


def cannot_trace():
    """Why threads cannot be stopped here, or None."""
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            Stopped([child.pid]).go()
        except OSError as error:
            return "threads cannot be stopped: %s" % error
        finally:
            child.kill()
    return None


def die_at(scene, victim, point):
    """Starts one that was killed anew, with the point armed, and waits until it has died there."""
    seldom = point in ("produce-acknowledged", "commit")
    count = scene.schedule.number("counts", 1, 6 if seldom else 200)
    victim.environment = {**scene.spec.environment, "ONCEGATE_CRASH_AT": "%s:%d" % (point, count)}
    scene.revive(victim, wait=False)
    wait_until(lambda: not victim.alive(), 60, "it dies at %s" % point)
    code = victim.child.process.returncode
    scene.demand(code == -9, "ended with %s at %s" % (code, point))
    scene.crashed(victim)


@row("1", "SIGKILL at each named point, one after the other", short=True, crash_points=True,
     rate=400, rules=TROUBLE, timeout_ms=1500, config=HASTE)
def kill_at_points(scene):
    """The victim starts anew with the next point armed; where it dies is the point, when the seed."""
    points = list(POINTS)
    scene.schedule.stream("points").shuffle(points)
    victim = scene.gateways[0]
    scene.kill(victim)
    for point in points:
        die_at(scene, victim, point)
    victim.environment = dict(scene.spec.environment)
    scene.revive(victim)
    scene.wait_everything_assigned()


@row("1", "SIGKILL at random, three times, of two gateways", short=True, rules=TROUBLE,
     config=HASTE)
def kill_at_random(scene):
    for _ in range(3):
        scene.pass_time(0.3, 2)
        victim = scene.kill()
        scene.pass_time(0.2, 3)
        scene.revive(victim)
        scene.wait_shared()


@row("1", "SIGKILL of all gateways at once", rules=TROUBLE, gateways=3)
def kill_all(scene):
    for _ in range(2):
        scene.pass_time(0.5, 2)
        for gateway in scene.running():
            scene.kill(gateway)
        for gateway in scene.gateways:
            scene.revive(gateway, wait=False)
        scene.wait_everything_assigned(60)
        scene.traffic(400)


@row("2", "SIGSTOP beyond the session timeout, then SIGCONT", short=True, rate=240, keys=12,
     rules=('1:{"delay_ms":40}',))
def zombie(scene):
    """Commits nothing of what it lost, and delivers nothing that another one has begun. That a claim of
    it is refused by its fence token is counted, and cannot be demanded: all of it wakes at once, and
    mostly its client hears that the group has expelled it before the worker claims again. Row
    2-zombie-worker demands it. It sleeps beyond its claims' lease here, so that what it had open is
    delivered again by whoever owns it now; row 2-zombie-late-answer sleeps for less."""
    before = scene.metric_of_all("fenced_claims_total")
    victim = scene.freeze()
    scene.wait_everything_assigned(but=[victim])
    scene.traffic(200)
    scene.thaw(victim)
    scene.traffic(300)
    scene.wait_shared()
    scene.notes["fenced"] = int(scene.metric_of_all("fenced_claims_total") - before)


@row("2", "SIGSTOP beyond the session timeout, within the lease: answers that it had not read join",
     rate=240, keys=12, rules=('1:{"delay_ms":40}',), config=HASTE, timeout_ms=25000, doubles=0)
def zombie_late_answer(scene):
    """Its partitions have another owner when it wakes, which waits for its claims. What the handler
    answered meanwhile is in its sockets: the record must not be delivered again."""
    victim = scene.freeze()
    begin = now_us()
    scene.wait_everything_assigned(but=[victim])
    wait_until(lambda: all(call.end_us is not None for call in scene.handler.calls()
                           if call.line.get("gw") == victim.name), 10, "the handler has answered all of it")
    late = {call.record_id for call in scene.handler.calls() if call.effect and
            call.line.get("gw") == victim.name and call.end_us > begin}
    scene.thaw(victim)
    scene.traffic(300)
    scene.wait_shared()
    scene.notes["late_answers"] = len(late)
    scene.demand(late, "no answer came while it stood still: this shows nothing")
    scene.at_end.append(lambda found: scene.demand(
        all(found.effects[record_id] == 1 for record_id in late), "a late answer was not taken in"))


@row("2", "SIGSTOP shorter than the session timeout, again and again", rate=300,
     rules=('0.1:{"delay_ms":30}',))
def short_freeze(scene):
    for _ in range(6):
        victim = scene.freeze()
        scene.pass_time(0.5, 4)
        scene.thaw(victim)
        scene.pass_time(0.3, 1)


def requests_of(scene, gateway):
    return sum(line.get("gw") == gateway.name for line in scene.handler.lines())


def give_work(scene, gateway, records, keys=40):
    """A backlog of one member's partitions alone: who takes them over has nothing else to do."""
    own = [member["partitions"] for member in scene.broker.group(scene.group)["members"]
           if member["client"] == gateway.name][0]
    partitions = [int(name.rsplit("/", 1)[1]) for name in own if name.rsplit("/", 1)[0] == scene.topic]
    for number in range(records):
        key = number % keys
        scene.send("q%d" % key, number // keys + 1, p=partitions[key % len(partitions)])
    scene.producer.flush()


def stop_client(scene, gateway):
    """Stops the threads of librdkafka; again where one held a lock that the worker waits for now."""
    for _ in range(20):
        before = requests_of(scene, gateway)
        stopped = Stopped(threads_of(gateway.pid, "rdk:"))
        scene.pass_time(0.4)
        if requests_of(scene, gateway) > before + 20:
            return stopped
        stopped.go()
        scene.traffic(200)
    raise AssertionError("the worker never went on without its client")


def demand_no_new_token(scene, zombie, heirs, fenced_before):
    """The zombie can commit nothing and so prove nothing: it stays fenced, begins no request, and never
    fences its heirs, who go on meanwhile."""
    def fenced():
        return sum(heir.metric("fenced_claims_total") for heir in heirs) - fenced_before

    def goes_on(more):
        goal = sum(requests_of(scene, heir) for heir in heirs) + more
        wait_until(lambda: fenced() > 0 or sum(requests_of(scene, heir) for heir in heirs) >= goal, 60,
                   "the zombie's heirs go on", every=0.1)

    goes_on(100)
    before = requests_of(scene, zombie)
    goes_on(200)
    scene.notes["heirs_fenced"] = int(fenced())
    scene.demand(fenced() == 0, "heirs_fenced=%d: the zombie took a new token" % fenced())
    scene.demand(requests_of(scene, zombie) == before, "the zombie began requests after it was fenced")


@row("2", "a Kafka client that stands still while its worker goes on", short=True, rate=50, keys=40,
     needs=cannot_trace, config=HASTE)
def zombie_worker(scene):
    """The group expels the member, which cannot know: it still holds thousands of records. Its claims
    must be refused from the moment on at which the new owner has its fence tokens."""
    victim = scene.victim()
    heirs = [gateway for gateway in scene.running() if gateway is not victim]
    # Half a minute of work: more than the partitions' way to another member takes on a busy machine.
    scene.handler.control(default={"delay_ms": 250})
    give_work(scene, victim, 4000)
    scene.traffic(200)
    before = scene.metric_of_all("fenced_claims_total")
    heirs_before = sum(heir.metric("fenced_claims_total") for heir in heirs)
    stopped = stop_client(scene, victim)
    scene.windows.crash(victim.name, 32, name="frozen")
    try:
        wait_until(lambda: scene.metric_of_all("fenced_claims_total") > before or
                   scene.handler.stats()["overlaps"] > 50, 90, "the zombie is fenced, or is not")
        scene.notes["fenced"] = int(scene.metric_of_all("fenced_claims_total") - before)
        demand_no_new_token(scene, victim, heirs, heirs_before)
    finally:
        stopped.go()
        scene.handler.control(default=None)
    scene.traffic(500)
