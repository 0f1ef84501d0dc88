"""What docs/architecture.md states in a form that can be checked: blocks behind `<!-- checked: NAME -->`."""

import re


class Page:
    """The page, with the checked blocks by their names."""

    def __init__(self, path, text):
        self.path = path
        self.blocks = {}
        name, start, lines = None, 0, []
        for number, line in enumerate([*text.splitlines(), ""], start=1):
            marker = re.fullmatch(r"<!-- checked: (.+?) -->", line.strip())
            if marker:
                name, start, lines = marker.group(1), number, []
                continue
            if name is None:
                continue
            if line.strip() == "" and lines and (not lines[0][1].startswith("```") or lines[-1][1].startswith("```")):
                self.blocks[name] = lines
                name = None
            elif line.strip() or lines:
                lines.append((number, line))

    def block(self, name):
        """The lines of a block with their numbers, without fences."""
        if name not in self.blocks:
            raise SystemExit(f"{self.path}: there is no block `<!-- checked: {name} -->`")
        return [(number, line) for number, line in self.blocks[name] if not line.startswith("```")]

    def drawing(self):
        """The arrows of the drawing of crates: folder -> (set of folders, line)."""
        found = {}
        for number, line in self.block("crates"):
            arrow = re.fullmatch(r"\s*(\S+) --> (.+)", line)
            alone = re.fullmatch(r"\s*([\w-]+/[\w/-]+|proto|sdk/rust)\s*", line)
            if arrow:
                found[arrow.group(1)] = (set(arrow.group(2).split(" & ")), number)
            elif alone:
                found[alone.group(1)] = (set(), number)
        return found

    def floors(self, crate):
        """The rooms of a crate, the top floor first: [(line, [room, ...]), ...]."""
        rows = self.block(f"floors of {crate}")
        return [(number, re.findall(r"[a-z_]+", line)) for number, line in rows if line.strip()]

    def items(self, name):
        """A list of items: [(line, first word in backquotes, all further words in backquotes), ...]."""
        found = []
        for number, line in self.block(name):
            words = re.findall(r"`([^`]+)`", line)
            if line.lstrip().startswith("- ") and words:
                found.append((number, words[0], words[1:]))
            elif found and words:
                found[-1] = (found[-1][0], found[-1][1], [*found[-1][2], *words])
        return found
