/* SPDX-License-Identifier: MIT */
/* The C side's entry, called by boot/entry.S on the main stack, with interrupts off. */
#ifndef BOOT_MAIN_H
#define BOOT_MAIN_H

#include <vmm/types.h>

/* EAX and EBX as the boot loader left them, the TSC at the first instruction, load address - link address. */
_Noreturn void boot_main(u32 magic, u32 mbi, u64 entry_tsc, u64 load_delta);

#endif
