"""The first few of many things in a message."""

import pytest

from bench.core.errors import first_few, first_lines


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (1203, "0, 1, 2 and 1,200 more")],
)
def test_an_excerpt_names_the_first_few_and_counts_the_rest(count, text):
    assert first_few(range(count)) == text
    assert first_few(iter(range(count))) == text


def test_an_excerpt_takes_another_number_and_another_mark():
    assert first_few("abcd", 2, between="; ") == "a; b and 2 more"


@pytest.mark.parametrize(("most", "lines"), [(3, ["a", "b", "c"]), (2, ["a", "b", "and 1 more"])])
def test_lines_that_are_left_out_are_counted_in_one_line(most, lines):
    assert first_lines(iter("abc"), most) == lines
    assert first_lines([], most) == []


def test_the_line_for_the_rest_may_say_what_it_is():
    assert first_lines("abc", 1, "and {:,} crossings more".format) == ["a", "and 2 crossings more"]
