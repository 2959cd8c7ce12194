/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c vmm/core/extint.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvm_call.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/task_segments.c vmm/core/task_switch.c vmm/core/task_tss.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/sched.c vmm/core/run.c
 *   vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
 *   vmm/dev/vpm.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/vuart.c vmm/emul/alu.c
 *   vmm/emul/decode.c vmm/emul/exec.c vmm/emul/exec_string.c vmm/emul/length.c vmm/emul/mem.c
 *   vmm/emul/modrm.c vmm/emul/opcodes.c vmm/irq/vioapic.c vmm/irq/vpic.c vmm/irq/vlapic.c
 *   vmm/irq/vlapic_ipi.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_timer.c vmm/load/acpi_gen.c
 *   vmm/load/kernel.c vmm/load/loader.c vmm/load/bz_header.c vmm/load/elf.c vmm/load/pvh.c vmm/load/multiboot.c
 *   vmm/load/bzimage.c vmm/load/mptable.c vmm/load/reset_vector.c vmm/load/zeropage.c vmm/machine/config.c
 *   vmm/machine/machine.c vmm/machine/pc.c vmm/dev/vpit.c vmm/dev/vpci.c
 *   vmm/dev/vkbc.c vmm/dev/vhpet.c vmm/mem/gmem.c vmm/mem/gwalk.c vmm/mem/page_alloc.c
 *   vmm/mem/pagetable.c vmm/mem/pt_formats.c vmm/lib/fmt.c vmm/lib/log.c vmm/lib/log_keep.c test/mock/host.c
 *   test/mock/backend.c vmm/lib/report.c vmm/monitor/commands.c
 *   vmm/monitor/commands_life.c vmm/monitor/commands_show.c vmm/monitor/commands_stats.c vmm/monitor/commands_vcpu.c
 *   vmm/monitor/edit.c vmm/monitor/guests.c vmm/monitor/monitor.c vmm/monitor/mux.c vmm/monitor/mux_keys.c vmm/monitor/mux_text.c */
/*
 * The monitor as a person or a program uses it: what is typed, and what is answered, for every command and in every state of a
 * guest, as text and as JSON.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>

#include "../mock/json.h"
#include "../mock/monitor_test.h"

#define PROMPT "\rhavoc> \x1b[K"

static void open_monitor(void)
{
	hv.live++;
	mux_open_monitor(&mux);
	assert_true(settle());
	assert_true(monitor->open);
	hv_ended(&hv, false);
}

static int setup(unused void **state)
{
	machine_start();
	log_set_level(LOG_ERR);
	open_monitor();
	return 0;
}

static int teardown(unused void **state)
{
	machine_end();
	/* The terminal keeps what guests have written. */
	for (unsigned i = 0; i < GUESTS_MAX; i++)
		if (mux.port[i].kept)
			host_mem_free(host_pa(mux.port[i].kept), MUX_KEPT + MUX_TYPED);
	assert_int_equal(mock_host.live, 0);
	log_set_level(LOG_INFO);
	return 0;
}

static void type(const char *text)
{
	mock_host_type(text, strlen(text));
}

static const char *console(void)
{
	return mock_host.console;
}

/* Types a line, and returns what is said between it and the next prompt. */
static const char *ask(const char *line)
{
	static char answer[MOCK_CONSOLE_MAX];
	const char *from;
	size_t len;

	mock_host_console_clear();
	type(line);
	type("\r");
	assert_true(settle());
	from = strstr(console(), "\r\n");
	assert_non_null(from);
	fmt_s(answer, sizeof(answer), "%s", from + 2);
	len = strlen(answer);
	if (len >= strlen(PROMPT) && !strcmp(answer + len - strlen(PROMPT), PROMPT))
		answer[len - strlen(PROMPT)] = '\0';
	return answer;
}

static void says(const char *line, const char *text)
{
	assert_string_equal(ask(line), text);
}

static void has(const char *line, const char *part)
{
	const char *answer = ask(line);

	if (!strstr(answer, part))
		print_error("%s: \"%s\" is not in: %s\n", line, part, answer);
	assert_non_null(strstr(answer, part));
}

/* The same with -j: one object on one line. */
static const char *json(const char *line)
{
	char with[EDIT_MAX];
	const char *answer;
	size_t len;

	fmt_s(with, sizeof(with), "%s -j", line);
	answer = ask(with);
	len = strlen(answer);
	if (len < 4 || !json_is_object(answer, len - 2))
		print_error("%s: no JSON: %s\n", with, answer);
	assert_true(len >= 4 && json_is_object(answer, len - 2));
	assert_string_equal(answer + len - 2, "\r\n");
	return answer;
}

static void json_has(const char *line, const char *part)
{
	const char *answer = json(line);

	if (!strstr(answer, part))
		print_error("%s: \"%s\" is not in: %s\n", line, part, answer);
	assert_non_null(strstr(answer, part));
}

/* ---- The checker itself ------------------------------------------------------------------------------ */

static void the_checker(unused void **state)
{
	static const char *const good[] = {"{}", "{\"a\":1}",
					   "{\"a\":-0.5e+3,\"b\":[{},{\"a\":[]},true,null]}",
					   "{\"\\u00e9\\n\":\"\\\"\"}"};
	static const char *const bad[] = {"",
					  "[]",
					  "{}}",
					  "{",
					  "{\"a\":1,}",
					  "{\"a\":01}",
					  "{\"a\":.5}",
					  "{\"a\" :1}",
					  "{\"a\":\"\n\"}",
					  "{a:1}",
					  "{\"a\":1,\"a\":2}",
					  "{\"a\":\"\\x\"}",
					  "{\"a\":\"\\u12\"}",
					  "{\"a\":[1,]}",
					  "{\"a\":tru}",
					  "{\"a\":\"\xe9\"}"};

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(json_is_object(good[i], strlen(good[i])));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(json_is_object(bad[i], strlen(bad[i])));
}

