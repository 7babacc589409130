"""Runs in the guest before the snapshot: tokens are made and verified until CPython has specialised the code."""

import contextlib

from jose import JWTError, jwe, jwk, jwt
from jose.backends import AESKey

# The keys of RFC 7515, appendices A.2 and A.3.
RSA = {
    "kty": "RSA",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ"
        "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2"
        "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD"
        "TW9gb54h4FRWyuXpoQ"
    ),
    "e": "AQAB",
    "d": (
        "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_G"
        "O-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQl"
        "BjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0"
        "QU91p1DhOVRuOopznQ"
    ),
}
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}


def use(algorithm, private, public, rounds):
    for _ in range(rounds):
        token = jwt.encode({"sub": "x", "n": 1}, private, algorithm=algorithm)
        jwt.decode(token, public, algorithms=[algorithm])
        with contextlib.suppress(JWTError):
            jwt.decode(token[:-4] + "AAAA", public, algorithms=[algorithm])


use("HS256", "secret", "secret", 12)
if AESKey is not None:  # else the image has no cryptography, and each signature is long enough
    for algorithm, numbers in (("RS256", RSA), ("ES256", EC)):
        key = jwk.construct(numbers, algorithm)
        private, public = key.to_pem().decode(), key.public_key().to_pem().decode()
        use(algorithm, private, public, 12)
        use(algorithm, numbers, key.public_key().to_dict(), 4)
    for _ in range(10):
        jwe.decrypt(jwe.encrypt(b"text", bytes(32), algorithm="dir", encryption="A256GCM"), bytes(32))
