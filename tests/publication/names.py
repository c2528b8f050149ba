"""A name server on loopback, for look-ups that must not leave the machine."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset

from newsletter.foundation.ports import LOOPBACK


@contextlib.contextmanager
def serving(records: Mapping[str, Sequence[str]]) -> Iterator[dns.resolver.Resolver]:
    """Give a resolver that knows `records`, TXT values in zone-file form by name, and nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOOPBACK, 0))
        thread = threading.Thread(target=_answer, args=(server, records))
        thread.start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [LOOPBACK], server.getsockname()[1]
        try:
            yield resolver
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()


def _answer(server: socket.socket, records: Mapping[str, Sequence[str]]) -> None:
    while True:
        data, client = server.recvfrom(4096)
        if not data:
            return
        query = dns.message.from_wire(data)
        name = query.question[0].name
        found = records.get(name.to_text(omit_final_dot=True))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if found is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif found:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *found))
        server.sendto(response.to_wire(), client)
