"""Steps over HTTP: their documents by version, and their checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from ...rows.json_text import encode
from ...store.errors import StoreLimitError
from ..http.operations import Answered, Operation, Route, json_answer, route
from ..problems import ProblemError, not_found
from ..quotas.refusals import Refusal
from ..steps.documents import moment
from ..steps.plans import allowed_by
from ..storage.steps import InUse, Mismatch, StoredStep
from ..tenants.keys import Actor, Scope

if TYPE_CHECKING:
    from ...store.records import Checkpoint
    from ..http.request import Request
    from ..steps.checks import Checks
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant
    from .access import Access

_TAG = re.compile(r'"([0-9]{1,18})"')
_CONDITIONS = {
    "If-Match": 'only if the present version is this one, or "*": if there is one',
    "If-None-Match": '"*": only if there is none yet',
}


class StepSummary(Struct):
    """A step in a list."""

    name: str
    version: int
    updated_at: str


class StepList(Struct):
    """The steps of a tenant, by name."""

    steps: list[StepSummary]


class VersionSummary(Struct):
    """A version that is kept."""

    version: int
    created_at: str


class StepDocument(Struct, omit_defaults=True):
    """One version of a step, with its document as it was sent; `versions`, of the present one, are those kept."""

    name: str
    version: int
    created_at: str
    document: Raw
    versions: list[VersionSummary] = []


class CheckpointDocument(Struct):
    """What the next run of a step sees as DATA_CHECKPOINT.

    Version 0 is none yet; `cause` is "never", "run", "set" or "reset".
    """

    value: Any
    version: int
    cause: str
    changed_at: str | None


_EXAMPLES = {
    "numbers, each twice": {
        "statement": "return [{'n': 2 * row['n']} for row in INPUT_DATA]",
        "output_schema": [{"name": "n", "type": "integer"}],
    },
}


class StepsApi:
    """The handlers."""

    def __init__(self, access: Access, storage: Storage, checks: Checks) -> None:
        self._access = access
        self._steps = storage.steps
        self._checks = checks

    def routes(self) -> tuple[Route, ...]:
        """Paths and operations."""
        return (
            route("/v1/steps", GET=Operation(
                handler=self.get_steps, scope=Scope.READ, answers={200: StepList},
            )),
            route("/v1/steps/{name}", GET=Operation(
                handler=self.get_step, scope=Scope.READ, answers={200: StepDocument},
            ), PUT=Operation(
                handler=self.put_step, scope=Scope.STEPS, body=dict[str, Any], examples=_EXAMPLES,
                answers={200: StepDocument, 201: StepDocument}, problems=(408, 409, 412, 413, 415), headers=_CONDITIONS,
            ), DELETE=Operation(
                handler=self.delete_step, scope=Scope.STEPS, answers={204: None}, problems=(409, 412),
                headers=_CONDITIONS,
            )),
            route("/v1/steps/{name}/versions/{version}", GET=Operation(
                handler=self.get_version, scope=Scope.READ, answers={200: StepDocument},
            )),
            route("/v1/steps/{name}/checkpoint", GET=Operation(
                handler=self.get_checkpoint, scope=Scope.READ, answers={200: CheckpointDocument},
            ), PUT=Operation(
                handler=self.put_checkpoint, scope=Scope.STEPS, body=Any, answers={200: CheckpointDocument},
                examples={"any JSON": {"seen": 17}},
                problems=(408, 412, 413, 415), headers=_CONDITIONS,
            ), DELETE=Operation(
                handler=self.delete_checkpoint, scope=Scope.STEPS, answers={200: CheckpointDocument}, problems=(412,),
                headers=_CONDITIONS,
            )),
        )  # fmt: skip

    async def get_steps(self, request: Request) -> Answered:
        """The steps of the tenant."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        found = await self._steps.list(tenant.name)
        return json_answer(200, StepList([StepSummary(name, version, moment(at)) for name, version, at in found]))

    async def get_step(self, request: Request) -> Answered:
        """The present version of a step."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        step = await self._present(tenant, request)
        kept = await self._steps.versions(tenant.name, step.name)
        return _answer(200, step, [VersionSummary(number, moment(at)) for number, at in kept])

    async def get_version(self, request: Request) -> Answered:
        """One version of a step."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        number = request.parts["version"]
        if not number.isdecimal() or len(number) > 18:
            raise not_found()
        step = await self._steps.version(tenant.name, request.parts["name"], int(number))
        if step is None:
            raise not_found()
        return _answer(200, step)

    async def put_step(self, request: Request) -> Answered:
        """Make a step, or a new version of one, of a document with the keys of a step file."""
        tenant, key = self._access.tenant(request, Scope.STEPS)
        name, expected = request.parts["name"], _expected(request)
        document = await self._access.small_body(request)
        plan = await self._checks.plan_of(tenant, name, document)
        # What it may reach and use is looked at again when it runs.
        allowed_by(tenant, key.id, plan)
        stored = await self._steps.put(
            tenant.name,
            name,
            document,
            msgspec.json.encode(plan),
            expected=expected,
            most=tenant.document.max_steps,
            actor=key.actor,
        )
        if isinstance(stored, Refusal):
            raise ProblemError.of(stored)
        if isinstance(stored, Mismatch):
            raise _mismatch(stored)
        step, is_new = stored
        return _answer(201 if is_new and step.version == 1 else 200, step)

    async def delete_step(self, request: Request) -> Answered:
        """Delete a step with its versions, its checkpoint and its runs."""
        tenant, key = self._access.tenant(request, Scope.STEPS)
        name, expected = request.parts["name"], _expected(request)
        deleted = await self._steps.delete(tenant.name, name, expected=expected, actor=key.actor)
        if deleted is None:
            raise not_found()
        if isinstance(deleted, Mismatch):
            raise _mismatch(deleted)
        if isinstance(deleted, InUse):
            raise ProblemError(
                409, "step.in_use", f"{deleted.runs} of its runs have not ended; cancel them, or wait",
                used=deleted.runs, changed_by="tenant",
            )  # fmt: skip
        return Answered(204, b"")

    async def get_checkpoint(self, request: Request) -> Answered:
        """The checkpoint of a step."""
        tenant, _ = self._access.tenant(request, Scope.READ)
        checkpoint = await self._steps.checkpoint(tenant.name, request.parts["name"])
        if checkpoint is None:
            raise not_found()
        return _checkpoint(checkpoint)

    async def put_checkpoint(self, request: Request) -> Answered:
        """Set the checkpoint of a step to any JSON value; a run that is under way loses against it."""
        tenant, key = self._access.tenant(request, Scope.STEPS)
        return await self._change(tenant, key.actor, request, await self._access.small_body(request))

    async def delete_checkpoint(self, request: Request) -> Answered:
        """Reset the checkpoint of a step to null, as a new version."""
        tenant, key = self._access.tenant(request, Scope.STEPS)
        return await self._change(tenant, key.actor, request, None)

    async def _change(self, tenant: Tenant, actor: Actor, request: Request, value: bytes | None) -> Answered:
        version = _expected_version(request)
        try:
            changed = await self._steps.set_checkpoint(
                tenant.name, request.parts["name"], value, expect_version=version, actor=actor
            )
        except ValueError as error:
            raise ProblemError(400, "body", f"the body is not JSON: {error}", changed_by="tenant") from None
        if changed is None:
            raise not_found()
        if isinstance(changed, Mismatch):
            raise _mismatch(changed)
        if isinstance(changed, StoreLimitError):
            raise ProblemError(
                400, "checkpoint.bytes", changed.message, value=changed.limit, asked=changed.used, changed_by="nobody"
            )
        return _checkpoint(changed)

    async def _present(self, tenant: Tenant, request: Request) -> StoredStep:
        step: StoredStep | None = await self._steps.latest(tenant.name, request.parts["name"])
        if step is None:
            raise not_found()
        return step


