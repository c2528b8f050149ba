"""The circuit breaker: when what the providers answer says that to go on would do harm (standards S12).

Pure: it watches answers and returns sentences; who pauses a mailing or holds a relay is somebody else. It remembers the
last answers of each mailing and of each relay in this process only, so each worker process judges by its own share.
"""

import enum
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.replies import Failure, Outcome, Verdict

REMEMBERED: Final = 200
"""Answers looked back upon."""
_MAILINGS: Final = 32
"""Remembered at a time; the one that has been quiet the longest is forgotten first."""


class Kind(enum.Enum):
    """What an answer says of how we are doing."""

    FINE = enum.auto()
    """Accepted, or about one reader or the moment only."""
    AUTHENTICATION = enum.auto()
    REPUTATION = enum.auto()
    BUG = enum.auto()
    READER = enum.auto()
    """No such address: fine one by one; of many at once rarely true, as whole providers have said so by mistake."""


@dataclass(frozen=True, slots=True)
class Rule:
    """More than `share` of the answers remembered, and at least so many: then something is wrong."""

    kinds: frozenset[Kind]
    least: int
    share: float
    what: str
    """Why they refused the mail, as the end of a sentence."""
    advice: str


RULES: Final = (
    Rule(
        frozenset({Kind.AUTHENTICATION}),
        3,
        0.05,
        "because they cannot tell that it comes from us",
        "Check the sender's domain: its SPF, DKIM and DMARC records, "
        "and that the mail is signed with a key that is published. Then resume: these mails are tried again.",
    ),
    Rule(
        frozenset({Kind.REPUTATION}),
        5,
        0.05,
        "as blocked, unwanted or against their policy",
        "Look whether our address or domain stands on a block list, and "
        "what the answer's link says. Then set a low speed and resume: these mails are tried again.",
    ),
    Rule(
        frozenset({Kind.BUG}),
        5,
        0.05,
        "because it is not made as they want it: its format, its size, or what was said before it",
        "To send the same again will not help; keep the answer, and find out what this digest has that others had not.",
    ),
    Rule(
        frozenset({Kind.READER}),
        30,
        0.20,
        "as to addresses that do not exist",
        "So many at once are rarely true: a provider may answer wrongly for some "
        "hours. Look which domains it is about, and wait. Then resume, and resend to those whose address was called "
        "dead.",
    ),
)
RELAY: Final = Rule(
    frozenset({Kind.AUTHENTICATION, Kind.REPUTATION}),
    20,
    0.50,
    "as blocked or not authenticated",
    "To go on through this relay makes it worse. Check its account, its address on "
    "block lists and our domain's records, then resume it.",
)


def kind_of(outcome: Outcome) -> Kind | None:
    """Return what an outcome says; None: nothing was answered, or the relay's state is watched elsewhere."""
    if outcome.verdict is Verdict.ACCEPTED:
        return Kind.FINE
    if outcome.verdict in (Verdict.UNSENT, Verdict.UNKNOWN, Verdict.OURS) or outcome.code is None:
        return None
    if outcome.failure is Failure.AUTHENTICATION:
        return Kind.AUTHENTICATION  # 4.7.26 and the like too: they do not go away by waiting
    if outcome.verdict is Verdict.TEMPORARY:
        return Kind.FINE  # slowed down elsewhere
    if outcome.failure is Failure.READER:
        return Kind.READER
    return {Failure.REPUTATION: Kind.REPUTATION, Failure.BUG: Kind.BUG}.get(outcome.failure, Kind.FINE)  # type: ignore[arg-type]  # None has no entry


class Window:
    """The last answers, and how many there are of each kind."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._kinds: deque[Kind] = deque(maxlen=size)
        self._said: dict[Kind, str] = {}

    def take_in(self, outcomes: Collection[Outcome], rules: Sequence[Rule]) -> str:
        """Remember some; return what the first rule that applies after one of them has to say, else an empty text."""
        if all(outcome.verdict is Verdict.ACCEPTED for outcome in outcomes):  # the rule by far
            self._kinds.extend([Kind.FINE] * len(outcomes))
            return ""
        for outcome in outcomes:
            if self.add(outcome) and (because := self.broken(rules)):
                return because
        return ""

    def add(self, outcome: Outcome) -> bool:
        """Remember an outcome, and forget the oldest for it. Returns whether it speaks against us."""
        kind = kind_of(outcome)
        if kind is None:
            return False
        self._kinds.append(kind)
        if kind is Kind.FINE:
            return False
        self._said[kind] = f"{outcome.code} {outcome.text}"
        return True

    def broken(self, rules: Iterable[Rule]) -> str:
        """Return what the first rule that applies has to say, else an empty text."""
        total, counts = len(self._kinds), Counter(self._kinds)
        for rule in rules:
            number = sum(counts[kind] for kind in rule.kinds)
            if number >= rule.least and number > rule.share * total:
                said = max((kind for kind in rule.kinds if counts[kind]), key=lambda kind: counts[kind])
                return (
                    f"Of the last {total} answers, {number} refused the mail {rule.what}, "
                    f"last with “{self._said[said]}”. {rule.advice}"
                )
        return ""


class Breaker:
    """Watches what one worker process is answered."""

    def __init__(self) -> None:
        self._mailings: OrderedDict[int, Window] = OrderedDict()
        self._relays: dict[int, Window] = {}

    def observe(self, mailing_id: int, outcomes: Collection[Outcome]) -> str:
        """Take in answers to a mailing. Returns why it should pause now, or an empty text.

        Once it has spoken it has forgotten the mailing's answers: after a resume it judges by new ones.
        """
        window = self._mailings.setdefault(mailing_id, Window())
        self._mailings.move_to_end(mailing_id)
        while len(self._mailings) > _MAILINGS:
            self._mailings.popitem(last=False)
        because = window.take_in(outcomes, RULES)
        if because:
            self.forget(mailing_id)
        return because

    def observe_relay(self, relay_id: int, outcomes: Collection[Outcome]) -> str:
        """Take in answers that came through a relay. Returns why it should be held, or an empty text."""
        window = self._relays.setdefault(relay_id, Window(100))
        because = window.take_in(outcomes, (RELAY,))
        if because:
            del self._relays[relay_id]
        return because

    def forget(self, mailing_id: int) -> None:
        """Forget a mailing's answers: another process has paused it, or an operator."""
        self._mailings.pop(mailing_id, None)
