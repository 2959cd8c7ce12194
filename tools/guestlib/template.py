# SPDX-License-Identifier: MIT
"""@VAR@ in kernel configurations and initramfs lists.

A sign @ stands for itself only when doubled. Everything else that is no @NAME@, and a name without a value, is an error
with file and line: a value that was forgotten must not get into a kernel unseen.
"""
import os
import re

from guestlib.common import Fault

TOKEN = re.compile(r"@(?:@|([A-Za-z_][A-Za-z0-9_]*)@|)")


def expand(text, values, where):
    """`where`: file:line, for the message. `values` go before the environment."""
    def value(match):
        name = match.group(1)
        if match.group(0) == "@@":
            return "@"
        if name is None:
            rest = re.match(r"@[A-Za-z0-9_]*", text[match.start():]).group(0)
            raise Fault(f"{where}: {rest} has no second @: a variable is written @NAME@, and the sign itself @@")
        found = values.get(name, os.environ.get(name))
        if found is None:
            raise Fault(f"{where}: @{name}@ has no value: give one, for example make guest {name}=...")
        return found
    return TOKEN.sub(value, text) if "@" in text else text


def names(text):
    """The variables that a text asks for."""
    return {match.group(1) for match in TOKEN.finditer(text) if match.group(1)}
