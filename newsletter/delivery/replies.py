"""What a relay's reply means: one pure function over phase, code, enhanced code and text (standards 4.1).

A reply says something about the reader, about us, or only about the moment. Who confuses them removes readers for the
sender's faults. Code and text have to be read together: providers use one code for a dead mailbox and a busy one, and
one for a bad header and a bad name.
"""

import enum
from typing import Final, NamedTuple

from newsletter.delivery.wording import (
    AUTHENTICATION_CODES,
    AUTHENTICATION_WORDS,
    BUG_CODES,
    BUG_WORDS,
    BUSY_WORDS,
    DEAD_CODES,
    DEAD_WORDS,
    DOMAIN_CODES,
    DOMAIN_WORDS,
    EAI_WORDS,
    FULL_WORDS,
    GREYLISTING_WORDS,
    RATE_WORDS,
    REPUTATION_CODES,
    REPUTATION_WORDS,
    RESTRICTED_CODES,
    subject_of,
)
from newsletter.foundation.logs import mask
from newsletter.mail.cleaning import clean


class Phase(enum.Enum):
    """How far the conversation had come when a reply, or silence, ended it."""

    CONNECT = "connect"
    GREETING = "greeting"
    HELLO = "hello"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    """The end of the message has been handed to the transport."""


class Verdict(enum.Enum):
    """What to do about it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """For good, and about this reader: never offered again (standards S6)."""
    UNSENDABLE = "unsendable"
    """For good, for a fault of this message or a feature that the relay lacks."""
    TEMPORARY = "temporary"
    """Later may work (standards S7)."""
    BLOCKED = "blocked"
    """For good in its words, but about us: our authentication or reputation. Never counts against the reader; later
    may work, once somebody has seen to it."""
    OURS = "ours"
    """The relay refuses us before any reader was named: sending through it pauses."""
    UNSENT = "unsent"
    """The connection was lost before the dot: nothing has happened."""
    UNKNOWN = "unknown"
    """The connection was lost after the dot and before its reply (RFC 1047)."""


class Failure(enum.StrEnum):
    """What a refusal is about (standards 4.1): the reader, or us."""

    READER = "reader"
    """The address is dead."""
    MAILBOX = "mailbox"
    """The reader's mailbox is full, or takes nothing for now."""
    DOMAIN = "domain"
    AUTHENTICATION = "authentication"
    """Our account, or SPF, DKIM and DMARC of ours."""
    REPUTATION = "reputation"
    """Policy, blocks, rates: what providers think of us."""
    BUG = "bug"
    """Our message is not what it should be: format, size, protocol."""
    ADDRESS = "address"
    """The next hop cannot take such an address (SMTPUTF8)."""
    TEMPORARY = "temporary"


class Outcome(NamedTuple):
    """What became of one attempt."""

    verdict: Verdict
    code: int | None = None
    text: str = ""
    failure: Failure | None = None


_VERDICTS: Final = {
    Failure.READER: Verdict.REFUSED,
    Failure.MAILBOX: Verdict.REFUSED,
    Failure.DOMAIN: Verdict.REFUSED,
    Failure.AUTHENTICATION: Verdict.BLOCKED,
    Failure.REPUTATION: Verdict.BLOCKED,
    Failure.BUG: Verdict.UNSENDABLE,
    Failure.ADDRESS: Verdict.UNSENDABLE,
}
"""Of a 5xx that came once the reader had been named."""

_LONGEST: Final = 1000
"""Characters of a reply that are looked at."""
_CODES: Final = {
    **dict.fromkeys((500, 501, 502, 503, 504, 555), Failure.BUG),
    **dict.fromkeys((530, 534, 535, 538), Failure.AUTHENTICATION),
    **dict.fromkeys((541, 554, 571), Failure.REPUTATION),
    **dict.fromkeys((512, 521, 556), Failure.DOMAIN),
    552: Failure.MAILBOX,
}
"""Where nothing else tells; 521 and 556 are RFC 7504."""

_BEFORE_READER: Final = (Phase.CONNECT, Phase.GREETING, Phase.HELLO, Phase.TLS, Phase.AUTH, Phase.MAIL)


def judge(phase: Phase, code: int, text: str, *, utf8: bool = False) -> Outcome:
    """Return the outcome of an attempt that `phase` ended with the reply `code` (three digits) and `text`.

    `utf8`: an address of the message needs SMTPUTF8.
    """
    said = shorten(text)
    if phase is Phase.DOT and 200 <= code < 300:
        return Outcome(Verdict.ACCEPTED, code, said)
    if 400 <= code < 500:
        return Outcome(Verdict.TEMPORARY, code, said, _of_temporary(code, said))
    if not 500 <= code < 600:  # no answer to what was said; a dot without a yes or no may have been taken
        odd = Verdict.OURS if phase in _BEFORE_READER else Verdict.UNKNOWN if phase is Phase.DOT else Verdict.TEMPORARY
        return Outcome(odd, code, said, Failure.BUG if odd is Verdict.OURS else Failure.TEMPORARY)
    if phase in _BEFORE_READER:
        return _of_us(phase, code, said, utf8)
    failure = _of_refusal(phase, code, said, utf8)
    return Outcome(_VERDICTS[failure], code, said, failure)


def lost(phase: Phase, why: str) -> Outcome:
    """Return the outcome of an attempt whose connection went away in `phase`."""
    return Outcome(Verdict.UNKNOWN if phase is Phase.DOT else Verdict.UNSENT, None, shorten(why))


