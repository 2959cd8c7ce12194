# SPDX-License-Identifier: MIT
#
# The second flag set: the PURE files as an ordinary program of the development host, under the
# sanitizers. mk/test.mk uses what is defined here:
#
#   HOST_CC       the compiler; `make test HOST_CC=clang` for the other one
#   HOST_CFLAGS   flags for Havoc's sources and for tests
#   HOST_LDFLAGS  for the link
#   HOST_CLANG    1 if HOST_CC is clang
#   PURE_SRC      every file of the hypervisor that has no assembly and touches no CPU state
#   $(DSDT_S)     (rules.mk) the DSDT that acpi_gen.c refers to, if there is one

ifeq ($(origin HOST_CC),undefined)
HOST_CC := $(CC)
endif
HOST_CLANG := $(if $(findstring clang,$(shell $(HOST_CC) --version 2>/dev/null)),1)

PURE_SRC := $(sort $(filter %.c,$(VMM_SRC)) $(wildcard boot/mb2.c arch/host/acpi_tables.c) \
	$(wildcard arch/*/caps.c arch/*/decode.c arch/*/check*.c arch/svm/asid.c))

HOST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_CFLAGS := -std=gnu11 -g -O1 -DHAVOC_HOST_TEST $(HOST_SANITIZE) \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
	-Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wvla \
	$(METAL_INCLUDE) $(HOST_EXTRA_CFLAGS)
HOST_LDFLAGS := $(HOST_SANITIZE) $(HOST_EXTRA_LDFLAGS)
