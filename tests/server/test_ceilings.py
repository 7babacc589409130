"""Ceilings: a request gets what it asks for within them, and nothing beyond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from tests.server.refused import is_refused

from wasmexec import ConfigError, Grants, HttpGrant, Limits
from wasmexec._hostcalls.error import HostCallError
from wasmexec._hostcalls.http.egress import EgressPolicy
from wasmexec.limits import GIB, MIB
from wasmexec.server.documents import PartRules
from wasmexec.server.quotas.ceilings import Ceiling
from wasmexec.server.quotas.refusals import Owner, Refusal
from wasmexec.server.tenants.rule_sets import ceiling_of_part


def test_a_request_tightens_and_what_it_leaves_out_is_the_default_under_the_ceiling() -> None:
    ceiling = Ceiling(limits=Limits(wall_seconds=300, cpu_seconds=5, memory_bytes=512 * MIB))
    effective = ceiling.limits_for({"wall_seconds": 300, "log_records": 5})
    assert effective == Limits(wall_seconds=300, cpu_seconds=5, memory_bytes=512 * MIB, log_records=5)
    assert ceiling.limits_for({}) == Limits(cpu_seconds=5, memory_bytes=512 * MIB)


def test_the_rules_of_a_project_name_only_limits_that_there_are() -> None:
    assert ceiling_of_part(Owner.PROJECT, PartRules(limits={"wall_seconds": 2})) is not None
    with pytest.raises(ConfigError, match="limits: there is no limit 'wall', only cpu_seconds"):
        ceiling_of_part(Owner.PROJECT, PartRules(limits={"wall": 2}))


def test_a_limit_over_the_ceiling_is_refused_by_name() -> None:
    refusal = is_refused(Ceiling(limits=Limits(memory_bytes=GIB)).limits_for({"memory_bytes": GIB + 1}))
    assert (refusal.rule, refusal.status, refusal.value, refusal.asked) == (
        "limit.memory_bytes", 400, GIB, GIB + 1
    )  # fmt: skip
    assert (refusal.changed_by, refusal.headers()) == ("operator", {})
    assert refusal.message == (
        "limits: memory_bytes must be at most 1,073,741,824, the tenant's ceiling, not 1,073,741,825"
    )


@given(st.dictionaries(st.sampled_from(["log_records", "output_rows", "http_requests"]), st.integers(0, 2000)))
def test_no_request_gets_more_than_the_ceiling(asked: dict[str, int]) -> None:
    ceiling = Limits(log_records=1000, output_rows=0, http_requests=50)
    answer = Ceiling(limits=ceiling).limits_for(asked)
    assert isinstance(answer, Refusal) is any(value > getattr(ceiling, name) for name, value in asked.items())
    if isinstance(answer, Limits):
        assert all(getattr(answer, name) <= getattr(ceiling, name) for name in Limits.__slots__)
        assert all(getattr(answer, name) == value for name, value in asked.items())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cpu": 1}, "limits: there is no limit 'cpu', only cpu_seconds, http_bytes"),
        ({"cpu_seconds": "1"}, "limits: cpu_seconds must be a number, not str"),
        ({"log_bytes": -1}, "limits: log_bytes must be from 0 to 1,073,741,824, not -1"),
    ],
)
def test_a_limit_that_makes_no_sense_is_a_mistake_not_a_refusal(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Ceiling().limits_for(asked)
    assert caught.value.message.startswith(message)


def texts(grants: Grants | Refusal) -> list[str]:
    assert isinstance(grants, Grants)
    return [grant.text for grant in grants.http_grants]


def within(ceiling: list[str | HttpGrant], *asked: str | HttpGrant) -> Grants | Refusal:
    return Ceiling(grants=Grants(http=ceiling)).grants_for(Grants(http=asked))


@pytest.mark.parametrize(
    ("ceiling", "asked"),
    [
        (["api.example.com"], "api.example.com"),
        (["*.example.com"], "GET https://api.example.com"),
        (["*.example.com"], "*.example.com"),
        (["*.example.com"], "*.api.example.com"),
        (["http://a.example", "https://a.example"], "https://a.example"),
        (["GET a.example", "POST a.example"], "GET,POST https://a.example"),
        (["GET a.example:8443", "*.b.example", "GET,HEAD a.b.example:80"], "HEAD https://a.b.example"),
    ],
)
def test_what_the_ceilings_together_permit_is_granted(ceiling: list[str | HttpGrant], asked: str) -> None:
    assert texts(within(ceiling, asked))


@pytest.mark.parametrize(
    ("ceiling", "asked"),
    [
        ([], "api.example.com"),
        (["api.example.com"], "*.example.com"),
        (["*.api.example.com"], "*.example.com"),
        (["*.example.com"], "example.com"),
        (["*.example.com"], "api.example.com.evil.test"),
        (["*.example.com"], "evilexample.com"),
        (["https://a.example"], "a.example"),
        # Without a scheme it is both on both ports, and http on 443 is nobody's.
        (["http://a.example", "https://a.example"], "a.example"),
        (["GET a.example"], "GET,POST a.example"),
        (["a.example"], "a.example:8080"),
        (["GET a.example", "POST https://a.example"], "GET,POST a.example"),
        (["a.example"], HttpGrant("a.example", allow_private=True)),
    ],
)
def test_what_goes_beyond_is_refused_with_what_there_is(ceiling: list[str | HttpGrant], asked: str | HttpGrant) -> None:
    refusal = is_refused(within(ceiling, asked))
    text = asked.text if isinstance(asked, HttpGrant) else HttpGrant.parse(asked).text
    assert (refusal.rule, refusal.status, refusal.asked) == ("grant.http", 400, text)
    assert set(refusal.value) == set(texts(Grants(http=ceiling)))  # type: ignore[arg-type]
    assert refusal.message.startswith(f"grants: {text}")


def permits(grants: Grants, method: str, url: str) -> bool:
    try:
        EgressPolicy(grants.http_grants).target(method, url)
    except HostCallError:
        return False
    return True


HOSTS = st.sampled_from(["a.example.com", "b.example.com", "*.example.com", "c.test"])
GRANTS = st.lists(
    st.builds(
        HttpGrant,
        HOSTS,
        ports=st.sets(st.sampled_from([80, 443, 8443]), min_size=1).map(sorted),
        methods=st.sets(st.sampled_from(["GET", "POST"]), min_size=1).map(sorted),
        schemes=st.sets(st.sampled_from(["http", "https"]), min_size=1).map(sorted),
    ),
    max_size=3,
)


@given(GRANTS, GRANTS)
def test_a_run_reaches_what_it_asked_for_and_the_ceiling_permits_nothing_else(
    ceiling: list[HttpGrant], asked: list[HttpGrant]
) -> None:
    """Compared with the policy that checks each request of a run."""
    allowed, wanted = Grants(http=ceiling), Grants(http=asked)
    effective = Ceiling(grants=allowed).grants_for(wanted)
    requests = [
        (method, f"{scheme}://{host}:{port}/")
        for method in ("GET", "POST")
        for scheme in ("http", "https")
        for host in ("a.example.com", "b.example.com", "c.test", "d.example.com")
        for port in (80, 443, 8443)
    ]
    if isinstance(effective, Refusal):
        wildcard = any(grant.host.startswith("*.") for grant in asked)
        assert wildcard or any(permits(wanted, *request) and not permits(allowed, *request) for request in requests)
    else:
        for request in requests:
            assert permits(effective, *request) is permits(wanted, *request)
            assert not permits(effective, *request) or permits(allowed, *request)


def test_a_private_network_is_reached_only_if_both_say_so() -> None:
    private = HttpGrant("10.0.0.7", ports=[8080], allow_private=True)
    granted = within([private], private)
    assert isinstance(granted, Grants)
    assert granted.http_grants[0].allow_private
    public = within([private], HttpGrant("10.0.0.7", ports=[8080]))
    assert isinstance(public, Grants)
    assert not public.http_grants[0].allow_private


def test_files_and_the_proxy_are_the_operators_alone(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authority)
    allowed = Grants(
        http=[HttpGrant("*.example.com"), HttpGrant("a.example.com", ca_file=authority)],
        ca_file=authority,
        proxy="http://proxy.test:3128",
    )
    ceiling = Ceiling(grants=allowed)
    granted = ceiling.grants_for(Grants(http=["a.example.com"]))
    assert isinstance(granted, Grants)
    assert (granted.ca_file, granted.http_grants[0].ca_file) == (str(authority), str(authority))
    assert granted.proxy == allowed.proxy
    for asked, rule in (
        (Grants(ca_file=authority), "grant.ca_file"),
        (Grants(proxy="http://mine.test:1"), "grant.proxy"),
        (Grants(http=[HttpGrant("a.example.com", ca_file=authority)]), "grant.files"),
    ):
        assert is_refused(ceiling.grants_for(asked)).rule == rule


def test_a_run_that_asks_for_nothing_reaches_nothing() -> None:
    assert (
        Ceiling(grants=Grants(http=["*.example.com"], proxy="http://proxy.test:3128")).grants_for(Grants()) == Grants()
    )
