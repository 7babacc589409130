"""`python -m wasmbuild NAME...` builds images or single recipes and prints where they are (for work on recipes)."""

import os
import sys

from wasmbuild.cache import default_cache
from wasmbuild.errors import BuildError, StageFailed
from wasmbuild.graph import Graph
from wasmbuild.plan import load_catalogue, recipe_stages
from wasmbuild.progress import progress_for


def main(names: list[str]) -> int:
    """Build the named recipes; the exit status."""
    cache = default_cache()
    cache.prepare()
    progress = progress_for(workers=os.cpu_count() or 1)
    try:
        catalogue = load_catalogue()
        for name in names:
            if name not in catalogue.recipes:
                raise BuildError(f"there is no recipe {name!r}; there are {', '.join(catalogue.recipes)}")
        graph = Graph(recipe_stages(catalogue, names, cache), cache)
        with cache.lock(progress.note):
            cache.clear_work()
            graph.run(names, progress)
    except StageFailed as error:
        print(f"{error}\n{error.tail}\nfull log: {error.log}", file=sys.stderr)
        return 1
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what is finished is kept", file=sys.stderr)
        return 130
    for name in names:
        print(f"{name}: {graph.folder(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
