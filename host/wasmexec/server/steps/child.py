"""The process of one step run: it reads documents and rows of one tenant, and asks the front for executions.

SECURITY: what a tenant has sent is parsed and checked by its schemas here and nowhere else on the way, in a process
that has one tenant's data, no store and no guest.
"""

from __future__ import annotations

import os
import resource
import threading
import traceback
from dataclasses import asdict, replace
from typing import NoReturn

from ..._wall.wall import Wall
from ...limits import GIB
from ...rows.json_text import decode, encode
from ...step.file.hosted import read_hosted
from ...step.file.mistakes import StepFileError
from ...step.result import Progress
from ...step.running.cancellation import Cancellation
from ...step.running.request import RunRequest
from ...step.running.run import run_step
from ...workers.messages import BadMessage, Kind, pack
from ...workers.pipes import Inbox, Outbox, begin
from ..quotas.ceilings import limits_of
from .messages import TO_PROCESS, GrantTold, Job, MistakeTold, Plan, ProgressTold, SecretTold, TooLarge, tell, told
from .remote import RemoteEngine, RemoteStore

_CHECK_SECONDS = 20
"""Of processor time, for a document."""
_TIMES_THE_INPUTS = 16
"""So many times their bytes more memory than an empty process."""


def main(parent: str, wall: str) -> NoReturn:
    """Do what the first frame says, behind a wall, which is what `Wall.pack` packed; end with the parent."""
    try:
        _serve(int(parent), Wall.unpack(wall))
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(parent: int, wall: Wall) -> NoReturn:
    # SECURITY: while there is one thread.
    wall.begin(parent)
    outbox = begin(parent)
    inbox = Inbox(TO_PROCESS)
    frame = inbox.next()
    if frame.kind is not Kind.JOB:
        raise BadMessage("no job")
    job: Job = told(frame.body, Job)
    _bound_memory(len(frame.body))
    if not job.run_id:
        resource.setrlimit(resource.RLIMIT_CPU, (_CHECK_SECONDS, _CHECK_SECONDS))
    # SECURITY: before anything is parsed that a tenant wrote.
    wall.close()
    if not job.run_id:
        outbox.write(pack(Kind.PLAN, body=tell(_plan(job))))
        os._exit(0)
    _run(job, inbox, outbox)
    os._exit(0)


def _plan(job: Job) -> Plan:
    """What a document asks for, or what is wrong with it."""
    try:
        definition = read_hosted(job.document, job.name)
    except StepFileError as error:
        return Plan(mistakes=[MistakeTold(item.line, item.column, item.message) for item in error.mistakes])
    named = decode(job.document).get("limits") or {}
    return Plan(
        statement=definition.statement.text,
        output=encode(definition.output.definition),
        mode=definition.output.mode,
        processing=definition.processing,
        description=definition.description,
        concurrency=definition.concurrency if definition.processing == "row_by_row" else 1,
        limits={name: value for name, value in asdict(definition.limits).items() if name in named},
        grants=[
            GrantTold(grant.host, list(grant.ports), list(grant.methods), list(grant.schemes), grant.allow_private)
            for grant in definition.grants.http_grants
        ],
        secrets={
            name: SecretTold(list(source.hosts), list(source.also_in)) for name, source in definition.secrets.items()
        },
    )


def _run(job: Job, inbox: Inbox, outbox: Outbox) -> None:
    definition = replace(read_hosted(job.document, job.name), limits=limits_of(job.limits))
    store = RemoteStore(outbox, job)
    engine = RemoteEngine(outbox)
    cancellation = Cancellation()
    reader = threading.Thread(
        target=_receive, args=(inbox, engine, store, cancellation), name="wasmexec-front", daemon=True
    )
    reader.start()
    run_step(definition, _request(job, cancellation, outbox), engine, store=store, keeps_rows=False)


def _request(job: Job, cancellation: Cancellation, outbox: Outbox) -> RunRequest:
    def on_progress(progress: Progress) -> None:
        content = ProgressTold(progress.rows_read, progress.rows_done, progress.rows_failed)
        outbox.write(pack(Kind.PROGRESS, body=tell(content)))

    return RunRequest(
        input_data=job.input_data, extra_inputs=job.extra_inputs, local_variables=decode(job.local_variables),
        secrets=job.secrets, on_progress=on_progress, cancellation=cancellation, trigger="http",
    )  # fmt: skip


def _receive(inbox: Inbox, engine: RemoteEngine, store: RemoteStore, cancellation: Cancellation) -> NoReturn:
    """Hand on what the front says; a fault ends the process."""
    try:
        while True:
            frame = inbox.next()
            if frame.kind is Kind.ANSWER:
                engine.answered(frame.execution, frame.fields, frame.body)
            elif frame.kind is Kind.CANCEL:
                cancellation.cancel()
            elif frame.kind is Kind.REFUSED:
                store.refused(told(frame.body, TooLarge))
            else:
                raise BadMessage("a second job")
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _bound_memory(inputs: int) -> None:
    most = GIB + _TIMES_THE_INPUTS * inputs
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
