/* SPDX-License-Identifier: MIT */
/*
 * Power and reset of a machine. ACPI fixed hardware in one block of 12 ports: PM1 event, PM1 control, PM timer (ACPI
 * specification, "PM1 Event Registers", "PM1 Control Registers", "Power Management Timer"); the reset control register
 * 0xCF9 (ICH data sheets, "RST_CNT"); the keyboard controller's reset; port 0x92 (IBM PS/2 "System Control Port A").
 */
#include <vmm/vpm.h>

/* Offsets in the ACPI block. */
enum { OFF_STS = 0, OFF_EN = 2, OFF_CNT = 4, OFF_TIMER = 8 };

#define PM1_TMR     BIT(0) /* TMR_STS, TMR_EN */
#define PM1_WAK_STS BIT(15)
/* GBL, PWRBTN, SLPBTN, RTC: can be enabled, but nothing sets their status bits here. */
#define PM1_EN_BITS (PM1_TMR | BIT(5) | BIT(8) | BIT(9) | BIT(10))

#define CNT_SCI_EN  BIT(0) /* always set: there is no legacy mode to leave */
#define CNT_BM_RLD  BIT(1)
#define CNT_SLP_TYP GENMASK(12, 10)
#define CNT_SLP_EN  BIT(13) /* write only */

#define CF9_SYS_RST  BIT(1) /* hard, not soft; the same to a machine without firmware */
#define CF9_RST_CPU  BIT(2) /* a rising edge resets */
#define CF9_FULL_RST BIT(3)

#define P92_RESET BIT(0)
#define P92_A20   BIT(1)

/*
 * There is no keyboard controller behind the status port, only its reset line. Input buffer empty (bit 1 clear): what
 * waits to send the reset command does so at once. Output buffer full (bit 0) for ever: what probes for a
 * keyboard drains it, sees no end, and finds no controller without waiting for replies. (Linux i8042_flush.)
 */
#define KBC_STATUS       (BIT(0) | BIT(2) | BIT(4))
#define KBC_PULSE        0xf0 /* 0xf0-0xff: pulse the output lines whose bit is 0; line 0 is the reset */
#define KBC_PULSE_MASK   0xf1 /* of those, the commands with bit 0 clear */
#define PM_TIMER_MSB_LOG 31

static u64 timer_count(const struct vpm *p)
{
	return clock_mul_div(clock_now(p->clock), VPM_PM_TIMER_HZ, p->clock->hz);
}

/* TMR_STS is set whenever the most significant bit changes: once in each half-period. */
static u16 status(const struct vpm *p)
{
	return p->pm1_sts | (timer_count(p) >> PM_TIMER_MSB_LOG != p->tmr_seen ? PM1_TMR : 0);
}

static void update(struct vpm *p)
{
	u16 sts = status(p);
	bool level = sts & p->pm1_en & PM1_EN_BITS;
	u64 deadline = CLOCK_NEVER;

	if (p->pm1_en & PM1_TMR && !(sts & PM1_TMR))
		/* Rounded up, so that the bit has changed when the tick has come. */
		deadline = clock_mul_div((p->tmr_seen + 1) << PM_TIMER_MSB_LOG, p->clock->hz,
					 VPM_PM_TIMER_HZ) +
			   1;
	if (deadline != p->timer.deadline)
		timer_set(p->clock, &p->timer, deadline);
	if (level != p->sci_level) {
		p->sci_level = level;
		irq_line_set(&p->sci, level);
	}
}

static void fire(void *arg)
{
	update(arg);
}

/* ---- ACPI block --------------------------------------------------------------------------- */

static u64 acpi_read(void *dev, u64 offset, unsigned size)
{
	struct vpm *p = dev;
	u64 regs[2], value = 0;
	unsigned i;

	if (likely(offset == OFF_TIMER && size == 4))
		return (u32)timer_count(p);
	regs[0] = status(p) | (u64)p->pm1_en << (OFF_EN * 8) | (u64)p->pm1_cnt << (OFF_CNT * 8);
	regs[1] = (u32)timer_count(p);
	for (i = 0; i < size; i++) {
		u64 at = offset + i;

		value |= (regs[at / 8 & 1] >> (at % 8 * 8) & 0xff) << (i * 8);
	}
	return value;
}

