"""A worker of many orders on the real image, and what its parent believes of an answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers import WebServer

from wasmexec import Executor, Limits, Result, Status
from wasmexec._wall.wall import Mode, Wall
from wasmexec.http_calls import HttpCall
from wasmexec.isolation import child_command
from wasmexec.workers.answers import (
    MAX_CALLS,
    STATE_ROOM,
    Answer,
    State,
    answer_of,
    answer_room,
    pack_answer,
    pack_states,
    unpack_answer,
    unpack_states,
)
from wasmexec.workers.files import whole
from wasmexec.workers.messages import BadMessage, Frame, Kind, Room, pack
from wasmexec.workers.process import WorkerProcess

PATIENCE_SECONDS = 60.0
WALL = Wall(Mode.OFF, [], {})
CALL = HttpCall("GET", "api.example.com", 443, 200, None, 1764374400.5, 0.25)


class Worker:
    """A worker process, its frames in the order they came."""

    def __init__(self, image: Path) -> None:
        rooms = {
            Kind.HTTP: Room(0, 0),
            Kind.WAKE: Room(0, 0),
            Kind.STATE: STATE_ROOM,
            Kind.ANSWER: answer_room(Limits()),
        }
        command = child_command("workers.orders_child", str(os.getpid()), str(image), "5", WALL.pack())
        self.process = WorkerProcess(command, rooms, [])
        self.image = image
        self.frames: list[Frame] = []
        self.until(Kind.READY, 0)

    def start(self, number: int, statement: str, data: bytes = b"null", **order: Any) -> None:
        content = {
            "image": str(self.image), "statement": statement, "schema": None, "mode": "strict", "extra_inputs": [],
            "checkpoint": None, "local_variables": {}, "limits": {}, "secrets": {},
            "grants": {"http": [], "ca_file": None, "proxy": None}, **order,
        }  # fmt: skip
        self.process.give(number, pack(Kind.EXECUTE, number, json.dumps(content).encode(), data))

    def stop(self, number: int) -> None:
        self.process.send(pack(Kind.STOP, number))

    def until(self, kind: Kind, number: int) -> Frame:
        """The first frame of a kind about an execution; fails after a minute."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            for frame in self.frames:
                if (frame.kind, frame.execution) == (kind, number):
                    return frame
            assert time.monotonic() < deadline, "it never came"
            self.process.flush()
            came = self.process.receive()
            assert came is not None, "the worker has ended"
            self.frames += came
            time.sleep(0.001)

    def answer(self, number: int) -> Answer:
        frame = self.until(Kind.ANSWER, number)
        return unpack_answer(frame.fields, frame.body)


@pytest.fixture(scope="module")
def worker(executor: Executor) -> Iterator[Worker]:
    worker = Worker(executor.image.manifest)
    yield worker
    worker.process.kill()
    worker.process.reap(10.0)


def test_each_execution_has_an_order_of_its_own(worker: Worker) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    worker.start(1, "log.warn('é')\nreturn INPUT_DATA", b'[{"a":1},{"a":2}]', schema=schema)
    worker.start(2, "return INPUT_DATA", b'[{"a":"1"}]', schema=schema)
    worker.start(3, "return [{'x': LocalVariable.key}]", local_variables={"key": "value"})
    answer = worker.answer(1)
    assert (answer.status, answer.row_count, answer.log_count) == (200, 2, 1)
    assert json.loads(whole(answer.rows)) == [{"a": 1}, {"a": 2}]
    assert [record["message"] for record in json.loads(answer.logs)] == ["é"]
    assert answer.error == b"null"
    assert answer.usage.cpu_seconds > 0
    refused = worker.answer(2)
    assert (refused.status, refused.rows) == (306, b"[]")
    assert json.loads(refused.error)["pointer"] == "/0/a"
    assert json.loads(whole(worker.answer(3).rows)) == [{"x": "value"}]


def test_one_execution_is_stopped_and_the_others_go_on(worker: Worker) -> None:
    worker.start(10, "while True:\n    pass")
    worker.start(11, "await sleep(30)")
    worker.start(12, "await sleep(0.5)\nreturn [{'a': 1}]")
    worker.until(Kind.STATE, 0)
    worker.stop(10)
    worker.stop(11)
    worker.stop(4711)
    assert [worker.answer(number).status for number in (10, 11, 12)] == [303, 303, 200]


