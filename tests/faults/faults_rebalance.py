"""Members that come and go: row 3. Nothing may be delivered twice while Redis lives."""

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_process import HASTE

FAST = ('0.02:{"fail_first":1}', '0.01:{"fail_for_ms":900}', '0.1:{"delay_ms":15}')
SLOW = ('0.02:{"fail_for_ms":900}', '0.04:{"delay_ms":1800}')


def come_and_go(scene, changes, guests=None):
    """`changes` joins and leaves, drawn by the seed, of two members beside the two that stay."""
    stay = scene.running()
    guests = guests or [scene.add_gateway(), scene.add_gateway()]
    for _ in range(changes):
        guest = scene.schedule.choose("guests", guests)
        if guest.alive():
            # Before it listens it has no handler of signals yet.
            wait_until(lambda guest=guest: guest.ask("GET", "/livez")[0] == 200, 30, "it is up")
            guest.stop()
        else:
            guest.start(wait=False)
        scene.pass_time(0.1, 1.2)
    for guest in guests:
        if not guest.alive():
            guest.start()
    scene.wait_everything_assigned(60)
    count_drains(scene, stay)


def count_drains(scene, gateways):
    """How often those that stayed gave their partitions up, and how often with something under way for
    longer than the drain. A handler slower than the drain has to show that."""
    said = [gateway.log.read_text(encoding="utf-8") for gateway in gateways]
    late = sum(text.count('"event":"drain_late"') for text in said)
    scene.notes["drains"] = sum(text.count('"event":"revoked"') for text in said)
    scene.notes["late_drains"] = late
    scene.demand(late > 0 or scene.spec.rules != SLOW, "no drain was late: the handler was not slower")


@row("3", "one join, handler slower than the drain", short=True, doubles=0, rate=250,
     rules=('0.1:{"fail_for_ms":900}', '0.1:{"delay_ms":1800}'))
def one_join(scene):
    guest = scene.add_gateway()
    guest.start(wait=False)
    scene.wait_shared()
    scene.traffic(300)


@row("3", "50 joins and leaves, handler faster than the drain", rules=FAST, doubles=0, settle_s=90)
def joins_and_leaves(scene):
    come_and_go(scene, 50)


@row("3", "8 joins and leaves, handler slower than the drain", short=True, rules=SLOW, doubles=0)
def joins_and_leaves_few(scene):
    come_and_go(scene, 8)


@row("3", "50 joins and leaves, handler slower than the drain", rules=SLOW, doubles=0, rate=200,
     settle_s=90)
def joins_and_leaves_slow(scene):
    come_and_go(scene, 50)


@row("3", "50 joins and leaves of static members, handler faster than the drain", rules=FAST, static=True,
     doubles=0, settle_s=90)
def joins_and_leaves_static(scene):
    come_and_go(scene, 50)


@row("3", "50 joins and leaves of static members, handler slower than the drain", rules=SLOW, static=True,
     config=HASTE, doubles=0, rate=200, settle_s=90)
def joins_and_leaves_static_slow(scene):
    """The group waits for a member that leaves by name until its session is over: it is shorter here, so
    that both happen, one that is back in time and one whose partitions go to others."""
    come_and_go(scene, 50)


@row("3", "30 joins and leaves of static and dynamic members beside each other, handler slower than the "
     "drain", rules=SLOW, doubles=0, rate=200, settle_s=90)
def joins_and_leaves_mixed(scene):
    """One guest is a member by name, whose partitions wait for it; the other one is not."""
    guests = [scene.add_gateway(kafka={"group.instance.id": "named"}), scene.add_gateway()]
    come_and_go(scene, 30, guests)


@row("3", "a rebalance while the route is paused", rules=FAST, doubles=0)
def rebalance_while_paused(scene):
    for gateway in scene.running():
        assert gateway.ask("POST", "/routes/orders/pause")[0] == 202
    wait_until(lambda: scene.handler.stats()["open"] == 0, 20, "nothing is delivered")
    guest = scene.add_gateway()
    guest.start(wait=False)
    scene.wait_shared()
    scene.wait_everything_assigned()
    guest.stop()
    scene.wait_everything_assigned()
    guest.start(wait=False)
    scene.wait_shared()
    assert guest.ask("POST", "/routes/orders/resume")[0] == 202
    scene.traffic(500)


@row("3", "rebalances while copies are on their way to a retry topic", short=True, doubles=0,
     rate=120, rules=('0.2:{"fail_for_ms":700}',), kafka_proxy=True)
def rebalance_with_copies(scene):
    """Every answer of the brokers is late, so that copies are not acknowledged when the drain ends."""
    for proxy in scene.broker.proxies:
        proxy.delay(250, ["down"])
    guest = scene.add_gateway()
    for _ in range(3):
        guest.start(wait=False)
        scene.pass_time(2, 4)
        guest.stop()
    for proxy in scene.broker.proxies:
        proxy.heal()
    scene.traffic(200)
