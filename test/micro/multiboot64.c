/* SPDX-License-Identifier: MIT */
/* A Multiboot1 kernel, as an ELF64 file: the machine's state, memory map, command line, initrd and modules with their texts. */
/* ENTRY: multiboot64 */
/* CMDLINE: alpha beta=1 */
/* MODULE: initrd the ramdisk */
/* MODULE: module first=1 second */
/* MODULE: module */
#include "lib/multiboot_test.h"
