/* SPDX-License-Identifier: MIT */
/*
 * /init of a guest that was a container image (OCI=...): mounts what programs expect, starts the
 * image's program with its arguments, environment, user and working directory, reaps whatever is
 * left to it, and powers the machine off when the program ends. What to start stands in
 * /.havoc/run, written by tools/guestlib/oci.py: records "key=value", each ended by a NUL.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_FILE  "/.havoc/run"
#define MAX_WORDS 1024

struct run {
	char *argv[MAX_WORDS + 1];
	char *envp[MAX_WORDS + 1];
	gid_t groups[64];
	unsigned argc, envc, group_count;
	const char *cwd;
	const char *hostname;
	uid_t uid;
	gid_t gid;
};

/* The end of the machine, also when something is wrong: nobody is there to look at a shell. */
static void power_off(void)
{
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void die(const char *what, const char *name)
{
	printf("init: %s %s: %s\n", what, name, strerror(errno));
	power_off();
}

/* What is not possible in this kernel (no such file system) or not needed (mounted already) is left. */
static void mount_all(void)
{
	static const struct {
		const char *type, *where, *data;
		unsigned long flags;
		mode_t mode;
	} mounts[] = {
		{"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555},
		{"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555},
		{"devtmpfs", "/dev", "mode=0755", MS_NOSUID, 0755},
		{"devpts", "/dev/pts", "mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, 0755},
		{"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, 01777},
		{"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV, 0755},
	};

	for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].where, mounts[i].mode);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, mounts[i].flags,
			  mounts[i].data) &&
		    errno != EBUSY && errno != ENODEV)
			printf("init: mount %s: %s\n", mounts[i].where, strerror(errno));
	}
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
}

static char *read_all(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	char *text;

	if (fd < 0 || fstat(fd, &info))
		die("cannot read", path);
	text = malloc(info.st_size + 1);
	if (!text || read(fd, text, info.st_size) != info.st_size)
		die("cannot read", path);
	close(fd);
	text[info.st_size] = '\0';
	*size = info.st_size;
	return text;
}

static void parse_record(struct run *run, char *record)
{
	char *value = strchr(record, '=');

	if (!value)
		return;
	*value++ = '\0';
	if (!strcmp(record, "arg") && run->argc < MAX_WORDS)
		run->argv[run->argc++] = value;
	else if (!strcmp(record, "env") && run->envc < MAX_WORDS)
		run->envp[run->envc++] = value;
	else if (!strcmp(record, "cwd"))
		run->cwd = value;
	else if (!strcmp(record, "hostname"))
		run->hostname = value;
	else if (!strcmp(record, "uid"))
		run->uid = strtoul(value, NULL, 10);
	else if (!strcmp(record, "gid"))
		run->gid = strtoul(value, NULL, 10);
	else if (!strcmp(record, "group") && run->group_count < 64)
		run->groups[run->group_count++] = strtoul(value, NULL, 10);
}

static void start(const struct run *run)
{
	/* A session of its own with the console as its terminal, so that Ctrl-C reaches it. */
	setsid();
	ioctl(0, TIOCSCTTY, 1);
	if (chdir(run->cwd))
		die("cannot enter the working directory", run->cwd);
	if ((fchown(0, run->uid, -1) && errno != EROFS) ||
	    setgroups(run->group_count, run->groups) || setgid(run->gid) || setuid(run->uid)) {
		/* A kernel without users (CONFIG_MULTIUSER) has root only. */
		if (run->uid || run->gid)
			die("cannot become the image's user for", run->argv[0]);
	}
	environ = (char **)run->envp;
	execvp(run->argv[0], run->argv);
	printf("init: cannot start %s: %s\n", run->argv[0], strerror(errno));
	fflush(stdout);
	_exit(127);
}

int main(void)
{
	static struct run run = {.cwd = "/"};
	size_t size;
	char *text;
	pid_t child;
	int status = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_all();
	text = read_all(RUN_FILE, &size);
	for (char *at = text, *next; at < text + size; at = next) {
		next = at + strlen(at) + 1;
		parse_record(&run, at);
	}
	if (run.hostname)
		sethostname(run.hostname, strlen(run.hostname));
	child = fork();
	if (child == 0)
		start(&run);
	if (child < 0)
		die("cannot start", run.argv[0]);
	/* Whatever lost its parent is ours, too. */
	for (pid_t pid; (pid = wait(&status)) != child;)
		if (pid < 0 && errno != EINTR)
			break;
	if (WIFSIGNALED(status))
		printf("init: %s was ended by signal %d (%s)\n", run.argv[0], WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else
		printf("init: %s ended with status %d\n", run.argv[0], WEXITSTATUS(status));
	power_off();
}
