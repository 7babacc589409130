"""passlib hashes and verifies every scheme it can offer; bcrypt comes from its package, or else from the C library."""

import passlib.hash
from passlib.context import CryptContext
from passlib.hash import argon2, bcrypt, md5_crypt, pbkdf2_sha256, pbkdf2_sha512, scrypt, sha256_crypt, sha512_crypt

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

try:
    import argon2 as package  # noqa: F401
except ImportError:
    backends = ("os_crypt", False)
else:
    backends = ("bcrypt", True)
    # The first test case of the reference implementation.
    assert argon2.verify(
        "password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
    )
assert (bcrypt.get_backend(), argon2.has_backend()) == backends
for name in dir(passlib.hash):
    if not name.startswith("_"):
        assert getattr(passlib.hash, name).name, name
