"""Which addresses webhooks may reach."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.net.addresses import refusal

PRIVATE = """
    10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 127.0.0.1 127.255.255.254 100.64.0.1 100.127.255.255
    169.254.1.1 198.18.0.1 ::1 fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 64:ff9b:1::1
    ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.1.1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1
"""
NEVER = """
    0.0.0.0 0.1.2.3 255.255.255.255 224.0.0.1 239.255.255.255 240.0.0.1 192.0.0.1 192.0.2.1 198.51.100.1 203.0.113.1
    192.88.99.1 169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192
    :: ff02::1 ff0e::1 2002:7f00:1:: 2002:c0a8:101::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 3fff::1
    ::127.0.0.1 ::ffff:0:127.0.0.1 fd00:ec2::254 fd00:ec2::254%eth0 ::ffff:169.254.169.254 64:ff9b::169.254.169.254
    64:ff9b::224.0.0.1 100::1 5f00::1 4000::1 2001:2::1 2001:10::1
"""
PUBLIC = "1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 172.32.0.1 2606:4700::1111 64:ff9b::8.8.8.8"


@pytest.mark.parametrize("text", PRIVATE.split())
def test_a_private_address_needs_leave(text: str) -> None:
    assert refusal(ip_address(text), allow_private=False)
    assert refusal(ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", NEVER.split())
def test_some_addresses_are_never_right(text: str) -> None:
    assert refusal(ip_address(text), allow_private=False)
    assert refusal(ip_address(text), allow_private=True)


@pytest.mark.parametrize("text", PUBLIC.split())
def test_a_public_address_is_right(text: str) -> None:
    assert refusal(ip_address(text), allow_private=False) is None
    assert refusal(ip_address(text), allow_private=True) is None


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_python_knows_to_be_special_is_refused(address: IPv4Address | IPv6Address) -> None:
    if refusal(address, allow_private=False) is None:
        dressed = isinstance(address, IPv6Address) and int(address) >> 32 in {0xFFFF, 0x64FF9B << 64}
        seen = IPv4Address(int(address) & 0xFFFFFFFF) if dressed else address
        assert seen.is_global
        assert not any((seen.is_multicast, seen.is_reserved, seen.is_unspecified, seen.is_link_local))


@given(st.ip_addresses(v=4))
def test_an_address_in_ipv6_clothes_is_judged_as_what_it_is(address: IPv4Address) -> None:
    for prefix in (0xFFFF << 32, 0x64FF9B << 96):
        dressed = IPv6Address(prefix + int(address))
        for allow in (False, True):
            assert refusal(dressed, allow_private=allow) == refusal(address, allow_private=allow)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_leave_never_takes_away(address: IPv4Address | IPv6Address) -> None:
    if refusal(address, allow_private=True):
        assert refusal(address, allow_private=False)