def test_one_that_wakes_asks_and_waits_until_it_is_let(worker: Worker) -> None:
    for number, text in ((13, "await sleep(0.1)"), (14, "import time\ntime.sleep(0.1)")):
        worker.start(number, f"{text}\nreturn [{{'a': 1}}]", wakes_freely=False)
        worker.until(Kind.WAKE, number)
        time.sleep(0.2)
        worker.start(100 + number, "await sleep(0.1)\nreturn [{'a': 1}]")
        # The others go on without asking, for there is room.
        assert worker.answer(100 + number).status == 200
        assert not any((frame.kind, frame.execution) == (Kind.ANSWER, number) for frame in worker.frames)
        worker.process.send(pack(Kind.GO_ON, number))
        assert worker.answer(number).status == 200
    # What nobody has asked for, or is not there, is nothing.
    worker.process.send(pack(Kind.GO_ON, 4711))


def test_one_that_waits_to_be_let_is_stopped_and_is_out_of_time_in_time(worker: Worker) -> None:
    for number, text in ((15, "await sleep(0.1)"), (16, "import time\ntime.sleep(0.1)")):
        worker.start(number, f"{text}\nreturn []", wakes_freely=False)
        worker.start(100 + number, f"{text}\nreturn []", wakes_freely=False, limits={"wall_seconds": 0.6})
        worker.until(Kind.WAKE, number)
        worker.stop(number)
        assert worker.answer(number).status == 303
        assert worker.answer(100 + number).status == 302


def test_an_order_that_is_refused_takes_no_other_with_it(worker: Worker) -> None:
    worker.start(20, "return []", limits={"wall_seconds": -1})
    worker.start(21, "return []", limits={"no_limit": 1})
    worker.start(22, "return [", schema={"type": 4})
    worker.start(23, "return INPUT_DATA", b'[{"a":')
    worker.start(24, "return []", grants={"http": [{"host": "a b"}], "ca_file": None, "proxy": None})
    worker.start(25, "return [{'a': 1}]")
    statuses = [worker.answer(number).status for number in range(20, 26)]
    assert statuses == [400, 400, 400, 307, 400, 200]
    assert "wall_seconds must be from" in json.loads(worker.answer(20).error)["message"]


def test_how_far_it_is_and_that_it_waits_is_told(worker: Worker) -> None:
    worker.frames.clear()
    worker.start(30, "n = 0\nfor i in range(5_000_000):\n    n += i\nawait sleep(0.6)")
    worker.answer(30)
    states = [
        state
        for frame in worker.frames
        if frame.kind is Kind.STATE
        for state in unpack_states(frame.fields)
        if state.execution == 30
    ]
    # It may have been told of once more after it woke.
    assert any(state.is_waiting for state in states)
    assert states[-1].cpu_seconds > 0.1
    assert not states[0].is_waiting
    assert [state.cpu_seconds for state in states] == sorted(state.cpu_seconds for state in states)


def test_it_is_told_before_the_first_request_leaves_and_not_without_one(worker: Worker) -> None:
    worker.frames.clear()
    with WebServer() as server:
        grant = {"host": "127.0.0.1", "ports": [server.port], "allow_private": True}
        worker.start(
            40, f"import httpx\nfor _ in range(2):\n    await httpx.AsyncClient().get('{server.url()}')\nreturn []",
            grants={"http": [grant], "ca_file": None, "proxy": None},
        )  # fmt: skip
        worker.start(
            41, "import httpx\ntry:\n    httpx.get('http://203.0.113.7/')\nexcept httpx.HTTPError:\n    return []"
        )
        worker.answer(40)
        worker.answer(41)
    told = [frame.execution for frame in worker.frames if frame.kind is Kind.HTTP]
    assert told == [40]


def test_answers_and_states_come_back_as_they_were_packed() -> None:
    answer = answer_of(Result(status=Status.FINISHED, rows=[{"a": 2**70}], warnings=["w"]))
    assert unpack_answer(*pack_answer(answer)) == answer
    called = answer._replace(calls=(CALL, CALL._replace(status=None, error="connect_timeout")))
    assert unpack_answer(*pack_answer(called)) == called
    states = [State(1, 0.5, True), State(2**60, 0.0, False, 7)]
    assert unpack_states(pack_states(states)) == states


