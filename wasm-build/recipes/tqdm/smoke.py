"""tqdm counts and draws into a text."""

import io

from tqdm import tqdm

stream = io.StringIO()
assert sum(tqdm(range(5), file=stream, mininterval=0, desc="sum")) == 10
assert "sum: 100%" in stream.getvalue()
assert "5/5" in stream.getvalue()
assert tqdm.format_sizeof(1536, divisor=1024) == "1.50k"
