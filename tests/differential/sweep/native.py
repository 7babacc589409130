"""The native side, in the native environment: prints the expressions, or answers those that come.

python -m tests.differential.sweep.native list               the expressions, JSON: [[kind, text], ...]
python -m tests.differential.sweep.native answer < numbered  a line of JSON for each, `[number, text]`
"""

import json
import resource
import sys

from tests.differential.sweep import answers, plan

MOST_MEMORY = 6 << 30
MOST_SECONDS = 120
"""Of processor time: a batch takes a few."""

if __name__ == "__main__":
    if sys.argv[1] == "list":
        json.dump(list(plan.expressions()), sys.stdout)
    else:
        # What would take more than any machine of ours has is refused at once, as in the guest.
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        answers.run(json.load(sys.stdin), lambda line: print(line, flush=True))
