/* SPDX-License-Identifier: MIT */
/*
 * The host's consoles: what is written goes to the serial port and the screen alike; what is typed comes from the
 * serial port and the keyboard, by interrupt, into a ring from which guests' UARTs take it. Implements the console part
 * of vmm/host.h. What is written by one call stays together.
 */
#include "arch/host/console.h"

#include "arch/host/host.h"

#include <vmm/host.h>
#include <vmm/log.h>
#include <vmm/string.h>

#define VGA_TEXT_PA   0xb8000
#define VGA_TEXT_SIZE KiB(32)

static void replay_line(void *arg, const char *line, size_t len)
{
	screen_write(arg, "havoc: ", 7);
	screen_write(arg, line, len);
	screen_write(arg, "\r\n", 2);
}

/* What was logged before the screen was there is not lost for it. */
static void screen_attached(struct console *c, hpa_t pa, u64 size)
{
	c->screen.pa = pa;
	c->screen.size = size;
	log_replay(SCREEN_ROWS_MAX, replay_line, &c->screen);
}

void console_screen_fb(struct console *c, const struct fb_params *p)
{
	u64 size;
	void *mem;

	if (c->screen.ops || !fbcon_usable(p, &size))
		return;
	mem = paging_map_phys(p->addr, size, PT_READ | PT_WRITE, PT_WC);
	if (!mem)
		return;
	fbcon_attach(&c->screen, p, mem);
	screen_attached(c, p->addr, size);
}

void console_screen_vga(struct console *c, unsigned cols, unsigned rows)
{
	void *mem;

	if (c->screen.ops || !cols || !rows || (u64)cols * rows * 2 > VGA_TEXT_SIZE)
		return;
	mem = paging_map_phys(VGA_TEXT_PA, VGA_TEXT_SIZE, PT_READ | PT_WRITE, PT_WC);
	if (!mem)
		return;
	vgacon_attach(&c->screen, mem, cols, rows);
	screen_attached(c, VGA_TEXT_PA, VGA_TEXT_SIZE);
}

static void console_take(void *ctx, u8 byte)
{
	struct console *c = ctx;

	if (c->rx_head - c->rx_tail == CONSOLE_RX_RING) {
		c->rx_lost++;
		return;
	}
	c->rx[c->rx_head++ % CONSOLE_RX_RING] = byte;
}

static void console_take_serial(void *ctx, u8 byte)
{
	((struct console *)ctx)->at_kbd = false;
	console_take(ctx, byte);
}

static void console_take_key(void *ctx, u8 byte)
{
	((struct console *)ctx)->at_kbd = true;
	console_take(ctx, byte);
}

/*
 * The terminal on the screen answers what a guest asks of it, unless somebody sits at one on the serial line, which
 * answers for itself. The lock is held: the listener is called by an interrupt.
 */
static void console_reply(void *arg, const char *text, size_t len)
{
	struct console *c = arg;

	if ((c->uart.present && !c->at_kbd) || !c->listener)
		return;
	/* A guest that asks without end leaves the user room to type. */
	if (c->rx_head - c->rx_tail > CONSOLE_RX_RING / 2)
		return;
	while (len--)
		console_take(c, (u8)*text++);
	lapic_ipi(host.boot_cpu.apic_id, IRQ_VECTOR_CONSOLE);
}

static void console_meanwhile(void *arg)
{
	uart_receive(&((struct console *)arg)->uart);
}

void console_keyboard_init(struct console *c)
{
	c->screen.reply_arg = c;
	c->screen.reply = console_reply;
	c->screen.meanwhile = console_meanwhile;
	if (c->screen.ops && !host.acpi.no_8042)
		kbd_init(&c->kbd);
}

void console_serial_init(struct console *c, u16 port, u32 speed)
{
	c->uart.take = console_take_serial;
	c->uart.take_ctx = c;
	(void)uart_init(&c->uart, port, speed);
}

bool console_service(struct console *c)
{
	void (*listener)(void *arg);
	bool arrived;

	spin_lock(&c->lock);
	uart_service(&c->uart);
	c->kbd.map.app_cursor = c->screen.term.app_cursor;
	kbd_service(&c->kbd, console_take_key, c);
	arrived = c->rx_head != c->rx_tail; /* now, or while somebody waited for room to write */
	spin_unlock(&c->lock);
	listener = __atomic_load_n(&c->listener, __ATOMIC_ACQUIRE);
	if (arrived && listener)
		listener(c->listener_arg);
	return arrived;
}

void console_break_locks(struct console *c)
{
	c->lock = (struct spinlock){0};
	screen_sane(&c->screen);
}

void console_flush(struct console *c)
{
	spin_lock(&c->lock);
	uart_flush(&c->uart);
	spin_unlock(&c->lock);
}

/* What was received while the lock was held makes no interrupt of its own any more. */
static void unlock_and_tell(struct console *c, bool typed_before)
{
	bool typed = host_console_typed();

	spin_unlock(&c->lock);
	if (unlikely(typed && !typed_before && __atomic_load_n(&c->listener, __ATOMIC_ACQUIRE)))
		lapic_ipi(host.boot_cpu.apic_id, IRQ_VECTOR_CONSOLE);
}

void host_console_write(const char *text, size_t len)
{
	struct console *c = &host.console;
	bool typed;

	spin_lock(&c->lock);
	typed = host_console_typed();
	uart_write(&c->uart, text, len);
	screen_write(&c->screen, text, len);
	unlock_and_tell(c, typed);
}

size_t host_console_pending(void)
{
	return uart_pending(&host.console.uart);
}

void host_console_drain(size_t left)
{
	struct console *c = &host.console;
	bool typed;

	spin_lock(&c->lock);
	typed = host_console_typed();
	uart_drain(&c->uart, (u32)left);
	unlock_and_tell(c, typed);
}

void host_console_poll(void)
{
	(void)serial_service();
	console_service(&host.console);
}

size_t host_console_room(void)
{
	struct console *c = &host.console;
	size_t room;

	spin_lock(&c->lock);
	room = uart_room(&c->uart);
	spin_unlock(&c->lock);
	return room;
}

size_t host_console_read(u8 *buf, size_t max)
{
	struct console *c = &host.console;
	size_t n = 0;

	spin_lock(&c->lock);
	while (n < max && c->rx_tail != c->rx_head)
		buf[n++] = c->rx[c->rx_tail++ % CONSOLE_RX_RING];
	spin_unlock(&c->lock);
	return n;
}

bool host_console_typed(void)
{
	const struct console *c = &host.console;

	return __atomic_load_n(&c->rx_head, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&c->rx_tail, __ATOMIC_RELAXED);
}

void host_console_listen(void (*fn)(void *arg), void *arg)
{
	/* Whoever sees the function has its argument. */
	host.console.listener_arg = arg;
	__atomic_store_n(&host.console.listener, fn, __ATOMIC_RELEASE);
	if (fn && host_console_typed()) /* before it was there */
		lapic_ipi(host.boot_cpu.apic_id, IRQ_VECTOR_CONSOLE);
}
