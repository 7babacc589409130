"""Every operation on steps and their runs as a `Call`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from .calls import Call, encoded, path_of
from .operations import get, run_headers, texts

if TYPE_CHECKING:
    from ..server.api.step_runs import FailedRows, LogLines, StepRunList
    from ..server.api.steps import CheckpointDocument, StepList
    from ..server.steps.documents import StepRunDocument


class StepVersion(msgspec.Struct):
    """A version that is kept."""

    version: int
    created_at: str


class StepDocument(msgspec.Struct):
    """One version of a step, with the document that it was made of; `versions`, of the present one, are those kept."""

    name: str
    version: int
    created_at: str
    document: dict[str, Any]
    versions: list[StepVersion] = []


class StepRunOptions(TypedDict, total=False):
    """What a run of a step may have beside its rows, as for `Step.run`; JSON values."""

    extra_inputs: list[Any]
    local_variables: dict[str, Any]
    secrets: dict[str, str]
    stored_secrets: dict[str, str]


def get_steps() -> Call[StepList]:
    """The tenant's steps."""
    from ..server.api.steps import StepList

    return get(StepList, "steps")


def get_step(name: str, version: int | None) -> Call[StepDocument]:
    """A version of a step, or the present one."""
    path = ("steps", name) if version is None else ("steps", name, "versions", str(version))
    return get(StepDocument, *path)


def put_step(name: str, document: dict[str, Any], if_version: int | None) -> Call[StepDocument]:
    """Make a step or a new version: the same document twice is one version, unless there is a condition."""
    return Call(
        method="PUT", path=path_of("steps", name), answer=StepDocument, body=encoded(document),
        headers=_condition(if_version), is_repeatable=if_version is None,
    )  # fmt: skip


def delete_step(name: str, if_version: int | None) -> Call[None]:
    """Delete a step. Asked twice, the second finds none, so it is not."""
    headers = _condition(if_version)
    return Call(method="DELETE", path=path_of("steps", name), answer=None, headers=headers, is_repeatable=False)


def get_checkpoint(name: str) -> Call[CheckpointDocument]:
    """The checkpoint of a step."""
    from ..server.api.steps import CheckpointDocument

    return get(CheckpointDocument, "steps", name, "checkpoint")


def put_checkpoint(name: str, value: object, if_version: int | None) -> Call[CheckpointDocument]:
    """Set a checkpoint. Each time is a version of its own, against which a run that is under way loses: not twice."""
    return _changed_checkpoint("PUT", name, encoded(value), if_version)


def delete_checkpoint(name: str, if_version: int | None) -> Call[CheckpointDocument]:
    """Reset a checkpoint: not twice, either."""
    return _changed_checkpoint("DELETE", name, None, if_version)


def _changed_checkpoint(method: str, name: str, body: bytes | None, if_version: int | None) -> Call[CheckpointDocument]:
    from ..server.api.steps import CheckpointDocument

    return Call(
        method=method, path=path_of("steps", name, "checkpoint"), answer=CheckpointDocument, body=body,
        headers=_condition(if_version), is_repeatable=False,
    )  # fmt: skip


def post_step_run(
    name: str, input_data: object, options: StepRunOptions, *, idempotency_key: str
) -> Call[StepRunDocument]:
    """Have a step run, once, however often it is asked for."""
    from ..server.steps.documents import StepRunDocument

    return Call(
        method="POST", path=path_of("steps", name, "runs"), answer=StepRunDocument,
        body=encoded({"input_data": input_data, **options}), headers=run_headers(None, idempotency_key),
        is_repeatable=True,
    )  # fmt: skip


def get_step_runs(name: str, limit: int, cursor: str | None) -> Call[StepRunList]:
    """A page of the runs of a step."""
    from ..server.api.step_runs import StepRunList

    return get(StepRunList, "steps", name, "runs", **texts(limit=limit, cursor=cursor))


def get_step_run(name: str, run_id: str) -> Call[StepRunDocument]:
    """How a run of a step is."""
    from ..server.steps.documents import StepRunDocument

    return get(StepRunDocument, "steps", name, "runs", run_id)


def get_step_rows(name: str, run_id: str) -> Call[list[dict[str, Any]]]:
    """The rows of a run of a step."""
    return get(list[dict[str, Any]], "steps", name, "runs", run_id, "rows")


def get_step_logs(name: str, run_id: str, after: int, limit: int) -> Call[LogLines]:
    """Lines of the log of a run of a step."""
    from ..server.api.step_runs import LogLines

    return get(LogLines, "steps", name, "runs", run_id, "logs", **texts(after=after, limit=limit))


def get_step_errors(name: str, run_id: str, after: int, limit: int) -> Call[FailedRows]:
    """Input rows that failed in a run of a step."""
    from ..server.api.step_runs import FailedRows

    return get(FailedRows, "steps", name, "runs", run_id, "errors", **texts(after=after, limit=limit))


def cancel_step_run(name: str, run_id: str) -> Call[StepRunDocument]:
    """End a run of a step; one that has ended stays as it is."""
    from ..server.steps.documents import StepRunDocument

    path = path_of("steps", name, "runs", run_id, action="cancel")
    return Call(method="POST", path=path, answer=StepRunDocument, is_repeatable=True)


def _condition(if_version: int | None) -> dict[str, str]:
    """None is any, 0 that there is none yet."""
    if if_version is None:
        return {}
    return {"If-None-Match": "*"} if if_version == 0 else {"If-Match": f'"{if_version}"'}
