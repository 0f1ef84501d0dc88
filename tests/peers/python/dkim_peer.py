"""Signs and verifies by dkimpy (RFC 6376), with keys from a folder instead of DNS.

usage: dkim_peer.py sign FOLDER     the signed message to standard output
       dkim_peer.py verify FOLDER   exit code 0: the signature verifies; 1: it does not

The message comes on standard input; key.pem and public.pem are in the folder.
"""
import pathlib
import sys

import dkim


def main(what, folder):
    folder, message = pathlib.Path(folder), sys.stdin.buffer.read()
    if what == "sign":
        signature = dkim.sign(message, b"test", b"example.org", (folder / "key.pem").read_bytes().replace(b"\r\n", b"\n"))
        sys.stdout.buffer.write(signature + message)
        return 0
    lines = (folder / "public.pem").read_bytes().split()
    letters = b"".join(line for line in lines if b"-" not in line and line not in (b"PUBLIC", b"BEGIN", b"END"))
    record = b"v=DKIM1; k=rsa; p=" + letters
    return 0 if dkim.verify(message, dnsfunc=lambda name, timeout=5: record) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Exception as error:
        print("dkim_peer.py: %r" % error, file=sys.stderr)
        sys.exit(2)
