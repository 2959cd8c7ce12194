/* SPDX-License-Identifier: MIT */
/*
 * vmm/load/mptable.c: found as an OS finds it, and every entry walked as the MultiProcessor
 * Specification lays it out.
 */
/* SOURCES: vmm/load/mptable.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/load.h>
#include <vmm/machine.h>
#include <vmm/vioapic.h>
#include <vmm/vlapic.h>
#include "test/mock/mock.h"

static struct pagetable npt;
static struct gmem g;
static struct machine m;

static void *table_alloc(void *ctx)
{
	(void)ctx;
	return host_page_zalloc();
}
static void table_free(void *ctx, void *page)
{
	(void)ctx;
	host_page_free(page);
}
static void *table_va(void *ctx, hpa_t pa)
{
	(void)ctx;
	return host_va(pa);
}
static hpa_t table_pa(void *ctx, const void *va)
{
	(void)ctx;
	return host_pa(va);
}
static const struct pt_mem mem = {table_alloc, table_free, table_va, table_pa, NULL};

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	assert_int_equal(pt_init(&npt, &pt_format_ept, &mem, 3), 0);
	gmem_init(&g, &npt);
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(32)), 0);
	assert_int_equal(gmem_add(&g, 0, m.mem_low), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_destroy(&npt);
	gmem_destroy(&g);
	return 0;
}

static u64 get(gpa_t at, unsigned size)
{
	u64 v = 0;

	assert_int_equal(gmem_read(&g, at, &v, size), 0);
	return v;
}

static u8 sum(gpa_t at, u64 n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + get(at++, 1));
	return s;
}

struct found {
	unsigned cpus, bsps, buses, ioapics, ints, local_ints, extints;
	u32 pins;      /* a bit per ISA interrupt that has a route */
	u64 route[16]; /* the entry */
};

static void walk(struct found *f)
{
	gpa_t mpf = get(0x40e, 2) << 4, table, at, end;

	memset(f, 0, sizeof(*f));
	/* By the EBDA's segment, at its start, where it is looked for; conventional memory ends there. */
	assert_int_equal(mpf, m.mp_float);
	assert_int_equal(mpf, (get(0x413, 2) << 10));
	assert_int_equal(mpf, m.e820[0].base + m.e820[0].size);
	assert_int_equal(get(mpf, 4), 0x5f504d5f); /* _MP_ */
	assert_int_equal(get(mpf + 8, 1), 1);
	assert_int_equal(get(mpf + 9, 1), 4);
	assert_int_equal(sum(mpf, 16), 0);
	assert_int_equal(get(mpf + 11, 5), 0); /* a table, and no IMCR */
	table = get(mpf + 4, 4);
	assert_int_equal(get(table, 4), 0x504d4350); /* PCMP */
	end = table + get(table + 4, 2);
	assert_true(table >= mpf + 16 && end <= 0xa0000);
	assert_int_equal(sum(table, end - table), 0);
	assert_int_equal(get(table + 36, 4), VLAPIC_BASE);
	at = table + 44;
	for (u64 n = get(table + 34, 2); n; n--) {
		switch (get(at, 1)) {
		case 0:
			assert_int_equal(get(at + 1, 1), f->cpus);
			assert_int_equal(get(at + 3, 1) & 1, 1);
			f->bsps += get(at + 3, 1) >> 1 & 1;
			f->cpus++;
			at += 20;
			break;
		case 1:
			if (m.pci && !f->buses)
				assert_int_equal(get(at + 1, 7),
						 0x20202049435000); /* 0, "PCI   " */
			else
				assert_int_equal(get(at + 1, 7),
						 0x20202041534900 | (u64)m.pci); /* "ISA   " */
			f->buses++;
			at += 8;
			break;
		case 2:
			assert_int_equal(get(at + 1, 1), m.ioapic_id);
			assert_int_equal(get(at + 3, 1), 1);
			assert_int_equal(get(at + 4, 4), VIOAPIC_BASE);
			f->ioapics++;
			at += 8;
			break;
		case 3:
			assert_int_equal(get(at + 4, 1), m.pci);
			assert_int_equal(get(at + 6, 1), m.ioapic_id);
			if (get(at + 1, 1) == 3) { /* ExtINT, from pin 0 */
				assert_int_equal(get(at + 7, 1), 0);
				f->extints++;
				at += 8;
				break;
			}
			assert_int_equal(get(at + 1, 1), 0);
			/* 1:1, but for the PIT's */
			assert_int_equal(get(at + 7, 1), get(at + 5, 1) ? get(at + 5, 1) : 2);
			assert_true(get(at + 5, 1) < 16);
			assert_int_equal(f->pins >> get(at + 5, 1) & 1, 0);
			f->pins |= 1U << get(at + 5, 1);
			f->route[get(at + 5, 1)] = get(at, 8);
			f->ints++;
			at += 8;
			break;
		case 4:
			/* ExtINT on LINT0 of the first, NMI on LINT1 of all; conforming, of the ISA bus. */
			if (m.pic && !f->local_ints)
				assert_int_equal(get(at, 8), 0x0000000000000304 | (u64)m.pci << 32);
			else
				assert_int_equal(get(at, 8), 0x01ff000000000104 | (u64)m.pci << 32);
			f->local_ints++;
			at += 8;
			break;
		default:
			fail_msg("entry of type %u", (unsigned)get(at, 1));
		}
	}
	assert_int_equal(at, end);
}

