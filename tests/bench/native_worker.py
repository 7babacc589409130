"""Run by the native interpreter: reads requests, one JSON object a line, and answers with lists of seconds."""

import json
import sys
import time

namespaces: dict[str, dict[str, object]] = {}
for text in sys.stdin:
    request = json.loads(text)
    source = request["source"]
    if source not in namespaces:
        namespaces[source] = {}
        exec(compile(source, "<bench>", "exec"), namespaces[source])
    code = compile(request["expression"], "<bench>", "eval")
    seconds = []
    for _ in range(request["times"]):
        started = time.perf_counter()
        eval(code, namespaces[source])
        seconds.append(time.perf_counter() - started)
    print(json.dumps(seconds), flush=True)