/* A sleep state that the machine does not have ends at once: what waits for WAK_STS goes on. */
static void sleep(struct vpm *p, u16 cnt)
{
	if (field_get(CNT_SLP_TYP, cnt) == VPM_S5_TYPE)
		p->ops->poweroff(p->ctx);
	else
		p->pm1_sts |= PM1_WAK_STS;
}

static void status_clear(struct vpm *p, u16 bits)
{
	p->pm1_sts &= (u16)~bits;
	if (bits & PM1_TMR)
		p->tmr_seen = timer_count(p) >> PM_TIMER_MSB_LOG;
}

static void control_write(struct vpm *p, u16 value, u16 mask)
{
	u16 cnt = (u16)((p->pm1_cnt & ~mask) | (value & mask));

	p->pm1_cnt = (u16)((cnt & (CNT_BM_RLD | CNT_SLP_TYP)) | CNT_SCI_EN);
	if (value & mask & CNT_SLP_EN)
		sleep(p, cnt);
}

/* The bytes of a write that fall into the 16-bit register at `reg`, as value and mask; the mask is 0 if none do. */
static u16 slice(u64 offset, unsigned size, u64 value, u64 reg, u16 *mask)
{
	u16 out = 0;
	unsigned i;

	*mask = 0;
	for (i = 0; i < 2; i++) {
		u64 at = reg + i - offset;

		if (at >= size)
			continue;
		out |= (u16)((value >> (at * 8) & 0xff) << (i * 8));
		*mask |= (u16)(0xff << (i * 8));
	}
	return out;
}

static void acpi_write(void *dev, u64 offset, unsigned size, u64 value)
{
	struct vpm *p = dev;
	u16 bits, mask;

	bits = slice(offset, size, value, OFF_STS, &mask);
	if (mask)
		status_clear(p, bits);
	bits = slice(offset, size, value, OFF_EN, &mask);
	if (mask)
		p->pm1_en = (u16)(((p->pm1_en & ~mask) | bits) & PM1_EN_BITS);
	bits = slice(offset, size, value, OFF_CNT, &mask);
	if (mask)
		control_write(p, bits, mask);
	update(p); /* the timer is read only */
}

const struct bus_ops vpm_acpi_bus_ops = {.read = acpi_read, .write = acpi_write};

/* ---- Resets ------------------------------------------------------------------------------- */

static u64 cf9_read(void *dev, unused u64 offset, unused unsigned size)
{
	return ((struct vpm *)dev)->cf9;
}

static void cf9_write(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vpm *p = dev;
	bool rises = value & ~p->cf9 & CF9_RST_CPU;

	p->cf9 = value & (CF9_SYS_RST | CF9_RST_CPU | CF9_FULL_RST);
	if (rises)
		p->ops->reset(p->ctx, "port 0xCF9");
}

const struct bus_ops vpm_cf9_bus_ops = {.read = cf9_read, .write = cf9_write};

static u64 kbc_read(unused void *dev, unused u64 offset, unused unsigned size)
{
	return KBC_STATUS;
}

static void kbc_write(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vpm *p = dev;

	if ((value & KBC_PULSE_MASK) == KBC_PULSE)
		p->ops->reset(p->ctx, "the keyboard controller");
}

const struct bus_ops vpm_kbc_bus_ops = {.read = kbc_read, .write = kbc_write};

static u64 port92_read(void *dev, unused u64 offset, unused unsigned size)
{
	return ((struct vpm *)dev)->port92;
}

static void port92_write(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vpm *p = dev;
	bool rises = value & ~p->port92 & P92_RESET;

	p->port92 = value & (P92_RESET | P92_A20);
	if (rises)
		p->ops->reset(p->ctx, "port 0x92");
}

const struct bus_ops vpm_port92_bus_ops = {.read = port92_read, .write = port92_write};

void vpm_reset(struct vpm *p)
{
	p->pm1_sts = p->pm1_en = 0;
	p->pm1_cnt = CNT_SCI_EN;
	p->cf9 = 0;
	p->port92 = P92_A20;
	status_clear(p, PM1_TMR);
	update(p);
}

void vpm_init(struct vpm *p, struct clock *clock, const struct irq_line *sci,
	      const struct vpm_ops *ops, void *ctx)
{
	*p = (struct vpm){.clock = clock, .sci = *sci, .ops = ops, .ctx = ctx};
	timer_init(&p->timer, fire, p);
	vpm_reset(p);
}
