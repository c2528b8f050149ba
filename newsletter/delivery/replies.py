"""What a relay's reply means: one pure function over code, enhanced code and text (standards 4.1).

A reply says something about the reader, about us, or only about the moment. Who confuses them removes readers for the
sender's faults.
"""

import enum
import re
from dataclasses import dataclass

from newsletter.foundation.logs import mask

_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})\b")
_OUR_AUTHENTICATION = {f"7.{detail}" for detail in (*range(23, 33), 40, 515, 509, 9)}
_OUR_FORMAT = ("6.", "5.", "3.4")
_REPUTATION_WORDS = re.compile(r"unsolicited|spam|block|listed at|reputation|policy|denied by", re.IGNORECASE)


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
    OURS = "ours"
    """The relay refuses us: our account, authentication, reputation. Marks no reader; sending pauses."""
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    verdict: Verdict
    code: int | None = None
    text: str = ""
    failure: Failure | None = None


def judge(phase: Phase, code: int, text: str, *, utf8: bool = False) -> Outcome:
    """Return the outcome of an attempt that `phase` ended with the reply `code` (three digits) and `text`."""
    return Outcome(_verdict(phase, code, text, utf8=utf8), code, shorten(text))


def _verdict(phase: Phase, code: int, text: str, *, utf8: bool) -> Verdict:
    if phase is Phase.DOT and 200 <= code < 300:
        return Verdict.ACCEPTED
    if 400 <= code < 500:
        return Verdict.TEMPORARY
    if phase not in (Phase.RCPT, Phase.DATA, Phase.DOT):
        return Verdict.OURS  # our account or our host: no reader has been named yet
    match = _ENHANCED.match(text)
    subject = f"{match[2]}.{match[3]}" if match else ""
    if subject == "6.7" or (utf8 and subject.startswith("6.")):
        return Verdict.UNSENDABLE
    if subject in _OUR_AUTHENTICATION:
        return Verdict.OURS
    if subject.startswith("7.") and _REPUTATION_WORDS.search(text):
        return Verdict.OURS
    if subject.startswith(_OUR_FORMAT) or (phase is not Phase.RCPT and not subject):
        return Verdict.UNSENDABLE
    return Verdict.REFUSED


def lost(phase: Phase, why: str) -> Outcome:
    """Return the outcome of an attempt whose connection went away in `phase`."""
    return Outcome(Verdict.UNKNOWN if phase is Phase.DOT else Verdict.UNSENT, None, shorten(why))


def shorten(text: str) -> str:
    """Return the relay's words fit for keeping: one line, at most 300 characters, no addresses."""
    return mask(" ".join(text.split()))[:300]
