"""Limits: finite defaults, each value checked, each refusal named."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from wasmexec import ConfigError, Limits
from wasmexec.limits import GIB, MIB


def test_the_defaults_are_the_documented_ones() -> None:
    assert Limits() == Limits(
        wall_seconds=60, cpu_seconds=30, memory_bytes=GIB, input_bytes=256 * MIB, output_bytes=64 * MIB, log_bytes=MIB,
        output_rows=2_000_000, output_keys=16_384, output_depth=512, log_records=10_000,
        http_requests=100, http_concurrent=16, http_bytes=64 * MIB,
        http_headers=256, http_header_bytes=64 * 1024,
    )  # fmt: skip
    assert all(math.isfinite(getattr(Limits(), field.name)) for field in fields(Limits))


REFUSED: list[tuple[str, object, str]] = [
    ("wall_seconds", 0, "limits: wall_seconds must be from 0.001 to 604,800, not 0"),
    ("wall_seconds", -1.5, "limits: wall_seconds must be from 0.001 to 604,800, not -1.5"),
    ("cpu_seconds", math.inf, "limits: cpu_seconds must be finite, not inf"),
    ("cpu_seconds", math.nan, "limits: cpu_seconds must be finite, not nan"),
    ("cpu_seconds", "5", "limits: cpu_seconds must be a number, not str"),
    ("cpu_seconds", True, "limits: cpu_seconds must be a number, not bool"),
    ("cpu_seconds", None, "limits: cpu_seconds must be a number, not NoneType"),
    ("memory_bytes", 1000, "limits: memory_bytes must be from 1,048,576 to 4,294,967,296, not 1,000"),
    ("memory_bytes", 2**33, "limits: memory_bytes must be from 1,048,576 to 4,294,967,296, not 8,589,934,592"),
    ("memory_bytes", 1e9, "limits: memory_bytes must be a whole number, not float"),
    ("log_records", -1, "limits: log_records must be from 0 to 10,000,000, not -1"),
    ("log_records", False, "limits: log_records must be a whole number, not bool"),
    ("http_concurrent", 0, "limits: http_concurrent must be from 1 to 1,000, not 0"),
    ("output_bytes", 2**40, "limits: output_bytes must be from 0 to 1,073,741,824, not 1,099,511,627,776"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Limits(**{name: value})  # type: ignore[arg-type]
    assert caught.value.message == message
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_limit_has_a_range_that_holds_its_default(name: str) -> None:
    default = getattr(Limits(), name)
    assert getattr(Limits(**{name: default}), name) == default
    with pytest.raises(ConfigError):
        Limits(**{name: -1})


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Limits().wall_seconds = 1  # type: ignore[misc]