def test_an_answer_tells_of_so_many_requests_and_has_room_for_them() -> None:
    longest = HttpCall("M" * 32, "h" * 255, 65_535, 599, "e" * 32, 1764374400.123456789, 86_400.123456789)
    answer = answer_of(Result(status=Status.FINISHED))._replace(calls=(longest,) * (MAX_CALLS + 1))
    head, body = pack_answer(answer)
    assert len(head) <= answer_room(Limits()).fields
    assert unpack_answer(head, body).calls == (longest,) * MAX_CALLS


def wrong(**fields: Any) -> list[Any]:
    """A call with other fields."""
    return list({**CALL._asdict(), **fields}.values())


@pytest.mark.parametrize(
    "call",
    [
        [], "GET", [*CALL, 1], CALL[:-1],
        *(wrong(method=method) for method in ("", "get", "GET\n", "G" * 33, 1, None)),
        *(wrong(host=host) for host in ("", "a b", "a\nb", "é", "h" * 256, None)),
        *(wrong(port=port) for port in (0, 65_536, 1.5, True, None)),
        *(wrong(status=status) for status in (99, 1000, "200", True)),
        *(wrong(error=error) for error in ("", "Connect", "x" * 33, 1)),
        *(wrong(began_at=at) for at in (-1, 1e12, "1", None)),
        *(wrong(seconds=seconds) for seconds in (-0.1, 1e9, None)),
    ],
)  # fmt: skip
def test_a_request_that_a_worker_cannot_have_seen_is_refused(call: Any) -> None:
    fields = json.loads(GOOD_HEAD)
    with pytest.raises(BadMessage):
        unpack_answer(json.dumps([*fields[:-1], [call]]).encode(), GOOD_BODY)
    # The control.
    assert unpack_answer(json.dumps([*fields[:-1], [CALL]]).encode(), GOOD_BODY).calls == (CALL,)


GOOD_HEAD, GOOD_BODY = pack_answer(answer_of(Result(status=Status.FINISHED, rows=[{"a": 1}])))


def test_the_good_answer_is_believed() -> None:
    assert unpack_answer(GOOD_HEAD, GOOD_BODY).row_count == 1
    assert GOOD_BODY == b'[{"a":1}][]null[]nullnull'


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"{", GOOD_BODY),
        (b"{}", GOOD_BODY),
        (b"[]", GOOD_BODY),
        (GOOD_HEAD.replace(b"[200,", b"[250,"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[200,", b"[true,"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[200,", b"[201,"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[200,", b"[304,"), GOOD_BODY),
        (GOOD_HEAD.replace(b",1,0,0,", b",99,0,0,"), GOOD_BODY),
        (GOOD_HEAD.replace(b",1,0,0,", b",-1,0,0,"), GOOD_BODY),
        (GOOD_HEAD.replace(b",1,0,0,", b",1,99,0,"), GOOD_BODY),
        (GOOD_HEAD.replace(b",1,0,0,", b",1,0,1e9,"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[9,2,4,2,4,4]", b"[9,2,4,3,4,4]"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[9,2,4,2,4,4]", b"[11,0,4,2,4,4]"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[9,2,4,2,4,4]", b"[9,2,4,2,4]"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[9,2,4,2,4,4]", b"[-9,20,4,2,4,4]"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[0.0,0.0,", b"[-1,0.0,"), GOOD_BODY),
        (GOOD_HEAD.replace(b"[0.0,0.0,", b'["x",0.0,'), GOOD_BODY),
        (GOOD_HEAD.replace(b"[0.0,0.0,", b"[0.0,"), GOOD_BODY),
        (GOOD_HEAD, GOOD_BODY[:-1]),
    ],
)
def test_an_answer_that_breaks_the_rules_is_refused(head: bytes, body: bytes) -> None:
    assert (head, body) != (GOOD_HEAD, GOOD_BODY)
    with pytest.raises(BadMessage):
        unpack_answer(head, body)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}",
        b"[1]",
        b"[[1,0.5,true]]",
        b"[[1,0.5,1,0]]",
        b"[[-1,0.5,true,0]]",
        b"[[1,-1,true,0]]",
        b'[["1",0,true,0]]',
        b"[[1,0.5,true,-1]]",
        b"[[1,0.5,true,0,0]]",
    ],
)
def test_states_that_break_the_rules_are_refused(head: bytes) -> None:
    with pytest.raises(BadMessage):
        unpack_states(head)