/* ---- Lines and words --------------------------------------------------------------------------------- */

static void lines(unused void **state)
{
	says("", "");
	says("   ", "");
	says("-j", "");
	says("nosuch", "there is no command \"nosuch\": `help` lists them\r\n");
	says("lsit", "there is no command \"lsit\": did you mean `list`? `help` lists them\r\n");
	says("strt one",
	     "there is no command \"strt\": did you mean `start`? `help` lists them\r\n");
	says("starts",
	     "there is no command \"starts\": did you mean `start`? `help` lists them\r\n");
	says("powe",
	     "there is no command \"powe\": did you mean `poweroff`? `help` lists them\r\n");
	says("p", "there is no command \"p\": did you mean `x`? `help` lists them\r\n");
	json_has("nosuch", "{\"error\":\"there is no command \\u0022nosuch\\u0022: ");
	says("list one", "usage: list\r\n");
	says("info", "usage: info VM\r\n");
	says("x one", "usage: x VM[.CPU] ADDRESS [BYTES]\r\n");
	says("x one 1 2 3", "usage: x VM[.CPU] ADDRESS [BYTES]\r\n");
	json_has("start", "{\"error\":\"usage: start VM|all\"}");
	says("create 1 2 3 4 5 6 7 8 9 10 11 12 13", "that is more than 12 words\r\n");
	json_has("create 1 2 3 4 5 6 7 8 9 10 11 12 13",
		 "{\"error\":\"that is more than 12 words\"}");
	/* -j is a word like others, and anywhere. */
	mock_host_console_clear();
	assert_memory_equal(ask("-j list"), "{\"guests\":[", 11);
	assert_memory_equal(ask("  list   -j  "), "{\"guests\":[", 11);
	has("list -jj", "usage");
	says("info nosuch", "there is no guest \"nosuch\": there are one, two, three, four\r\n");
	says("info 5", "there is no guest \"5\": there are one, two, three, four\r\n");
	says("info 0", "there is no guest \"0\": there are one, two, three, four\r\n");
	says("info 99999999999",
	     "there is no guest \"99999999999\": there are one, two, three, four\r\n");
	has("info 3", "name               three\r\n");
	monitor_set_guests(monitor, 1);
	says("info x", "there is no guest \"x\": there is one\r\n");
	monitor_set_guests(monitor, 0);
	says("info x", "there is no guest \"x\": there are none\r\n");
}

static void help(unused void **state)
{
	char line[64], part[128];
	unsigned rows = 0;

	for (; monitor_doc(rows); rows++) {
		const struct command_doc *d = monitor_doc(rows);

		fmt_s(part, sizeof(part), "%s%s%s", d->name, *d->args ? " " : "", d->args);
		has("help", part);
		fmt_s(line, sizeof(line), "help %s", d->name);
		has(line, d->help);
		has(line, "\r\nexample: ");
		has(line, d->example);
		has(line, d->more);
		json_has(line, part);
		assert_memory_equal(d->example, d->name, strlen(d->name));
	}
	assert_int_equal(rows, command_count);
	json_has("help", "{\"command\":\"x VM[.CPU] ADDRESS [BYTES]\",\"help\":");
	says("help nosuch", "there is no command \"nosuch\": `help` lists them\r\n");
}

/* ---- What each verb says of a guest in each state ----------------------------------------------------- */

enum { STOPPED, MADE, RUNNING, PAUSED, RESTARTING, CRASHED, GONE, STATES };

static const char *const state_names[STATES] = {"stopped",    "made",    "running", "paused",
						"restarting", "crashed", "crashed"};

static void bring(unsigned to)
{
	struct machine_guest *g = &machine[0];

	if (to == RESTARTING || to == CRASHED || to == GONE)
		g->manner = CRASHES;
	g->on_crash = to == RESTARTING ? CONF_RESTART : to == CRASHED ? CONF_HOLD : CONF_STOP;
	if (to == STOPPED)
		return;
	has(to == MADE ? "create one" : "start one", "guest one");
	if (to == PAUSED)
		has("pause one", "guest one is paused");
	g->manner = SPINS;
	assert_string_equal(monitor_state(monitor, 1), state_names[to]);
}

#define NOTHING "there is nothing to stop"
#define NO_CPUS "it has no CPUs"

