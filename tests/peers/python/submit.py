"""Submits one message with Python's smtplib; content on standard input.

usage: submit.py HOST PORT SENDER RECIPIENT USER PASSWORD MECHANISM starttls|implicit
"""

import base64
import hashlib
import hmac
import os
import smtplib
import ssl
import sys

host, port, sender, recipient, user, password, mechanism, how = sys.argv[1:]
content = sys.stdin.buffer.read()
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), by the standard library alone."""

    def __init__(self):
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.first = f"n={name},r={self.nonce}"
        self.signature = None

    def __call__(self, challenge=None):
        if challenge is None:
            return "n,," + self.first
        challenge = challenge.decode()
        if challenge.startswith("v="):
            # The server has to know the password too.
            assert base64.b64decode(challenge[2:]) == self.signature, challenge
            return ""
        nonce, salt, iterations = (part[2:] for part in challenge.split(","))
        assert nonce.startswith(self.nonce)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
        mac = lambda key, text: hmac.new(key, text, hashlib.sha256).digest()
        key = mac(salted, b"Client Key")
        without_proof = f"c=biws,r={nonce}"
        said = f"{self.first},{challenge},{without_proof}".encode()
        proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), said)))
        self.signature = mac(mac(salted, b"Server Key"), said)
        return f"{without_proof},p={base64.b64encode(proof).decode()}"


if how == "implicit":
    client = smtplib.SMTP_SSL(host, int(port), timeout=60, context=context)
    client.ehlo("python.example.test")
else:
    client = smtplib.SMTP(host, int(port), timeout=60)
    client.ehlo("python.example.test")
    assert not client.has_extn("auth"), "AUTH is offered in the clear"
    client.starttls(context=context)
    client.ehlo("python.example.test")

assert mechanism in client.esmtp_features["auth"].split(), client.esmtp_features
if mechanism == "SCRAM-SHA-256":
    code, text = client.auth(mechanism, Scram())
    assert code == 235, (code, text)
else:
    client.user, client.password = user, password
    own = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
    code, text = client.auth(mechanism, own)
    assert code == 235, (code, text)
client.ehlo("python.example.test")
assert not client.has_extn("auth"), "AUTH is offered twice"
refused = client.sendmail(sender, [recipient], content)
assert not refused, refused
client.quit()