static void test_table(void **state)
{
	struct found f;

	(void)state;
	assert_int_equal(load_mptable(&g, &m), 0);
	walk(&f);
	assert_int_equal(f.cpus, 1);
	assert_int_equal(f.bsps, 1);
	assert_int_equal(f.buses, 2);
	assert_int_equal(f.ioapics, 1);
	assert_int_equal(f.local_ints, 2);
	assert_int_equal(f.extints, 1);
	assert_int_equal(f.pins, 0xfffb); /* no cascade */
	assert_int_equal(f.route[m.uart_irq] >> 16 & 0xffff, 0);
	assert_int_equal(f.route[m.sci_irq] >> 16 & 0xffff, 0xd); /* level, high */
	machine_leave_out(&m, MACHINE_MINIMAL | MACHINE_HPET);
	assert_int_equal(load_mptable(&g, &m), 0);
	walk(&f);
	assert_int_equal(f.buses, 1);
	assert_int_equal(f.local_ints, 1);
	assert_int_equal(f.extints, 0);
	assert_int_equal(f.pins, 0xfffa); /* nor PIT */
}

/* However many CPUs: one entry for each, and an end before video memory. */
static void test_cpus(void **state)
{
	static const unsigned cpus[] = {1, 2, 3, 8, 14, 15, 16, 63, 64};
	struct found f;

	(void)state;
	assert_true(cpus[ARRAY_SIZE(cpus) - 1] == MACHINE_CPUS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		assert_int_equal(machine_describe(&m, "guest", cpus[i], MiB(32)), 0);
		assert_int_equal(load_mptable(&g, &m), 0);
		walk(&f);
		assert_int_equal(f.cpus, cpus[i]);
		assert_int_equal(f.bsps, 1);
		assert_int_equal(f.ioapics, 1);
		assert_int_equal(f.pins, 0xfffb);
	}
	/* A machine with fewer: nothing of the longer table is left. */
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(32)), 0);
	assert_int_equal(load_mptable(&g, &m), 0);
	for (gpa_t at = get(m.mp_float + 4, 4) + get(get(m.mp_float + 4, 4) + 4, 2); at < 0xa0000;
	     at++)
		assert_int_equal(get(at, 1), 0);
}

static void test_refused(void **state)
{
	struct gmem empty;

	(void)state;
	gmem_init(&empty, &npt);
	assert_int_equal(load_mptable(&empty, &m), -HV_EINVAL);
	m.cpus = MACHINE_CPUS_MAX + 1;
	assert_int_equal(load_mptable(&g, &m), -HV_EINVAL);
	m.cpus = 1;
	m.mp_float = 0xf0000;
	assert_int_equal(load_mptable(&g, &m), -HV_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
