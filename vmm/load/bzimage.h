/* SPDX-License-Identifier: MIT */
/* A bzImage between the files that load it: bz_header.c reads, bzimage.c places, zeropage.c tells the kernel. */
#ifndef VMM_LOAD_BZIMAGE_H
#define VMM_LOAD_BZIMAGE_H

#include "loader.h"

/* What of a bzImage's setup header the loader needs, checked against the file's size. */
struct bz_header {
	const u8 *setup;   /* the file: header fields by offset */
	u64 header_end;    /* first offset after the header */
	const u8 *payload; /* the protected-mode part */
	u64 payload_size;
	u64 init_size;
	u32 alignment, initrd_addr_max, cmdline_size;
	u64 pref_address;
	bool relocatable;
	bool entry_64; /* else there is only the 32-bit one */
};

/* Where everything has been put. */
struct bz_place {
	gpa_t kernel;
	gpa_t initrd; /* 0: none */
	u64 initrd_size;
};

/* -HV_ENOEXEC. */
int bz_header_parse(const u8 *file, u64 size, struct bz_header *h,
		    struct load_error *why) must_check;
/* Fills the zero page (struct boot_params of Linux); it must lie in RAM. */
int zeropage_write(struct gmem *g, const struct machine *m, const struct bz_header *h,
		   const struct bz_place *p) must_check;

#endif