static const struct {
	const char *verb;
	const char *say[STATES]; /* a `!` before it: an error */
} verbs[] = {
	{"start one",
	 {"guest one runs", "guest one runs", "!guest one is running: only one that is stopped",
	  "!guest one is paused: only one that is stopped",
	  "!guest one is restarting: only one that is stopped", "guest one runs",
	  "guest one runs"}},
	{"stop one",
	 {"!guest one is stopped: " NOTHING, "!guest one is made: " NOTHING, "guest one is stopped",
	  "guest one is stopped", "guest one is stopped", "!guest one is crashed: " NOTHING,
	  "!guest one is crashed: " NOTHING}},
	{"reset one",
	 {"!guest one is stopped: `start` starts it", "!guest one is made: `start`",
	  "guest one starts anew", "guest one starts anew", "guest one starts anew",
	  "!guest one is crashed: `start`", "!guest one is crashed: `start`"}},
	{"pause one",
	 {"!guest one is stopped: only one that runs", "!guest one is made: only one",
	  "guest one is paused", "!guest one is paused: only one", "!guest one is restarting: only",
	  "!guest one is crashed: only", "!guest one is crashed: only"}},
	{"resume one",
	 {"!guest one is stopped: only a paused one can go on", "!guest one is made: only",
	  "!guest one is running: only", "guest one goes on", "!guest one is restarting: only",
	  "!guest one is crashed: only", "!guest one is crashed: only"}},
	{"destroy one",
	 {"!guest one is stopped: it has no memory to be freed", "guest one is destroyed",
	  "guest one is destroyed", "guest one is destroyed", "guest one is destroyed",
	  "guest one is destroyed", "!guest one is crashed: it has no memory to be freed"}},
	{"create one",
	 {"guest one is made: `start one` starts it", "!guest one is there already: it is made",
	  "!guest one is there already: it is running", "!guest one is there already: it is paused",
	  "!guest one is there already: it is restarting",
	  "!guest one is there already: it is crashed", "guest one is made"}},
	{"regs one",
	 {"!guest one is stopped: " NO_CPUS, "!guest one has never run: it has no state yet",
	  "rip    ", "rip    ", "rip    ", "rip    ", "!guest one is crashed: " NO_CPUS}},
	{"x one @0",
	 {"!guest one is stopped: " NO_CPUS, "!guest one has never run", "0000000000000000  ",
	  "0000000000000000  ", "0000000000000000  ", "0000000000000000  ",
	  "!guest one is crashed: " NO_CPUS}},
	{"bt one",
	 {"!guest one is stopped: " NO_CPUS, "!guest one has never run", "    0  0x", "    0  0x",
	  "    0  0x", "    0  0x", "!guest one is crashed: " NO_CPUS}},
	{"stats one",
	 {"!guest one is stopped: it has no exits", "in the guest       0.0 %", "cpuid",
	  "in the guest", "in the guest", "in the guest",
	  "!guest one is crashed: it has no exits"}},
	{"info one",
	 {"state              stopped\r\n", "state              made\r\n",
	  "state              running\r\n", "state              paused\r\n",
	  "state              restarting\r\n",
	  "state              crashed\r\nwhy                as the test has it\r\n",
	  "state              crashed\r\nwhy                as the test has it\r\n"}},
	{"focus one",
	 {"!guest one has nothing to be seen here", "havoc: guest 1, one\r\n",
	  "havoc: guest 1, one\r\n", "havoc: guest 1, one\r\n", "havoc: guest 1, one\r\n",
	  "havoc: guest 1, one\r\n", "havoc: guest 1, one\r\n"}},
	{"list",
	 {" 1  one               stopped", " 1  one               made",
	  " 1  one               running", " 1  one               paused",
	  " 1  one               restarting", "  as the test has it\r\n",
	  "  as the test has it\r\n"}},
	{"top", {"stopped ", "made ", "running ", "paused ", "running ", "crashed ", "crashed "}},
};

static bool top_is_shown(void)
{
	return mock_host_console_has("any key ends it");
}

/* top and focus end in their own ways. */
static const char *do_verb(const char *verb)
{
	if (!strcmp(verb, "focus one")) {
		hv.live++; /* a guest that is stopped would end the machine */
		(void)ask(verb);
		return console();
	}
	if (!strcmp(verb, "top")) {
		mock_host_console_clear();
		type("top\r");
		assert_true(play_until(top_is_shown));
		type("q");
		assert_true(settle());
		return console();
	}
	return ask(verb);
}

static void verb_in_state(unsigned i, unsigned s)
{
	const char *want = verbs[i].say[s], *said;
	bool error = *want == '!';

	bring(s);
	said = do_verb(verbs[i].verb);
	if (!strstr(said, want + error))
		print_error("%s, %s: %s is not in: %s\n", verbs[i].verb, state_names[s], want,
			    said);
	assert_non_null(strstr(said, want + error));
	assert_int_equal(monitor->report.failed, error);
}

static void verbs_in_states(unused void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
		for (unsigned s = 0; s < STATES; s++) {
			verb_in_state(i, s);
			(void)teardown(NULL);
			(void)setup(NULL);
		}
	}
}

static void verbs_in_states_json(unused void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
		for (unsigned s = 0; s < STATES; s++) {
			const char *want = verbs[i].say[s], *said;

			bring(s);
			hv.live++;
			if (!strcmp(verbs[i].verb, "focus one") && *want != '!') {
				(void)ask("focus one -j");
				assert_non_null(strstr(console(), "\r\n{}\r\nhavoc: guest 1, one"));
			} else {
				said = json(verbs[i].verb);
				assert_int_equal(!!strstr(said, "\"error\":"), *want == '!');
				if (*want == '!')
					assert_memory_equal(said, "{\"error\":", 9);
			}
			(void)teardown(NULL);
			(void)setup(NULL);
		}
	}
}

/* ---- Lives ------------------------------------------------------------------------------------------- */

