"""Which addresses an outgoing call may reach (RULINGS §4), decided where it counts: at connect time.

A name is resolved once, every address is judged, and the connection is opened to the very address that was judged, so
a name that answers differently the next time (DNS rebinding) gains nothing. TLS still speaks to the host of the URL.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from taskyard.domain.runs import NetworkPolicy

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Reach(IntEnum):
    """How far an address lies from us; the higher, the fewer may call it."""

    PUBLIC = 0
    PRIVATE = 1
    NEVER = 2


class BlockedAddress(Exception):
    """The policy forbids calling this host. `reason` is a sentence for a person."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} may not be called: {reason}")
        self.host = host
        self.reason = reason


# Beside the addresses, because some of these names lead to public ones.
METADATA_HOSTS = frozenset(
    {
        "metadata.google.internal",
        "metadata.goog",
        "instance-data.ec2.internal",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
    }
)
# 168.63.129.16 (Azure) looks like anybody's address. 192.0.0.192 and fd00:c1:: are Oracle's, fd20:ce:: Google's,
# fd00:42:: Scaleway's, fd00:ec2:: Amazon's.
METADATA_ADDRESSES: frozenset[Address] = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fd00:c1::a9fe:a9fe",
    )
)
_PRIVATE_V4 = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10")
)
# Listed because `is_global` of older Python versions says yes to some of them.
_NEVER_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NEVER_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_LOOPBACK_V6 = IPv6Address("::1")
_UNSPECIFIED_V6 = IPv6Address("::")

# RFC 4291 §2.5.5 (compatible, mapped), RFC 2765 (translated), RFC 6052 (NAT64): the IPv4 address is the last 32 bits.
_IPV4_AT_THE_END = tuple(IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP_MARKS = frozenset({0x00005EFE, 0x02005EFE})


def _bits(address: IPv6Address, shift: int) -> IPv4Address:
    return IPv4Address((int(address) >> shift) & 0xFFFFFFFF)


def _around_bits_64_to_71(address: IPv6Address, prefix: int) -> IPv4Address:
    """The IPv4 address behind a NAT64 prefix of 48, 56 or 64 bits, which leaves bits 64 to 71 out (RFC 6052 §2.2)."""
    value = int(address)
    without = ((value >> 64) << 56) | (value & ((1 << 56) - 1))
    return IPv4Address((without >> (120 - prefix - 32)) & 0xFFFFFFFF)


def _judge_v4(address: IPv4Address) -> Reach:
    if address in METADATA_ADDRESSES or any(address in network for network in _NEVER_V4):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE_V4):
        return Reach.PRIVATE
    return Reach.PUBLIC if address.is_global else Reach.NEVER


def _judge_local_nat64(address: IPv6Address) -> Reach:
    # Only the network at hand knows where in the prefix the IPv4 address sits, so no place may hide a metadata address.
    places = [_around_bits_64_to_71(address, prefix) for prefix in (48, 56, 64)]
    if any(place in METADATA_ADDRESSES or place.is_link_local for place in places):
        return Reach.NEVER
    return max(Reach.PRIVATE, _judge_v4(_bits(address, 0)))


def _hidden_v4(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that calling `address` would in truth reach or pass through."""
    if any(address in network for network in _IPV4_AT_THE_END):
        return [_bits(address, 0)]
    if address in _SIX_TO_FOUR:
        return [_bits(address, 80)]
    if address in _TEREDO:
        return [_bits(address, 64), IPv4Address(int(_bits(address, 0)) ^ 0xFFFFFFFF)]
    return []


def _judge_plain_v6(address: IPv6Address) -> Reach:
    if address in _UNIQUE_LOCAL:
        return Reach.PRIVATE
    if address not in _GLOBAL_UNICAST or any(address in network for network in _NEVER_V6):
        return Reach.NEVER
    return Reach.PUBLIC if address.is_global else Reach.NEVER


def _judge_v6(address: IPv6Address) -> Reach:
    if address in METADATA_ADDRESSES or address == _UNSPECIFIED_V6:
        return Reach.NEVER
    if address == _LOOPBACK_V6:
        return Reach.PRIVATE
    if address in _LOCAL_NAT64:
        return _judge_local_nat64(address)
    if hidden := _hidden_v4(address):
        return max(_judge_v4(each) for each in hidden)
    # RFC 5214: an ISATAP interface id carries an IPv4 address under any prefix.
    isatap = int(_bits(address, 32)) in _ISATAP_MARKS
    return max(_judge_plain_v6(address), _judge_v4(_bits(address, 0)) if isatap else Reach.PUBLIC)


def judge(address: str) -> Reach:
    """How far `address` (as text) lies; IPv4 inside IPv6 is decoded first, a scope such as `%eth0` is ignored.

    Raises ValueError for text that is no address.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return _judge_v4(parsed) if isinstance(parsed, IPv4Address) else _judge_v6(parsed)


def permits(policy: NetworkPolicy, address: str) -> bool:
    """Whether a call under `policy` may be connected to `address`."""
    reach = judge(address)
    return reach is Reach.PUBLIC or (reach is Reach.PRIVATE and policy.allow_private)


def _refusal(policy: NetworkPolicy, host: str, addresses: Iterable[str]) -> BlockedAddress:
    if any(judge(address) is Reach.PRIVATE for address in addresses) and not policy.allow_private:
        return BlockedAddress(host, "it is a private or loopback address")
    return BlockedAddress(host, "it is a metadata, link-local or otherwise reserved address")


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


async def permitted_addresses(policy: NetworkPolicy, host: str, port: int, resolve: Resolve) -> list[str]:
    """The addresses of `host` that `policy` lets us connect to, at least one.

    Odd spellings (`2130706433`, `0x7f.1`) are judged by what they resolve to. Raises BlockedAddress, and OSError when
    the name is unknown.
    """
    if host.rstrip(".").lower() in METADATA_HOSTS:
        raise BlockedAddress(host, "it is a cloud metadata service")
    literal = _literal(host)
    addresses = [literal] if literal else await resolve(host, port)
    permitted = [address for address in addresses if permits(policy, address)]
    if addresses and not permitted:
        raise _refusal(policy, host, addresses)
    return permitted