def slows_down(outcome: Outcome) -> bool:
    """Say whether the reply asks to send less to those hosts for a while (standards S5)."""
    if outcome.code is None or outcome.code < 400 or outcome.failure is Failure.MAILBOX:  # a busy reader, no busy host
        return False
    subject = subject_of(outcome.text)
    return outcome.code == 421 or subject == "7.28" or bool(RATE_WORDS.search(outcome.text))


def shorten(text: str) -> str:
    """Return the relay's words fit for keeping: one line of harmless characters, at most 300, no addresses."""
    if len(text) > _LONGEST:  # a hostile relay's megabyte is not worth a regular expression
        text = text[:_LONGEST].rpartition(" ")[0] or text[:_LONGEST]
    text = " ".join(text.split()) if text.isprintable() else clean(text, _LONGEST)  # every mail's: mostly printable
    if "@" in text or "/" in text:
        text = mask(text)
    return text[:300]


def _of_temporary(code: int, text: str) -> Failure:
    subject = subject_of(text)
    if subject in AUTHENTICATION_CODES and subject.startswith("7."):
        return Failure.AUTHENTICATION
    if GREYLISTING_WORDS.search(text):  # which everybody meets
        return Failure.TEMPORARY
    if subject == "2.2" or (subject == "2.1" and code != 421) or FULL_WORDS.search(text) or BUSY_WORDS.search(text):
        return Failure.MAILBOX
    security = subject.startswith("7.")
    if RATE_WORDS.search(text) or (security and (code == 421 or subject in REPUTATION_CODES - {"7.0"})):
        return Failure.REPUTATION
    return Failure.REPUTATION if (security or not subject) and REPUTATION_WORDS.search(text) else Failure.TEMPORARY


def _of_us(phase: Phase, code: int, text: str, utf8: bool) -> Outcome:
    """Judge a 5xx before the reader was named. Only what hangs on this one message is not the relay's refusal of us."""
    subject = subject_of(text)
    if phase is Phase.MAIL and utf8 and (subject.startswith("6.") or code == 555 or EAI_WORDS.search(text)):
        return Outcome(Verdict.UNSENDABLE, code, text, Failure.ADDRESS)
    if phase is Phase.MAIL and (subject in BUG_CODES or (code == 552 and not subject)):  # RFC 1870 section 6: SIZE
        return Outcome(Verdict.UNSENDABLE, code, text, Failure.BUG)
    if phase is Phase.AUTH or subject in AUTHENTICATION_CODES:
        failure = Failure.AUTHENTICATION
    elif subject.startswith(("5.", "6.")) or _CODES.get(code) is Failure.BUG:
        failure = Failure.BUG
    elif phase in (Phase.CONNECT, Phase.GREETING, Phase.HELLO) or subject in REPUTATION_CODES:
        failure = Failure.REPUTATION
    else:
        failure = Failure.REPUTATION if REPUTATION_WORDS.search(text) else Failure.AUTHENTICATION
    return Outcome(Verdict.OURS, code, text, failure)


def _of_refusal(phase: Phase, code: int, text: str, utf8: bool) -> Failure:
    """Say what a 5xx to a named reader is about. What concerns us comes before what concerns them."""
    subject = subject_of(text)
    if subject == "6.7" or (utf8 and subject.startswith("6.")) or EAI_WORDS.search(text):
        return Failure.ADDRESS
    if subject in AUTHENTICATION_CODES:
        return Failure.AUTHENTICATION
    if subject in BUG_CODES or subject.startswith("6."):
        return Failure.REPUTATION if subject == "6.0" and REPUTATION_WORDS.search(text) else Failure.BUG
    if subject in REPUTATION_CODES:
        return Failure.AUTHENTICATION if AUTHENTICATION_WORDS.search(text) else Failure.REPUTATION
    if subject in RESTRICTED_CODES:
        return Failure.READER
    if subject == "2.2":
        return Failure.MAILBOX
    dead = bool(DEAD_WORDS.search(text))
    if subject == "2.1":
        return Failure.MAILBOX if BUSY_WORDS.search(text) or RATE_WORDS.search(text) else Failure.READER
    if subject in DEAD_CODES or subject in DOMAIN_CODES:
        theirs = Failure.DOMAIN if subject in DOMAIN_CODES else Failure.READER
        return theirs if dead else _of_our_standing(text) or theirs
    if subject.startswith("5.") and not (subject == "5.0" and dead):
        return Failure.BUG
    return _of_words(phase, code, text, subject, dead)


def _of_our_standing(text: str) -> Failure | None:
    if AUTHENTICATION_WORDS.search(text):
        return Failure.AUTHENTICATION
    return Failure.REPUTATION if REPUTATION_WORDS.search(text) or RATE_WORDS.search(text) else None


def _of_words(phase: Phase, code: int, text: str, subject: str, dead: bool) -> Failure:
    if BUG_WORDS.search(text):
        return Failure.BUG
    if AUTHENTICATION_WORDS.search(text):
        return Failure.AUTHENTICATION
    if FULL_WORDS.search(text) or BUSY_WORDS.search(text):
        return Failure.MAILBOX
    if dead and not subject.startswith("7."):
        return Failure.READER
    if REPUTATION_WORDS.search(text) or RATE_WORDS.search(text):
        return Failure.REPUTATION
    if DOMAIN_WORDS.search(text):
        return Failure.DOMAIN
    if dead:
        return Failure.READER
    if subject.startswith("7."):
        return Failure.REPUTATION
    if subject.startswith(("2.", "3.", "4.")):
        return Failure.MAILBOX  # about their side, and not for ever: routing, a system that takes nothing now
    # Not a word that tells. After DATA it is the content that was looked at, not the name.
    return _CODES.get(code, Failure.READER if phase is Phase.RCPT else Failure.REPUTATION)