static void all_of_them(unused void **state)
{
	guest[2].broken = true;
	says("stop all", "there is no guest to stop\r\n");
	json_has("stop all", "{\"guests\":[]}");
	says("start all", "guest one runs\r\nguest two runs\r\nguest four runs\r\n");
	says("start three",
	     "guest three cannot be made: its part of havoc.conf has a mistake (see `log`)\r\n");
	has("create three", "guest three cannot be made: its part of havoc.conf");
	has("list", "mistake");
	says("start all", "there is no guest to start\r\n");
	says("pause all", "guest one is paused\r\nguest two is paused\r\nguest four is paused\r\n");
	says("resume 2", "guest two goes on\r\n");
	says("resume all", "guest one goes on\r\nguest four goes on\r\n");
	json_has("reset all", "{\"guests\":[{\"number\":1,\"name\":\"one\",\"state\":\"running\"},"
			      "{\"number\":2,");
	assert_int_equal(machine[0].vm.resets, 1);
	json_has("stop four",
		 "{\"guests\":[{\"number\":4,\"name\":\"four\",\"state\":\"stopped\"}]}");
	assert_false(machine[3].made);
	says("destroy all", "guest one is destroyed\r\nguest two is destroyed\r\n");
	assert_false(machine[0].made || machine[1].made);
}

static void cannot_be_made(unused void **state)
{
	machine[1].cannot_be_made = machine[3].cannot_be_made = true;
	says("start two", "guest two cannot be made: the test says so\r\n");
	says("create two", "guest two cannot be made: the test says so\r\n");
	/* The others are not held up by it. */
	says("start all", "guest two cannot be made: the test says so\r\n"
			  "guest four cannot be made: the test says so\r\n"
			  "guest one runs\r\nguest three runs\r\n");
	says("stop 3", "guest three is stopped\r\n");
	json_has("start all", "{\"error\":\"guest two cannot be made: the test says so\","
			      "\"guests\":[{\"number\":3,");
	says("stop three", "guest three is stopped\r\n");
	/* It is made, and cannot be loaded. */
	image_put(0x202, 0, 4);
	has("start three", "guest three has crashed: it cannot be started: ");
	has("list", "crashed");
	make_image();
	says("start three", "guest three runs\r\n");
}

/* Its reset button works whatever it would have done itself. */
static void reset_whatever_it_says(unused void **state)
{
	machine[0].on_reboot = CONF_STOP;
	says("start one", "guest one runs\r\n");
	says("reset one", "guest one starts anew\r\n");
	assert_string_equal(monitor_state(monitor, 1), "running");
	machine[0].manner = RESETS;
	assert_true(settle());
	assert_string_equal(monitor_state(monitor, 1), "stopped");
}

static void destroyed_and_made_again(unused void **state)
{
	unsigned live = 0;

	for (unsigned i = 0; i < 20; i++) {
		says("create two", "guest two is made: `start two` starts it\r\n");
		says("start two", "guest two runs\r\n");
		has("info two", "state              running");
		says("destroy two", "guest two is destroyed\r\n");
		if (!i)
			live = mock_host.live;
		assert_int_equal(mock_host.live, live);
	}
	says("destroy two", "guest two is stopped: it has no memory to be freed\r\n");
}

static void a_new_guest(unused void **state)
{
	says("create five",
	     "there is no guest five in havoc.conf: `create five image=NAME` makes a new one from a loaded image\r\n");
	says("create five image=other", "guest five: there is no such image\r\n");
	json_has("create five image=other", "{\"error\":\"guest five: there is no such image\"}");
	assert_int_equal(guests, GUESTS);
	says("start one", "guest one runs\r\n");
	says("create one image=tiny",
	     "there is a guest one already: destroy it first, or choose another name\r\n");
	says("destroy one", "guest one is destroyed\r\n");
	says("create one image=tiny", "guest one is made: `start one` starts it\r\n");
	says("create five image=tiny memory=32M", "guest five is made: `start five` starts it\r\n");
	says("start five", "guest five runs\r\n");
	json_has("create six image=tiny",
		 "{\"guests\":[{\"number\":6,\"name\":\"six\",\"state\":\"made\"}]}");
	has("create seven image=tiny", "is made");
	has("create eight image=tiny", "is made");
	says("create nine image=tiny", "there are 8 guests already\r\n");
	has("list", " 5  five              running");
	says("destroy five", "guest five is destroyed\r\n");
	says("start five", "guest five runs\r\n");
}

/* One whose CPU does nothing: it has been left out, or hangs. */
static void does_not_obey(unused void **state)
{
	hv.cpus = 2;
	sched_init(&hv.sched, 2, 5000000, hv.sched.look, &hv);
	machine[2].affinity = 2;
	says("start three", "guest three does not obey yet: `list` shows its state\r\n");
	has("list", "made");
	machine[2].vm.started_at = 1;
	says("regs three", "the guest's CPU does not answer\r\n");
	says("x three @0", "the last guest that was asked has not answered yet: try again\r\n");
	json_has("bt three", "{\"error\":\"the last guest that was asked");
	says("start one", "guest one runs\r\n");
	has("regs one", "has not answered yet");
	vcpu_make_call(&machine[2].vm.vcpu[0]);
	has("regs one", "rip ");
	hv.vm[machine[2].vm.id] = NULL;
	has("regs three", "guest three cannot be asked now: try again");
	hv.vm[machine[2].vm.id] = &machine[2].vm;
	vm_request_destroy(&machine[2].vm, monitor_vm_gone);
	has("stop three", "guest three is just being stopped: try again");
	has("list", "stopping");
}

/* ---- Looking ----------------------------------------------------------------------------------------- */

