"""`Target`: a step under test. It runs inputs and says what is wrong with them.

>>> finding = Target(Step.load("orders.step.yaml")).one_input(data)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ..canned import CannedAnswer, CannedHttp
from ..determinism import Deterministic
from ..errors import ConfigError
from ..executor import Executor
from ..options import OnDone
from ..prepared import Prepared
from ..result import Result
from ..rows.json_text import encode
from ..step.step import Step
from . import judging
from .draw import ByteDraw, Draw
from .finding import Finding, Kind, Verdict
from .generate import Generator
from .http_faults import FAULTS, FaultyHttp
from .inputs import FuzzInput
from .mutate import Mutator
from .planning import make_generator, starting_inputs
from .probes import Probed, probed
from .resuming import resume_verdict
from .words import Words

Mode: TypeAlias = Literal["valid", "invalid", "mixed"]
CONFIRMATIONS = 3
DEFAULT_SLOW_SECONDS = 1.0
_KEPT = 32
_FIRST_SEED, _SECOND_SEED = 1, 2
_WORLDS = {seed: Deterministic(seed=seed, skip_sleeps=True) for seed in (_FIRST_SEED, _SECOND_SEED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """How a step is tested: see `wasmexec fuzz --help`.

    `property_statement` is a statement that gets the input as INPUT_DATA and the rows as INPUT_DATA2, and raises where
    they do not fit each other. `slow_seconds` is the processor time that an execution may use.
    """

    mode: Mode = "valid"
    property_statement: str | None = None
    http_faults: bool = False
    slow_seconds: float = DEFAULT_SLOW_SECONDS
    use_probes: bool = True

    def needed_by(self, kind: Kind) -> str:
        """The option by which findings of a kind are seen, where it is not the usual one."""
        match kind:
            case "property" if self.property_statement is not None:
                return "--property"
            case "accepted":
                return "--mode invalid" if self.mode != "valid" else ""
            case "slow" if self.slow_seconds != DEFAULT_SLOW_SECONDS:
                return f"--slow {self.slow_seconds:g}"
        return ""


DEFAULT_OPTIONS = TargetOptions()


class Target:
    """A step under test; usable from one thread at a time.

    Nothing reaches the network: requests get the answers of the step's cases. Secrets have values that are none.

    Raises:
        ConfigError: the statement has mistakes that `Step.check` tells, or nobody says what its inputs look like.
    """

    def __init__(
        self, step: Step, *, executor: Executor | None = None, options: TargetOptions = DEFAULT_OPTIONS
    ) -> None:
        self.step = step
        self.options = options
        self.definition = step.definition
        text = self.definition.statement.text
        self.words = Words(text)
        self.starting = starting_inputs(step)
        self.generator: Generator = make_generator(step, self.starting, self.words)
        self.mutator = Mutator(self.generator, self.words)
        self.probed: Probed | None = probed(text) if options.use_probes else None
        self._answers: Sequence[CannedAnswer] = self.starting.answers
        self._secrets = {name: f"fuzz-secret-{name}-7Qx2" for name in self.definition.secrets}
        self._prepared: OrderedDict[object, Prepared] = OrderedDict()
        self.runs = 0
        self._own_executor = executor is None
        self.executor = executor or Executor(step.definition.image)
        mistakes = [str(mistake) for mistake in step.check(self.executor)]
        refusal = self.prepared(FuzzInput(inputs=[None])).refusal
        if refusal is not None:
            mistakes.append(refusal.message)
        if mistakes:
            self.close()
            raise ConfigError("\n".join(mistakes))

    def close(self) -> None:
        """End the executor, if it is of its own."""
        if self._own_executor:
            self.executor.close()

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def make(self, data: bytes) -> FuzzInput:
        """The input that some bytes stand for."""
        return self.draw_input(ByteDraw(data))

    def draw_input(self, draw: Draw) -> FuzzInput:
        """A new input; in the modes with invalid ones it is most likely spoilt."""
        made = self.generator.make(draw)
        return made if self.options.mode == "valid" else self.mutator.mutate(draw, [made])

    def one_input(self, data: bytes) -> Finding | None:
        """Run the input that some bytes stand for; the finding if something is wrong with it, three times in a row.

        An input that does not fit the mode is not run.
        """
        made = self.make(data)
        return self.check(made) if self.fits(made) else None

    def fits(self, given: FuzzInput) -> bool:
        """Whether an input is one of the mode: valid inputs are those that the schemas take."""
        if self.options.mode == "mixed":
            return True
        return self.generator.accepts(given) is (self.options.mode == "valid")

    def prepared(self, given: FuzzInput, *, with_probes: bool = False, fault: str = "") -> Prepared:
        """The statement, ready for an input."""
        variables = encode(dict(given.local_variables)) if given.local_variables else b""
        key = (variables, with_probes, fault)
        if key not in self._prepared:
            text = self.probed.text if with_probes and self.probed is not None else self.definition.statement.text
            self._prepared[key] = self._prepare(text, given, FaultyHttp(fault) if fault else CannedHttp(self._answers))
            if len(self._prepared) > _KEPT:
                self._prepared.popitem(last=False)
        return self._prepared[key]

    def arguments(self, given: FuzzInput, seed: int = _FIRST_SEED) -> dict[str, Any]:
        """Those of `Prepared.run` and `submit`; sleeps take no time."""
        return {
            "input_data": given.inputs[0], "extra_inputs": list(given.inputs[1:]), "checkpoint": given.checkpoint,
            "determinism": _WORLDS[seed],
        }  # fmt: skip

    def run(self, given: FuzzInput, *, seed: int = _FIRST_SEED, fault: str = "") -> Result:
        """One execution of the statement as it is."""
        self.runs += 1
        return self.prepared(given, fault=fault).run(**self.arguments(given, seed))

    def submit(self, given: FuzzInput, on_done: OnDone) -> None:
        """Start an execution of the statement with probes; nobody waits."""
        self.runs += 1
        self.prepared(given, with_probes=True).submit(on_done, **self.arguments(given))

    def check(self, given: FuzzInput) -> Finding | None:
        """Everything that can be said of an input, confirmed."""
        verdict = self.verdict(given)
        if verdict is None:
            return None
        for _ in range(CONFIRMATIONS - 1):
            again = self.again(given, verdict)
            if again is None or again.fingerprint != verdict.fingerprint:
                return None
        return Finding(verdict=verdict, input=given, needs=self.options.needed_by(verdict.kind))

    def verdict(self, given: FuzzInput) -> Verdict | None:
        """What is wrong with an input, by one look at everything."""
        result = self.run(given)
        found = self.judge(given, result)
        return found if found is not None or result.error is not None else self.deep_verdict(given, result)

    def again(self, given: FuzzInput, verdict: Verdict) -> Verdict | None:
        """Whether that is wrong with an input: only what shows it is run."""
        if verdict.fault:
            return self.under_fault(given, verdict.fault)
        result = self.run(given)
        found = self.judge(given, result)
        if found is not None or result.error is not None:
            return found
        look = self._looks.get(verdict.kind)
        return None if look is None else look(given, result)

    def judge(self, given: FuzzInput, result: Result) -> Verdict | None:
        """What the result of one execution shows by itself, of which the step expects nothing."""
        is_invalid = self.options.mode != "valid" and not self.generator.accepts(given)
        found = judging.judge(result, self.definition.statement, list(self._secrets.values()), is_invalid=is_invalid)
        if found is not None and judging.is_expected(found, self.definition.expect):
            return None
        return found

    def deep_verdict(self, given: FuzzInput, result: Result) -> Verdict | None:
        """What more executions show of an input whose rows were accepted."""
        for look in self._looks.values():
            found = look(given, result)
            if found is not None and not judging.is_expected(found, self.definition.expect):
                return found
        return None

    @property
    def _looks(self) -> dict[str, Callable[[FuzzInput, Result], Verdict | None]]:
        return {
            "property": self.property_verdict, "nondeterministic": self._other_seed, "resume": self._resumed,
            "http": self._faults,
        }  # fmt: skip

    def property_verdict(self, given: FuzzInput, result: Result) -> Verdict | None:
        """Whether the property holds for rows that were accepted; it runs in an instance, as every statement."""
        statement = self.options.property_statement
        if statement is None:
            return None
        self.runs += 1
        extra = [result.rows, *given.inputs[1:]]
        told = self.executor.run(statement, input_data=given.inputs[0], extra_inputs=extra, limits=self._limits)
        return judging.property_verdict(told)

    def _other_seed(self, given: FuzzInput, result: Result) -> Verdict | None:
        other = self.run(given, seed=_SECOND_SEED)
        if judging.is_undecided(other) or (other.status is result.status and encode(other.rows) == encode(result.rows)):
            return None
        return Verdict(kind="nondeterministic", message=judging.first_difference(result.rows, other.rows))

    def _resumed(self, given: FuzzInput, result: Result) -> Verdict | None:
        column = self.definition.checkpoint_column
        if column is None or self.definition.processing != "bulk":
            return None
        return resume_verdict(self.run, given, result, column)

    def _faults(self, given: FuzzInput, result: Result) -> Verdict | None:
        if not self.options.http_faults or not self.definition.grants.http_grants:
            return None
        return next((found for fault in FAULTS if (found := self.under_fault(given, fault)) is not None), None)

    def under_fault(self, given: FuzzInput, fault: str) -> Verdict | None:
        """What is wrong if every request meets a failure, one of `FAULTS`."""
        found = judging.fault_verdict(self.run(given, fault=fault), self.definition.statement, fault)
        return None if found is None or judging.is_expected(found, self.definition.expect) else found

    @property
    def _limits(self) -> Any:
        limits = self.definition.limits
        return replace(limits, cpu_seconds=min(limits.cpu_seconds, self.options.slow_seconds))

    def _prepare(self, text: str, given: FuzzInput, http: CannedHttp) -> Prepared:
        declared = self.definition.local_variables
        variables = {name: variable.initial for name, variable in declared.items()} | dict(given.local_variables)
        secrets = {name: source.bind(self._secrets[name]) for name, source in self.definition.secrets.items()}
        return self.executor.prepare(
            text, output_schema=self.definition.output.prepared, local_variables=variables, limits=self._limits,
            grants=self.definition.grants, secrets=secrets or None, canned_http=http,
        )  # fmt: skip
