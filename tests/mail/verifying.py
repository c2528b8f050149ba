"""Three independent implementations that judge our signatures, each with the records at hand instead of a DNS."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dkim

from tests.servers import npm
from tests.servers.given import Missing

HERE = Path(__file__).parent / "verifiers"
MAILAUTH = "7.1.0"
Records = Mapping[str, str]
"""What TXT look-ups answer, by name."""


@dataclass(frozen=True)
class Verdict:
    """What one implementation says about one signature."""

    d: str
    s: str
    a: str
    result: str
    """`pass`, or something else."""
    why: str
    signed: str
    """The names of the fields that it covers, in lower case, with colons between them."""


Verifier = Callable[[Sequence[bytes], Records], list[list[Verdict]]]
"""Takes mails and records; returns for each mail what is to be said about each signature."""


def by_dkimpy(mails: Sequence[bytes], records: Records) -> list[list[Verdict]]:
    """Judge with dkimpy."""
    answers = {f"{name}.".encode(): value.encode() for name, value in records.items()}

    def look_up(name: bytes, timeout: float = 5) -> bytes | None:
        return answers.get(name)

    return [[_by_dkimpy(mail, number, look_up) for number in range(mail.count(b"DKIM-Signature:"))] for mail in mails]


def _by_dkimpy(mail: bytes, number: int, look_up: Callable[[bytes, float], bytes | None]) -> Verdict:
    judge = dkim.DKIM(mail)
    try:
        good, why = judge.verify(number, dnsfunc=look_up), ""
    except dkim.DKIMException as error:
        good, why = False, str(error)
    tags = {name.decode(): value.decode() for name, value in (judge.signature_fields or {}).items()}
    signed = "".join(tags.get("h", "").split()).lower()
    return Verdict(tags.get("d", ""), tags.get("s", ""), tags.get("a", ""), "pass" if good else "fail", why, signed)


def by_mailauth(mails: Sequence[bytes], records: Records) -> list[list[Verdict]]:
    """Judge with mailauth, on Node. Raises Missing."""
    home = npm.folder("mailauth", MAILAUTH)
    return _by_program(["node", str(HERE / "mailauth.cjs"), str(home)], mails, records)


def by_mail_dkim(mails: Sequence[bytes], records: Records) -> list[list[Verdict]]:
    """Judge with Mail::DKIM, in Perl. Raises Missing."""
    perl = shutil.which("perl")
    if not perl or subprocess.run([perl, "-MMail::DKIM", "-e1"], capture_output=True, check=False).returncode:
        raise Missing("No Mail::DKIM: apt-get install libmail-dkim-perl")
    return _by_program([perl, str(HERE / "mail_dkim.pl")], mails, records)


ALL: tuple[Verifier, ...] = (by_dkimpy, by_mailauth, by_mail_dkim)


def results(verdicts: list[list[Verdict]]) -> list[list[str]]:
    """Return the words alone."""
    return [[one.result for one in mail] for mail in verdicts]


def _by_program(command: Sequence[str], mails: Sequence[bytes], records: Records) -> list[list[Verdict]]:
    given = json.dumps({"records": dict(records), "mails": [base64.b64encode(mail).decode() for mail in mails]})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [
        [Verdict(**{**found, "signed": "".join(found["signed"].split()).lower().replace(",", ":")}) for found in mail]
        for mail in json.loads(done.stdout)
    ]
