"""The checks: each gives what it finds, as lines `FILE:LINE: what is wrong`."""

import re
import subprocess
import tomllib

from rust_modules import Crate, circles

PAGE = "docs/architecture.md"
KINDS = ("dependencies", "build-dependencies", "dev-dependencies")


class Workspace:
    """The manifests of the workspace. `read(path)` gives a file's text, or None."""

    def __init__(self, read):
        self.read = read
        root = tomllib.loads(read("Cargo.toml"))["workspace"]
        self.members = {}
        self.folders = {}
        for folder in root["members"]:
            manifest = tomllib.loads(read(f"{folder}/Cargo.toml"))
            self.members[folder] = manifest
            self.folders[manifest["package"]["name"]] = folder

    def uses(self, folder, kinds=KINDS):
        """The crates of the workspace that one uses: [(folder, line of the manifest), ...]. Itself does not count."""
        found = []
        manifest = self.members[folder]
        tables = [manifest, *manifest.get("target", {}).values()]
        for table in tables:
            for kind in kinds:
                for name in table.get(kind, {}):
                    used = self.folders.get(name)
                    if used and used != folder:
                        found.append((used, self.line(folder, kind, name)))
        return found

    def line(self, folder, kind, name):
        """Where a manifest names a dependency."""
        section = ""
        for number, line in enumerate(self.read(f"{folder}/Cargo.toml").splitlines(), start=1):
            if line.startswith("["):
                section = line.strip("[]")
            if section.endswith(kind) and re.match(rf"{re.escape(name)}\b(?!-)", line):
                return number
        return 1


def arrows(page, work, _read):
    """Crates use each other as the drawing says, and no other way."""
    drawn = page.drawing()
    for folder in work.members:
        if folder not in drawn:
            yield f"{folder}/Cargo.toml:1: the drawing in {PAGE} does not have this crate"
    for folder, (targets, line) in drawn.items():
        if folder not in work.members:
            yield f"{PAGE}:{line}: the workspace has no crate in {folder}"
            continue
        own = dict(work.uses(folder, ("dependencies", "build-dependencies")))
        for used, at in own.items():
            if used not in targets:
                yield (f"{folder}/Cargo.toml:{at}: uses {used}; the drawing in {PAGE}:{line} has no such arrow: "
                       f"draw it if it is meant, else take the dependency out")
        for target in sorted(targets - own.keys()):
            yield f"{PAGE}:{line}: draws {folder} --> {target}, but {folder}/Cargo.toml does not use it"


def apart(page, work, _read):
    """What is to link nothing of the gateway does not, in its tests neither."""
    for line, prefix, allowed in page.items("apart"):
        folders = [folder for folder in work.members if folder == prefix or folder.startswith(f"{prefix}/")]
        if not folders:
            yield f"{PAGE}:{line}: no crate lies in {prefix}"
        for folder in folders:
            for used, at in work.uses(folder):
                if not any(used == own or used.startswith(f"{own}/") for own in allowed):
                    yield (f"{folder}/Cargo.toml:{at}: uses {used}; {PAGE}:{line} lets it use "
                           f"{' and '.join(allowed) or 'nothing of the workspace'}")


def pure(page, work, _read, tree=None):
    """No crate of those that do no I/O has a library in its tree that does."""
    tree = tree or cargo_tree
    for line, package, forbidden in page.items("pure"):
        folder = work.folders.get(package)
        if folder is None:
            yield f"{PAGE}:{line}: the workspace has no package {package}"
            continue
        direct = set(work.members[folder].get("dependencies", {}))
        for name in tree(package):
            if name in forbidden:
                yield (f"{folder}/Cargo.toml:1: {name} is in the tree of {package}, which {PAGE}:{line} forbids; "
                       f"`cargo tree -p {package} -e normal -i {name}` says through whom")
        if "parking_lot" in direct:
            at = work.line(folder, "dependencies", "parking_lot")
            yield f"{folder}/Cargo.toml:{at}: {package} locks; {PAGE}:{line}: what does no I/O has nobody to lock against"


def cargo_tree(package):
    """The names of the crates in a package's tree."""
    command = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in printed.splitlines() if line.strip()}


