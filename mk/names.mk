# SPDX-License-Identifier: MIT
#
# A variable whose name is misspelt does nothing, silently: one on the command line that is not
# known, but nearly, is told. (A warning, since any name may be an @VAR@ in somebody's template.)

KNOWN := BACKEND FIRMWARE CPUS MEM CONF KERNEL INITRD CMDLINE DEV OPTIONS BUILD V CC AR LD NM STRIP IASL JOBS ONLY \
	GUEST_DIR GUEST_CC GUEST_SAY FUZZ_SECONDS UNIT_GCC UNIT_CLANG CLANG_TIDY CPPCHECK \
	SOURCE_DATE_EPOCH HAVOC_VERSION IMAGE PROGRAM OCI LINUX_INITRAMFS_ROOT LINUX_INIT \
	LINUX_INITRAMFS_IN LINUX_INITRAMFS_IMAGE LINUX_CONFIG_IN LINUX_VERSION LINUX_SRC \
	LINUX_CMDLINE LINUX_EMBED KERNEL_COMPRESSION GUEST_NAME

ifeq ($(MAKELEVEL),0)
UNKNOWN := $(if $(MAKEOVERRIDES),$(filter-out $(KNOWN),$(foreach v,$(.VARIABLES),$(if \
	$(filter command,$(firstword $(origin $(v)))),$(v)))))
$(if $(strip $(UNKNOWN)),$(shell tools/guest near $(UNKNOWN) : $(KNOWN)))
endif
