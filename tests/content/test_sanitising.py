"""Bodies of articles. Pure; the payloads are the usual ones (OWASP)."""

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.content.sanitising import clean_html, first_image, html_of

BASE = "https://news.example/feeds/all.xml"
PAYLOADS = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='javascript:alert(1)'>",
    "<img src=data:image/svg+xml;base64,PHN2Zz4=>",
    "<img src=x:alert(1) onerror=eval(src)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java&#x0A;script:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='vbscript:x'>x</a><a href='data:text/html,x'>y</a>",
    "<a href='x' onclick=alert(1) style='x:expression(1)' class=a id=b target=_blank>x</a>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<iframe src='https://evil.example'></iframe><object data=x></object><embed src=x>",
    "<form action=/x><input name=a><button>b</button></form>",
    "<style>@import 'x'</style><link rel=stylesheet href=x><meta http-equiv=refresh content=0>",
    "<base href='https://evil.example/'><a href=x>x</a>",
    "<video src=x autoplay><audio src=x onplay=y><body onload=alert(1)>",
    "<!--[if IE]><script>alert(1)</script><![endif]--><![CDATA[<script>alert(1)</script>]]>",
    "<template><script>alert(1)</script></template>",
    "<p title='\"><script>alert(1)</script>'>x</p>",
    "<table background='javascript:alert(1)'><td background='x'>x</table>",
    "<a href='mailto:a@b.example?bcc=c@d.example&subject=x'>x</a>",
]


TAGS = """a abbr b blockquote br cite code dd del div dl dt em figcaption figure h2 h3 h4 hr i img ins li ol p pre q s
small strong sub sup table tbody td th thead tr u ul"""


class Audit(HTMLParser):
    """Fail on anything that is not in a short list."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS.split()
        for name, value in attrs:
            assert name in {
                "href",
                "src",
                "alt",
                "width",
                "height",
                "title",
                "dir",
                "lang",
                "start",
                "colspan",
                "rowspan",
            }
            if name == "src":
                assert (value or "").startswith(("https://", "http://"))
            if name == "href":
                assert (value or "").startswith(("https://", "http://", "mailto:"))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_that_runs_or_loads_survives(payload: str) -> None:
    clean = clean_html(f"before {payload} after", BASE)
    Audit().feed(clean)
    assert "before" in clean
    assert clean_html(clean, BASE) == clean


@given(st.lists(st.sampled_from(PAYLOADS) | st.text(alphabet="<>\"'=/ abhref:&;!-\x00\u202e", max_size=20), max_size=6))
def test_no_mixture_of_payloads_survives(pieces: list[str]) -> None:
    Audit().feed(clean_html("".join(pieces), BASE))


def test_addresses_become_absolute() -> None:
    clean = clean_html('<a href="/a?b=1&amp;c=2">x</a><img src="../i.jpg" alt="A &quot;b&quot;">', BASE)
    assert clean == (
        '<a href="https://news.example/a?b=1&amp;c=2">x</a><img src="https://news.example/i.jpg" alt="A &quot;b&quot;">'
    )


def test_pictures_that_show_nothing_go() -> None:
    for image in (
        '<img alt="no address">',
        '<img src="https://x.example/p.gif" width="1" height="1">',
        '<img src="http://feeds.feedburner.com/~r/x/~4/y" width="72">',
        '<img src="https://pixel.wp.com/b.gif?x=1">',
        '<img src="https://stats.example/matomo.php?idsite=1">',
    ):
        assert clean_html(f"a{image}b", BASE) == "ab"


def test_pictures_of_emoji_become_emoji() -> None:
    assert clean_html('<img src="https://s.w.org/images/core/emoji/13/72x72/1f3c9.png" alt="🏉">', BASE) == "🏉"


def test_a_mail_link_keeps_its_address_only() -> None:
    assert (
        clean_html('<a href="MAILTO:a@b.example?bcc=c@d.example">x</a>', BASE) == '<a href="mailto:a@b.example">x</a>'
    )


def test_the_first_picture_is_found_and_decoration_is_not() -> None:
    clean = '<img src="https://x.example/logo.png"><img src="https://x.example/a.jpg?b=1&amp;c=2">'
    assert first_image(clean) == "https://x.example/a.jpg?b=1&c=2"
    assert first_image("<p>none</p>") == ""


def test_plain_text_becomes_paragraphs() -> None:
    assert html_of("a < b\nc\n\n\nd\n") == "<p>a &lt; b<br>c</p><p>d</p>"
    assert html_of(" \n ") == ""


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), max_size=80))
def test_plain_text_survives_as_text(text: str) -> None:
    clean = clean_html(html_of(text), BASE)
    assert html.unescape(clean.removeprefix("<p>").removesuffix("</p>")) == text
