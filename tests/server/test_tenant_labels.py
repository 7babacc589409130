"""Which tenants metrics name: the busiest, never more than may be, and nothing is counted twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wasmexec.server.watching.tenant_labels import OTHER, TenantLabels


def test_the_first_have_a_name_and_those_beyond_the_bound_have_none() -> None:
    labels = TenantLabels(2)
    assert [labels.note(name, 0.1) for name in ("a", "b", "c", "a")] == ["a", "b", OTHER, "a"]


def test_one_that_is_much_busier_takes_the_place_of_the_least_busy() -> None:
    labels = TenantLabels(2)
    for name, seconds in (("a", 1.0), ("b", 0.1), ("c", 0.15)):
        labels.note(name, seconds)
    assert labels.choose() == frozenset()
    labels.note("c", 5.0)
    assert labels.choose() == {"b"}
    assert (labels.of("c"), labels.of("b"), labels.of("a")) == ("c", OTHER, "a")


def test_what_was_long_ago_counts_no_more() -> None:
    labels = TenantLabels(1)
    labels.note("a", 100.0)
    labels.note("b", 0.5)
    for _ in range(20):
        labels.choose()
    labels.note("b", 0.5)
    assert labels.choose() == {"a"}


def test_none_is_none() -> None:
    labels = TenantLabels(0)
    assert labels.note("a", 9.0) == OTHER
    assert (labels.choose(), labels.named) == (frozenset(), frozenset())


@given(st.integers(0, 3), st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 10), st.booleans()), max_size=60))
def test_there_are_never_more_names_than_may_be(most: int, events: list[tuple[str, float, bool]]) -> None:
    labels = TenantLabels(most)
    for name, seconds, is_time in events:
        before = labels.named
        label = labels.note(name, seconds)
        assert label in (name, OTHER)
        assert before <= labels.named
        if is_time:
            named = labels.named
            gone = labels.choose()
            assert gone <= named
            assert not gone & labels.named
        assert len(labels.named) <= most
