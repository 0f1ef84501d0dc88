"""The modules of a crate, and which file takes a name from which: read from the source text.

An arrow runs from the file that uses a name to the file that defines it, through re-exports: a module that only hands
on names of its children draws none. Items under `#[cfg(test)]` are left out.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | //[^\n]* )
  | (?P<block> /\* )
  | (?P<raw> b?r(?P<hashes>\#*)" )
  | (?P<string> b?"(?:[^"\\]|\\.)*" )
  | (?P<char> b?'(?:[^'\\\n]|\\(?:x..|u\{[^}]*\}|.))' )
  | (?P<lifetime> '[A-Za-z_]\w* )
  | (?P<word> (?:r\#)?[A-Za-z_]\w* )
  | (?P<number> \d[\w]* )
  | (?P<punct> :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)

DEFINERS = {"struct", "enum", "trait", "fn", "type", "const", "static", "union", "macro_rules"}
OPEN, CLOSE = {"{", "(", "["}, {"}", ")", "]"}


@dataclass(frozen=True)
class Token:
    """A word or a mark, and its line."""

    text: str
    line: int


def tokens(text):
    """The tokens of Rust source, without comments; literals are empty words."""
    found, place, line = [], 0, 1
    while place < len(text):
        match = TOKEN.match(text, place)
        end = match.end()
        if match.lastgroup == "block" or match.group("block"):
            depth, end = 1, match.end()
            while depth and end < len(text):
                if text.startswith("/*", end):
                    depth, end = depth + 1, end + 2
                elif text.startswith("*/", end):
                    depth, end = depth - 1, end + 2
                else:
                    end += 1
        elif match.group("raw"):
            closing = '"' + match.group("hashes")
            at = text.find(closing, end)
            end = len(text) if at < 0 else at + len(closing)
            found.append(Token("", line))
        elif match.group("string") or match.group("char") or match.group("number"):
            found.append(Token("", line))
        elif match.group("word") or match.group("punct"):
            found.append(Token(match.group().removeprefix("r#"), line))
        line += text.count("\n", place, end)
        place = end
    return found


def closing(toks, at):
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for place in range(at, len(toks)):
        if toks[place].text in OPEN:
            depth += 1
        elif toks[place].text in CLOSE:
            depth -= 1
            if depth == 0:
                return place
    return len(toks) - 1


def item_end(toks, at):
    """The place of the last token of the item that begins at `at`."""
    place = at
    while place < len(toks):
        text = toks[place].text
        if text == ";" or text == ",":
            return place
        if text == "{":
            return closing(toks, place)
        if text in OPEN:
            place = closing(toks, place)
        place += 1
    return len(toks) - 1


def without_tests(toks):
    """The tokens without attributes, and without the items that only tests have."""
    kept, place = [], 0
    while place < len(toks):
        inner = toks[place].text == "#" and toks[place + 1].text == "!"
        at = place + (2 if inner else 1)
        if toks[place].text == "#" and at < len(toks) and toks[at].text == "[":
            end = closing(toks, at)
            words = [token.text for token in toks[at + 1 : end]]
            place = end + 1
            if words[:3] == ["cfg", "(", "test"] and not inner:
                # Further attributes of the same item.
                while toks[place].text == "#":
                    place = closing(toks, place + 1) + 1
                place = item_end(toks, place) + 1
            continue
        kept.append(toks[place])
        place += 1
    return kept


def use_paths(toks):
    """The leaves of a `use` tree, from behind the word to before its `;`: (segments, alias, line)."""

    def tree(at, before):
        segments, line = list(before), toks[at].line if at < len(toks) else 0
        while at < len(toks):
            text = toks[at].text
            if text == "::":
                at += 1
            elif text == "{":
                end = closing(toks, at)
                at += 1
                while at < end:
                    at = yield from tree(at, segments)
                    if at < end and toks[at].text == ",":
                        at += 1
                return end + 1
            elif text in (",", "}"):
                break
            elif text == "as":
                yield (segments, toks[at + 1].text, line)
                return at + 2
            else:
                line = toks[at].line
                segments = [*segments, text]
                at += 1
        if segments and segments[-1] == "self":
            segments = segments[:-1]
        yield (segments, segments[-1] if segments else "", line)
        return at

    found, at = [], 0
    walk = tree(at, [])
    for leaf in walk:
        found.append(leaf)
    return found


@dataclass
class Module:
    """One module with a file of its own."""

    path: tuple
    file: str
    children: set = field(default_factory=set)
    defines: set = field(default_factory=set)
    uses: list = field(default_factory=list)  # (segments, alias, line)
    body: list = field(default_factory=list)  # the tokens beside `use` and `mod`

    def alias(self, name):
        """The path that a name was brought in by."""
        for segments, alias, _ in self.uses:
            if alias == name:
                return segments
        return None

    def names(self, name):
        """Whether the module's own code uses a name: a function where it is called or passed on, others anywhere."""
        for place, token in enumerate(self.body):
            if token.text != name:
                continue
            before = self.body[place - 1].text if place else ""
            after = self.body[place + 1].text if place + 1 < len(self.body) else ""
            if before in (".", "fn", "mod"):
                continue
            if name[:1].isupper() or after in ("(", "::") or (before in ("(", ",") and after == ")"):
                return True
        return False

    def globs(self):
        """The paths whose names are all brought in."""
        return [segments[:-1] for segments, alias, _ in self.uses if alias == "*"]


@dataclass(frozen=True)
class Arrow:
    """A file takes a name from another."""

    source: str
    line: int
    target: str
    name: str


