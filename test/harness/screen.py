# SPDX-License-Identifier: MIT
"""The text on an emulated machine's screen (QEMU): from VGA's text memory, or from a picture of the framebuffer by the hypervisor's
own font (arch/host/font.c). A screen is a list of rows, a row a list of (character, attribute); attributes are VGA's, ink + 16 * paper.
"""
import os
import re

from harness.core import Broken

CELL_WIDTH, CELL_HEIGHT, CELL_TOP, CURSOR_LINES = 8, 16, 2, 3
JOINED = range(0xb0, 0xe0)
TEXT_MODE = (720, 400)
LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
PALETTE = [tuple(0xaa * (i >> bit & 1) + 0x55 * (i >> 3) for bit in (2, 1, 0)) for i in range(16)]
PALETTE[6] = (0xaa, 0x55, 0)
CODES = {rgb: i for i, rgb in enumerate(PALETTE)}

KEYS = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", "/": "slash", ".": "dot", ",": "comma", ";": "semicolon", "'": "apostrophe",
        "\\": "backslash", "[": "bracket_left", "]": "bracket_right", "`": "grave_accent", "\033": "esc", "\t": "tab", "\x7f": "backspace"}
SHIFTED = dict(zip('!@#$%^&*()_+{}:"~|<>?', "1234567890-=[];'`\\,./"))


def character(code):
    return LOW[code] if code < 32 else bytes([code]).decode("cp437").replace("\xa0", " ")


def key_of(c):
    """The name that QEMU's sendkey has for the key of a character."""
    if c in SHIFTED:
        return "shift-" + key_of(SHIFTED[c])
    if "A" <= c <= "Z":
        return "shift-" + c.lower()
    if 1 <= ord(c) <= 26 and c not in KEYS:
        return "ctrl-" + chr(ord(c) + 96)
    return KEYS.get(c, c)


def font(root):
    with open(os.path.join(root, "arch", "host", "font.c")) as f:
        rows = re.findall(r"\{(0x[0-9a-f]{2}(?:,\s*0x[0-9a-f]{2}){12})\}", f.read())
    if len(rows) != 256:
        raise Broken("arch/host/font.c has %d letters, not 256" % len(rows))
    return [[int(n, 16) for n in row.split(",")] for row in rows]


def cell_lines(code, rows):
    top, bottom = (rows[0], rows[-1]) if code in JOINED else (0, 0)
    return [top] * CELL_TOP + rows + [bottom] * (CELL_HEIGHT - CELL_TOP - len(rows))


def doubled(code, lines):
    """Scale2x, dot by dot."""
    beside = (lines[0], lines[-1]) if code in JOINED else (0, 0)

    def dot(x, y):
        line = beside[0] if y < 0 else beside[1] if y >= CELL_HEIGHT else lines[y]
        return line >> (7 - x) & 1 if 0 <= x < 8 else 0
    out = []
    for y in range(2 * CELL_HEIGHT):
        bits = 0
        for x in range(2 * CELL_WIDTH):
            px, py = x // 2, y // 2
            here, near, far = dot(px, py), dot(px, py + (1 if y % 2 else -1)), dot(px, py - (1 if y % 2 else -1))
            side, other = dot(px + (1 if x % 2 else -1), py), dot(px - (1 if x % 2 else -1), py)
            corner = code not in JOINED and side == near and side != far and near != other
            bits = bits << 1 | (near if corner else here)
        out.append(bits)
    return out


class Reader:
    def __init__(self, root, folder):
        self.glyphs = font(root)
        self.path = os.path.abspath(os.path.join(folder, "screen"))
        self.tables = {}
        self.cells = {}

    def table(self, scale):
        """Lines of a cell as numbers -> character."""
        if scale not in self.tables:
            found = {}
            for code, rows in enumerate(self.glyphs):
                lines = cell_lines(code, rows)
                if scale > 1:
                    lines = doubled(code, lines)
                # Where two look alike, it is the plainer one.
                if tuple(lines) not in found or 32 <= code < 127:
                    found[tuple(lines)] = character(code)
            self.tables[scale] = found
        return self.tables[scale]

    def cell(self, lines, dots, scale):
        """(character, attribute) of a cell: its lines as bytes of RGB, `dots` wide after sampling."""
        pixels = [[line[i:i + 3] for i in range(0, len(line), len(line) // dots)] for line in lines]
        colours = sorted({p for line in pixels[:-CURSOR_LINES * scale] for p in line})
        low = {p for line in pixels[-CURSOR_LINES * scale:] for p in line}
        if len(colours) == 1 and len(low) > 1:  # what has only a line at the bottom
            colours = sorted(low)
        if len(colours) == 1:
            return " ", CODES.get(tuple(colours[0]), 0) << 4
        if len(colours) > 2:
            return "\ufffd", -1
        for ink, paper in (colours, colours[::-1]):
            bits = tuple(int("".join("1" if p == ink else "0" for p in line), 2) for line in pixels)
            # The cursor exchanges ink and paper of the lowest lines.
            under = bits[:-CURSOR_LINES * scale] + tuple(b ^ ((1 << dots) - 1) for b in bits[-CURSOR_LINES * scale:])
            for shape in (bits, under):
                if shape in self.table(scale):
                    return self.table(scale)[shape], CODES.get(tuple(ink), 0) | CODES.get(tuple(paper), 0) << 4
        return "\ufffd", -1

    def framebuffer(self, width, height, data):
        scale = 4 if width >= 3200 else 2 if width >= 1600 else 1
        step = 2 if scale == 4 else 1  # what is only repeated
        wide, high, stride = CELL_WIDTH * scale * 3, CELL_HEIGHT * scale, width * 3
        screen = []
        for row in range(height // high):
            cells = []
            for col in range(width * 3 // wide):
                at = row * high * stride + col * wide
                lines = tuple(data[at + y * stride:at + y * stride + wide] for y in range(0, high, step))
                if (scale, lines) not in self.cells:
                    self.cells[scale, lines] = self.cell(lines, CELL_WIDTH * min(scale, 2), min(scale, 2))
                cells.append(self.cells[scale, lines])
            screen.append(cells)
        return screen

    def read(self, running):
        running.execute("screendump", filename=self.path + ".ppm")
        with open(self.path + ".ppm", "rb") as f:
            kind, size, _, data = f.read().split(b"\n", 3)
        if kind != b"P6":
            raise Broken("a screendump that is no PPM", running.log)
        width, height = map(int, size.split())
        if (width, height) != TEXT_MODE:
            return self.framebuffer(width, height, data)
        running.execute("pmemsave", val=0xb8000, size=80 * 25 * 2, filename=self.path + ".vga")
        with open(self.path + ".vga", "rb") as f:
            memory = f.read()
        return [[(character(memory[2 * (80 * row + col)]), memory[2 * (80 * row + col) + 1]) for col in range(80)] for row in range(25)]


def as_text(screen):
    return "\n".join("".join(c for c, _ in row).rstrip() for row in screen)


def find(screen, pattern, attribute=None):
    """Whether the text has it, in this colour throughout."""
    width = len(screen[0])
    text = "\n".join("".join(c for c, _ in row).ljust(width) for row in screen)
    for found in re.finditer(pattern, text, re.M):
        if attribute is None or all(screen[at // (width + 1)][at % (width + 1)][1] == attribute for at in range(*found.span())):
            return True
    return False
