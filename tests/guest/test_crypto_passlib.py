"""passlib.hash: every scheme is there with a real backend, and gives the published answers."""

from typing import Any

import pytest

import wasmexec


def rows(executor: wasmexec.Executor, statement: str, **data: Any) -> list[dict[str, Any]]:
    result = executor.run(statement, input_data=[data])
    result.raise_for_status()
    found: list[dict[str, Any]] = result.rows
    return found


# scheme, password, published hash, other arguments; where it was published.
KNOWN = [
    # crypt_blowfish, wrapper.c
    ("bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", {}),
    ("bcrypt", "U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", {}),
    # the tests of argon2's reference implementation, version 1.3
    (
        "argon2",
        "password",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        {},
    ),
    (
        "argon2",
        "password",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        {},
    ),
    # RFC 7914, section 12: the first 32 of its 64 bytes
    (
        "scrypt",
        "password",
        "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI",
        {},
    ),
    # SHA-crypt specification, version 0.6
    (
        "sha512_crypt",
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        {},
    ),
    ("sha256_crypt", "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", {}),
    # RFC 6070, the second case
    ("pbkdf2_sha1", "password", "$pbkdf2$2$c2FsdA$6mwBTcctb4zNHtkqzh1B8NjeiVc", {}),
    # the NT hash of Microsoft's documentation, and of the same password the LAN Manager one
    ("nthash", "password", "8846f7eaee8fb117ad06bdd830b7586c", {}),
    ("lmhash", "password", "e52cac67419a9a224a3b108f3fa6cb6d", {}),
    # RFC 1320 and 1321, appendices A.5
    ("hex_md4", "abc", "a448017aaf21d8525fc10ae87aa6729d", {}),
    ("hex_md5", "abc", "900150983cd24fb0d6963f7d28e17f72", {}),
    # FIPS 180-4 examples
    ("hex_sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", {}),
    # the manuals of MySQL (old and new PASSWORD()) and of Oracle (user SYSTEM)
    ("mysql323", "password", "5d2e19393cc5ef67", {}),
    ("mysql41", "password", "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", {}),
    ("oracle10", "tiger", "F894844C34402B67", {"user": "scott"}),
    ("postgres_md5", "password", "md532e12f215ba27cb750c9e093ce4b5127", {"user": "postgres"}),
]


@pytest.mark.parametrize(("scheme", "password", "stored", "context"), KNOWN)
def test_published_hashes_are_verified(
    executor: wasmexec.Executor, scheme: str, password: str, stored: str, context: dict[str, str]
) -> None:
    statement = """
import passlib.hash
job = INPUT_DATA[0]
handler = getattr(passlib.hash, job["scheme"])
return [{"right": handler.verify(job["password"], job["stored"], **job["context"]),
         "wrong": handler.verify(job["password"] + "!", job["stored"], **job["context"])}]
"""
    found = rows(executor, statement, scheme=scheme, password=password, stored=stored, context=context)
    assert found == [{"right": True, "wrong": False}]


def test_the_backends_are_the_real_ones(executor: wasmexec.Executor) -> None:
    statement = """
from passlib.hash import argon2, bcrypt, des_crypt, scrypt, sha512_crypt
return [{handler.name: handler.get_backend() for handler in (argon2, bcrypt, des_crypt, scrypt, sha512_crypt)}]
"""
    assert rows(executor, statement) == [
        {
            "argon2": "argon2_cffi",
            "bcrypt": "bcrypt",
            "des_crypt": "os_crypt",
            "scrypt": "stdlib",
            "sha512_crypt": "os_crypt",
        }
    ]


def test_salts_differ_within_an_execution_and_between_two(executor: wasmexec.Executor) -> None:
    statement = """
from passlib.hash import argon2, bcrypt, pbkdf2_sha256, scrypt
cheap = [argon2.using(rounds=1, memory_cost=64), bcrypt.using(rounds=4), pbkdf2_sha256.using(rounds=1),
         scrypt.using(rounds=2)]
return [{"hash": handler.hash("x")} for handler in cheap * 2]
"""
    hashes = [row["hash"] for _ in range(3) for row in rows(executor, statement)]
    assert len(set(hashes)) == len(hashes) == 24


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("argon2.verify('x', 'nonsense')", "ValueError: malformed argon2 hash"),
        ("bcrypt.hash('a\\0b')", "PasswordValueError: bcrypt does not allow NULL bytes in password"),
        ("scrypt.using(rounds=40)", "ValueError: scrypt: min_desired_rounds (40) is too large, cannot be more than 31"),
        ("sha256_crypt.verify('x', '$5$')", "ValueError: "),
        ("bcrypt.hash(None)", "TypeError: secret must be unicode or bytes, not None"),
    ],
)
def test_wrong_use_is_a_python_error(executor: wasmexec.Executor, call: str, message: str) -> None:
    result = executor.run(f"from passlib.hash import argon2, bcrypt, scrypt, sha256_crypt\n{call}\nreturn []")
    assert result.status == wasmexec.Status.STATEMENT_RAISED
    assert message in str(result.error)