class Crate:
    """The modules of one crate. `read(path)` gives a file's text, or None."""

    def __init__(self, folder, read):
        self.folder = folder
        self.read = read
        self.modules = {}
        self._load((), f"{folder}/src/lib.rs", f"{folder}/src")

    def _load(self, path, file, folder):
        module = Module(path, file)
        self.modules[path] = module
        toks = without_tests(tokens(self.read(file)))
        at = depth = 0
        while at < len(toks):
            text = toks[at].text
            after = toks[at + 1].text if at + 1 < len(toks) else ""
            starts = at == 0 or toks[at - 1].text in (";", "{", "}", "pub", ")")
            if text == "mod" and starts and at + 2 < len(toks) and toks[at + 2].text == ";":
                child, at = after, at + 3
                for name, inside in ((f"{folder}/{child}.rs", f"{folder}/{child}"),
                                     (f"{folder}/{child}/mod.rs", f"{folder}/{child}")):
                    if self.read(name) is not None:
                        module.children.add(child)
                        self._load((*path, child), name, inside)
                        break
                continue
            if text == "use" and starts:
                end = at
                while end < len(toks) and toks[end].text != ";":
                    end += 1
                module.uses += use_paths(toks[at + 1 : end])
                at = end + 1
                continue
            if text in DEFINERS and depth == 0:
                name = toks[at + 2].text if text == "macro_rules" else after
                if name == "fn":  # const fn
                    name = toks[at + 2].text
                module.defines.add(name)
            if text in OPEN:
                depth += 1
            elif text in CLOSE:
                depth -= 1
            module.body.append(toks[at])
            at += 1

    def _start(self, module, segments):
        """The module that a path starts from, and the rest of the path; None for another crate's."""
        path, rest = module.path, list(segments)
        head = rest[0] if rest else ""
        if head == "crate":
            return self.modules[()], rest[1:]
        if head in ("self", "super"):
            while rest and rest[0] in ("self", "super"):
                if rest[0] == "super":
                    path = path[:-1]
                rest = rest[1:]
            return self.modules[path], rest
        if head in module.children:
            return module, rest
        return None

    def resolve(self, module, segments, seen=()):
        """What a path names: ('item', module, name) or ('module', module); None outside of the crate."""
        start = self._start(module, segments)
        if start is None:
            return None
        here, rest = start
        while rest:
            name = rest[0]
            if name in here.children:
                here, rest = self.modules[(*here.path, name)], rest[1:]
                continue
            return self._name(here, name, seen)
        return ("module", here)

    def _name(self, module, name, seen):
        if name in module.defines or (module.path, name) in seen:
            return ("item", module, name)
        seen = (*seen, (module.path, name))
        by = module.alias(name)
        if by is not None:
            found = self.resolve(module, by, seen)
            return found or ("item", module, name)
        for glob in module.globs():
            found = self.resolve(module, [*glob, name], seen)
            if found and found[0] == "item" and name in found[1].defines:
                return found
        return ("item", module, name)

    def arrows(self):
        """All arrows between the crate's files."""
        found = []
        for module in self.modules.values():
            found += self._arrows_of(module)
        return found

    def _arrows_of(self, module):
        found = []

        def draw(target, line):
            if target and target[0] == "item" and target[1].file != module.file:
                found.append(Arrow(module.file, line, target[1].file, target[2]))

        aliases = {}
        for segments, alias, line in module.uses:
            target = self.resolve(module, segments)
            if target is None:
                continue
            if target[0] == "module":
                aliases[alias] = target[1]
            elif target[1].path[: len(module.path)] != module.path or module.names(alias):
                # A name of a child that is only handed on is not used here.
                draw(target, line)
        body = module.body
        for place, token in enumerate(body):
            if place + 2 >= len(body) or body[place + 1].text != "::":
                continue
            if place and body[place - 1].text == "::":
                continue
            segments, at = [token.text], place + 1
            while at + 1 < len(body) and body[at].text == "::" and re.match(r"[A-Za-z_]", body[at + 1].text or ""):
                segments.append(body[at + 1].text)
                at += 2
            if token.text in aliases:
                rest = segments[1:]
                here = aliases[token.text]
                draw(self.resolve(here, ["self", *rest]), token.line)
            elif token.text in ("crate", "self", "super") or token.text in module.children:
                draw(self.resolve(module, segments), token.line)
        return found


def circles(arrows):
    """Files that use each other in a loop: one list of arrows for each loop, in order."""
    graph = defaultdict(dict)
    for arrow in arrows:
        graph[arrow.source].setdefault(arrow.target, arrow)
    index, low, stack, on, groups = {}, {}, [], set(), []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        on.add(file)
        for other in graph[file]:
            if other not in index:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in on:
                low[file] = min(low[file], index[other])
        if low[file] == index[file]:
            group = set()
            while True:
                other = stack.pop()
                on.discard(other)
                group.add(other)
                if other == file:
                    break
            if len(group) > 1:
                groups.append(group)

    for file in sorted(graph):
        if file not in index:
            visit(file)
    return [shortest(graph, group) for group in groups]


def shortest(graph, group):
    """The shortest loop within files that reach each other."""
    best = None
    for start in sorted(group):
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop(0)
            for other in sorted(graph[way[-1]]):
                if other == start:
                    if best is None or len(way) < len(best):
                        best = way
                    ways = []
                    break
                if other in group and other not in seen:
                    seen.add(other)
                    ways.append([*way, other])
    loop = [*best, best[0]]
    return [graph[one][other] for one, other in zip(loop, loop[1:])]
