"""jose signs and verifies with HMAC, RSA and EC keys on its pure-Python backends."""

import ecdsa
from jose import ExpiredSignatureError, JWTError, jws, jwt
from jose.backends import ECKey, RSAKey
from jose.constants import ALGORITHMS
from jose.utils import base64url_decode, base64url_encode

for algorithm in (ALGORITHMS.HS256, ALGORITHMS.HS384, ALGORITHMS.HS512):
    token = jwt.encode({"sub": "me", "n": 1}, "secret", algorithm=algorithm)
    assert jwt.decode(token, "secret", algorithms=[algorithm]) == {"sub": "me", "n": 1}
    message = ""
    try:
        jwt.decode(token, "other", algorithms=[algorithm])
    except JWTError as error:
        message = str(error)
    assert "Signature verification failed" in message

try:
    jwt.decode(jwt.encode({"exp": 1}, "k"), "k")
except ExpiredSignatureError:
    pass
else:
    raise AssertionError("an expired token was taken")

# The example of RFC 7515, appendix A.1.
key = {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}
example = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
assert b'"iss":"joe"' in jws.verify(example, key, "HS256")

assert RSAKey.__module__ == "jose.backends.rsa_backend"
assert ECKey.__module__ == "jose.backends.ecdsa_backend"
assert base64url_decode(base64url_encode(b"\xff\xfe")) == b"\xff\xfe"

private = ecdsa.SigningKey.from_secret_exponent(12345678901234567890, ecdsa.NIST256p)
signed = jws.sign(b"payload", private.to_pem().decode(), algorithm="ES256")
assert jws.verify(signed, private.verifying_key.to_pem().decode(), "ES256") == b"payload"
