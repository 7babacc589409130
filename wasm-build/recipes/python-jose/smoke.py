"""jose signs and verifies with HMAC, RSA and EC keys, on cryptography where the image has it, else on pure Python."""

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

try:
    import cryptography  # noqa: F401
except ImportError:
    backends = ("jose.backends.rsa_backend", "jose.backends.ecdsa_backend")
else:
    backends = ("jose.backends.cryptography_backend",) * 2
assert (RSAKey.__module__, ECKey.__module__) == backends
assert base64url_decode(base64url_encode(b"\xff\xfe")) == b"\xff\xfe"

private = ecdsa.SigningKey.from_secret_exponent(12345678901234567890, ecdsa.NIST256p)
signed = jws.sign(b"payload", private.to_pem().decode(), algorithm="ES256")
assert jws.verify(signed, private.verifying_key.to_pem().decode(), "ES256") == b"payload"

# RFC 7515, appendices A.2 and A.3: the payload is that of A.1.
modulus = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC"
    "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg6"
    "65xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW"
    "yuXpoQ"
)
signature = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
    "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
    "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ"
    "Ge77Rw"
)
payload = example.split(".")[1]
public = {"kty": "RSA", "n": modulus, "e": "AQAB"}
assert b'"iss":"joe"' in jws.verify(f"eyJhbGciOiJSUzI1NiJ9.{payload}.{signature}", public, "RS256")
public = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
assert b'"iss":"joe"' in jws.verify(f"eyJhbGciOiJFUzI1NiJ9.{payload}.{signature}", public, "ES256")