static void registers(unused void **state)
{
	struct vcpu *v = &machine[1].vm.vcpu[0];

	says("start two", "guest two runs\r\n");
	v->gpr[12] = 0x123456789abcdef0; /* CPUID leaves it alone */
	has("regs two", "r12    123456789abcdef0");
	has("regs two.0", "\r\nmode               64-bit code, privilege level 0\r\n");
	has("regs two", "cs    ");
	json_has("regs two", "\"r12\":\"0x123456789abcdef0\"");
	json_has("regs 2", "{\"name\":\"cs\",\"selector\":\"0010\",");
	has("regs two.1", "rip    0000000000000000"); /* waits for a start-up IPI */
	says("regs two.2", "guest two has 2 CPUs: the last is two.1\r\n");
	says("regs two.", "\"two.\" names no CPU: two.0 is the first of guest two\r\n");
	says("regs two.x", "\"two.x\" names no CPU: two.0 is the first of guest two\r\n");
	says("regs nosuch.1", "there is no guest \"nosuch\": there are one, two, three, four\r\n");
	says("regs .1", "there is no guest \"\": there are one, two, three, four\r\n");
	/* A name may hold a dot. */
	has("create two.1 image=tiny", "is made");
	says("regs two.1", "guest two.1 has never run: it has no state yet\r\n");
	machine[1].manner = HALTS;
	assert_true(settle());
	has("info two", "halted");
	has("regs two", "rflags 0000000000000202");
}

static void memory(unused void **state)
{
	struct gmem *gmem = &machine[0].vm.gmem;

	says("start one", "guest one runs\r\n");
	assert_int_equal(gmem_write(gmem, 0x103ffc, "abcd\x00\x1b\xff~", 8), 0);
	says("x one @0x103ffc 8",
	     "ADDRESS           BYTES                                            TEXT\r\n"
	     "0000000000103ffc  61 62 63 64 00 1b ff 7e                          abcd...~\r\n");
	says("x one 1064956 8", ask("x one @0x103ffc 8"));
	json_has("x one @0x103FFC 8", "{\"memory\":[{\"address\":\"0000000000103ffc\",\"bytes\":"
				      "\"61 62 63 64 00 1b ff 7e\",\"text\":\"abcd...~\"}]}");
	has("x one @0x1fffff0 256", "what follows is no memory of the guest's\r\n");
	says("x one @0x2000000",
	     "guest-physical address 0x2000000 is no memory of the guest's\r\n");
	says("x one @0xffffffffffffffff 256",
	     "guest-physical address 0xffffffffffffffff is no memory of the guest's\r\n");
	says("x one 0xffff800000000000",
	     "guest-virtual address 0xffff800000000000 is no memory of the guest's\r\n");
	has("x one 0xffffffffffffffff 256", "is no memory");
	has("x one 0 256", "00000000000000f0  ");
	says("x one 0 257", "\"257\" bytes cannot be shown: choose 1 to 256\r\n");
	has("x one 0 0", "bytes cannot be shown");
	has("x one 0 -1", "bytes cannot be shown");
	has("x one 0 99999999999999999999999", "bytes cannot be shown");
	says("x one zero",
	     "\"zero\" is no address: 0x1000 is, or @0x1000 for a guest-physical one\r\n");
	has("x one 0x", "is no address");
	has("x one @", "is no address");
	has("x one 0x1ffffffffffffffff", "is no address");
	has("x one 18446744073709551616", "is no address");
	has("x one 1g", "is no address");
}

static void stack(unused void **state)
{
	static const u64 frames[] = {0x105020, 0x1111, 0, 0, 0x105040, 0x2222, 0, 0, 0, 0x3333};
	struct vcpu *v = &machine[0].vm.vcpu[0];
	u64 chain[2 * 40];

	says("start one", "guest one runs\r\n");
	assert_int_equal(gmem_write(&machine[0].vm.gmem, 0x105000, frames, sizeof(frames)), 0);
	v->gpr[GPR_RBP] = 0x105000;
	mock_backend(v)->reg[VREG_RIP] = 0x7777;
	machine[0].manner = HALTS;
	has("bt one", "\r\n    1  0x0000000000001111\r\n    2  0x0000000000002222\r\n"
		      "    3  0x0000000000003333\r\n");
	json_has("bt one", "{\"frame\":1,\"address\":\"0x0000000000001111\"}");
	v->gpr[GPR_RBP] = 0x105001;
	has("bt one", "the frame pointer is no address of a frame\r\n");
	v->gpr[GPR_RBP] = 0x8000000000;
	has("bt one", "the frame pointer leads to no memory\r\n");
	v->gpr[GPR_RBP] = 0xfffffffffffffff8;
	has("bt one", "the frame pointer leads to no memory\r\n");
	for (unsigned i = 0; i < 40; i++) {
		chain[2 * i] = 0x106000 + 16 * (i + 1);
		chain[2 * i + 1] = i;
	}
	assert_int_equal(gmem_write(&machine[0].vm.gmem, 0x106000, chain, sizeof(chain)), 0);
	v->gpr[GPR_RBP] = 0x106000;
	has("bt one", "   31  0x000000000000001e\r\nthere are more\r\n");
	/* 32-bit and 16-bit code. */
	mock_backend(v)->seg[VSEG_CS].attr = SEG_ATTR_DB;
	v->gpr[GPR_RBP] = 0x105000;
	has("bt one", "    1  0x0000000000000000\r\n");
	mock_backend(v)->seg[VSEG_CS].attr = 0;
	mock_backend(v)->seg[VSEG_SS].base = 0x105000;
	v->gpr[GPR_RBP] = 2;
	has("bt one", "    1  0x0000000000000000\r\n");
}

