/* SPDX-License-Identifier: MIT */
/*
 * The keyboard controller, ports 0x60 and 0x64: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary
 * Device Controller" (status register, command byte, commands, output port); the A20 commands 0xDD and 0xDF of the clones;
 * port 0x92: "System Control Port A". Called by a machine's port bus only.
 *
 * It works at once: the input buffer is always empty. Nothing is plugged in, so a byte for the keyboard or the mouse ends in the
 * transmit time-out: status bit 6, and 0xFE (resend) in the output buffer.
 *
 * What Linux makes of it (drivers/input/serio/i8042.c), and why nothing there runs into a time-out:
 * - i8042_controller_check() reads the output buffer until it is empty, which it is.
 * - i8042_controller_init() reads the command byte until two reads agree; i8042_controller_selftest() wants 0x55.
 * - i8042_check_aux(): 0xD3 gives its byte back marked as the mouse's; 0xA7 and 0xA8 show in the command byte; then 0xD3 once more,
 *   with IRQ 12 enabled, must interrupt within 250 ms. i8042_check_mux(): 0xD3 0xA4 comes back as it was sent: no multiplexer.
 * - So both ports are there, and serio's drivers try them: atkbd and psmouse send a byte (0xF2, 0xED, ...), and libps2 waits up to
 *   200 ms for an interrupt with an answer. The 0xFE is there at once; it is sent again a time or two, and then given up.
 */
#include <vmm/vkbc.h>

#define ST_OBF     BIT(0) /* output buffer full */
#define ST_SYS     BIT(2) /* system flag, of the command byte */
#define ST_CMD     BIT(3) /* the last write was to 0x64 */
#define ST_UNLOCK  BIT(4) /* the keyboard lock is open */
#define ST_AUX     BIT(5) /* the byte in the output buffer is the mouse's */
#define ST_TIMEOUT BIT(6)
#define ST_BYTE    (ST_OBF | ST_AUX | ST_TIMEOUT) /* what is said of the byte in the output buffer */

#define CB_INT1    BIT(0)
#define CB_INT12   BIT(1)
#define CB_SYS     BIT(2)
#define CB_KBD_DIS BIT(4)
#define CB_AUX_DIS BIT(5)
#define CB_XLATE   BIT(6)
/* As firmware leaves it that has found no keyboard and no mouse. */
#define CB_RESET (CB_SYS | CB_KBD_DIS | CB_AUX_DIS | CB_XLATE)

#define OUT_RESET BIT(0) /* low: reset */
#define OUT_A20   BIT(1)
#define OUT_IRQ1  BIT(4)
#define OUT_IRQ12 BIT(5)
#define OUT_LIVE  (OUT_RESET | OUT_A20 | OUT_IRQ1 | OUT_IRQ12) /* not stored in `output` */
#define OUT_IDLE  0xcc /* clocks and data of both ports, released */

#define IN_UNLOCK   BIT(7) /* input port: the keyboard lock is open */
#define PASSED      0x55   /* self test */
#define NO_PASSWORD 0xf1
#define RESEND      0xfe

#define P92_RESET BIT(0)
#define P92_A20   BIT(1)

/* ---- Output buffer and interrupts ------------------------------------------------------------- */

static void line_set(const struct irq_line *irq, bool *was, bool level)
{
	if (level == *was)
		return;
	*was = level;
	irq_line_set(irq, level);
}

/* "Output buffer full" is the interrupt, whichever byte it is: the controller's own answers interrupt as well. */
static void update(struct vkbc *k)
{
	bool full = k->status & ST_OBF, aux = k->status & ST_AUX;

	line_set(&k->irq1, &k->irq1_level, full && !aux && k->ram[0] & CB_INT1);
	line_set(&k->irq12, &k->irq12_level, full && aux && k->ram[0] & CB_INT12);
}

/* A byte that has not been read yet is lost: there is one buffer, and the controller does not wait. */
static void reply(struct vkbc *k, u8 value, u8 flags)
{
	k->data = value;
	k->status = (u8)((k->status & ~ST_BYTE) | ST_OBF | flags);
	update(k);
}

/* What is read from an empty buffer is what was in it last. */
static u64 data_read(void *dev, unused u64 offset, unused unsigned size)
{
	struct vkbc *k = dev;

	k->status &= (u8)~ST_BYTE;
	update(k);
	return k->data;
}

/* ---- Reset and A20 ---------------------------------------------------------------------------- */

static void reset_machine(struct vkbc *k)
{
	k->ops->reset(k->ctx, "the keyboard controller");
}

static u8 output_port(const struct vkbc *k)
{
	return (u8)(k->output | OUT_RESET | (k->a20 ? OUT_A20 : 0) |
		    (k->irq1_level ? OUT_IRQ1 : 0) | (k->irq12_level ? OUT_IRQ12 : 0));
}

static void output_port_write(struct vkbc *k, u8 value)
{
	k->output = value & (u8)~OUT_LIVE;
	k->a20 = value & OUT_A20;
	if (!(value & OUT_RESET))
		reset_machine(k);
}

/* ---- Commands --------------------------------------------------------------------------------- */

static void command_byte_change(struct vkbc *k, u8 set, u8 clear)
{
	k->ram[0] = (u8)((k->ram[0] & ~clear) | set);
	update(k);
}

