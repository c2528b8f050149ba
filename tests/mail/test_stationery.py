"""Paper: pieces styled together come out as each would alone, lines are set as textwrap sets them."""

import random
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation import languages
from newsletter.mail.fitting import Form
from newsletter.mail.readers import MARKED
from newsletter.mail.slips import Words, article, heading, more, row
from newsletter.mail.stationery import Stationery, wrap
from tests.mail import samples

SIGNS = st.sampled_from(
    ("a", "bc ", " ", "  ", "\t", "\x0b", "\x85", "\xa0", "-", "https://x.example/y ", "é", "京", "\n")
)


@pytest.mark.parametrize("language", list(languages.LANGUAGES))
@pytest.mark.parametrize("overlaid", [False, True])
def test_pieces_styled_in_one_go_are_those_styled_one_by_one(language: str, overlaid: bool, tmp_path: Path) -> None:
    chance = random.Random(language)
    paper = Stationery(replace(samples.FACTS, templates=tmp_path if overlaid else None), language)
    cards = [samples.hostile_card(number, chance) for number in range(30)]
    words = Words(samples.FACTS, samples.frame(language), samples.categories(samples.HOSTILE[4:8]), cards)
    slips = [heading("business"), more("world", 3), more("", 5), row(samples.random_sections(chance, 5)[0])]
    slips += [article(number, chance.choice(list(Form))) for number in range(30)]
    pieces = [paper.plain(f"digest/{one.template}.html", reader=MARKED, **words.on(one)) for one in slips]
    assert paper.parts(pieces) == [paper.styled(piece) for piece in pieces]


@given(
    st.lists(SIGNS, max_size=120).map("".join)
    | st.text(max_size=200)
    | st.integers(60, 90).map(lambda length: ("ab " * 40)[:length])
)
def test_lines_are_set_as_the_library_sets_them(text: str) -> None:
    lines = [textwrap.wrap(line, 72, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")]
    assert wrap(text) == "\n".join("\n".join(line) for line in lines)


def test_an_element_that_an_operator_s_piece_leaves_open_does_not_reach_into_the_next(tmp_path: Path) -> None:
    paper = Stationery(replace(samples.FACTS, templates=tmp_path), "en")
    first, second = paper.parts(["<p><b>one", "<p>two</p>"])
    assert (first.count("</b>"), second.count("b>"), second.count("two")) == (1, 0, 1)
