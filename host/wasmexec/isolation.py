"""What lies in the working folder does not run on the host: imported before anything else of ours.

SECURITY: `python -m wasmexec` has the working folder first on `sys.path`, and an `orjson.py` beside a statement would
be imported in place of the library. While Python looks for the module of `-m`, and only then, `sys.argv[0]` is "-m".
"""

import sys

if sys.argv[:1] == ["-m"] and sys.path and not sys.flags.safe_path:
    del sys.path[0]
