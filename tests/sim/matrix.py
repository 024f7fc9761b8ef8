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
    "keep-claim": ["calm", "cap"],
    "twin-hop": ["calm"],
    "reassert": ["rollback"],
    "drain": ["calm"],
    "produce-first": ["calm"],
    "deliver-first": ["calm"],
    "ack-first": ["calm"],
}


def show(rule, seed, runs, seconds=12):
    """(profile, what broke, runs it took, example) or None."""
    start, tried = time.monotonic(), 0
    for profile in WHERE[rule]:
        left = seconds - (time.monotonic() - start)
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
        found = show(rule, seed, runs)
        if found:
            profile, bad, tried, example = found
            kinds = " ".join(f"{k}={v}" for k, v in bad.items())
            print(f"{rule:20} {profile:12} after {tried:4} runs: {kinds:28} | {words[rule]}", flush=True)
        else:
            silent.append(rule)
            print(f"{rule:20} nothing broke | {words[rule]}", flush=True)
    print(f"{len(words) - len(silent)} of {len(words)} shown; not shown: {', '.join(silent) or 'none'}")
    return 0
