"""The published example keys of RFC 7515 (appendices A.2 and A.3) as PEM texts, and a certificate made with one."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "keys"


def pem(name: str) -> str:
    """The text of `keys/NAME.pem`: rsa, rsa.public, rsa.pkcs1, rsa.encrypted, ec, ec.public, ec.cert."""
    return (_FOLDER / f"{name}.pem").read_text("ascii")
