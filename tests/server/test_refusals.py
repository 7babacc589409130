"""Counts of what is live, and how a refusal is told."""

from __future__ import annotations

from tests.server.refused import is_refused

from wasmexec.server.quotas.refusals import check_count


def test_a_count_is_that_of_the_live_objects() -> None:
    live: set[str] = set()
    assert check_count("open_streams", live, 2) is None
    live |= {"a", "b"}
    refusal = is_refused(check_count("open_streams", live, 2))
    assert (refusal.rule, refusal.status, refusal.value, refusal.used) == ("count.open_streams", 429, 2, 2)
    assert refusal.message == "the tenant may have 2 open streams and has 2; one of them has to end first"
    live.discard("a")
    assert check_count("open_streams", live, 2) is None


def test_a_count_of_zero_admits_nothing_and_what_is_stored_is_a_conflict() -> None:
    refusal = is_refused(check_count("steps", [], 0, status=409))
    assert (refusal.status, refusal.headers()) == (409, {})
    assert refusal.message == "the tenant may have 0 steps and has 0; one has to be deleted first"


def test_a_refusal_becomes_the_members_of_a_problem_document() -> None:
    refusal = is_refused(check_count("open_streams", [1], 1))
    assert refusal.problem() == {
        "rule": "count.open_streams",
        "owner": "tenant",
        "status": 429,
        "value": 1,
        "used": 1,
        "asked": 1,
        "detail": "the tenant may have 1 open streams and has 1; one of them has to end first",
        "changed_by": "operator",
    }
