"""Many commands in one process: `python -m newsletter.cli.terminal` runs what standard input brings.

Each line is one command, as a JSON list of its words; each is answered with one line: the words, the exit status, and
what it wrote to standard output and standard error. The seconds that Python takes to begin are spent once.
"""

import contextlib
import io
import json
import sys

from newsletter.cli import main


def serve() -> None:
    """Answer commands until standard input ends."""
    replies = sys.stdout
    for text in sys.stdin:
        line = json.loads(text)
        sys.argv = ["newsletter", *line]
        output, errors, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        replies.write(json.dumps([line, code, output.getvalue(), errors.getvalue()]) + "\n")
        replies.flush()


if __name__ == "__main__":
    serve()
