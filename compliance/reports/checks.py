"""How to check the audit log with tools that are not ours: commands to copy and run in a copy of its directory."""

SIGNATURE_CHECK = r"""
# What was signed: the lines before the blank one. Who signed: the key in log.vkey; compare it with one you trust.
sed '/^$/,$d' checkpoint > /tmp/text
grep "^— $(head -n 1 checkpoint) " checkpoint | head -n 1 | sed 's/.* //' | base64 -d | tail -c 64 > /tmp/signature
printf '\060\052\060\005\006\003\053\145\160\003\041\000' > /tmp/key.der
cut -d+ -f3- log.vkey | base64 -d | tail -c 32 >> /tmp/key.der
openssl pkeyutl -verify -pubin -inkey /tmp/key.der -keyform DER -rawin -in /tmp/text -sigfile /tmp/signature
""".strip()
"""Checks the checkpoint's Ed25519 signature (C2SP signed-note) with OpenSSL 3; `printf` writes the head of a key
in DER (RFC 8410)."""

TREE_CHECK = (
    "go run github.com/transparency-dev/tessera/cmd/fsck@v1.0.0 "
    '--storage_url="file://$PWD/" --public_key=log.vkey --ui=false'
)
"""Reads every entry and tile and compares the root with the checkpoint's, by another implementation of tlog-tiles."""
