"""Which addresses outgoing calls may reach."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.adapters.http.guard import Reach, judge, permits
from taskyard.domain.runs import NetworkPolicy

PUBLIC_ONLY = NetworkPolicy(allow_private=False)
PRIVATE_TOO = NetworkPolicy(allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700::1111",
        "2a00:1450:4001:82f::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "::8.8.8.8",
        "172.32.0.1",
        "100.128.0.1",
        "11.0.0.1",
    ],
)
def test_public_addresses(address: str) -> None:
    assert judge(address) is Reach.PUBLIC
    assert permits(PUBLIC_ONLY, address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "::1",
        "fc00::1",
        "fd12:3456::1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "::ffff:0:127.0.0.1",
        "2606:4700::5efe:10.0.0.1",
    ],
)
def test_private_addresses_only_by_policy(address: str) -> None:
    assert judge(address) is Reach.PRIVATE
    assert not permits(PUBLIC_ONLY, address)
    assert permits(PRIVATE_TOO, address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:42::42",
        "fe80::1",
        "fe80::1%eth0",
        "fe80::a9fe:a9fe%25lo",
        "febf::1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00:0",
        "2606:4700::5efe:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "2001:0:a9fe:a9fe::f7f7:f7f7",
        "2001:0:808:808::5601:5601",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "239.255.255.250",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "192.88.99.1",
        "192.0.0.8",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "fec0::1",
        "4000::1",
        "2001:10::1",
        "2001:2::1",
    ],
)
def test_addresses_nobody_may_call(address: str) -> None:
    assert judge(address) is Reach.NEVER
    assert not permits(PRIVATE_TOO, address)


V4 = st.ip_addresses(v=4)


EMBEDDINGS = {
    "mapped": lambda v4: (0xFFFF << 32) | v4,
    "compatible": lambda v4: v4,
    "translated": lambda v4: (0xFFFF << 48) | v4,
    "nat64": lambda v4: (0x64FF9B << 96) | v4,
    "local nat64": lambda v4: (0x64FF9B0001 << 80) | v4,
    "6to4": lambda v4: (0x2002 << 112) | (v4 << 80) | 1,
    "teredo client": lambda v4: (0x2001 << 112) | (0x08080808 << 64) | (v4 ^ 0xFFFFFFFF),
    "teredo server": lambda v4: (0x2001 << 112) | (v4 << 64) | (0x08080808 ^ 0xFFFFFFFF),
    "isatap": lambda v4: (0x26064700 << 96) | (0x5EFE << 32) | v4,
}


@given(V4, st.sampled_from(sorted(EMBEDDINGS)))
def test_hiding_an_ipv4_address_in_ipv6_never_makes_it_nearer(v4: IPv4Address, kind: str) -> None:
    hidden = IPv6Address(EMBEDDINGS[kind](int(v4)))
    if kind == "compatible" and int(v4) < 2:
        return
    assert judge(str(hidden)) >= judge(str(v4))


@given(st.ip_addresses())
def test_what_is_called_public_is_global_unicast(address: IPv4Address | IPv6Address) -> None:
    reach = judge(str(address))
    if reach is Reach.PUBLIC and isinstance(address, IPv4Address):
        assert address.is_global
        assert not (address.is_multicast)
        assert not (address.is_reserved)
        assert not (address.is_private)
        assert not (address.is_loopback)
    if reach is Reach.PUBLIC:
        assert not (address.is_link_local)
        assert not (address.is_unspecified)
        assert not (address.is_multicast)


@given(V4 | st.ip_addresses(v=6))
def test_the_private_policy_adds_only_private_addresses(address: IPv4Address | IPv6Address) -> None:
    gained = permits(PRIVATE_TOO, str(address)) and not permits(PUBLIC_ONLY, str(address))
    assert gained == (judge(str(address)) is Reach.PRIVATE)


def test_text_that_is_no_address_is_no_address() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        judge("example.com")
    assert ipaddress.ip_address("127.0.0.1").is_loopback
