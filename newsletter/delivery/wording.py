"""The vocabulary of refusals (standards 4.1): what enhanced codes and words stand for, as data.

Codes are written without their class: "7.28" of 5.7.28 and 4.7.28 alike (RFC 3463). Words are those that servers use
in their replies, to be found whatever their case.
"""

import re
from typing import Final

_LEADING: Final = re.compile(r"\W{0,3}[245]\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_ANYWHERE: Final = re.compile(r"(?<![\d.])[45]\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")

AUTHENTICATION_CODES: Final = frozenset(f"7.{n}" for n in (*range(20, 28), *range(29, 33), 8, 9, 11, 40, 509, 515)) | {
    "1.7",
    "1.8",
}
"""SPF, DKIM, DMARC, TLS, our login (RFC 7372, Gmail, Outlook, Yahoo); and a sender that the next hop does not like."""
REPUTATION_CODES: Final = frozenset(f"7.{n}" for n in (*range(501, 513), *range(606, 650), *range(700, 800), 0, 28))
RESTRICTED_CODES: Final = frozenset(f"7.{n}" for n in (2, 12, 13, 124, 129, 133, 134, 135, 136))
"""The reader takes mail from some senders only, or their account is closed to everybody."""
DOMAIN_CODES: Final = frozenset({"1.2", "4.4", "4.310", "4.312"})
DEAD_CODES: Final = frozenset({"1.0", "1.1", "1.3", "1.4", "1.5", "1.6", "1.10", "2.4"})
BUG_CODES: Final = frozenset({"3.4", "2.3"})


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


EAI_WORDS: Final = _words(r"smtputf8", r"internationali[sz]ed (e-?mail )?address", r"non-?ascii address")
AUTHENTICATION_WORDS: Final = _words(
    r"\b(spf|dkim|dmarc)\b",
    r"\bunauthenticated\b",
    r"authenti\w+ (is )?(required|failed|credentials|checks?)",
    r"not authenticated|authentication information|smtp auth|mismatch\w* (the )?client",
    r"address is not verified|identit(y|ies) failed",
    r"relay(ing)? (access )?(is )?(denied|not (permitted|allowed)|prohibited)",
    r"(unable|not (allowed|permitted|authorized)) to relay|relaying denied|do(es)? not relay",
    r"sender (address |domain |verify )?(rejected|failed|not (owned|allowed|verified))",
    r"not owned by user",
    r"reverse (dns|hostname|lookup)|\bptr\b|\brdns\b",
)
BUG_WORDS: Final = _words(
    r"rfc ?-?\d*[25]?822|rfc ?-?5322|not rfc",
    r"encoded-word",
    r"malformed|(invalid|bad|missing|duplicate|multiple) (message.?id|header|from|date|mime)",
    r"protocol violation|multiple .{0,20}addresses in from",
    r"\bbare (cr|lf|line ?feed)|line (is )?too long|(too|very) long line",
    r"(message|size|mail)\b.{0,30}(too (large|big)|exceed\w* .{0,30}(size|limit))|maximum (message )?size",
    r"syntax error|command (not|un)\w* ?(implemented|recogni[sz]ed)?",
)
REPUTATION_WORDS: Final = _words(
    r"unsolicited|\bspam|junk mail|\bbulk\b|virus|malware|phish",
    r"\bblock(ed|ing)\b",
    r"(black|block|deny)-?list|\b(dns|r|s)bl\b|\blisted (at|by|in|on)\b|spamhaus|spamcop|barracuda|proofpoint",
    r"reputation|\babus(e|ive)\b|complaint|\bbanned\b",
    r"\bpolic(y|ies)\b|content (was )?(reject|restrict|filter)\w*|(reject|restrict|filter)\w* .{0,20}\bcontent\b",
    r"\b(TSS?|PH)\d\d\b",
)
RATE_WORDS: Final = _words(
    r"\brate\b.{0,20}(limit|exceed|control)|(unusual|high|excessive) rate|\bat a rate\b|limit(ed)? rate|rate-?limit",
    r"too (many|much) (\w+ ){0,3}(messages?|mails?|e-?mails?|connections?|sessions?|requests?|recipients?|errors)",
    r"too (fast|quickly|frequent\w*|often)|slow(ing)? down|throttl|exceed\w* .{0,40}(limit|quota of|rate|number)",
    r"(daily|hourly|sending|message|connection) (limit|quota) (is |was |has been )?(exceed|reach)",
    r"\b(TSS?)\d\d\b|unexpected volume|volume of",
)
GREYLISTING_WORDS: Final = _words(r"gr[ae]y-?list")
FULL_WORDS: Final = _words(
    r"(over|exceed\w*|above|out of|disk|storage|mailbox|user|allocat\w+|full) ?(the |its |their |his )?-?quota",
    r"quota (is )?(exceed|full|reach|violat)",
    r"(mail ?box|in ?box|account|folder|maildrop)( \S+)?( is| has| was)? (\w+ )?(full|over ?-?quota|exceed)",
    r"(out of|insufficient|not enough|no) (\w+ )?(storage|disk|space)|storage (limit|full|exceed)",
)
DOMAIN_WORDS: Final = _words(
    r"nxdomain|null mx|no (valid )?mx\b|unroute?able",
    r"(domain|host)( name)?( \S+)? (does ?n.t|does not|was not|is not|not) (exist|found|known|resolve)\w*",
    r"(unknown|invalid|no such|bad destination) (mail )?(domain|host)|host or domain name not found",
    r"domain (is )?(not reachable|unreachable)",
)
DEAD_WORDS: Final = _words(
    r"(no such|unknown|invalid|non-?existent|bad) (local )?(user|recipient|mail ?box|account|person|destination|alias)",
    r"(?<!sender )(user|recipient|mail ?box|account|alias|address|person)\b.{0,40}"
    r"\b(unknown|un(available|deliverable)|in(active|valid)|disabled|deactivated|suspended|blocked|frozen|closed|expired"
    r"|deleted|terminated|not (be )?(found|exist|known|valid|listed|active|available)"
    r"|(does ?n.t|does not|no longer) (exist|have|active|valid))",
    r"(no|not a|without) (\w+ )?(mail ?box|account)( \w+)? (here|by that name|with)",
    r"no longer (works|employed|active|in use)",
    r"does ?n.t have (an|a \w+) account|not (a )?(our|local|valid) (customer|user|mailbox|recipient)",
    r"user doesn.t exist|undeliverable address",
)
BUSY_WORDS: Final = _words(r"receiving (e-?mail|mail|messages) (at a rate|too)", r"\bat a rate\b")


def subject_of(text: str) -> str:
    """Return the enhanced code without its class: the one the text begins with, else the first it quotes, else ""."""
    found = _LEADING.match(text) or _ANYWHERE.search(text)
    return f"{int(found[1])}.{int(found[2])}" if found else ""
