"""Sends one message with Python's smtplib; content on standard input.

usage: send.py HOST PORT SENDER RECIPIENT [starttls] [smtputf8] [bdat]
"""

import smtplib
import ssl
import sys

host, port, sender, recipient, *how = sys.argv[1:]
content = sys.stdin.buffer.read()

client = smtplib.SMTP(host, int(port), timeout=30)
client.ehlo("python.example.test")
if "starttls" in how:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client.starttls(context=context)
    client.ehlo("python.example.test")
    assert not client.has_extn("starttls"), "STARTTLS is offered inside TLS"

if "bdat" in how:
    client.command_encoding = "utf-8"
    assert client.has_extn("chunking")
    options = "SMTPUTF8" if "smtputf8" in how else "BODY=8BITMIME"
    code, text = client.docmd("MAIL", f"FROM:<{sender}> {options}")
    assert code == 250, (code, text)
    code, text = client.docmd("RCPT", f"TO:<{recipient}>")
    assert code == 250, (code, text)
    middle = len(content) // 2
    for chunk, last in ((content[:middle], ""), (content[middle:], " LAST")):
        client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
        code, text = client.getreply()
        assert code == 250, (code, text)
else:
    options = ["SMTPUTF8", "BODY=8BITMIME"] if "smtputf8" in how else []
    refused = client.sendmail(sender, [recipient], content, mail_options=options)
    assert not refused, refused
client.quit()
