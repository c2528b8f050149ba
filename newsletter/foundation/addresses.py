"""Which IP addresses the service may speak to on behalf of a URL that somebody typed in.

`ipaddress` alone is not enough: what it calls global differs between Python versions, and addresses that carry an
IPv4 address inside (mapped, NAT64, 6to4, Teredo) reach wherever the inner one leads.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DENIED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata service
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata service
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "::/96",  # IPv4-compatible
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 within one site
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fec0::/10",  # site-local
    )
)
"""Refused whatever `ipaddress` thinks of them."""


def is_public(address: str) -> bool:
    """Tell whether `address` (text, one IP) belongs to a host on the public Internet."""
    try:
        ip: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in DENIED if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_private)


def is_literal(host: str) -> bool:
    """Tell whether `host` (without brackets) is an IP address in its usual spelling."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_disguised(host: str) -> bool:
    """Tell whether only a lenient resolver takes `host` for an address: 127.1, 2130706433, 0x7f000001.

    No domain name ends in a label that is all digits or hexadecimal (WHATWG URL, "ends in a number").
    """
    if is_literal(host):
        return False
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))
