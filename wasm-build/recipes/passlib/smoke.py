"""passlib hashes and verifies; bcrypt comes from the guest's own C library, by way of the crypt module."""

from passlib.context import CryptContext
from passlib.hash import bcrypt, md5_crypt, pbkdf2_sha256, pbkdf2_sha512, scrypt, sha256_crypt, sha512_crypt

for scheme, rounds in (
    (bcrypt, 4),
    (scrypt, 4),
    (pbkdf2_sha256, 1000),
    (pbkdf2_sha512, 1000),
    (sha256_crypt, 1000),
    (sha512_crypt, 1000),
):
    quick = scheme.using(rounds=rounds)
    stored = quick.hash("geheim")
    assert quick.verify("geheim", stored)
    assert not quick.verify("anders", stored)

# Known answers of the schemes' own publications.
assert sha512_crypt.verify(
    "Hello world!",
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
)
assert bcrypt.verify("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
assert md5_crypt.verify("password", "$1$5pZSV9va$azfrPr6af3Fc7dLblQXVa0")

context = CryptContext(schemes=["pbkdf2_sha256", "sha512_crypt"], deprecated=["sha512_crypt"])
old = sha512_crypt.using(rounds=1000).hash("pw")
valid, replacement = context.verify_and_update("pw", old)
assert valid
assert replacement.startswith("$pbkdf2-sha256$")
