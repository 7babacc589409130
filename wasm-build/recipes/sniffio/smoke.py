"""sniffio says which asynchronous library runs."""

import sniffio

token = sniffio.current_async_library_cvar.set("ours")
assert sniffio.current_async_library() == "ours"
sniffio.current_async_library_cvar.reset(token)
