"""bcrypt gives the published answers, and its key derivation too."""

import bcrypt

# Solar Designer's crypt_blowfish: the test cases of wrapper.c.
for password, stored in (
    (b"U*U", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (b"U*U*", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    (b"U*U*U", b"$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    (b"", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
):
    assert bcrypt.hashpw(password, stored) == stored, stored
    assert bcrypt.checkpw(password, stored)
    assert not bcrypt.checkpw(password + b"!", stored)

salt = bcrypt.gensalt(4)
assert salt.startswith(b"$2b$04$")
assert salt != bcrypt.gensalt(4)
# OpenSSH's bcrypt_pbkdf, first test case of the package.
derived = bcrypt.kdf(b"password", b"salt", desired_key_bytes=32, rounds=4, ignore_few_rounds=True)
assert derived.hex() == "5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9"
for wrong in (b"nonsense", b"$2b$99$CCCCCCCCCCCCCCCCCCCCC."):
    try:
        bcrypt.hashpw(b"x", wrong)
    except ValueError as error:
        assert str(error) in ("Invalid salt", "Invalid rounds"), error
    else:
        raise AssertionError(wrong)
