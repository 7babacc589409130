"""What callers' own callbacks raise never breaks an execution, nor the ones after it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests import scripted_guest as does
from tests.fake_guest import done

from wasmexec import Executor, HttpExchange, LogRecord, MemoryRecorder, Result, Status
from wasmexec._execution.callbacks import describe

HONEST = does.script(does.logs(2, b"hello"), does.leaves(done(b'[{"a":1}]')))


class NoText(Exception):
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


ERRORS: list[Callable[[], BaseException]] = [
    lambda: ValueError("wrong"),
    lambda: ValueError("x" * 1_000_000),
    lambda: ValueError("\ud800"),
    NoText,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    asyncio.CancelledError,
    lambda: ExceptionGroup("several", [ValueError("a")]),
]


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with Executor(does.build(tmp_path_factory.mktemp("scripted")), workers=1) as executor:
        yield executor


@pytest.fixture(params=range(len(ERRORS)))
def error(request: pytest.FixtureRequest) -> BaseException:
    error: BaseException = ERRORS[request.param]()
    return error


def still_works(guest: Executor) -> None:
    seen: list[LogRecord] = []
    assert guest.run("", input_data=HONEST, on_log=seen.append).rows == [{"a": 1}]
    assert [record.message for record in seen] == ["hello"]


def test_on_log(guest: Executor, error: BaseException) -> None:
    def on_log(record: LogRecord) -> None:
        raise error

    result = guest.run("", input_data=HONEST, on_log=on_log)
    assert (result.status, result.rows) == (Status.FINISHED, [{"a": 1}])
    assert result.warnings == [f"on_log raised {describe(error)}"]
    assert len(result.warnings[0].encode()) < 3000
    still_works(guest)


@pytest.mark.parametrize("logs_too", [False, True])
def test_on_done(guest: Executor, error: BaseException, logs_too: bool, caplog: pytest.LogCaptureFixture) -> None:
    given: list[Any] = []
    called = threading.Event()

    def on_done(result: Result | BaseException) -> None:
        given.append(result)
        called.set()
        raise error

    options: dict[str, Any] = {"on_log": given.append} if logs_too else {}
    with caplog.at_level(logging.ERROR, logger="wasmexec"):
        guest.submit("", on_done, input_data=HONEST, **options)
        assert called.wait(10)
        still_works(guest)
        still_works(guest)
    assert [item.rows for item in given if isinstance(item, Result)] == [[{"a": 1}]]
    assert [record.message for record in caplog.records] == [f"on_done raised {describe(error)}"]


def test_on_done_of_what_is_refused_at_once(guest: Executor, error: BaseException) -> None:
    given: list[Any] = []

    def on_done(result: Result | BaseException) -> None:
        given.append(result)
        raise error

    guest.submit("", on_done, output_schema=[{"name": 3}])
    assert [item.status for item in given] == [Status.CONFIG_REFUSED]
    still_works(guest)


@pytest.mark.parametrize("method", ["add", "add_exchange"])
def test_a_recorder(guest: Executor, error: BaseException, method: str) -> None:
    class Failing(MemoryRecorder):
        def add(self, kind: str, payload: bytes, **more: Any) -> bool:
            if method == "add":
                raise error
            return super().add(kind, payload, **more)

        def add_exchange(self, exchange: HttpExchange) -> bool:
            raise error

    call = b'{"op":"http.open","stream":1,"method":"GET","url":"http://a.test/"}'
    script = does.script(does.calls(len(call).to_bytes(4, "little") + call), does.leaves(done(b'[{"a":1}]')))
    result = guest.run("", input_data=script, recorder=Failing())
    assert (result.status, result.rows) == (Status.FINISHED, [{"a": 1}])
    assert result.warnings == [f"the recording failed: {describe(error)}"]
    still_works(guest)


def test_a_recorder_that_says_nothing_has_taken_nothing(guest: Executor) -> None:
    class Silent(MemoryRecorder):
        def add(self, kind: str, payload: bytes, **more: Any) -> bool:
            return None  # type: ignore[return-value]

    result = guest.run("", input_data=HONEST, recorder=Silent())
    assert result.warnings == ["the recording is incomplete: the recorder takes no more"]