static void machine_itself(unused void **state)
{
	says("start two", "guest two runs\r\n");
	has("cpus", "  0        0  no         two.0 ");
	json_has("cpus",
		 "{\"cpus\":[{\"cpu\":0,\"apic_id\":0,\"dedicated\":false,\"runs\":\"two.0\"");
	has("mem", "of it free         12345 KiB\r\n");
	has("mem", "two                    32768");
	json_has("mem", "{\"free_kib\":12345,\"guests\":[{\"name\":\"two\",\"memory_kib\":32768,");
	says("config", "options            the test's \"own\"\r\n");
	json_has("config", "{\"options\":\"the test's \\u0022own\\u0022\"}");
	says("doctor", "patient            well\r\n");
	json_has("doctor", "{\"patient\":\"well\"}");
	log_info("a line with \"quotes\" and \x1b");
	has("log", "a line with \"quotes\" and ?\r\n");
	json_has("log", "\"a line with \\u0022quotes\\u0022 and ?\"");
	has("log --last", "nothing is known of the last boot");
	json_has("log --last", "{\"error\":\"nothing is known of the last boot");
	says("log --first", "usage: log [--last]\r\n");
	has("info two", "command line       quiet \"x\"\r\n");
	has("info two", "  1  not started ");
	json_has("info two", "\"on_reboot\":\"restart\"");
	json_has(
		"list",
		"{\"number\":2,\"name\":\"two\",\"state\":\"running\",\"cpus\":2,\"memory_mib\":32,");
}

static void ends_of_the_machine(unused void **state)
{
	enum mock_end end;

	mock_host_console_clear();
	type("reboot\r");
	MOCK_CATCH(end, (void)settle());
	assert_int_equal(end, MOCK_REBOOT);
	assert_true(mock_host_console_has("\r\nrebooting\r\n"));
	(void)teardown(NULL);
	(void)setup(NULL);
	mock_host_console_clear();
	type("poweroff -j\r");
	MOCK_CATCH(end, (void)settle());
	assert_int_equal(end, MOCK_POWEROFF);
	assert_true(mock_host_console_has("\r\n{}\r\n"));
}

/* ---- Measuring --------------------------------------------------------------------------------------- */

static unsigned percent(const char *text)
{
	unsigned n = 0;

	text = strstr(text, "in the guest ");
	assert_non_null(text);
	assert_int_equal(sscanf(text, "in the guest %u", &n), 1);
	return n;
}

static void stats(unused void **state)
{
	u64 before;

	says("start one", "guest one runs\r\n");
	says("start two", "guest two runs\r\n");
	before = mock_host.ticks;
	has("stats", "cpuid");
	assert_in_range(mock_host.ticks - before, 1000000000, 1300000000);
	/* All of the second was the guests', whose exits take no time here. */
	assert_in_range(percent(ask("stats")), 95, 100);
	has("stats", "in Havoc           0.0 % of one CPU\r\nticks per second   1000000000\r\n");
	assert_in_range(percent(ask("stats two")), 40, 60);
	json_has("stats two", "\"percent_havoc\":0.0,");
	assert_false(machine[0].vm.vcpu[0].timed || machine[1].vm.vcpu[0].timed);
	/* Given up: nothing is timed any more. */
	mock_host_console_clear();
	type("stats one\r");
	monitor_service(monitor);
	assert_true(machine[0].vm.vcpu[0].timed && !machine[1].vm.vcpu[0].timed);
	type("\x03");
	assert_true(settle());
	assert_false(machine[0].vm.vcpu[0].timed);
	assert_true(mock_host_console_has("stats one\x1b[K\r\n^C\r\n" PROMPT));
}

static bool one_is_gone(void)
{
	return !guest[0].vm;
}

static void top(unused void **state)
{
	says("start one", "guest one runs\r\n");
	says("start two", "guest two runs\r\n");
	mock_host_console_clear();
	type("top\r\n"); /* as some terminals end a line */
	assert_true(play_until(top_is_shown));
	assert_true(mock_host_console_has("\x1b[H\x1b[2JNO  GUEST "));
	/* One that is destroyed meanwhile. */
	machine[0].manner = POWERS_OFF;
	assert_true(play_until(one_is_gone));
	mock_host_console_clear();
	assert_true(play_until(top_is_shown));
	assert_non_null(strstr(console(), " 1  one               stopped"));
	assert_non_null(strstr(console(), "stopped         0.0          0\r\n"));
	type("q");
	assert_true(settle());
	has("list", "two");
}

/* ---- Waiting ----------------------------------------------------------------------------------------- */

static void typed_ahead(unused void **state)
{
	says("start one", "guest one runs\r\n");
	mock_host_console_clear();
	type("stats one\rregs one\rhelp x\r");
	assert_true(settle());
	assert_non_null(strstr(console(), "ticks per second"));
	assert_non_null(strstr(strstr(console(), "ticks per second"), "rip "));
	assert_non_null(strstr(strstr(console(), "rip "), "example: x"));
	/* For programs no key ends it. */
	mock_host_console_clear();
	type("top -j\rlist -j\r");
	assert_true(settle());
	assert_true(mock_host_console_has("\"cpu_percent\":100.0,"));
	assert_true(mock_host_console_has(
		"{\"guests\":[{\"number\":1,\"name\":\"one\",\"state\":\"running\",\"cpus\":1,"));
	/* Ctrl-C takes with it what was typed before it. */
	mock_host_console_clear();
	type("stats -j\r");
	monitor_service(monitor);
	type("list\r\x03help x\r");
	assert_true(settle());
	assert_true(mock_host_console_has("\r\n{}\r\n"));
	assert_false(mock_host_console_has("CPU-MS"));
	assert_true(mock_host_console_has("example: x"));
}

