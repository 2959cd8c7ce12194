/* SPDX-License-Identifier: MIT */
/*
 * The seam down: all that vmm/ may ask of the machine it runs on. arch/host/host.c implements it on
 * the metal, test/mock/ on a development host. Nothing in vmm/ executes a privileged instruction;
 * it calls one of these.
 *
 * Context: root mode, interrupts off, unless a function says otherwise.
 */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include <vmm/types.h>

/* ---- Memory ------------------------------------------------------------------------------- */

/*
 * `size` bytes (a multiple of PAGE_SIZE) of physically contiguous memory at a multiple of `align`
 * (a power of two >= PAGE_SIZE). Contents are undefined. -HV_ENOMEM if there is none.
 */
int host_mem_alloc(u64 size, u64 align, hpa_t *out) must_check;
void host_mem_free(hpa_t pa, u64 size);
u64 host_mem_free_bytes(void);

/* One cleared page, or NULL; addresses are of the direct map. */
void *host_page_zalloc(void) must_check;
void host_page_free(void *page);

/* The direct map: all RAM is mapped read-write, never executable. */
void *host_va(hpa_t pa);
hpa_t host_pa(const void *va);

/* ---- Time --------------------------------------------------------------------------------- */

/* The host clock: TSC ticks, monotonic, one rate for ever. */
u64 host_ticks(void);
u64 host_tick_hz(void);
/* Nanoseconds since 1970-01-01 UTC at tick 0 of host_ticks(); from the machine's RTC at boot. */
s64 host_epoch_ns(void);

/*
 * The one hardware timer of `cpu`, on which this is called: an interrupt at or soon after `deadline` (host ticks); it
 * ends a guest's run (EXIT_EXT_INTR) and host_idle(). HOST_TIMER_OFF disarms it.
 */
#define HOST_TIMER_OFF (~0ULL)
void host_timer_arm(unsigned cpu, u64 deadline);

/* ---- CPU ---------------------------------------------------------------------------------- */

/* Waits, in HLT with interrupts on, until an interrupt has been serviced; returns at once if one is pending. */
void host_idle(void);
/* Services the host interrupt `vector` that a VM exit acknowledged on `cpu` (VMX "acknowledge interrupt on exit"). */
void host_irq_service(unsigned cpu, u8 vector);
/* Makes CPU `cpu`, this one or another, leave guest mode or host_idle(). */
void host_kick(unsigned cpu);
/* The real CPU's CPUID; out = eax, ebx, ecx, edx: all zero for a leaf beyond the CPU's highest. */
void host_cpuid(u32 leaf, u32 subleaf, u32 out[4]);

/* ---- Console ------------------------------------------------------------------------------ */

/* Writes to every host console (serial and screen). May wait for the UART; gives up on a dead one. */
void host_console_write(const char *text, size_t len);
/* Bytes that can be written now without waiting, on the slowest of them. */
size_t host_console_room(void);
/* Bytes that are still to be sent. Takes no lock. */
size_t host_console_pending(void);
/* Waits until no more than `left` bytes are still to be sent; gives up as write() does. */
void host_console_drain(size_t left);
/*
 * Sends and takes what is there, as the consoles' interrupts do: for who cannot count on them, since a guest that has the CPU may hold
 * them back in an emulator. On the first CPU.
 */
void host_console_poll(void);
/* Takes up to `max` bytes that were typed; 0 if none. Called with interrupts off; never waits. */
size_t host_console_read(u8 *buf, size_t max);
/* Is there anything to take? Takes no lock. */
bool host_console_typed(void);
/* `fn(arg)` is called (interrupts off) when input has arrived. One listener; NULL for none. */
void host_console_listen(void (*fn)(void *arg), void *arg);

/*
 * Serial ports besides the console's. open(): the one at `port`, 115200 8N1; before any guest runs, or on the first CPU. A
 * number for the others, the same if it is opened again; -HV_ENODEV: there is none; -HV_EBUSY: it is the console's own.
 * arrived(arg) is called in an interrupt. write() may wait for the port; read() never does.
 */
int host_serial_open(u16 port, void (*arrived)(void *arg), void *arg) must_check;
void host_serial_write(int number, const u8 *buf, size_t len);
size_t host_serial_read(int number, u8 *buf, size_t max);

/* ---- End of the machine ------------------------------------------------------------------- */

_Noreturn void host_panic(const char *fmt, ...) printf_like(1, 2);
_Noreturn void host_poweroff(void); /* ACPI S5; says so and halts where that fails */
_Noreturn void host_reboot(void); /* ACPI reset register, 0xCF9, keyboard controller, triple fault */
_Noreturn void host_halt(void);   /* interrupts off, for ever; last console bytes are flushed */

#endif
