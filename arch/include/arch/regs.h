/* SPDX-License-Identifier: MIT */
/*
 * Bits of the control registers, EFER, RFLAGS and debug registers. SDM vol. 3 "Control Registers", "Debug Registers";
 * APM vol. 2 "System-Control Registers". Constants only: pure files include it too.
 */
#ifndef ARCH_REGS_H
#define ARCH_REGS_H

#include <vmm/types.h>

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR3_PCID    GENMASK(11, 0)
#define CR3_NOFLUSH BIT(63)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)
#define CR4_CET        BIT(23)
#define CR4_PKS        BIT(24)

#define EFER_SCE   BIT(0)
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define EFER_NXE   BIT(11)
#define EFER_SVME  BIT(12)
#define EFER_LMSLE BIT(13)
#define EFER_FFXSR BIT(14)
#define EFER_TCE   BIT(15)

#define RFLAGS_CF   BIT(0)
#define RFLAGS_ONE  BIT(1) /* always set */
#define RFLAGS_PF   BIT(2)
#define RFLAGS_AF   BIT(4)
#define RFLAGS_ZF   BIT(6)
#define RFLAGS_SF   BIT(7)
#define RFLAGS_TF   BIT(8)
#define RFLAGS_IF   BIT(9)
#define RFLAGS_DF   BIT(10)
#define RFLAGS_OF   BIT(11)
#define RFLAGS_IOPL GENMASK(13, 12)
#define RFLAGS_NT   BIT(14)
#define RFLAGS_RF   BIT(16)
#define RFLAGS_VM   BIT(17)
#define RFLAGS_AC   BIT(18)
#define RFLAGS_VIF  BIT(19)
#define RFLAGS_VIP  BIT(20)
#define RFLAGS_ID   BIT(21)

#define DR6_RESET 0xffff0ff0ULL
#define DR6_BS    BIT(14)
#define DR6_BT    BIT(15)
#define DR7_RESET 0x400ULL
#define DR7_GD    BIT(13)

#define XCR0_X87     BIT(0)
#define XCR0_SSE     BIT(1)
#define XCR0_AVX     BIT(2)
#define XCR0_BNDREGS BIT(3)
#define XCR0_BNDCSR  BIT(4)
#define XCR0_AVX512  GENMASK(7, 5)
#define XCR0_PKRU    BIT(9)

/* Exception vectors */
#define VEC_DE  0
#define VEC_DB  1
#define VEC_NMI 2
#define VEC_BP  3
#define VEC_OF  4
#define VEC_BR  5
#define VEC_UD  6
#define VEC_NM  7
#define VEC_DF  8
#define VEC_TS  10
#define VEC_NP  11
#define VEC_SS  12
#define VEC_GP  13
#define VEC_PF  14
#define VEC_MF  16
#define VEC_AC  17
#define VEC_MC  18
#define VEC_XM  19
#define VEC_VE  20
#define VEC_CP  21

/* Page-fault error code */
#define PFEC_P   BIT(0)
#define PFEC_W   BIT(1)
#define PFEC_U   BIT(2)
#define PFEC_RSV BIT(3)
#define PFEC_I   BIT(4)
#define PFEC_PK  BIT(5)

#define PAT_RESET 0x0007040600070406ULL

#endif
