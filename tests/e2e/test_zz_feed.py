import pytest
from test_console import Stage, stage, MARKUP, ESCAPES

@pytest.mark.parametrize("n", range(4))
def test_feed(stage, n):
    console = stage.console().start()
    want = 0
    sizes = [10, 300000, 1 << 20, 10, 500, 700000, 1 << 20, 1 << 20, 5]
    for round in range(6):
        for i, size in enumerate(sizes):
            as_key = (i + round) % 2 == 0
            stage.letter(key="K" * size if as_key else "k", value="x" if as_key else "v" * min(size, 900000))
            want += 1
            if (i + n) % 3 == 0:
                stage.world.producer.flush()
        stage.world.producer.flush()
        console.wait_letters(want, state="any")
