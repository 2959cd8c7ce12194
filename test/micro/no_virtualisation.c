/* SPDX-License-Identifier: MIT */
/*
 * A guest has neither VMX nor SVM nor SMX: every instruction of theirs raises #UD, in ring 0 and ring 3, and the bits
 * that would turn them on fault.
 */
#include "micro.h"

/* All with an operand in memory at RBX, where they have one. */
#define EACH(op)                                                                                       \
	op("VMXON", ".byte 0xf3, 0x0f, 0xc7, 0x33") op(                                                \
		"VMCLEAR", ".byte 0x66, 0x0f, 0xc7, 0x33") op("VMPTRLD", ".byte 0x0f, 0xc7, 0x33")     \
		op("VMPTRST", ".byte 0x0f, 0xc7, 0x3b") op("VMREAD", ".byte 0x0f, 0x78, 0xc8") op(     \
			"VMWRITE", ".byte 0x0f, 0x79, 0xc8") op("VMLAUNCH",                            \
								".byte 0x0f, 0x01, 0xc2")              \
			op("VMRESUME", ".byte 0x0f, 0x01, 0xc3") op(                                   \
				"VMXOFF",                                                              \
				".byte 0x0f, 0x01, 0xc4") op("INVEPT",                                 \
							     ".byte 0x66, 0x0f, 0x38, 0x80, 0x0b")     \
				op("INVVPID", ".byte 0x66, 0x0f, 0x38, 0x81, 0x0b") op(                \
					"VMFUNC", ".byte 0x0f, 0x01, 0xd4") op("GETSEC",               \
									       ".byte 0x0f, 0x37")     \
					op("VMRUN", ".byte 0x0f, 0x01, 0xd8") op(                      \
						"VMLOAD",                                              \
						".byte 0x0f, 0x01, 0xda") op("VMSAVE",                 \
									     ".byte 0x0f, 0x01, 0xdb") \
						op("STGI", ".byte 0x0f, 0x01, 0xdc") op(               \
							"CLGI", ".byte 0x0f, 0x01, 0xdd")              \
							op("SKINIT", ".byte 0x0f, 0x01, 0xde") op(     \
								"INVLPGA",                             \
								".byte 0x0f, 0x01, 0xdf")              \
								op("MONITOR",                          \
								   ".byte 0x0f, 0x01, 0xc8")           \
									op("MWAIT",                    \
									   ".byte 0x0f, 0x01, 0xc9")

static u8 operand[4096] aligned(4096);
static const char *ring;

#define ONE(name, bytes)                                                                           \
	v = TRY(bytes, : : "a"(operand), "b"(operand), "c"(0), "d"(0) : "memory");                 \
	check(v == VEC_UD || (v == VEC_GP && ring[0] == '3' && is_amd()),                          \
	      name " in ring %s: vector %d, not #UD", ring, v);

static void all(void)
{
	int v;

	EACH(ONE)
}

/*
 * In ring 3 SVM's are #GP where the real EFER.SVME is set (as it must be to run a guest): the privilege check comes before
 * the intercept.
 */
void test(void)
{
	ring = "0";
	all();
	ring = "3";
	ring3_run(all);
	check(TRY("mov %0, %%cr4",
		  :
		  : "r"(read_cr4() | CR4_VMXE)
		  : "memory") == VEC_GP,
	      "CR4.VMXE can be set");
	check(TRY("mov %0, %%cr4",
		  :
		  : "r"(read_cr4() | CR4_SMXE)
		  : "memory") == VEC_GP,
	      "CR4.SMXE can be set");
	check(try_wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME) == VEC_GP, "EFER.SVME can be set");
}