def rooms(page, work, read):
    """Rooms of a crate use those of the floors below them, and every room is on a floor."""
    for name in page.blocks:
        if not name.startswith("floors of "):
            continue
        crate = name.removeprefix("floors of ")
        source = Crate(crate, read)
        floor_of, line_of = {}, {}
        floors = page.floors(crate)
        for height, (line, names) in enumerate(reversed(floors)):
            for room in names:
                floor_of[room], line_of[room] = height, line
        known = {path[0] for path in source.modules if path}
        for room in sorted(known - floor_of.keys()):
            yield f"{source.modules[(room,)].file}:1: the floors of {crate} in {PAGE} do not have this room"
        for room in sorted(floor_of.keys() - known):
            yield f"{PAGE}:{line_of[room]}: {crate} has no room {room}"
        for arrow in source.arrows():
            one, other = room_of(crate, arrow.source), room_of(crate, arrow.target)
            if one == other or one not in floor_of or other not in floor_of:
                continue
            if floor_of[other] >= floor_of[one]:
                yield (f"{arrow.source}:{arrow.line}: takes {arrow.name} from {arrow.target}: {one} is not above "
                       f"{other} in {PAGE}:{line_of[one]}")


def room_of(crate, file):
    """The room that a file belongs to: a module at the top of its crate."""
    return file.removeprefix(f"{crate}/src/").split("/")[0].removesuffix(".rs")


def files(page, _work, read):
    """No files of a crate use each other in a circle."""
    for line, crate, _ in page.items("no circles"):
        if read(f"{crate}/src/lib.rs") is None:
            yield f"{PAGE}:{line}: there is no library in {crate}"
            continue
        for loop in circles(Crate(crate, read).arrows()):
            way = "; ".join(f"{arrow.source}:{arrow.line} takes {arrow.name} from {arrow.target}" for arrow in loop)
            yield f"{loop[0].source}:{loop[0].line}: a circle of files: {way}"


def protobuf(page, work, read):
    """Generated protobuf types are named only where the page says."""
    allowed = [(line, place) for line, place, _ in page.items("protobuf")]
    barred = [(line, place) for line, place, _ in page.items("no protobuf")]
    for folder in work.members:
        if not folder.startswith("server/") or read(f"{folder}/src/lib.rs") is None:
            continue
        if not any(used == "proto" for used, _ in work.uses(folder, ("dependencies",))):
            continue
        for module in Crate(folder, read).modules.values():
            at = names_protobuf(module)
            if at is None:
                continue
            if not any(lies_in(module.file, place) for _, place in allowed):
                yield f"{module.file}:{at}: names generated protobuf types; {PAGE} has no such place in its list"
            for line, place in barred:
                if lies_in(module.file, place):
                    yield f"{module.file}:{at}: names generated protobuf types; {PAGE}:{line} bars them there"
    for line, place in [*allowed, *barred]:
        if not any(read(file) is not None for file in (f"{place}.rs", f"{place}/src/lib.rs", place)):
            yield f"{PAGE}:{line}: there is no {place}"


def names_protobuf(module):
    """The first line of a module that names a type of `postern_proto::v1`."""
    for segments, _, line in module.uses:
        if segments[:2] == ["postern_proto", "v1"]:
            return line
    for place, token in enumerate(module.body[:-2]):
        if token.text == "postern_proto" and module.body[place + 2].text == "v1":
            return token.line
        if token.text == "pb" and module.body[place + 1].text == "::":
            return token.line
    return None


def machines(page, _work, read):
    """A machine inside a crate that does I/O uses the standard library and itself, and no clock or lock of it."""
    for line, place, _ in page.items("machines"):
        crate, _, path = place.partition("/src/")
        own = path.split("/")
        modules = [module for module in Crate(crate, read).modules.values() if lies_in(module.file, place)]
        if not modules:
            yield f"{page.path}:{line}: there is no {place}"
        for module in modules:
            for segments, _, at in module.uses:
                if segments[0] == "crate" and segments[1 : 1 + len(own)] != own:
                    yield f"{module.file}:{at}: uses {'::'.join(segments)}; {page.path}:{line} lets it use itself alone"
                elif segments[0] not in ("std", "crate", "self", "super"):
                    yield f"{module.file}:{at}: uses {segments[0]}; {page.path}:{line} lets it use std alone"
            words = [token.text for token in module.body]
            for place_of, token in enumerate(module.body):
                clock = token.text in ("Instant", "SystemTime") and words[place_of + 1 : place_of + 3] == ["::", "now"]
                if clock or token.text in ("Mutex", "RwLock", "tokio"):
                    yield f"{module.file}:{token.line}: has a clock or a lock; {page.path}:{line}: both are its caller's"


def lies_in(file, place):
    """Whether a file is a place, or lies in it."""
    return file == place or file == f"{place}.rs" or file.startswith(f"{place}/")


CHECKS = {
    "crates use each other as drawn": arrows,
    "tests, SDK and sinks stand apart": apart,
    "what does no I/O has nobody in its tree who does": pure,
    "rooms use the floors below them": rooms,
    "no files use each other in a circle": files,
    "machines inside a crate have no I/O, clock or lock": machines,
    "protobuf types end where the page says": protobuf,
}
