"""`python -m newsletter.sample` as its own process."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen  # noqa: TID251  (the test is the visitor here, not the product)


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the site on a free port; hand out the process and its address; end it whatever happens."""
    command = [sys.executable, "-m", "newsletter.sample", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            match = re.fullmatch(r"The Sample Gazette is at (http://127\.0\.0\.1:\d+)/\n", ready)
            assert match, ready
            yield process, match[1]
        finally:
            process.kill()


def test_it_says_where_it_is_serves_and_ends_when_told_to(tmp_path: Path) -> None:
    form = tmp_path / "form.html"
    form.write_text('<form method="post" action="https://news.example/é"></form>', encoding="utf-8")
    with running("--signup-form", str(form), "--signup-form-url", "https://news.example/join") as (process, address):
        with urlopen(address, timeout=10) as answer:
            page = answer.read().decode()
        assert 'action="https://news.example/é"' in page
        assert 'href="https://news.example/join"' in page
        with urlopen(f"{address}/feeds/all.json", timeout=10) as answer:
            assert f"{address}/articles/".encode() in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert process.communicate() == ("", "")


def test_a_busy_port_is_told_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "newsletter.sample", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert f"Port {port} cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_starts_again_at_once_on_the_port_it_had() -> None:
    with running() as (_, address), urlopen(address, timeout=10) as answer:
        answer.read()  # the server closes first, so that the port rests for a minute (RFC 9293 section 3.6.1)
    with running("--port", address.rpartition(":")[2]) as (_, again):
        assert again == address
