/* SPDX-License-Identifier: MIT */
/*
 * Field encodings of the VMCS: SDM vol. 3, appendix "Field Encoding in VMCS". Constants only, without
 * suffixes: run.S includes this file too. Fields of segments stand in the order of enum vseg, two apart.
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

/* 16-bit */
#define VMCS_VPID           0x0000
#define VMCS_GUEST_SELECTOR 0x0800 /* + 2 * enum vseg, ES to TR */
#define VMCS_HOST_ES        0x0c00
#define VMCS_HOST_CS        0x0c02
#define VMCS_HOST_SS        0x0c04
#define VMCS_HOST_DS        0x0c06
#define VMCS_HOST_FS        0x0c08
#define VMCS_HOST_GS        0x0c0a
#define VMCS_HOST_TR        0x0c0c

/* 64-bit */
#define VMCS_IO_BITMAP_A         0x2000
#define VMCS_IO_BITMAP_B         0x2002
#define VMCS_MSR_BITMAP          0x2004
#define VMCS_EXIT_MSR_STORE_ADDR 0x2006
#define VMCS_EXIT_MSR_LOAD_ADDR  0x2008
#define VMCS_ENTRY_MSR_LOAD_ADDR 0x200a
#define VMCS_PML_ADDR            0x200e
#define VMCS_TSC_OFFSET          0x2010
#define VMCS_VIRTUAL_APIC_ADDR   0x2012
#define VMCS_APIC_ACCESS_ADDR    0x2014
#define VMCS_EPT_POINTER         0x201a
#define VMCS_XSS_EXIT_BITMAP     0x202c
#define VMCS_ENCLS_EXIT_BITMAP   0x202e
#define VMCS_GUEST_PHYSICAL      0x2400
#define VMCS_LINK_POINTER        0x2800
#define VMCS_GUEST_DEBUGCTL      0x2802
#define VMCS_GUEST_PAT           0x2804
#define VMCS_GUEST_EFER          0x2806
#define VMCS_GUEST_PDPTE0        0x280a /* + 2 * n */
#define VMCS_HOST_PAT            0x2c00
#define VMCS_HOST_EFER           0x2c02

/* 32-bit */
#define VMCS_PIN_CONTROLS           0x4000
#define VMCS_PROC_CONTROLS          0x4002
#define VMCS_EXCEPTION_BITMAP       0x4004
#define VMCS_PF_ERROR_MASK          0x4006
#define VMCS_PF_ERROR_MATCH         0x4008
#define VMCS_CR3_TARGET_COUNT       0x400a
#define VMCS_EXIT_CONTROLS          0x400c
#define VMCS_EXIT_MSR_STORE_COUNT   0x400e
#define VMCS_EXIT_MSR_LOAD_COUNT    0x4010
#define VMCS_ENTRY_CONTROLS         0x4012
#define VMCS_ENTRY_MSR_LOAD_COUNT   0x4014
#define VMCS_ENTRY_INTR_INFO        0x4016
#define VMCS_ENTRY_INTR_ERROR       0x4018
#define VMCS_ENTRY_INSN_LEN         0x401a
#define VMCS_TPR_THRESHOLD          0x401c
#define VMCS_PROC2_CONTROLS         0x401e
#define VMCS_INSN_ERROR             0x4400
#define VMCS_EXIT_REASON            0x4402
#define VMCS_EXIT_INTR_INFO         0x4404
#define VMCS_EXIT_INTR_ERROR        0x4406
#define VMCS_VECTORING_INFO         0x4408
#define VMCS_VECTORING_ERROR        0x440a
#define VMCS_EXIT_INSN_LEN          0x440c
#define VMCS_EXIT_INSN_INFO         0x440e
#define VMCS_GUEST_LIMIT            0x4800 /* + 2 * enum vseg, ES to IDTR */
#define VMCS_GUEST_ACCESS           0x4814 /* + 2 * enum vseg, ES to TR */
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824
#define VMCS_GUEST_ACTIVITY         0x4826
#define VMCS_GUEST_SYSENTER_CS      0x482a
#define VMCS_PREEMPTION_TIMER       0x482e
#define VMCS_HOST_SYSENTER_CS       0x4c00

/* Natural width */
#define VMCS_CR0_MASK           0x6000
#define VMCS_CR4_MASK           0x6002
#define VMCS_CR0_SHADOW         0x6004
#define VMCS_CR4_SHADOW         0x6006
#define VMCS_EXIT_QUALIFICATION 0x6400
#define VMCS_GUEST_LINEAR       0x640a
#define VMCS_GUEST_CR0          0x6800
#define VMCS_GUEST_CR3          0x6802
#define VMCS_GUEST_CR4          0x6804
#define VMCS_GUEST_BASE         0x6806 /* + 2 * enum vseg, ES to IDTR */
#define VMCS_GUEST_DR7          0x681a
#define VMCS_GUEST_RSP          0x681c
#define VMCS_GUEST_RIP          0x681e
#define VMCS_GUEST_RFLAGS       0x6820
#define VMCS_GUEST_PENDING_DBG  0x6822
#define VMCS_GUEST_SYSENTER_ESP 0x6824
#define VMCS_GUEST_SYSENTER_EIP 0x6826
#define VMCS_HOST_CR0           0x6c00
#define VMCS_HOST_CR3           0x6c02
#define VMCS_HOST_CR4           0x6c04
#define VMCS_HOST_FS_BASE       0x6c06
#define VMCS_HOST_GS_BASE       0x6c08
#define VMCS_HOST_TR_BASE       0x6c0a
#define VMCS_HOST_GDTR_BASE     0x6c0c
#define VMCS_HOST_IDTR_BASE     0x6c0e
#define VMCS_HOST_SYSENTER_ESP  0x6c10
#define VMCS_HOST_SYSENTER_EIP  0x6c12
#define VMCS_HOST_RSP           0x6c14
#define VMCS_HOST_RIP           0x6c16

#endif