/* The clocks of the two ports: pulled up where nobody holds them, held low where the port is disabled. */
static u8 test_inputs(const struct vkbc *k)
{
	return (u8)((k->ram[0] & CB_KBD_DIS ? 0 : BIT(0)) | (k->ram[0] & CB_AUX_DIS ? 0 : BIT(1)));
}

/* Those of one kind, at 0x20-0x3f, 0x60-0x7f and 0xf0-0xff, are not in the switch. What is no command has no effect. */
static void single_command(struct vkbc *k, u8 command)
{
	switch (command) {
	case 0xa4: /* is there a password? */
		reply(k, NO_PASSWORD, 0);
		break;
	case 0xa7:
		command_byte_change(k, CB_AUX_DIS, 0);
		break;
	case 0xa8:
		command_byte_change(k, 0, CB_AUX_DIS);
		break;
	case 0xa9: /* tests of the ports: lines neither stuck high nor low */
	case 0xab:
		reply(k, 0, 0);
		break;
	case 0xaa:
		command_byte_change(k, CB_SYS, 0);
		reply(k, PASSED, 0);
		break;
	case 0xad:
		command_byte_change(k, CB_KBD_DIS, 0);
		break;
	case 0xae:
		command_byte_change(k, 0, CB_KBD_DIS);
		break;
	case 0xc0:
		reply(k, IN_UNLOCK, 0);
		break;
	case 0xd0:
		reply(k, output_port(k), 0);
		break;
	case 0xd1: /* a byte follows */
	case 0xd2:
	case 0xd3:
	case 0xd4:
		k->command = command;
		break;
	case 0xdd:
	case 0xdf:
		k->a20 = command & OUT_A20;
		break;
	case 0xe0:
		reply(k, test_inputs(k), 0);
		break;
	default:
		break;
	}
}

/* A new command takes the place of one that still waits for its byte. */
static void command_write(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vkbc *k = dev;
	u8 command = (u8)value;

	k->status |= ST_CMD;
	k->command = 0;
	switch (command >> 4) {
	case 0x2:
	case 0x3:
		reply(k, k->ram[command % VKBC_RAM_SIZE], 0);
		break;
	case 0x6:
	case 0x7:
		k->command = command;
		break;
	case 0xf: /* pulses the low lines of the output port whose bits are 0: A20 is back before anyone could look */
		if (!(command & OUT_RESET))
			reset_machine(k);
		break;
	default:
		single_command(k, command);
		break;
	}
}

static u64 status_read(void *dev, unused u64 offset, unused unsigned size)
{
	const struct vkbc *k = dev;

	return k->status | (k->ram[0] & CB_SYS ? ST_SYS : 0);
}

/* ---- Data ------------------------------------------------------------------------------------- */

static void parameter(struct vkbc *k, u8 command, u8 value)
{
	switch (command) {
	case 0xd1:
		output_port_write(k, value);
		break;
	case 0xd2:
		reply(k, value, 0);
		break;
	case 0xd3:
		reply(k, value, ST_AUX);
		break;
	case 0xd4: /* to send is to enable, with the keyboard as well */
		k->ram[0] &= (u8)~CB_AUX_DIS;
		reply(k, RESEND, ST_AUX | ST_TIMEOUT);
		break;
	default: /* 0x60-0x7f */
		k->ram[command % VKBC_RAM_SIZE] = value;
		update(k);
		break;
	}
}

static void data_write(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vkbc *k = dev;
	u8 command = k->command;

	k->status &= (u8)~ST_CMD;
	k->command = 0;
	if (command) {
		parameter(k, command, (u8)value);
	} else {
		k->ram[0] &= (u8)~CB_KBD_DIS;
		reply(k, RESEND, ST_TIMEOUT);
	}
}

const struct bus_ops vkbc_data_bus_ops = {.read = data_read, .write = data_write};
const struct bus_ops vkbc_command_bus_ops = {.read = status_read, .write = command_write};

/* ---- Port 0x92 -------------------------------------------------------------------------------- */

static u64 port92_read(void *dev, unused u64 offset, unused unsigned size)
{
	const struct vkbc *k = dev;

	return k->port92 | (k->a20 ? P92_A20 : 0);
}

/* A real board ORs this port's A20 with the controller's; with one bit whoever writes last has his way, and reads it back. */
static void port92_write(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vkbc *k = dev;
	bool rises = value & ~k->port92 & P92_RESET;

	k->port92 = value & P92_RESET;
	k->a20 = value & P92_A20;
	if (rises)
		k->ops->reset(k->ctx, "port 0x92");
}

const struct bus_ops vkbc_port92_bus_ops = {.read = port92_read, .write = port92_write};

/* ---- Life ------------------------------------------------------------------------------------- */

/* A20 on: a kernel is entered in a mode that needs it. */
void vkbc_reset(struct vkbc *k)
{
	unsigned i;

	for (i = 0; i < VKBC_RAM_SIZE; i++)
		k->ram[i] = 0;
	k->ram[0] = CB_RESET;
	k->status = ST_UNLOCK;
	k->data = k->command = k->port92 = 0;
	k->output = OUT_IDLE;
	k->a20 = true;
	update(k);
}

void vkbc_init(struct vkbc *k, const struct irq_line *irq1, const struct irq_line *irq12,
	       const struct vkbc_ops *ops, void *ctx)
{
	*k = (struct vkbc){.irq1 = *irq1, .irq12 = *irq12, .ops = ops, .ctx = ctx};
	vkbc_reset(k);
}