static void log_meanwhile(unused void **state)
{
	log_set_level(LOG_INFO);
	mock_host_console_clear();
	type("start one\r");
	monitor_service(monitor);
	log_info("between");
	assert_false(mock_host_console_has("between"));
	assert_true(settle());
	assert_true(mock_host_console_has("\r\nguest one runs\r\nhavoc: between\r\n" PROMPT));
	mock_host_console_clear();
	type("lis");
	assert_true(settle());
	log_info("below");
	assert_true(mock_host_console_has("\r\x1b[Khavoc: below\r\n\rhavoc> lis\x1b[K"));
	type("\x15");
	assert_true(settle());
}

/* ---- Completion -------------------------------------------------------------------------------------- */

/* What stands on the line after these keys. */
static void completes(const char *keys, const char *line)
{
	char row[EDIT_SHOW];

	type("\x05\x15");
	type(keys);
	mock_host_console_clear();
	assert_true(settle());
	assert_string_equal(monitor->edit.line, line);
	fmt_s(row, sizeof(row), "\rhavoc> %s\x1b[K", line);
	assert_true(mock_host_console_has(row));
}

static void completion(unused void **state)
{
	completes("he\t", "help ");
	completes("li\t", "list ");
	completes("help\t", "help ");
	completes("nosuch\t", "nosuch");
	completes("r\t", "re");
	completes("re\t", "re");
	assert_true(mock_host_console_has("\r\n  reset  resume  regs  reboot\r\n"));
	completes("st\t", "st");
	assert_true(mock_host_console_has("\r\n  start  stop  stats\r\n"));
	completes("sta\t", "sta");
	completes("star\t", "start ");
	completes("start o\t", "start one ");
	completes("start t\t", "start t");
	assert_true(mock_host_console_has("\r\n  two  three\r\n"));
	completes("start a\t", "start all ");
	completes("info a\t", "info a");
	completes("start \t", "start ");
	assert_true(mock_host_console_has("\r\n  one  two  three  four  all\r\n"));
	completes("  focus   th\t", "  focus   three ");
	completes("start one t\t", "start one t");
	completes("nosuch t\t", "nosuch t");
	completes("list o\t", "list o");
	completes("help sto\t", "help stop ");
	completes("log \t", "log --last ");
	completes("start o all\x1b[D\x1b[D\x1b[D\x1b[D\t", "start one  all");
	completes("\t\x15", "");
	says("\x15", "");
}

/* ---- Opening and closing ------------------------------------------------------------------------------ */

static void keys_of_the_line(unused void **state)
{
	mock_host_console_clear();
	type("some\x03");
	assert_true(settle());
	assert_true(mock_host_console_has("^C\r\n" PROMPT));
	type("\x0c");
	assert_true(settle());
	assert_true(mock_host_console_has("\x1b[H\x1b[2J" PROMPT));
	says("\x10", "");
	says("help x\x17\x7f nosuch\x17list\x1b[H\x0b", "");
	says("lisT\x7ft", ask("list"));
	has("\x1b[A", "GUEST");
}

static void opened_and_closed(unused void **state)
{
	says("start one", "guest one runs\r\n");
	mock_host_console_clear();
	type("\x04");
	assert_true(settle());
	assert_false(monitor->open);
	assert_int_equal(hv.live, 1);
	assert_true(mock_host_console_has(
		"\r\nhavoc: all guests; what is typed goes to one (Ctrl-A and a digit: that guest alone)\r\n"));
	mock_host_console_clear();
	type("\x01m");
	assert_true(settle());
	assert_true(monitor->open);
	assert_int_equal(hv.live, 2);
	assert_string_equal(
		console(),
		"havoc: monitor; `help` lists the commands, Ctrl-D leads back to the guests\r\n" PROMPT);
	/* By the keys. */
	type("half a line\x01"
	     "1");
	assert_true(settle());
	assert_false(monitor->open);
	assert_int_equal(hv.live, 1);
	mock_host_console_clear();
	type("\x01m");
	assert_true(settle());
	assert_int_equal(hv.live, 2);
	assert_true(mock_host_console_has("guests\r\n" PROMPT));
	mock_host_console_clear();
	type("\x01"
	     "1\x01m");
	assert_true(settle());
	assert_int_equal(hv.live, 2);
	assert_true(mock_host_console_has("guests\r\n" PROMPT));
	(void)ask("focus");
	assert_int_equal(mux.view, MUX_ONE);
	assert_int_equal(hv.live, 1);
	open_monitor();
	(void)ask("focus all");
	assert_int_equal(mux.view, MUX_ALL);
	assert_int_equal(hv.live, 1);
	/* While a command waits: nobody would see its end. */
	open_monitor();
	type("stats\r");
	monitor_service(monitor);
	assert_non_null(monitor->poll);
	type("\x01"
	     "1");
	assert_true(settle());
	assert_null(monitor->poll);
	assert_false(machine[0].vm.vcpu[0].timed);
	assert_int_equal(hv.live, 1);
}

