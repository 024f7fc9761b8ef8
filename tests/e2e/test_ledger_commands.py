"""What the ledger knows of a key, told in words by the command and the console alike, and forgotten by command."""

from support.console import Console
from support.gateway import command


def ledger(verb, world, key, *more, **options):
    return command("ledger", verb, "orders", world.topic, key, *more, config=world.gateways[0].config_path, **options)


def test_a_key_is_told_in_words_and_forgotten(world, tmp_path):
    world.start()
    first, second = world.send("k", 1), world.send("k", 2)
    world.wait_effects([first, second])
    world.wait_committed()
    console = Console(tmp_path, world.gateways[0].config).start()
    try:
        console.use_document()
        key = console.get("/api/v1/keys/orders/%s/k" % world.topic)
        told = ledger("get", world, "k", check=0).stdout
        assert key["found"] is True and "seen without a gap up to: 2" in key["words"], key
        assert key["words"].strip() in told, (key["words"], told)

        world.send("k", 1)
        world.wait_committed()
        assert len(world.handler.calls(first)) == 1
        assert "--yes" in ledger("reset", world, "k", check=64).stderr
        assert ledger("get", world, "k", check=0).stdout == told
        ledger("reset", world, "k", "--yes", check=0)
        left = ledger("get", world, "k", check=0).stdout  # a generation, by which what was known before stays forgotten
        assert "up to: 2" not in left and console.get("/api/v1/keys/orders/%s/k" % world.topic)["words"] in left
        world.send("k", 1)
        world.wait_committed()
        assert len(world.handler.calls(first)) == 2
    finally:
        console.close()
