"""rsa encrypts, signs and writes keys, with a small fixed key."""

import rsa

public, private = rsa.newkeys(384)
assert rsa.decrypt(rsa.encrypt(b"hello", public), private) == b"hello"
signature = rsa.sign(b"message", private, "SHA-1")
assert rsa.verify(b"message", signature, public) == "SHA-1"
try:
    rsa.verify(b"massage", signature, public)
except rsa.VerificationError:
    pass
else:
    raise AssertionError("a wrong message was taken")
assert rsa.PrivateKey.load_pkcs1(private.save_pkcs1()) == private
