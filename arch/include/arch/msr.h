/* SPDX-License-Identifier: MIT */
/* MSR numbers and bits. SDM vol. 4; APM vol. 2 "MSR Cross-Reference"; Linux Documentation/virt/kvm/x86/msr.rst. */
#ifndef ARCH_MSR_H
#define ARCH_MSR_H

#include <vmm/types.h>

#define MSR_TSC                 0x10
#define MSR_PLATFORM_ID         0x17
#define MSR_APIC_BASE           0x1b
#define APIC_BASE_BSP           BIT(8)
#define APIC_BASE_EXTD          BIT(10)
#define APIC_BASE_EN            BIT(11)
#define APIC_BASE_ADDR          GENMASK(51, 12)
#define MSR_FEATURE_CONTROL     0x3a
#define FEATURE_CONTROL_LOCK    BIT(0)
#define FEATURE_CONTROL_VMX     BIT(2) /* VMX outside SMX */
#define MSR_TSC_ADJUST          0x3b
#define MSR_SPEC_CTRL           0x48
#define MSR_PRED_CMD            0x49
#define MSR_UCODE_REV           0x8b
#define MSR_MTRRCAP             0xfe
#define MSR_ARCH_CAPABILITIES   0x10a
#define MSR_SYSENTER_CS         0x174
#define MSR_SYSENTER_ESP        0x175
#define MSR_SYSENTER_EIP        0x176
#define MSR_MCG_CAP             0x179
#define MSR_MCG_STATUS          0x17a
#define MSR_MISC_ENABLE         0x1a0
#define MISC_ENABLE_FAST_STRING BIT(0)
#define MISC_ENABLE_LIMIT_CPUID BIT(22)
#define MSR_DEBUGCTL            0x1d9
#define DEBUGCTL_LBR            BIT(0)
#define DEBUGCTL_BTF            BIT(1)
#define MSR_MTRR_PHYSBASE0      0x200
#define MSR_MTRR_FIX64K         0x250
#define MSR_MTRR_FIX16K_0       0x258
#define MSR_MTRR_FIX16K_1       0x259
#define MSR_MTRR_FIX4K_0        0x268
#define MSR_MTRR_FIX4K_7        0x26f
#define MSR_PAT                 0x277
#define MSR_MTRR_DEF_TYPE       0x2ff
#define MSR_VMX_BASIC           0x480
#define MSR_VMX_PIN             0x481
#define MSR_VMX_PROC            0x482
#define MSR_VMX_EXIT            0x483
#define MSR_VMX_ENTRY           0x484
#define MSR_VMX_MISC            0x485
#define MSR_VMX_CR0_FIXED0      0x486
#define MSR_VMX_CR0_FIXED1      0x487
#define MSR_VMX_CR4_FIXED0      0x488
#define MSR_VMX_CR4_FIXED1      0x489
#define MSR_VMX_VMCS_ENUM       0x48a
#define MSR_VMX_PROC2           0x48b
#define MSR_VMX_EPT_VPID_CAP    0x48c
#define MSR_VMX_TRUE_PIN        0x48d
#define MSR_VMX_TRUE_PROC       0x48e
#define MSR_VMX_TRUE_EXIT       0x48f
#define MSR_VMX_TRUE_ENTRY      0x490
#define MSR_VMX_VMFUNC          0x491
#define MSR_TSC_DEADLINE        0x6e0
#define MSR_X2APIC_FIRST        0x800
#define MSR_X2APIC_LAST         0x8ff
#define MSR_XSS                 0xda0
#define MSR_EFER                0xc0000080
#define MSR_STAR                0xc0000081
#define MSR_LSTAR               0xc0000082
#define MSR_CSTAR               0xc0000083
#define MSR_SFMASK              0xc0000084
#define MSR_FS_BASE             0xc0000100
#define MSR_GS_BASE             0xc0000101
#define MSR_KERNEL_GS_BASE      0xc0000102
#define MSR_TSC_AUX             0xc0000103
#define MSR_SYSCFG              0xc0010010
#define MSR_HWCR                0xc0010015
#define HWCR_TSC_FREQ_SEL       BIT(24)
#define MSR_NB_CFG              0xc001001f
#define MSR_INT_PENDING         0xc0010055 /* "Interrupt Pending": zero, no erratum 400 */
#define MSR_DC_CFG              0xc0011022
#define MSR_VM_CR               0xc0010114
#define VM_CR_SVMDIS            BIT(4)
#define VM_CR_LOCK              BIT(3)
#define MSR_VM_HSAVE_PA         0xc0010117

#define MSR_KVM_WALL_CLOCK      0x11
#define MSR_KVM_SYSTEM_TIME     0x12
#define MSR_KVM_WALL_CLOCK_NEW  0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01
#define MSR_KVM_STEAL_TIME      0x4b564d03
#define MSR_KVM_PV_EOI_EN       0x4b564d04

#endif
