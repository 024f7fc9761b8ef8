import random, time, json
import pytest
from test_console import Stage, stage, MARKUP, ESCAPES

@pytest.mark.parametrize("n", range(6))
def test_feed(stage, n):
    rnd = random.Random(n)
    console = stage.console().start()
    want = 0
    slow = []
    for round in range(25):
        for i in range(rnd.randint(1, 8)):
            size = rnd.choice([5, 200, 300000, 600000, 900000, 1 << 20, 1 << 20])
            as_key = rnd.random() < 0.6
            p = rnd.randint(0, 1)
            stage.sent += 1
            own = [["oncegate-version", "1"], ["oncegate-group", stage.world.group], ["oncegate-route", "orders"],
              ["oncegate-attempt", "3"], ["oncegate-origin-topic", stage.world.topic], ["oncegate-origin-partition", str(p)],
              ["oncegate-origin-offset", str(stage.sent)], ["oncegate-error-code", "x"], ["oncegate-error-detail", "no"]]
            stage.world.producer.send(topic=stage.dlq, p=p, key="K" * size if as_key else "k%d" % i,
                value="v" if as_key else "v" * min(size, 900000), headers=own)
            want += 1
            if rnd.random() < 0.3:
                stage.world.producer.flush()
            if rnd.random() < 0.3:
                time.sleep(rnd.random() * 0.3)
        stage.world.producer.flush()
        t = time.monotonic()
        console.wait_letters(want, state="any")
        took = time.monotonic() - t
        if took > 2:
            slow.append((round, want, round and took))
    print("SLOW", n, want, slow)
