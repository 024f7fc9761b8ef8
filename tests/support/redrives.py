"""Dead letters to send round again, and the redrive commands, as several files of tests want them."""

import json
import os

from support import places
from support.gateway import command
from support.process import Child
from support.waiting import wait_until


def fail_all(world, count):
    """So many dead letters of one key each; the handler is well again afterwards. Their ids."""
    world.start()
    world.handler.control(default={"status": 422})
    ids = [world.send("k%d" % number, 1) for number in range(count)]
    world.wait_dead(count)
    world.wait_committed()
    world.handler.control(default=None)
    return ids


def redrive(world, *args, **options):
    return command("redrive", *args, config=world.gateways[0].config_path, **options)


def job_of(done):
    """The job that a command printed with -o jsonl."""
    return json.loads(done.stdout.splitlines()[-1])


def start_job(world, *args, check=0, **options):
    return job_of(redrive(world, "start", "-o", "jsonl", *args, check=check, **options))


def known_jobs(world):
    return [json.loads(line)
            for line in redrive(world, "list", "-o", "jsonl", check=0).stdout.splitlines()]


class Runner(Child):
    """A redrive command in the background."""

    count = 0

    def __init__(self, world, *args, program=None, env=None):
        Runner.count += 1
        log = world.directory / ("redrive%d.log" % Runner.count)
        super().__init__([program or places.find_gateway(), "redrive", *args, "-o", "jsonl", "-c",
                          world.gateways[0].config_path], log, env={**os.environ, **(env or {})})

    def wait_said(self, words, timeout=30):
        wait_until(lambda: words in self.output(), timeout,
                   lambda: "%s, said: %s" % (words, self.output()))
        return self


def effects(world, ids):
    """Of these records, in their order; one that has two stands there twice."""
    return [record_id for record_id in world.handler.effects() if record_id in set(ids)]


def copies_sent(world):
    return len(world.dump("redrive"))
