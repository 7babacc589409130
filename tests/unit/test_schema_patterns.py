"""Patterns of a JSON Schema: two engines, one meaning, that of ECMA-262."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec.schema.ecma import NotAPatternError
from wasmexec.schema.patterns import compile_pattern

# An empty look-ahead changes nothing, but takes a pattern to the engine for those.
BOUNDED = "(?=)"


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        (r"(?<q>['\"]).*\k<q>", ["x 'a'", '"a"'], ["'a\"", "a"]),
        (r"(?P<q>['\"]).*(?P=q)", ["x 'a'"], ["'a\""]),
        (r"^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)\10$", ["abcdefghijj"], ["abcdefghija0", "abcdefghijk"]),
        (r"^(?=.*\d)(?=.*[A-Z]).{4,}$", ["aB3x", "3Baa"], ["ab3x", "B3", "aB3\n"]),
        (r"^(?:(?!foo).)*$", ["fo", "", "barfo"], ["a foo", "foo"]),
        (r"(?<![\w.])\d+(?![\w.])", ["a 42 b"], ["x42", "4.2", "42a"]),
        (r"(?<=^|,)x", ["x", "a,x"], ["ax"]),
        (r"(?=\d)", ["4"], ["٤", "x"]),
        (r"(?=\w)", ["a", "_"], ["é", " "]),
        (r"^(?=\s)", ["\ufeff", "\u2028", "\u00a0", "\v"], ["\u0085", "\x1c"]),
        (r"^(?=a).$", ["a"], ["a\n"]),
        (r"^(?=[^])a?[^]$", ["a\n", "\r"], ["", "b\n"]),
        (r"^[](?=a)", [], ["a", ""]),
        (r"^[\w-.]+$", ["a-.", "-"], ["a+"]),
        (r"^[+-\w]+$", ["+-a"], ["."]),
        (r"(?=[\b])", ["\x08"], ["b"]),
        (r"^(?=\cJ)\n$", ["\n"], ["J"]),
        (r"^(?=.)\u{1F600}$", ["😀"], ["x"]),
        (r"^\uD83D\uDE00$", ["😀"], ["\ufffd"]),
        (r"^(?=.)\0$", ["\0"], ["0"]),
        (r"^(?=.)\p{Lu}\P{Lu}$", ["Éé"], ["éÉ"]),
        (r"^(?=.)\p{Script=Greek}+$", ["αβ"], ["ab"]),
        (r"^(?=.)a{,2}$", ["a{,2}"], ["aa", ""]),
        (r"^(?=.)(?:cat){e<=1}$", ["cat{e<=1}"], ["cut", "cat"]),
        (r"^(?=.)[[a]$", ["[", "a"], ["b"]),
        (r"^(?=.)[a&&b~~c||d]$", ["&", "b", "~", "|"], ["x"]),
        (r"^(?#c)(?=.)a(?>b|bc)c$", ["abc"], ["abcc"]),
        (r"^(<)?a(?(1)>|$)$", ["<a>", "a"], ["<a"]),
        (r"(?i)^(?=.)É$", ["é", "É"], ["e"]),
        (r"(?s)^(?=.).$", ["\n"], [""]),
        (r"^(?=.)\/\-\@\_\ $", ["/-@_ "], ["x"]),
        (r"^(?=.)a\Z", ["a"], ["a\n"]),
        ("(a{1000}){1000}", ["a" * 1_000_000], ["a" * 999_999]),
    ],
)
def test_a_pattern_that_is_not_of_the_linear_time_kind_means_what_ecma_says(
    pattern: str, matches: list[str], others: list[str]
) -> None:
    compiled = compile_pattern(pattern)
    assert not compiled.is_linear
    assert [text for text in (*matches, *others) if compiled.search(text)] == matches


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a", "(?=a))", "(?=a)[b", "(?=a)[z-a]", "(?=a)**", "(?=a)a{2,1}", "(?=a)x{99999999999}", r"(a)\2",
        r"\k<q>(?=a)", r"(?=a)\q", r"(?=a)\p{Foo}", "(?=a)\\", r"(?=a)\x4", r"(?=a)\u12", r"(?=a)\u{110000}",
        r"(?=a)\07", r"(?=a)\N{DIGIT ONE}", "(?<$>a)(?=b)",
        # What only the module `regex` has.
        "(?=a)(?R)", "(a)(?=a)(?1)", "(?|(a)|(b))(?=c)", "(?=a)(?b:x)", r"(?=a)\L<words>", r"(?=a)\m", r"(?=a)\X",
        "(?=a)(?V1)", "(?=a)(*FAIL)",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(NotAPatternError):
        compile_pattern(pattern)


ATOMS = st.sampled_from(
    [
        "a", "b", "-", "1", ".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", "[ab]", "[^a]", r"[\d-]", r"[^\s\S]",
        r"[\w.]", r"[\D]", r"[^\W]", r"[\S-]", r"[^\Da]", "é", "😀", r"\u00e9", r"\x61", r"\p{L}", r"\P{Lu}",
        r"[^\p{L}]", r"\cJ", r"\.", r"\$", r"\b", "^", "$", r"[\]\\]", "[a-z]", r"\/", r"\_", r"\x20", "[é-😀]",
    ]
)  # fmt: skip
TEXTS = st.text(st.sampled_from("ab-1.$é😀\n\r\u2028\u0085\ufeff \t٣É]\\"), max_size=6)


def _joined(patterns: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{1,}", "*?", "+?", "??"])
    grouped = patterns.map(lambda text: f"(?:{text})")
    return st.one_of(
        st.lists(patterns, min_size=1, max_size=3).map("".join),
        st.lists(patterns, min_size=2, max_size=3).map("|".join),
        st.builds(lambda text, quantifier: text + quantifier, grouped, quantifiers),
        patterns.map(lambda text: f"({text})"),
    )


@settings(max_examples=500, deadline=None)
@given(st.recursive(ATOMS, _joined, max_leaves=6), st.lists(TEXTS, min_size=1, max_size=5))
def test_both_engines_give_a_pattern_the_same_meaning(pattern: str, texts: list[str]) -> None:
    linear, bounded = compile_pattern(pattern), compile_pattern(f"{BOUNDED}(?:{pattern})")
    assert (linear.is_linear, bounded.is_linear) == (True, False)
    assert [linear.search(text) for text in texts] == [bounded.search(text) for text in texts]


PLAIN = st.sampled_from(["a", "b", "1", "[ab]", "[^a]", r"\d", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", r"(a|b)\1", r"\b"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=5).map("".join), st.lists(st.text("ab1", max_size=6), min_size=1))
def test_look_around_and_back_references_mean_what_they_mean_in_python(pattern: str, texts: list[str]) -> None:
    numbers = iter(range(1, 9))
    pattern = re.sub(r"\\1", lambda _: f"(?:\\{next(numbers)})", pattern)
    compiled = compile_pattern(pattern)
    assert [compiled.search(text) for text in texts] == [bool(re.search(pattern, text)) for text in texts]
