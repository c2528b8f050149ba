"""Nothing is sent by a publication that does not say who it is."""

from dataclasses import replace

import pytest

from newsletter.foundation.errors import RenderError
from newsletter.mail.colour import ink_on, readable
from newsletter.publication.checks import contrast, display_name
from tests.mail.samples import FACTS


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "News (2)",
        "[News] Alert",
        "you@gmail.com",
        "gmail.com support",
        "News ✅",
        "🚢 Post",
        "Re: Post",
        "Post\r\nBcc: x",
        "2026",
        "x" * 65,
        "Post\u202e",
        "<Post>",
    ],
)
def test_names_that_mailbox_providers_take_for_a_trick_are_refused(name: str) -> None:
    assert display_name(name)
    with pytest.raises(RenderError, match="name"):
        replace(FACTS, name=name)


@pytest.mark.parametrize("name", ["The Harbour Post", "Zürcher Bote & Söhne", "24/7 News", "الخليج", "L'Écho", "Post®"])
def test_names_of_newspapers_are_accepted(name: str) -> None:
    assert display_name(name) is None
    assert replace(FACTS, name=name).name == name


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"postal_address": " \n"}, "postal address"),
        ({"contact_address": ""}, "contact address"),
        ({"contact_address": "jörg@harbour.example"}, "contact address"),
        ({"confirmation_from": "NEWS@harbour.example"}, "different sender"),
        ({"list_domain": "Harbour"}, "list domain"),
        ({"sender_id": "abc"}, "sender id"),
        ({"accent_light": "red;} .x{"}, "#rrggbb"),
        ({"privacy_url": "http://harbour.example/privacy"}, "https"),
        ({"site_url": ""}, "https"),
    ],
)
def test_a_publication_that_cannot_send_says_why(missing: dict[str, str], words: str) -> None:
    with pytest.raises(RenderError, match=words):
        replace(FACTS, **missing)  # type: ignore[arg-type]  # all of these are words


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(RenderError, match=r"postal address.*sender id"):
        replace(FACTS, postal_address="", sender_id="")


@pytest.mark.parametrize("accent", ["#8a1c1c", "#ffff00", "#ffffff", "#000000", "#7f7f7f", "#00ff88"])
@pytest.mark.parametrize("paper", ["#ffffff", "#161616"])
def test_the_accent_can_always_be_read(accent: str, paper: str) -> None:
    shown = readable(accent, paper)
    assert contrast(shown, paper) >= 4.5
    assert contrast(ink_on(shown), shown) >= 4.5
    if contrast(accent, paper) >= 4.5:
        assert shown == accent


def test_contrast_is_as_the_standard_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
