"""The usual way to make a newsletter, for comparison: the templates rendered, inlined and packed for each reader."""

from collections.abc import Iterable
from email.message import EmailMessage
from email.policy import SMTP

from markupsafe import Markup

from newsletter.foundation import languages
from newsletter.mail import personal
from newsletter.mail.cards import card
from newsletter.mail.fitting import Form
from newsletter.mail.shapes import ArticleCard, CategoryFacts, DigestFrame, Envelope, PublicationFacts, ReaderPart
from newsletter.mail.stationery import stationery


class NaiveComposer:
    """Makes the same mails as the DigestComposer, each from the beginning."""

    def __init__(
        self,
        facts: PublicationFacts,
        frame: DigestFrame,
        categories: Iterable[CategoryFacts],
        cards: Iterable[ArticleCard],
    ) -> None:
        self._facts, self._frame = facts, frame
        self._paper = stationery(facts, frame.language)
        self._names = {category.slug: category.name for category in categories}
        self._cards = {one.id: card(one, frame.language, frame.zone, frame.utm) for one in cards}

    def compose(self, reader: ReaderPart, envelope: Envelope) -> bytes:
        """Return the message's bytes."""
        shared = {
            "date": languages.day(self._frame.at, self._frame.zone, self._frame.language),
            "cadence": self._frame.cadence_name,
            "marking": self._frame.marking.value,
        }
        html, text = self._slots(reader, "html"), self._slots(reader, "txt")
        message = EmailMessage(policy=SMTP)
        message["From"] = f"{self._facts.name} <{self._facts.digest_from}>"
        message["To"] = envelope.to
        message["Subject"] = self._cards[reader.sections[0].article_ids[0]].title
        message["Date"] = envelope.date
        message["Message-ID"] = envelope.message_id
        message["List-Unsubscribe"] = f"<{reader.links.one_click}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(self._paper.plain("digest/body.txt", **text, **shared))
        message.add_alternative(
            self._paper.page("digest/body.html", **html, **shared),
            subtype="html",
        )
        return message.as_bytes()

    def _slots(self, reader: ReaderPart, kind: str) -> dict[str, object]:
        articles = []
        for at, section in enumerate(reader.sections):
            articles.append(self._paper.plain(f"digest/heading.{kind}", name=self._names[section.category]))
            for number, article in enumerate(section.article_ids):
                form = Form.FULL if at or number else Form.LEAD
                shown = self._paper.plain(f"digest/card.{kind}", card=self._cards[article], form=form.value)
                articles.append(shown)
        rows = [
            self._paper.plain(
                f"digest/row.{kind}",
                name=self._names[section.category],
                titles=[self._cards[article].title for article in section.article_ids[:2]],
                others=len(section.article_ids[2:]),
            )
            for section in reader.sections
        ]
        return {
            "opening": ", ".join(self._names[section.category] for section in reader.sections),
            "reader": personal.reader(reader.name, reader.links, self._frame.language),
            "articles": Markup("".join(articles)),
            "contents": Markup(self._paper.plain(f"digest/contents.{kind}", rows=Markup("".join(rows)))),
        }
