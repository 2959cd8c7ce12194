/* SPDX-License-Identifier: MIT */
/*
 * What a guest finds at the reset vector as real-mode code reaches it, FFFF:0000, where a PC has its firmware's first instruction:
 * code that resets the machine. A kernel jumps there as a last means to restart (Linux: reboot=b). Called by core/vm.c.
 */
#include <vmm/load.h>

#define RESET_VECTOR 0xffff0

/* mov dx, 0xcf9; mov al, 6; out dx, al; hlt; jmp to the hlt. ICH data sheets, "RST_CNT - Reset Control Register". */
static const u8 code[] = {0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4, 0xeb, 0xfd};

int load_reset_vector(struct gmem *g)
{
	return gmem_write(g, RESET_VECTOR, code, sizeof(code));
}
