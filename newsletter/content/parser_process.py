"""The other side of parser.py: read documents from stdin until it closes, under limits that the kernel enforces.

Run as `python -m newsletter.content.parser_process`.
"""

import dataclasses
import json
import resource
from pathlib import Path
from typing import Any, Final

from newsletter.content.discovery import discover
from newsletter.content.parsed import CPU_SECONDS, WebPageError, to_json
from newsletter.content.parsing import parse_document
from newsletter.foundation.children import pipes, read_frame, write_frame
from newsletter.foundation.errors import ParseError

HEADROOM: Final = 130 * 1024 * 1024
"""Bytes of address space beyond those in use after start; with them the process stays below 200 MB."""
WORN: Final = 100 * 1024
"""Kilobytes of memory after which the process asks to be replaced: Python rarely gives memory back."""


def answer(request: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Do what `request` asks with the document `body`; say why where that is impossible."""
    url, content_type = request["url"], request["content_type"]
    try:
        if request["act"] == "discover":
            found = discover(body, url, content_type, request["link"])
            return {"candidates": [dataclasses.asdict(candidate) for candidate in found]}
        return {"feed": to_json(parse_document(body, url, content_type))}
    except WebPageError as refusal:
        return {"refused": str(refusal), "page": True}
    except ParseError as refusal:
        return {"refused": str(refusal)}
    except (MemoryError, RecursionError):
        return {"refused": "The document needs too much memory to be read.", "last": True}
    except Exception:  # noqa: BLE001  (libraries fed with hostile bytes fail in any way; this one costs one document)
        return {"refused": "The document is so damaged that it cannot be read."}


def main() -> None:
    """Serve until stdin closes."""
    requests, answers = pipes()
    _limit_memory()
    while (head := read_frame(requests)) is not None and (body := read_frame(requests)) is not None:
        _limit_time()
        reply = answer(json.loads(head), body)
        if _peak_kilobytes() > WORN:
            reply["last"] = True
        write_frame(answers, json.dumps(reply).encode())
        del reply, body


def _limit_memory() -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + HEADROOM, used + HEADROOM))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_time() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, resource.RLIM_INFINITY))


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # not ru_maxrss, which begins with the peak of the process that started this one
        return next((int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")), 0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
