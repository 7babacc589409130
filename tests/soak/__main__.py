"""`python -m tests.soak`: tens of thousands of executions of every kind in one process, which must not grow.

Prints what the process holds after each thousand, and how that grew over the second half: the slopes of its memory, of
what is allocated of it, of the interpreter's objects. Exits with 1 if one of them is steeper than MOST says, if
descriptors, threads or mappings grew, or if an execution ended in another way than it must.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.soak.kinds import KINDS
from tests.soak.process import Growth, Held, growth
from tests.soak.soak import soak

MOST = Growth(memory=0.5, allocated=0.1, blocks=500)
"""Per 1,000 executions. The free room of the allocator makes the first one uncertain by 0.3."""
MOST_DESCRIPTORS = 6
"""Two processes that finish rows come and go."""
MOST_MAPPINGS = 20
"""An allocator's arenas come and go."""


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=1000, help="look at the process after so many")
    parser.add_argument("--only", action="append", choices=tuple(KINDS), help="only these kinds (repeatable)")
    parser.add_argument("--each", action="store_true", help="the kinds one after the other, so many runs of each")
    options = parser.parse_args()
    names = options.only or list(KINDS)
    failed = False
    for chosen in [[name] for name in names] if options.each else [names]:
        begun = time.perf_counter()
        found, wrong = soak(
            options.runs, every=options.every, names=chosen, on_held=lambda held: print(held, flush=not options.each)
        )
        what = chosen[0] if options.each else f"{len(chosen)} kinds"
        print(f"{what}: {time.perf_counter() - begun:.0f} s")
        for text, count in wrong.most_common():
            print(f"  {count:,} x {text}")
        failed |= _judge(found) or bool(wrong)
    return int(failed)


def _judge(found: list[Held]) -> bool:
    """Say how it grew; whether that is too much."""
    grown = growth(found)
    first, last = found[len(found) // 2], found[-1]
    print(
        f"second half, per 1,000 runs (and at most): {grown.memory:+.3f} MB ({MOST.memory}), {grown.allocated:+.3f} MB "
        f"allocated ({MOST.allocated}), {grown.blocks:+.0f} objects ({MOST.blocks}); descriptors "
        f"{last.descriptors - first.descriptors:+}, threads {last.threads - first.threads:+}, mappings "
        f"{last.mappings - first.mappings:+}",
        flush=True,
    )
    return (
        any(seen > most for seen, most in zip(grown, MOST, strict=True))
        or last.descriptors > first.descriptors + MOST_DESCRIPTORS
        or last.threads > first.threads
        or last.mappings > first.mappings + MOST_MAPPINGS
    )


if __name__ == "__main__":
    sys.exit(main())
