"""ecdsa signs and verifies, deterministically where asked to (RFC 6979)."""

import hashlib

from ecdsa import BadSignatureError, NIST256p, SigningKey
from ecdsa.util import sigencode_string

# RFC 6979, appendix A.2.5: P-256 with SHA-256 and the message "sample".
secret = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
key = SigningKey.from_secret_exponent(secret, NIST256p, hashfunc=hashlib.sha256)
signature = key.sign_deterministic(b"sample", sigencode=sigencode_string)
assert signature.hex().upper() == (
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)
assert key.verifying_key.verify(signature, b"sample", hashfunc=hashlib.sha256)
try:
    key.verifying_key.verify(signature, b"simple", hashfunc=hashlib.sha256)
except BadSignatureError:
    pass
else:
    raise AssertionError("a wrong message was taken")