static void the_last_one_ends(unused void **state)
{
	says("start one", "guest one runs\r\n");
	machine[0].manner = POWERS_OFF;
	assert_true(settle());
	assert_false(machine[0].made);
	assert_int_equal(hv.live, 1);
	has("list", "stopped");
	says("start two", "guest two runs\r\n");
	says("stop two", "guest two is stopped\r\n");
	mock_host_console_clear();
	type("\x04");
	assert_true(settle());
	assert_true(mock_host_console_has(
		"\r\nno guest runs: Ctrl-D again ends the machine, `start VM` starts a guest\r\n" PROMPT));
	/* Nor does a look at what one has written end it; what is typed for it is answered. */
	type("\x01"
	     "1x");
	assert_true(settle());
	assert_false(monitor->open);
	assert_int_equal(hv.live, 1);
	assert_true(mock_host_console_has(
		"havoc: guest one does not run: Ctrl-A m, then `start one`, starts it\r\n"));
	open_monitor();
	type("\x04list\r\x04");
	assert_true(settle());
	assert_true(monitor->open);
	assert_int_equal(hv.live, 1);
	type("\x04");
	assert_false(settle());
	assert_int_equal(hv.live, 0);
}

/* Held until a guest runs again, and no longer. */
static void held_until_one_runs(unused void **state)
{
	says("start one", "guest one runs\r\n");
	says("stop one", "guest one is stopped\r\n");
	type("\x01"
	     "1");
	assert_true(settle());
	open_monitor();
	says("start two", "guest two runs\r\n");
	(void)ask("focus");
	assert_int_equal(hv.live, 1);
	machine[1].manner = POWERS_OFF;
	assert_false(settle());
	assert_int_equal(hv.live, 0);
}

/* With nobody at the terminal it ends at once. */
static void nobody_there(unused void **state)
{
	says("start one", "guest one runs\r\n");
	type("\x04");
	assert_true(settle());
	machine[0].manner = POWERS_OFF;
	assert_false(settle());
	assert_int_equal(hv.live, 0);
}

static void stays(unused void **state)
{
	type("start one\r\x04");
	assert_true(settle());
	monitor_stay(monitor);
	assert_true(settle());
	assert_false(monitor->open);
	mock_host_console_clear();
	machine[0].manner = POWERS_OFF;
	assert_true(settle());
	assert_true(monitor->open);
	assert_true(mock_host_console_has("havoc: monitor; "));
	/* Whoever leaves it now wants to look at something. */
	(void)ask("focus one");
	assert_false(monitor->open);
	assert_int_equal(hv.live, 1);
	type("\x01m\x04");
	assert_true(settle());
	assert_false(monitor->open);
	open_monitor();
	machine[0].manner = SPINS;
	says("start one", "guest one runs\r\n");
	type("\x04");
	assert_true(settle());
	machine[0].manner = POWERS_OFF;
	assert_true(settle());
	assert_true(monitor->open);
}

/* ---- hostile ----------------------------------------------------------------------------------------- */

static void what_guests_say(unused void **state)
{
	struct vcpu *v = &machine[0].vm.vcpu[0];

	machine[0].on_crash = CONF_HOLD;
	says("start one", "guest one runs\r\n");
	vm_kill(v->vm, "it said \x1b[2J\"\\ and %s", "\xff\n");
	assert_true(settle());
	has("info one", "why                it said ?[2J\"\\ and \xff?\r\n");
	json_has("info one", "\"why\":\"it said \\u001b[2J\\u0022\\u005c and \\u00ff\\u000a\"");
	json_has("list", "\\u001b");
}

#define MONITOR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* docs/monitor.md is made from a run (make monitor-doc): it must be of this table. */
static void the_document(unused void **state)
{
	static char text[65536];
	FILE *f = fopen("docs/monitor.md", "r");
	const struct command_doc *d;

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	for (unsigned i = 0; (d = monitor_doc(i)); i++) {
		char want[600];

		snprintf(want, sizeof(want), "### `%s%s%s`\n\n%c%s.%s%s\n\n```\nhavoc> %s\n",
			 d->name, *d->args ? " " : "", d->args, toupper((unsigned char)d->help[0]),
			 d->help + 1, *d->more ? " " : "", d->more, d->example);
		if (!strstr(text, want))
			fail_msg("docs/monitor.md lacks: %s", want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document),
		cmocka_unit_test(the_checker),
		MONITOR_TEST(lines),
		MONITOR_TEST(help),
		MONITOR_TEST(verbs_in_states),
		MONITOR_TEST(verbs_in_states_json),
		MONITOR_TEST(all_of_them),
		MONITOR_TEST(cannot_be_made),
		MONITOR_TEST(reset_whatever_it_says),
		MONITOR_TEST(destroyed_and_made_again),
		MONITOR_TEST(a_new_guest),
		MONITOR_TEST(does_not_obey),
		MONITOR_TEST(registers),
		MONITOR_TEST(memory),
		MONITOR_TEST(stack),
		MONITOR_TEST(machine_itself),
		MONITOR_TEST(ends_of_the_machine),
		MONITOR_TEST(stats),
		MONITOR_TEST(top),
		MONITOR_TEST(typed_ahead),
		MONITOR_TEST(log_meanwhile),
		MONITOR_TEST(completion),
		MONITOR_TEST(keys_of_the_line),
		MONITOR_TEST(opened_and_closed),
		MONITOR_TEST(the_last_one_ends),
		MONITOR_TEST(held_until_one_runs),
		MONITOR_TEST(nobody_there),
		MONITOR_TEST(stays),
		MONITOR_TEST(what_guests_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
