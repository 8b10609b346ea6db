"""`ostiary policy sign`: sign a bundle, as OPA does."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("bundle")
@click.option("--key", required=True, metavar="PEM", help="Private key, Ed25519 or P-256, unencrypted PEM.")
@click.option(
    "--key-id", default="default", show_default=True, metavar="NAME", help="Name of the key in the signature."
)
@click.option(
    "--epoch", type=click.IntRange(0, 2**53 - 1), metavar="N",
    help="Number of this bundle, written into its manifest; default: as it stands there.",
)  # fmt: skip
@click.option("-o", "--output", required=True, metavar="FILE", help="The signed archive to write.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(bundle: str, key: str, key_id: str, epoch: int | None, output: str, as_json: bool) -> int:
    """Pack BUNDLE, number it and sign it: an archive that Ostiary and OPA verify.

    \b
    Examples:
      openssl genpkey -algorithm ed25519 -out key.pem
      openssl pkey -in key.pem -pubout -out policy.pub
      ostiary policy sign ./rego --key key.pem --epoch 12 -o policy.tar.gz
    """
    from policy.bundles import load_bundle, number
    from policy.errors import BundleError
    from policy.signing import read_private_key, sign
    from policy.sources import SIGNATURES, pack

    files = dict(load_bundle(bundle).files)
    if epoch is not None:
        files = number(files, epoch)
    files[SIGNATURES] = sign(files, read_private_key(key), key_id)
    try:
        Path(output).write_bytes(pack(files))
    except OSError as error:
        raise BundleError(f"{output} cannot be written: {error.strerror}") from error
    signed = load_bundle(output)
    if as_json:
        click.echo(json.dumps({"file": output, "revision": signed.revision, "epoch": signed.epoch}))
    else:
        click.echo(f"{output}: revision {signed.revision[:16]}, epoch {signed.epoch}, {len(files) - 1} files signed")
    return 0
