"""Reading pages and filling in forms as a browser does (HTML, section 4.10.21: form submission)."""

import pytest

from newsletter.demo.errors import StoryError
from newsletter.demo.pages import Form, Reading

PAGE = """
<main><h1>Sign up</h1>
<form method="post" action="/subscribe">
  <input type="hidden" name="token" value="t&amp;1">
  <input type="email" name="address" value="old@example.org">
  <input type="checkbox" name="categories" value="business" checked>
  <input type="checkbox" name="categories" value="world">
  <input type="radio" name="cadence" value="daily" checked><input type="radio" name="cadence" value="weekly">
  <select name="zone"><option value="">Ours</option><option value="UTC">UTC time</option></select>
  <select name="language"><option value="en">English</option><option value="de" selected>Deutsch</option></select>
  <textarea name="note">
two
lines</textarea>
  <button name="act" value="save">Save</button><button name="act" value="drop">Drop</button>
</form></main>
<form><input type="checkbox" name="agreed"></form>
<p><a href="next?page=2">Go  <b>on</b></a> <a href="/other">Go on</a></p>
<dl><dt>New articles</dt><dd>1,234 <span>articles</span></dd></dl>
<table><tr><th>Name</th></tr><tr><th><a href="/one">One</a></th><td>never</td></tr></table>
<textarea id="snippet">&lt;form&gt; &amp;amp;</textarea>
"""


@pytest.fixture
def page() -> Reading:
    return Reading.of(PAGE, "http://127.0.0.1:8000/a/b")


@pytest.fixture
def form(page: Reading) -> Form:
    return page.forms[0]


def test_what_is_not_touched_is_sent_as_it_came_and_no_button_is_pressed(form: Form) -> None:
    assert form.action == "http://127.0.0.1:8000/subscribe"
    assert form.fill({}) == [
        ("token", "t&1"),
        ("address", "old@example.org"),
        ("categories", "business"),
        ("cadence", "daily"),
        ("zone", ""),
        ("language", "de"),
        ("note", "two\nlines"),
    ]


def test_what_is_typed_ticked_chosen_and_pressed_is_sent(form: Form) -> None:
    wanted = {"address": "new@example.org", "categories": ["world"], "cadence": "weekly", "zone": "UTC", "act": "drop"}
    sent = form.fill(wanted)
    assert dict(sent) == {
        "token": "t&1",
        "address": "new@example.org",
        "categories": "world",
        "cadence": "weekly",
        "zone": "UTC",
        "language": "de",
        "note": "two\nlines",
        "act": "drop",
    }
    assert len(sent) == 8


def test_everything_can_be_unticked_and_emptied(form: Form) -> None:
    sent = form.fill({"categories": [], "address": ""})
    assert "categories" not in dict(sent)
    assert ("address", "") in sent


@pytest.mark.parametrize(
    "wanted",
    [
        {"categories": ["sport"]},
        {"categories": ["world", "sport"]},
        {"cadence": "hourly"},
        {"zone": "Mars"},
        {"act": "destroy"},
        {"token": "forged"},
        {"unknown": "x"},
    ],
)
def test_what_a_form_does_not_offer_cannot_be_sent(form: Form, wanted: dict[str, str]) -> None:
    with pytest.raises(StoryError, match=f"offers no {next(iter(wanted))}"):
        form.fill(wanted)


def test_options_are_found_by_their_words(form: Form) -> None:
    assert form.option("zone", "UTC time") == "UTC"
    with pytest.raises(StoryError):
        form.option("zone", "UTC")


def test_a_form_without_an_address_goes_to_its_page_and_a_box_without_a_value_says_on(page: Reading) -> None:
    assert page.forms[1].action == "http://127.0.0.1:8000/a/b"
    assert page.forms[1].offered("agreed") == ["on"]


def test_links_facts_rows_and_areas_are_read(page: Reading) -> None:
    assert page.links == {"Go on": "http://127.0.0.1:8000/a/next?page=2", "One": "http://127.0.0.1:8000/one"}
    assert page.facts == {"New articles": "1,234 articles"}
    assert page.rows == [["Name"], ["One", "never"]]
    assert page.areas["snippet"] == "<form> &amp;"
    assert page.words.startswith("Sign up")
