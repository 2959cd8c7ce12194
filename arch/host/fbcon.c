/* SPDX-License-Identifier: MIT */
#include "arch/host/screen.h"
bool fbcon_usable(unused const struct fb_params *p, unused u64 *size)
{
	return false;
}
void fbcon_attach(unused struct screen *s, unused const struct fb_params *p, unused void *mem)
{
}
