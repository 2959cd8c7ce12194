# SPDX-License-Identifier: MIT
"""What is asked of a kernel's configuration, and what became of it.

Fragments are templates; of two lines for one symbol the last counts. kconfig drops what it does not know, and what
depends on something that is off, without a word: explain() says which symbol, and why, by reading Linux's Kconfig
files with kconfiglib (Debian's python3-kconfiglib).
"""
import difflib
import io
import os
import re
import sys

from guestlib import template
from guestlib.common import Fault, read_text

SET = re.compile(r"^(CONFIG_\w+)=(.*)$")
UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")
FULL = "# Automatically generated file; DO NOT EDIT."


class Wish:
    """A symbol's wanted value, None for "off", and who wants it."""

    def __init__(self, value, where):
        self.value = value
        self.where = where


def read_fragment(path, values):
    """symbol -> Wish. A comment is not looked at, so that it may name what it likes."""
    wishes = {}
    for number, line in enumerate(read_text(path, "configuration").split("\n"), 1):
        where = f"{path}:{number}"
        line = line.rstrip()
        if line.startswith("#") and not re.match(r"# (CONFIG_|@)\S* is not set$", line):
            continue
        if not line:
            continue
        line = template.expand(line, values, where)
        found, off = SET.match(line), UNSET.match(line)
        if found and found.group(2) != "n":
            wishes[found.group(1)] = Wish(found.group(2), where)
        elif found or off:
            wishes[(found or off).group(1)] = Wish(None, where)
        else:
            raise Fault(f"{where}: this is neither CONFIG_NAME=value, nor # CONFIG_NAME is not set: {line[:60]}")
    return wishes


def is_full(path):
    """A whole .config, as Linux writes it, and not a fragment."""
    return FULL in read_text(path, "configuration")[:1000]


def text_of(wishes):
    """For KCONFIG_ALLCONFIG; sorted, so that order and comments are no input."""
    return "".join(f"{name}={wish.value}\n" if wish.value is not None else f"# {name} is not set\n"
                   for name, wish in sorted(wishes.items()))


def final_values(text):
    return dict(match.groups() for match in map(SET.match, text.split("\n")) if match)


def missed(wishes, final):
    """The symbols that did not get what was asked for."""
    return [name for name, wish in sorted(wishes.items()) if final.get(name) != wish.value
            and not (wish.value in ('""', "0") and name not in final)]


# ---- Why ------------------------------------------------------------------------------------------------

def load(source, config):
    """Linux's symbols with the values of a .config."""
    sys.path.append("/usr/lib/python3/dist-packages")
    import kconfiglib  # pylint: disable=import-outside-toplevel

    class Linux(kconfiglib.Kconfig):
        def _open(self, filename, mode):
            file = super()._open(filename, mode)
            if "Kconfig" not in os.path.basename(filename):
                return file
            # A line that kconfiglib knows by its older name.
            with file:
                return io.StringIO(re.sub(r"^(\s+)modules$", r"\1option modules", file.read(), flags=re.M))

    old = dict(os.environ)
    os.environ.update(srctree=source.path, ARCH="x86_64", SRCARCH="x86", CC="gcc", LD="ld", HOSTCC="gcc", HOSTCXX="g++",
                      NM="nm", OBJCOPY="objcopy", AWK="awk", RUSTC="false", BINDGEN="false", PAHOLE="false",
                      KERNELVERSION=source.name, CC_VERSION_TEXT="gcc", RUSTC_VERSION_TEXT="", PAHOLE_FLAGS="")
    try:
        linux = Linux("Kconfig", warn=False, warn_to_stderr=False)
        linux.load_config(config)
    finally:
        os.environ.clear()
        os.environ.update(old)
    return kconfiglib, linux


def unmet(kconfiglib, condition):
    """The parts of a condition that do not hold, as text."""
    return [text_of_condition(kconfiglib, part) for part in kconfiglib.split_expr(condition, kconfiglib.AND)
            if kconfiglib.expr_value(part) == 0]


def selectors(kconfiglib, symbol):
    """What selects a symbol now, as text."""
    return " or ".join(text_of_condition(kconfiglib, part) for part in kconfiglib.split_expr(symbol.rev_dep, kconfiglib.OR)
                       if kconfiglib.expr_value(part))


def text_of_condition(kconfiglib, condition):
    return kconfiglib.expr_str(condition, lambda item: ("CONFIG_" if not getattr(item, "is_constant", True) and item.name else "")
                               + kconfiglib.standard_sc_expr_str(item))


def reason(kconfiglib, linux, name, wish, final):
    """Why a symbol did not get its value, as the second half of a sentence; None if it cannot be asked for at all and
    so was not (a full configuration lists such ones)."""
    symbol = linux.syms.get(name[7:])
    if symbol is None or not symbol.nodes:
        near = difflib.get_close_matches(name[7:], [s for s in linux.syms if linux.syms[s].nodes], 2)
        return "is not known" + (f": did you mean {' or '.join('CONFIG_' + s for s in near)}?" if near else "")
    prompts = [node for node in symbol.nodes if node.prompt]
    if not prompts:
        return None
    if wish.value is None:
        selected = selectors(kconfiglib, symbol)
        return f"cannot be off: it is selected by {selected}" if selected else f"cannot be off here: its value is {final.get(name)}"
    lacking = unmet(kconfiglib, symbol.direct_dep)
    if lacking:
        return (f"depends on {text_of_condition(kconfiglib, symbol.direct_dep)}: not so here: {', '.join(lacking)}")
    hidden = [unmet(kconfiglib, node.prompt[1]) for node in prompts]
    if all(hidden):
        return f"may be set only if {', '.join(hidden[0])}"
    if symbol.choice:
        taken = symbol.choice.selection
        return "is one of a choice" + (f", and CONFIG_{taken.name} was taken" if taken and taken is not symbol else "")
    if wish.value == "m" and symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
        return "cannot be a module: " + ("CONFIG_MODULES is off" if symbol.orig_type == kconfiglib.TRISTATE else "it is y or n")
    return f"does not take the value {wish.value}: it is {final.get(name, 'n')}"


def explain(source, wishes, final_text, config_path, full):
    """Raises a Fault that names every symbol which did not arrive, if there is one."""
    final = final_values(final_text)
    lost = missed(wishes, final)
    if not lost:
        return
    try:
        kconfiglib, linux = load(source, config_path)
    except ImportError as e:
        raise Fault("python3-kconfiglib is not installed (run: tools/setup guest)") from e
    said = []
    for name in lost:
        why = reason(kconfiglib, linux, name, wishes[name], final)
        if why is None:
            if full:
                continue
            symbol = linux.syms[name[7:]]
            why = "cannot be asked for: it has no prompt" + (
                f"; it is selected by {text_of_condition(kconfiglib, symbol.rev_dep)[:300]}" if symbol.rev_dep is not linux.n else "")
        said.append(f"{wishes[name].where}: {name} {why}")
    if said:
        raise Fault(f"{source.name} did not take all that was asked for:\n" + "\n".join(said))
