# SPDX-License-Identifier: MIT
"""How a guest is assembled: kernel, initramfs, manifest. tools/guest is the command; docs/howto/guest.md says
what it is for.

Whoever reads: build.py has the order of things, inputs.py the variables; each other file makes one of the parts.
"""
