"""A guess at what was meant when a domain looks mistyped (standards D10). Only ever a suggestion."""

from typing import Final

DOMAINS: Final = tuple(
    """
    gmail.com googlemail.com outlook.com hotmail.com live.com msn.com icloud.com me.com mac.com yahoo.com ymail.com
    rocketmail.com aol.com proton.me protonmail.com fastmail.com zoho.com hey.com mail.com comcast.net verizon.net
    att.net sbcglobal.net cox.net hotmail.co.uk outlook.fr yahoo.co.uk yahoo.fr yahoo.de yahoo.es yahoo.it hotmail.fr
    hotmail.de hotmail.es hotmail.it live.fr live.co.uk btinternet.com gmx.de gmx.net gmx.at gmx.ch web.de t-online.de
    freenet.de posteo.de mailbox.org orange.fr free.fr wanadoo.fr laposte.net sfr.fr bluewin.ch libero.it virgilio.it
    telefonica.net seznam.cz wp.pl onet.pl mail.ru yandex.ru qq.com 163.com naver.com
    """.split()  # noqa: SIM905  (sixty quoted words read worse)
)
_ENDINGS: Final = {
    "con": "com", "cmo": "com", "ocm": "com", "vom": "com", "xom": "com", "comm": "com", "coom": "com", "cpm": "com",
    "copm": "com", "ogr": "org", "rog": "org", "orgg": "org", "nte": "net", "ent": "net", "nett": "net",
}  # fmt: skip
"""Endings that nobody can register, and what the fingers meant."""
_SHORTEST: Final = 6
"""Shorter domains are within one slip of too many others."""


def suggest(address: str) -> str | None:
    """Return a likelier address, or None when this one looks as it should."""
    local, _, domain = address.rpartition("@")
    if domain in DOMAINS:
        return None
    host, _, ending = domain.rpartition(".")
    mended = f"{host}.{_ENDINGS.get(ending, ending)}"
    meant = mended if mended in DOMAINS else _nearest(mended)
    if meant is None and mended != domain:
        meant = mended
    return f"{local}@{meant}" if meant else None


def distance(one: str, other: str) -> int:
    """Return how many slips lie between two words: a letter more, less, wrong, or two exchanged.

    Damerau-Levenshtein in its restricted form (optimal string alignment).
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, mine in enumerate(one, 1):
        line = [row]
        for column, theirs in enumerate(other, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (mine != theirs))
            if row > 1 and column > 1 and mine == other[column - 2] and one[row - 2] == theirs:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]


def _may_be_within(slips: int, one: str, other: str) -> bool:
    """Say whether a closer look is worth it: a slip takes at most one letter away, and brings at most one."""
    mine, theirs = set(one), set(other)
    return max(abs(len(one) - len(other)), len(mine - theirs), len(theirs - mine)) <= slips


def _nearest(domain: str) -> str | None:
    """Return the one known domain within one slip, or two in a long name; None when there is none or a tie."""
    if len(domain) < _SHORTEST:
        return None
    allowed = 2 if len(domain) >= 10 else 1
    slips = {known: distance(domain, known) for known in DOMAINS if _may_be_within(allowed, domain, known)}
    if not slips:
        return None
    least = min(slips.values())
    nearest = [known for known, count in slips.items() if count == least]
    return nearest[0] if least <= allowed and len(nearest) == 1 else None
