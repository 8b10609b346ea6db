"""Masked text: what goes, what stays, and what hostile text cannot do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.errors import MaskingUnavailableError
from compliance.privacy.text import MAX_LENGTH, mask, recognisers
from compliance.privacy.text.patterns import redact

CASES = [
    # sshd, PAM, sudo
    ("Failed password for invalid user bob smith from 192.0.2.7 port 22 ssh2",
     "Failed password for invalid user <USER> from <IP> port 22 ssh2"),
    ("Accepted publickey for alice from 2001:db8::7 port 22", "Accepted publickey for <USER> from <IP> port 22"),
    ("Invalid user webmaster from 192.0.2.7", "Invalid user <USER> from <IP>"),
    ("Invalid user  from 192.0.2.7", "Invalid user  from <IP>"),
    ("Connection closed by authenticating user root 192.0.2.7 port 22 [preauth]",
     "Connection closed by authenticating user <USER> <IP> port 22 [preauth]"),
    ("authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root",
     "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=<IP>  user=<USER>"),
    ("session opened for user bob(uid=1000) by eve(uid=0)",
     "session opened for user <USER>(uid=1000) by <USER>(uid=0)"),
    ("sudo:   carol : TTY=pts/0 ; PWD=/home/carol ; USER=root ; COMMAND=/bin/ls",
     "sudo:   <USER> : TTY=pts/0 ; PWD=/home/<USER> ; USER=<USER> ; COMMAND=/bin/ls"),
    # web
    ('192.0.2.7 - bob [24/Nov/2026:23:00:00 +0000] "GET /x?user=eve&n=1 HTTP/1.1" 200 612 "https://u:p@h.test/"',
     '<IP> - <USER> [24/Nov/2026:23:00:00 +0000] "GET /x?user=<USER>&n=1 HTTP/1.1" 200 612 "https://<USER>@h.test/"'),
    ('192.0.2.7 - - [24/Nov/2026:23:00:00 +0000] "GET / HTTP/1.1" 200 612',
     '<IP> - - [24/Nov/2026:23:00:00 +0000] "GET / HTTP/1.1" 200 612'),
    ('{"user": "bob", "ip": "192.0.2.7"}', '{"user": "<USER>", "ip": "<IP>"}'),
    ("Access denied for user 'bob'@'192.0.2.7'", "Access denied for user '<USER>'@'<IP>'"),
    # addresses
    ("client 2001:db8::1:Connection closed", "client <IP>:Connection closed"),
    ("addr:2001:db8::1 fe80::1%eth0 [::ffff:192.0.2.7]:443", "addr:<IP> <IP>%eth0 [<IP>]:443"),
    ("2001:db8:1:2:3:4:5:6:80", "<IP>:80"),
    ("IP 192.0.2.7.443 > 198.51.100.1.80", "IP <IP>.443 > <IP>.80"),
    ("rhost=h192-0-2-7.pool.test and ec2-192-0-2-7.cloud.test", "rhost=h<IP>.pool.test and ec2-<IP>.cloud.test"),
    ("7.2.0.192.in-addr.arpa", "<IP>.in-addr.arpa"),
    ("MAC=00:08:a2:0c:1f:12:00:c8:8b:e2:d6:87:08:00 SRC=192.0.2.7", "MAC=<MAC> SRC=<IP>"),
    ("link aa-bb-cc-dd-ee-ff: up, 0011.2233.4455", "link <MAC>: up, <MAC>"),
    ("Bob.O'Neil+x@mail.example.org, root@db01", "<EMAIL>, <EMAIL>"),
    # numbers that identify
    ("card 4111 1111 1111 1111, 5500-0000-0000-0004 and 340000000000009",
     "card <CREDIT_CARD>, <CREDIT_CARD> and <CREDIT_CARD>"),
    ("my card is 1234 5678 9012 3456", "my card is <CREDIT_CARD>"),
    ("GB82 WEST 1234 5698 7654 32 or de89370400440532013000", "<IBAN> or <IBAN>"),
    ("SSN: 536-90-4399", "SSN: <SSN>"),
    ("call 415-555-2671 or +44 20 7946 0958, mobile: 0793 555 0100", "call <PHONE> or <PHONE>, mobile: <PHONE>"),
    ("Fax: 345-899-3560x4587", "Fax: <PHONE>"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), CASES)
def test_what_identifies_somebody_goes(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "at 23:03:36 on 2026-11-24T23:03:36.123456Z",
        "std::string foo::bar and ::",
        "version 3.11.2, took 12.5 ms, 1732489201 1732489201.123",
        "status 200 6123 bytes 415 5552671",
        "sshd[24200]: port 38926 pid 12345678 uid=1000",
        "capture-2026-11-24-23-03-36.pcap",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "550e8400-e29b-41d4-a716-446655440000",
        "QuorumCnxManager$SendWorker@679",
        "user=- user=(null) username: unknown",
        "Controller::login::106",
        "already <EMAIL> and <IP> and <USER>",
        "wake time set +0.270003 s",
    ],
)
def test_what_identifies_nobody_stays(text: str) -> None:
    assert mask(text) == text


pieces = st.sampled_from(
    ["192.0.2.7", "2001:db8::1", "::", ":", ".", "-", "@", "a@b.c", "user=", "bob", " from ", "for ", "<IP>", "<EMAIL>",
     "<", ">", "4111111111111111", "card ", "+44 20 7946 0958", "0", "12", "aa:bb:cc:dd:ee:ff", "\n", " ", "/home/",
     "://", "GB82WEST12345698765432", "536-90-4399", "tel ", "x", "'", '"', "\ud800", "ß", "٣"]
)  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(pieces, max_size=14).map("".join) | st.text(max_size=60))
def test_masking_is_idempotent(text: str) -> None:
    masked = mask(text)
    assert mask(masked) == masked
    redacted = redact(text)
    assert redact(redacted) == redacted


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=20), st.text(max_size=20))
def test_addresses_never_survive(before: str, after: str) -> None:
    for secret in ("alice@example.org", "192.0.2.77", "2001:db8:aa::77", "aa:bb:cc:dd:ee:77"):
        assert secret not in mask(f"{before} {secret} {after}")


@pytest.mark.parametrize("text", [f"{'word ' * 4_000}", "x" * 40_000, "192.0.2.7 " * 4_000, "a@b.c " * 9_000])
def test_long_texts_are_cut(text: str) -> None:
    masked = mask(text)
    assert masked.endswith("<CUT>")
    assert len(masked) <= MAX_LENGTH
    assert mask(masked) == masked
    assert "192.0" not in masked


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    ["a", "0", "1.", "1:", "::", "a:", "@", "a@", "a@a.", "-", "0-", "0 ", "(0) ", "user=", "user ", "aa:", "+1 ", "A0",
     "GB82", "for ", "for a from ", "://", "/home/", "<", "<IP", "'", '"', "login: ", "card ", "4 ", "call ", "\\",
     "0.a.", "a-1-", "password for ", "x/pam for "],
)  # fmt: skip
def test_no_text_makes_it_slow(piece: str) -> None:
    """Each of these takes a fraction of a second; a pattern that backtracks without bound would take hours."""
    text = piece * (MAX_LENGTH // len(piece))
    assert len(mask(text)) <= MAX_LENGTH


def test_a_missing_extra_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    recognisers.require_presidio.cache_clear()
    monkeypatch.setattr(recognisers, "find_spec", lambda _: None)
    with pytest.raises(MaskingUnavailableError, match=r"ostiary\[run\]"):
        mask("text")
