/* SPDX-License-Identifier: MIT */
/* CPUID leaves and feature bits by name. SDM vol. 2 "CPUID"; APM vol. 3 appendix "CPUID Feature Flags". */
#ifndef ARCH_CPUID_H
#define ARCH_CPUID_H

#include <vmm/types.h>

enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Leaf 1 ECX */
#define CPUID1C_MONITOR      BIT(3)
#define CPUID1C_VMX          BIT(5)
#define CPUID1C_SMX          BIT(6)
#define CPUID1C_PDCM         BIT(15)
#define CPUID1C_PCID         BIT(17)
#define CPUID1C_X2APIC       BIT(21)
#define CPUID1C_TSC_DEADLINE BIT(24)
#define CPUID1C_XSAVE        BIT(26)
#define CPUID1C_OSXSAVE      BIT(27)
#define CPUID1C_HYPERVISOR   BIT(31)
/* Leaf 1 EDX */
#define CPUID1D_FPU   BIT(0)
#define CPUID1D_TSC   BIT(4)
#define CPUID1D_MSR   BIT(5)
#define CPUID1D_MCE   BIT(7)
#define CPUID1D_APIC  BIT(9)
#define CPUID1D_SEP   BIT(11)
#define CPUID1D_MTRR  BIT(12)
#define CPUID1D_MCA   BIT(14)
#define CPUID1D_PAT   BIT(16)
#define CPUID1D_CLFSH BIT(19)
#define CPUID1D_DS    BIT(21)
#define CPUID1D_ACPI  BIT(22)
#define CPUID1D_FXSR  BIT(24)
#define CPUID1D_HTT   BIT(28)
#define CPUID1D_TM    BIT(29)
/* Leaf 7.0 EBX, ECX, EDX */
#define CPUID7B_FSGSBASE   BIT(0)
#define CPUID7B_TSC_ADJUST BIT(1)
#define CPUID7B_SMEP       BIT(7)
#define CPUID7B_INVPCID    BIT(10)
#define CPUID7B_SMAP       BIT(20)
#define CPUID7C_UMIP       BIT(2)
#define CPUID7C_PKU        BIT(3)
#define CPUID7C_OSPKE      BIT(4)
#define CPUID7C_LA57       BIT(16)
#define CPUID7C_RDPID      BIT(22)
/* Leaf 0x80000001 */
#define CPUIDX1C_SVM     BIT(2)
#define CPUIDX1C_EXTAPIC BIT(3)
#define CPUIDX1C_SKINIT  BIT(12)
#define CPUIDX1D_SYSCALL BIT(11)
#define CPUIDX1D_NX      BIT(20)
#define CPUIDX1D_1GB     BIT(26)
#define CPUIDX1D_RDTSCP  BIT(27)
#define CPUIDX1D_LM      BIT(29)
/* Leaf 0x80000007 EDX */
#define CPUIDX7D_INVARIANT_TSC BIT(8)
/* Leaf 0x40000001 EAX: Linux, Documentation/virt/kvm/x86/cpuid.rst */
#define CPUIDKVM_CLOCKSOURCE  BIT(0)
#define CPUIDKVM_NOP_IO_DELAY BIT(1)
#define CPUIDKVM_CLOCKSOURCE2 BIT(3)
#define CPUIDKVM_STEAL_TIME   BIT(5)
#define CPUIDKVM_PV_EOI       BIT(6)
#define CPUIDKVM_UNHALT       BIT(7)
#define CPUIDKVM_TLB_FLUSH    BIT(9)
#define CPUIDKVM_SEND_IPI     BIT(11)
#define CPUIDKVM_SCHED_YIELD  BIT(13)
#define CPUIDKVM_CLOCK_STABLE BIT(24)
/* and EDX */
#define CPUIDKVM_HINT_REALTIME BIT(0)
/* Leaf 0x8000000a EDX */
#define CPUIDSVM_NPT         BIT(0)
#define CPUIDSVM_NRIPS       BIT(3)
#define CPUIDSVM_VMCBCLEAN   BIT(5)
#define CPUIDSVM_FLUSHBYASID BIT(6)
#define CPUIDSVM_DECODE      BIT(7)
#define CPUIDSVM_VGIF        BIT(16)

#endif
