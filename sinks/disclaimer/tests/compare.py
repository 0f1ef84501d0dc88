"""Compares messages before and after an edit by Python's email package, as a reader of its own.

usage: compare.py FOLDER

In the folder are N.before.eml, N.after.eml and N.json: {"text": …, "html": …, "texts": …, "more_parts": …}. Every
part has to decode to the same octets, but for "texts" texts, which have to be the same text with the addition in it.
Prints what is wrong; the exit code says whether anything is.
"""
import email
import html.parser
import json
import pathlib
import re
import sys
from email import policy


class Shown(html.parser.HTMLParser):
    """What a reader of HTML sees."""

    def __init__(self):
        super().__init__()
        self.text, self.hidden = "", 0

    def handle_starttag(self, tag, attributes):
        self.hidden += tag in ("script", "style", "title")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "title") and self.hidden > 0

    def handle_data(self, data):
        self.text += "" if self.hidden else data


def shown(markup):
    reader = Shown()
    reader.feed(markup)
    reader.close()
    return " ".join(reader.text.split())


def leaves(message):
    return [part for part in message.walk() if not part.is_multipart()]


def octets(part):
    payload = part.get_payload(decode=True)
    return payload if payload is not None else b""


def text(part):
    return octets(part).decode(part.get_content_charset("us-ascii"), "strict")


def without_charset(markup):
    """A text that goes over to UTF-8 takes the names of its charset with it."""
    return re.sub(r"""((?:charset|encoding)\s*=\s*["']?)[\w.:-]+""", r"\1", markup, flags=re.I)


def inserted(before, after):
    """All that may have been put into a text, if nothing else changed."""
    start = 0
    while start < len(before) and start < len(after) and before[start] == after[start]:
        start += 1
    length = len(after) - len(before)
    while length > 0 and start >= 0 and before[start:] == after[start + length:]:
        yield after[start:start + length]
        start -= 1


def words(addition):
    return " ".join(addition.split())


def edited(before, after, case):
    """What is wrong with a text that was edited. None: nothing."""
    if before.get_content_type() != after.get_content_type():
        return "another type"
    is_html = before.get_content_type() == "text/html"
    old, new = text(before), text(after)
    if is_html and before.get_content_charset() != after.get_content_charset():
        old, new = without_charset(old), without_charset(new)
    additions = list(inserted(old, new))
    if not additions:
        return "more than an insertion"
    wanted = words(case["html" if is_html else "text"])
    if not any(wanted in words(addition) for addition in additions):
        return "another insertion: %r" % additions[0]
    if is_html and shown(case["html"]) not in shown(new):
        return "the addition is not seen"
    return None


def compare(before, after, case):
    """What is wrong with a message."""
    old, new = leaves(before), leaves(after)
    if len(new) != len(old) + case["more_parts"]:
        return "%d parts became %d" % (len(old), len(new))
    count, left = 0, iter(new)
    for part in old:
        whys = []
        for other in left:
            if octets(part) == octets(other) and part.get_content_type() == other.get_content_type():
                break
            try:
                whys.append(edited(part, other, case))
            except (LookupError, UnicodeDecodeError) as error:
                whys.append(repr(error))
            if whys[-1] is None:
                count += 1
                break
        else:
            return "a %s: %s" % (part.get_content_type(), whys or "it is gone")
    if count != case["texts"]:
        return "%d texts were edited, not %d" % (count, case["texts"])
    ours = {"content-type", "content-transfer-encoding", "mime-version", "content-md5", "content-length"}
    fields = lambda message: [(name, value) for name, value in message.raw_items() if name.lower() not in ours]
    if fields(before) != fields(after):
        return "its fields differ"
    return None


def main(folder):
    wrong = count = 0
    for described in sorted(pathlib.Path(folder).glob("*.json")):
        case = json.loads(described.read_text())
        read = lambda which: email.message_from_bytes(described.with_suffix(which).read_bytes(), policy=policy.compat32)
        why = compare(read(".before.eml"), read(".after.eml"), case)
        count += 1
        if why is not None:
            wrong += 1
            print("%s (%s): %s" % (described.stem, case.get("name", ""), why))
    print("%d compared, %d wrong" % (count, wrong))
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
