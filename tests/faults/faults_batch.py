"""Batches: kills and broken answers where a request holds many records. What may then be seen is what may be
seen with one record a request; what is at the handler at a time is as much (4 requests of 8 records: 32)."""

from faults.catalog import row
from faults.faults_handler import outage_of_503

BATCHES = {"handler": {"batch": {"max_records": 8}, "max_in_flight": 4}}
HASTE = {"kafka": {"session.timeout.ms": 3000, "heartbeat.interval.ms": 300}}
# Records that fail, results that are forgotten, and requests that fail as a whole.
TROUBLE = ('0.02:{"fail_first":1}', '0.004:{"fail_for_ms":1200}', '0.05:{"delay_ms":30}',
           '0.002:{"poison":true}', '0.01:{"omit":true,"fail_first":1}',
           '0.003:{"status":422,"whole":true,"fail_first":1}',
           '0.003:{"status":503,"whole":true,"fail_first":1}')
BROKEN = ('0.01:{"omit":true,"fail_first":1}',) + tuple('0.003:{%s,"status":200,"fail_first":1}' % text for text in (
    '"how":"reset"', '"how":"reset_mid"', '"how":"half"', '"how":"garbage"', '"outcome":"sucess"', '"results":""',
    '"results":"ok"'))


@row("1", "batches: SIGKILL at random, three times, of two gateways, beside records and requests that fail", short=True,
     rules=TROUBLE, route=BATCHES, config=HASTE, timeout_ms=1500)
def batches_killed(scene):
    for _ in range(3):
        scene.pass_time(0.3, 2)
        victim = scene.kill()
        scene.pass_time(0.2, 3)
        scene.revive(victim)
        scene.wait_shared()


@row("11", "batches: results forgotten, misspelt, of nobody; resets and garbage of whole requests", rules=BROKEN,
     route=BATCHES, doubles=0, timeout_ms=1000, rate=300)
def batches_broken_answers(scene):
    scene.traffic(1500)


@row("11", "batches: 503 to everything for 10 s", route=BATCHES, doubles=0)
def batches_outage(scene):
    outage_of_503(scene)
