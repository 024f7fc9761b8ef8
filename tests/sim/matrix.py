"""The table rule -> what the simulation broke without it.

Each rule is tried in the profiles where it can matter, until something that must be 0 is not. RULES_OF maps the names of switches to
the numbered rules of docs/simulation.md.
"""

import time

import gateway
import sim

# switch -> profiles in which its absence shows, the likeliest first
WHERE = {
    "floor": ["rollback", "gaps"],
    "earliest": ["calm", "split"],
    "cap": ["cap"],
    "evidence": ["outage"],
    "hop": ["outage", "split", "calm"],
    "owner": ["split", "twoparts"],
    "fence": ["split", "kinds"],
    "fence-missing": ["wipe"],
    "owner-per-partition": ["split"],
    "prove": ["split", "calm"],
    "head-all": ["gaps", "twoparts"],
    "rank-order": ["wipe", "split", "rollback"],
    "not-head": ["calm", "split"],
    "park-not-head": ["outage", "calm", "split"],
    "rebuild": ["wipe"],
    "marks-rebuild": ["marks"],
    "marks-first": ["marks"],
    "marks-done": ["marks"],
    "rank-only": ["rollback", "failover"],
    "refund": ["long_outage"],
    "lease-cover": ["calm", "split"],
    "moved-on": ["redrive"],
    "mark": ["gaps", "kinds"],
    "done-parked": ["calm", "split"],
    "same-partition": ["wipe", "twoparts"],
    "commit-acked": ["at_most_once"],
    "append-time": ["skew"],
    "tombstone": ["kinds", "gaps"],
    "ghost": ["rollback"],
    "window": ["gaps"],
    "busy": ["calm", "split"],
    "seen-entry": ["calm"],
    "keep-claim": ["timeouts"],
    "block-once": ["calm"],
    "block-stays": ["calm"],
    "block-redrive": ["calm"],
    "kept-fence": ["kept"],
    "kept-plain": ["kept"],
    "kept-busy": ["kept"],
    "kept-wanted": ["kept"],
    "kept-zombie": ["kept"],
    "kept-cover": ["kept"],
    "kept-next": ["kept"],
    "kept-forget": ["kept"],
    "release-drained": ["kept"],
    "twin-hop": ["calm"],
    "reassert": ["failover"],
    "drain": ["calm"],
    "produce-first": ["calm"],
    "deliver-first": ["calm"],
    "ack-first": ["calm"],
}


# Why the absence of these breaks nothing here.
NOT_SHOWN = {
    "fence": "claims, marks and tombstones keep the promise against a zombie alone; the fence ends its work early, keeps it from "
             "holding claims, and its absence is how a wipe is noticed (fence-missing)",
    "prove": "a zombie that takes tokens without proof costs FENCED answers until its first commit fails; nothing is broken",
    "window": "tombstones and marks prove the same in ordered routes; it serves unordered ones, where a re-read record of the "
              "previous epoch above its mark would be dead-lettered as STALE",
    "rank-only": "one loss in some hundred runs with two failovers and a repeated number between them; too rare for a table",
    "block-once": "dead letters block no key in the simulation; difftest.py shows it",
    "block-stays": "as block-once",
    "block-redrive": "as block-once",
    "kept-fence": "a zombie keeps for nobody but itself, and not beyond a lease after its last finish; a newer owner would wait the longer",
    "kept-plain": "the flow forgets what was kept as soon as a record of the key is parked; the script's condition is the second bolt",
    "kept-wanted": "costs latency: another owner of the key would wait for as long as records of it come",
    "kept-forget": "needs numbers that come out of order while a claim is kept: the successor must fail and its predecessor come later",
    "twin-hop": "costs latency: a twin with an old hop is SUPERSEDED, and its copy has to come",
    "drain": "costs latency: shown by tier_latency.py",
}


def show(rule, seed, runs, seconds=20):
    """(profile, what broke, runs it took, example) or None."""
    start, tried = time.process_time(), 0
    for profile in WHERE[rule]:
        left = seconds - (time.process_time() - start)
        if left <= 0:
            break
        n, total, _, example = sim.batch(profile, seed, runs, {rule}, stop_at_first=True, seconds=left)
        tried += n
        bad = {k: total[k] for k in sim.ALL if total[k]}
        if bad:
            return profile, bad, tried, example
    return None


def main(seed, runs):
    words, silent = gateway.all_rules(), []
    for rule in sorted(words, key=lambda r: list(WHERE).index(r)):
        found = show(rule, seed, runs) if rule not in NOT_SHOWN else None
        if found:
            profile, bad, tried, example = found
            kinds = " ".join(f"{k}={v}" for k, v in bad.items())
            print(f"{rule:20} {profile:12} after {tried:4} runs: {kinds:28} | {words[rule]}", flush=True)
        else:
            silent.append(rule)
            print(f"{rule:20} nothing broke: {NOT_SHOWN.get(rule, 'UNEXPLAINED')} | {words[rule]}", flush=True)
    print(f"{len(words) - len(silent)} of {len(words)} shown; not shown: {', '.join(silent) or 'none'}")
    return 1 if set(silent) - set(NOT_SHOWN) else 0