def _answer(status: int, step: StoredStep, versions: list[VersionSummary] | None = None) -> Answered:
    document = StepDocument(step.name, step.version, moment(step.created_at), Raw(step.document), versions or [])
    return json_answer(status, document, {"ETag": f'"{step.version}"'})


def _checkpoint(checkpoint: Checkpoint) -> Answered:
    changed = None if checkpoint.changed_at is None else moment(checkpoint.changed_at)
    head = msgspec.json.encode({"version": checkpoint.version, "cause": checkpoint.cause, "changed_at": changed})
    # The value may have integers of any size.
    body = b'{"value":' + encode(checkpoint.value, half_pairs=True) + b"," + head[1:]
    return Answered(200, body, {"ETag": f'"{checkpoint.version}"'})


def _expected(request: Request) -> Callable[[int], bool]:
    """Whether a present version is the one that a request means, 0 being none.

    Raises:
        ProblemError: 400: its conditions make no sense.
    """
    match, none = request.header(b"if-match"), request.header(b"if-none-match")
    if match is not None and none is not None:
        raise ProblemError(400, "header", "either If-Match or If-None-Match, not both", changed_by="nobody")
    if none is not None:
        if none.strip() != "*":
            raise ProblemError(400, "header", 'If-None-Match is "*" here: only if there is none', changed_by="nobody")
        return lambda version: version == 0
    if match is None:
        return lambda version: True
    if match.strip() == "*":
        return lambda version: version > 0
    wanted = _tag(match)
    return lambda version: version == wanted


def _expected_version(request: Request) -> int | None:
    """The version of a checkpoint that a request means; None if it means any.

    Raises:
        ProblemError: 400: its conditions make no sense.
    """
    match, none = request.header(b"if-match"), request.header(b"if-none-match")
    if none is not None:
        if none.strip() != "*" or match is not None:
            raise ProblemError(400, "header", 'If-None-Match is "*" here, without If-Match', changed_by="nobody")
        return 0
    return None if match is None or match.strip() == "*" else _tag(match)


def _tag(value: str) -> int:
    """Raises: ProblemError: 400."""
    found = _TAG.fullmatch(value.strip())
    if found is None:
        text = f'If-Match is an ETag of this resource, such as "3", not {value[:80]!r}'
        raise ProblemError(400, "header", text, changed_by="nobody")
    return int(found[1])


def _mismatch(found: Mismatch) -> ProblemError:
    what = f"the present version is {found.version}" if found.version else "there is none"
    text = f"{what}, not what the request expects"
    return ProblemError(412, "version", text, used=found.version, changed_by="tenant")
