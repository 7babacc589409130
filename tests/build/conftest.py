"""What tests of the build share: the pinned compiler, from the cache or installed into it."""

from pathlib import Path

import pytest

from wasmbuild import tools
from wasmbuild.cache import default_cache
from wasmbuild.graph import Graph
from wasmbuild.progress import SilentProgress


@pytest.fixture(scope="session")
def tools_folder() -> Path:
    """The output of the stage `tools`."""
    cache = default_cache()
    cache.prepare()
    graph = Graph([tools.tools_stage()], cache)
    if not graph.is_done(tools.NAME):
        with cache.lock():
            graph.run([tools.NAME], SilentProgress())
    return graph.folder(tools.NAME)
