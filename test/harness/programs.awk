# SPDX-License-Identifier: MIT
#
# From the SOURCES comments of the test programs to make rules: for each build (gcc, clang, fuzz) which
# objects a program is linked from. mk/test.mk has the recipes.

function flush_program(    kind, name, builds, n, i, j, b, list, obj, count, part) {
	if (file == "")
		return
	if (!seen) {
		print "havoc: " file ": no SOURCES comment: name there what it links, or nothing" >"/dev/stderr"
		faults++
		return
	}
	kind = file ~ /fuzz_[^\/]*$/ ? "fuzz" : "unit"
	name = file
	sub(/.*\//, "", name)
	sub(/\.c$/, "", name)
	n = split(kind == "fuzz" ? "fuzz" : "gcc clang", builds, " ")
	for (i = 1; i <= n; i++) {
		b = builds[i]
		list = host "/" b "/" file ".o"
		count = split(sources, part, /[ \t\n]+/)
		for (j = 1; j <= count; j++) {
			if (part[j] == "" || part[j] == "*")
				continue
			list = list " " host "/" b "/" part[j] ".o"
			# The compiled DSDT that the ACPI tables hold.
			if (part[j] == "vmm/load/acpi_gen.c")
				list = list " " host "/" b "/gen/dsdt.S.o"
		}
		printf "%s/%s/%s: %s\n", host, b, name, list
		if (libs != "")
			printf "%s/%s/%s: LIBS = %s\n", host, b, name, libs
		printf "PROGRAM_OBJ_%s += %s\n", b, list
		if (kind == "fuzz")
			printf "FUZZ_PROGRAMS += %s/fuzz/%s\n", host, name
		else
			printf "UNIT_PROGRAMS_%s += %s/%s/%s\n", b, host, b, name
	}
}

FNR == 1 {
	flush_program()
	file = FILENAME
	sources = ""
	libs = ""
	seen = 0
	inside = 0
}

!seen && /SOURCES:/ {
	seen = 1
	inside = 1
	sub(/.*SOURCES:/, "")
}

# LIBS: -lx: what it links besides cmocka, on one line.
/^\/\* LIBS:/ {
	libs = $0
	sub(/.*LIBS:/, "", libs)
	sub(/\*\/.*/, "", libs)
}

inside {
	line = $0
	if (line ~ /\*\//) {
		sub(/\*\/.*/, "", line)
		inside = 0
	}
	sources = sources " " line
}

END {
	flush_program()
	exit faults ? 1 : 0
}
