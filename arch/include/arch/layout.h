/* SPDX-License-Identifier: MIT */
/*
 * Where Havoc lies in its own address space; docs/memory-map.md has the whole picture. Read by C,
 * assembly (boot/entry.S) and the linker script, so nothing but plain numbers.
 *
 * The image is linked at LAYOUT_IMAGE_VA + LAYOUT_LINK_PA and stays there whatever physical memory
 * GRUB gave it (a multiple of 2 MiB): physical = virtual - LAYOUT_IMAGE_VA + load delta.
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#define LAYOUT_IMAGE_VA   0xffffffff80000000
#define LAYOUT_LINK_PA    0x200000
#define LAYOUT_DIRECT_VA  0xffff800000000000
#define LAYOUT_DIRECT_END 0xffffc00000000000 /* 64 TiB of physical addresses */

/*
 * The stacks of CPU n other than the first, whose are in the image: at LAYOUT_STACKS_VA + n * LAYOUT_STACKS_STRIDE.
 */
#define LAYOUT_STACKS_VA      0xffffc00000000000
#define LAYOUT_STACKS_STRIDE  0x10000
#define LAYOUT_STACK_SIZE     0x4000 /* the main stack */
#define LAYOUT_IST_STACK_SIZE 0x1000
#define LAYOUT_IST_STACKS     4
#define LAYOUT_GUARD_SIZE     0x1000 /* unmapped, below each stack */

#endif
