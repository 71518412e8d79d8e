"""Checks a DSSE envelope with an implementation that is not ours.

usage: verify-dsse.py ENVELOPE KEYS [THRESHOLD]

ENVELOPE is the JSON of the envelope; KEYS holds ed25519 public keys in hex, one to a line ('#' begins a comment).
Exit code 0: securesystemslib accepts the envelope as it is, and refuses it after one byte of the payload was changed.
Exit code 1: it does not. Exit code 2: the files cannot be read.
"""

import copy
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey


def read_keys(path):
    with open(path, encoding="ascii") as lines:
        texts = [line.split("#", 1)[0].strip() for line in lines]
    keys = [Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)) for text in texts if text]
    if not keys:
        raise ValueError(f"{path} holds no key")
    return [SSlibKey.from_crypto(key) for key in keys]


def accepts(envelope, keys, threshold):
    try:
        return sorted(envelope.verify(keys, threshold))
    except VerificationError:
        return None


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as text:
            envelope = Envelope.from_dict(json.load(text))
        keys = read_keys(arguments[1])
        threshold = int(arguments[2]) if len(arguments) == 3 else 1
        if not envelope.payload:
            raise ValueError("the payload is empty")
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"unreadable: {error!r}", file=sys.stderr)
        return 2

    signers = accepts(envelope, keys, threshold)
    if signers is None:
        print(f"refused as it is: fewer than {threshold} of the keys signed", file=sys.stderr)
        return 1
    print(f"accepted: {envelope.payload_type}, {len(envelope.payload)} bytes, signed by {', '.join(signers)}")

    changed = copy.deepcopy(envelope)
    middle = len(changed.payload) // 2
    payload = bytearray(changed.payload)
    payload[middle] ^= 1
    changed.payload = bytes(payload)
    if accepts(changed, keys, threshold) is not None:
        print(f"accepted with byte {middle} changed", file=sys.stderr)
        return 1
    print(f"refused with byte {middle} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
