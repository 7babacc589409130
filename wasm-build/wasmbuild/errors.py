"""What can go wrong in a build: every error names the stage, file or key it is about.

BuildError
  RecipeError      recipe.toml, sources.toml or an image declaration is wrong
  FetchError       an archive could not be had, or is not the pinned one
  ArchiveError     an archive or a patch does not apply cleanly, or tries to leave its folder
  StageFailed      a stage's own work failed; `tail` holds the end of its log
  BuildInterrupted Ctrl-C, or another stage failed and this one was stopped
"""

from pathlib import Path


class BuildError(Exception):
    """A build cannot go on; the message is for the person who started it."""


class RecipeError(BuildError):
    """A declaration is wrong.

    Attributes:
        file: the declaring file.
        key: the key inside it, dotted.
    """

    def __init__(self, file: Path, key: str, message: str) -> None:
        super().__init__(f"{file}: {key}: {message}")
        self.file = file
        self.key = key


class FetchError(BuildError):
    """An archive could not be fetched or is not the pinned one."""


class ArchiveError(BuildError):
    """An archive or patch was refused."""


class BuildInterrupted(BuildError):
    """The build was stopped from outside this stage."""


class StageFailed(BuildError):
    """A stage failed.

    Attributes:
        stage: its name.
        log: the file with everything it printed, if it got that far.
        tail: the last lines of that file.
    """

    def __init__(self, message: str, *, stage: str = "", log: Path | None = None, tail: str = "") -> None:
        super().__init__(f"{stage}: {message}" if stage else message)
        self.message = message
        self.stage = stage
        self.log = log
        self.tail = tail
