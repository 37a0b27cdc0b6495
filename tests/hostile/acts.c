#include "tests/hostile/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

char probe_secret[32] = "nobody but me reads this";

/* ---- names ---- */

static int can_open(const char *path, int flags)
{
	return open(path, flags | O_NONBLOCK | O_CLOEXEC, 0600) >= 0 ? 0 : -1;
}

static int in_dir(const struct probe_env *env, const char *name, char path[256])
{
	int n = snprintf(path, 256, "%s/%s", env->dir, name);

	return n > 0 && n < 256 ? 0 : -1;
}

#define ACT_OPEN(id, path, flags)                  \
	static int id(const struct probe_env *env) \
	{                                          \
		return can_open(path, flags);      \
	}
ACT_OPEN(open_passwd, "/etc/passwd", O_RDONLY)
ACT_OPEN(open_shadow, "/etc/shadow", O_RDONLY)
ACT_OPEN(open_maps, "/proc/self/maps", O_RDONLY)
ACT_OPEN(open_self_mem, "/proc/self/mem", O_RDWR)
ACT_OPEN(open_init_environ, "/proc/1/environ", O_RDONLY)
ACT_OPEN(open_kmsg, "/dev/kmsg", O_RDONLY)
ACT_OPEN(open_null, "/dev/null", O_RDWR)
ACT_OPEN(open_root_dir, "/", O_RDONLY | O_DIRECTORY)
ACT_OPEN(open_here, ".", O_RDONLY | O_DIRECTORY)
ACT_OPEN(open_path_only, "/etc/passwd", O_PATH)
ACT_OPEN(open_new_in_tmp, "/tmp/gh-probe-made", O_WRONLY | O_CREAT)
ACT_OPEN(open_new_here, "gh-probe-made", O_WRONLY | O_CREAT)
ACT_OPEN(open_tmpfile, "/tmp", O_RDWR | O_TMPFILE)

static int stat_passwd(const struct probe_env *env)
{
	struct stat st;

	return stat("/etc/passwd", &st);
}

static int access_passwd(const struct probe_env *env)
{
	return access("/etc/passwd", F_OK);
}

static int read_link(const struct probe_env *env)
{
	char buf[64];

	return readlink("/proc/self/exe", buf, sizeof(buf)) >= 0 ? 0 : -1;
}

static int change_dir(const struct probe_env *env)
{
	return chdir("/tmp");
}

static int change_root(const struct probe_env *env)
{
	return chroot(".");
}

static int unlink_file(const struct probe_env *env)
{
	char path[256];

	return in_dir(env, "file", path) == 0 ? unlinkat(AT_FDCWD, path, 0) : -1;
}

static int rename_file(const struct probe_env *env)
{
	char from[256], to[256];

	if (in_dir(env, "file", from) != 0 || in_dir(env, "other", to) != 0)
		return -1;
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static int make_dir(const struct probe_env *env)
{
	return mkdirat(AT_FDCWD, "/tmp/gh-probe-dir", 0700);
}

static int read_file(const struct probe_env *env)
{
	char path[256];

	return in_dir(env, "file", path) == 0 ? can_open(path, O_RDONLY) : -1;
}

static int run_program(const struct probe_env *env)
{
	char *argv[] = { (char *)"true", NULL };

	return execve("/bin/true", argv, NULL);
}

static int run_memory(const struct probe_env *env)
{
	return memfd_create("code", 0) >= 0 ? 0 : -1;
}

static int make_code(const struct probe_env *env)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? mprotect(p, 4096, PROT_READ | PROT_EXEC) : -1;
}

/* ---- beneath and above the held directory ---- */

#define ACT_HELD(id, expr)                         \
	static int id(const struct probe_env *env) \
	{                                          \
		return (expr) >= 0 ? 0 : -1;       \
	}
ACT_HELD(held_new, openat(env->held_dir, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0600))
ACT_HELD(held_read, openat(env->held_dir, "file", O_RDONLY | O_CLOEXEC))
ACT_HELD(held_up, openat(env->held_dir, "..", O_RDONLY | O_DIRECTORY))
ACT_HELD(held_up_file, openat(env->held_dir, "../outside/file", O_RDONLY))
ACT_HELD(held_up_passwd, openat(env->held_dir, "../../../etc/passwd", O_RDONLY))
ACT_HELD(held_link, openat(env->held_dir, "link", O_RDONLY))
ACT_HELD(held_link_out, openat(env->held_dir, "link-out", O_RDONLY))
ACT_HELD(held_move_out, renameat(env->held_dir, "file", env->held_dir, "../outside/stolen"))
ACT_HELD(held_move_in, renameat(env->held_dir, "../outside/file", env->held_dir, "stolen"))
ACT_HELD(held_remove_out, unlinkat(env->held_dir, "../outside/file", 0))
ACT_HELD(held_mkdir_out, mkdirat(env->held_dir, "../outside/dir", 0700))
ACT_HELD(held_hard_link, linkat(env->held_dir, "../outside/file", env->held_dir, "hard", 0))
ACT_HELD(held_symlink, symlinkat("/etc/passwd", env->held_dir, "sym"))
ACT_HELD(held_fifo, mknodat(env->held_dir, "fifo", S_IFIFO | 0600, 0))
ACT_HELD(held_exec, syscall(SYS_execveat, env->held_dir, "program", NULL, NULL, 0))

static int held_step_out(const struct probe_env *env)
{
	if (fchdir(env->held_dir) != 0)
		return -1;
	return can_open("../../etc/passwd", O_RDONLY);
}

/* ---- network ---- */

static int reach(int domain, int type, const void *addr, socklen_t len, bool own)
{
	int fd = socket(domain, type, 0);

	if (fd < 0)
		return -1;
	return own ? bind(fd, addr, len) : connect(fd, addr, len);
}

static int reach_ip(int type, uint16_t port, bool own)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return reach(AF_INET, type, &in, sizeof(in), own);
}

static int tcp_connect(const struct probe_env *env)
{
	return reach_ip(SOCK_STREAM, env->tcp_port, false);
}

static int tcp_bind(const struct probe_env *env)
{
	return reach_ip(SOCK_STREAM, 0, true);
}

static int udp_send(const struct probe_env *env)
{
	return reach_ip(SOCK_DGRAM, env->udp_port, false);
}

static int raw_socket(const struct probe_env *env)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0 ? 0 : -1;
}

static int netlink_socket(const struct probe_env *env)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) >= 0 ? 0 : -1;
}

static int unix_to(const char *path, bool own)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	memcpy(un.sun_path, path, n < sizeof(un.sun_path) ? n : sizeof(un.sun_path));
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	return reach(AF_UNIX, SOCK_STREAM, &un,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n), own);
}

static int unix_connect(const struct probe_env *env)
{
	char path[256];

	return in_dir(env, "socket", path) == 0 ? unix_to(path, false) : -1;
}

static int unix_bind(const struct probe_env *env)
{
	return unix_to("gh-probe-socket", true);
}

static int abstract_connect(const struct probe_env *env)
{
	return unix_to(env->abstract, false);
}

static int abstract_bind(const struct probe_env *env)
{
	return unix_to("@gh-probe-own", true);
}

/* A socket that may be made is not one that reaches anything. */
static int pair_reach(const struct probe_env *env)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0)
		return -1;
	memcpy(un.sun_path + 1, env->abstract + 1, strlen(env->abstract) - 1);
	return sendto(fds[0], "x", 1, 0, (struct sockaddr *)&un,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(env->abstract))) == 1
		   ? 0
		   : -1;
}

/* ---- other processes ---- */

#define ACT_ON(id, whom, expr)                     \
	static int id(const struct probe_env *env) \
	{                                          \
		pid_t pid = env->whom;             \
		return (expr) >= 0 ? 0 : -1;       \
	}
ACT_ON(sibling_signal_0, sibling, kill(pid, 0))
ACT_ON(sibling_term, sibling, kill(pid, SIGTERM))
ACT_ON(sibling_tgkill, sibling, tgkill(pid, pid, SIGUSR1))
ACT_ON(sibling_abort, sibling, tgkill(pid, pid, SIGABRT))
ACT_ON(sibling_trace, sibling, ptrace(PTRACE_ATTACH, pid, 0, 0))
ACT_ON(sibling_seize, sibling, ptrace(PTRACE_SEIZE, pid, 0, 0))
ACT_ON(sibling_pidfd, sibling, syscall(SYS_pidfd_open, pid, 0))
ACT_ON(sibling_getfd, sibling, syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), 0, 0))
ACT_ON(sibling_limits, sibling,
    prlimit(pid, RLIMIT_CPU, &(struct rlimit){ .rlim_cur = 1, .rlim_max = 1 }, NULL))
ACT_ON(sibling_affinity, sibling, sched_setaffinity(pid, sizeof(cpu_set_t), &(cpu_set_t){ 0 }))
ACT_ON(sibling_priority, sibling, setpriority(PRIO_PROCESS, (id_t)pid, 19))
ACT_ON(sibling_robust, sibling, syscall(SYS_get_robust_list, pid, &(void *){ 0 }, &(size_t){ 0 }))
ACT_ON(outsider_signal_0, outsider, kill(pid, 0))
ACT_ON(outsider_term, outsider, kill(pid, SIGTERM))
ACT_ON(outsider_abort, outsider, tgkill(pid, pid, SIGABRT))
ACT_ON(outsider_trace, outsider, ptrace(PTRACE_ATTACH, pid, 0, 0))

static int vm_copy(pid_t pid, bool write)
{
	char buf[sizeof(probe_secret)] = "";
	struct iovec here = { buf, sizeof(buf) }, there = { probe_secret, sizeof(probe_secret) };
	ssize_t n = write ? process_vm_writev(pid, &here, 1, &there, 1, 0)
			  : process_vm_readv(pid, &here, 1, &there, 1, 0);

	return n > 0 ? 0 : -1;
}

static int sibling_read(const struct probe_env *env)
{
	return vm_copy(env->sibling, false);
}

static int sibling_write(const struct probe_env *env)
{
	return vm_copy(env->sibling, true);
}

static int outsider_read(const struct probe_env *env)
{
	return vm_copy(env->outsider, false);
}

static int open_proc(pid_t pid, const char *what, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	return can_open(path, flags);
}

static int sibling_mem(const struct probe_env *env)
{
	return open_proc(env->sibling, "mem", O_RDWR);
}

static int sibling_fd(const struct probe_env *env)
{
	return open_proc(env->sibling, "fd/0", O_RDONLY);
}

static int all_term(const struct probe_env *env)
{
	return kill(-1, 0);
}

/* ---- the sandbox itself ---- */

static int be_dumpable(const struct probe_env *env)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int be_root(const struct probe_env *env)
{
	return setuid(0);
}

static int new_user_namespace(const struct probe_env *env)
{
	return unshare(CLONE_NEWUSER);
}

static int more_files(const struct probe_env *env)
{
	struct rlimit rl = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };

	return setrlimit(RLIMIT_NOFILE, &rl);
}

static int core_dump(const struct probe_env *env)
{
	struct rlimit rl = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

	return setrlimit(RLIMIT_CORE, &rl);
}

static int make_process(const struct probe_env *env)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 ? 0 : -1;
}

/* The other ways into the kernel, with other numbers: x32 and i386. */
static int call_x32(const struct probe_env *env)
{
	return syscall(0x40000000 | 39) >= 0 ? 0 : -1;
}

static int call_i386(const struct probe_env *env)
{
#if defined(__x86_64__)
	int r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return r >= 0 ? 0 : -1;
#else
	return -1;
#endif
}

#define ACT(text, id)    \
	{                \
		text, id \
	}
const struct probe_act probe_acts[] = {
	ACT("open /etc/passwd", open_passwd),
	ACT("open /etc/shadow", open_shadow),
	ACT("open /proc/self/maps", open_maps),
	ACT("open /proc/self/mem", open_self_mem),
	ACT("open /proc/1/environ", open_init_environ),
	ACT("open /dev/kmsg", open_kmsg),
	ACT("open /dev/null", open_null),
	ACT("list /", open_root_dir),
	ACT("list the working directory", open_here),
	ACT("O_PATH /etc/passwd", open_path_only),
	ACT("create in /tmp", open_new_in_tmp),
	ACT("create in the working directory", open_new_here),
	ACT("O_TMPFILE in /tmp", open_tmpfile),
	ACT("stat /etc/passwd", stat_passwd),
	ACT("access /etc/passwd", access_passwd),
	ACT("readlink /proc/self/exe", read_link),
	ACT("chdir /tmp", change_dir),
	ACT("chroot", change_root),
	ACT("read a file of its own outside", read_file),
	ACT("unlink a file of its own outside", unlink_file),
	ACT("rename a file of its own outside", rename_file),
	ACT("mkdir in /tmp", make_dir),
	ACT("exec /bin/true", run_program),
	ACT("memfd", run_memory),
	ACT("turn data into code", make_code),
	ACT("held: create a file", held_new),
	ACT("held: read a file", held_read),
	ACT("held: open ..", held_up),
	ACT("held: open ../outside/file", held_up_file),
	ACT("held: open ../../../etc/passwd", held_up_passwd),
	ACT("held: open a symlink to /etc/passwd", held_link),
	ACT("held: open a symlink to ../outside/file", held_link_out),
	ACT("held: step in, then open ../../etc/passwd", held_step_out),
	ACT("held: rename to the outside", held_move_out),
	ACT("held: rename from the outside", held_move_in),
	ACT("held: unlink outside", held_remove_out),
	ACT("held: mkdir outside", held_mkdir_out),
	ACT("held: hard link from the outside", held_hard_link),
	ACT("held: make a symlink", held_symlink),
	ACT("held: make a fifo", held_fifo),
	ACT("held: exec a file", held_exec),
	ACT("TCP connect", tcp_connect),
	ACT("TCP bind", tcp_bind),
	ACT("UDP connect", udp_send),
	ACT("raw socket", raw_socket),
	ACT("netlink socket", netlink_socket),
	ACT("connect to a Unix socket", unix_connect),
	ACT("bind a Unix socket", unix_bind),
	ACT("connect to an abstract socket", abstract_connect),
	ACT("bind an abstract socket", abstract_bind),
	ACT("send from a socketpair to an abstract socket", pair_reach),
	ACT("signal 0 to a sibling", sibling_signal_0),
	ACT("SIGTERM to a sibling", sibling_term),
	ACT("tgkill a sibling", sibling_tgkill),
	ACT("SIGABRT to a sibling", sibling_abort),
	ACT("ptrace a sibling", sibling_trace),
	ACT("ptrace-seize a sibling", sibling_seize),
	ACT("pidfd of a sibling", sibling_pidfd),
	ACT("take a descriptor of a sibling", sibling_getfd),
	ACT("limits of a sibling", sibling_limits),
	ACT("affinity of a sibling", sibling_affinity),
	ACT("priority of a sibling", sibling_priority),
	ACT("robust list of a sibling", sibling_robust),
	ACT("read memory of a sibling", sibling_read),
	ACT("write memory of a sibling", sibling_write),
	ACT("open /proc/<sibling>/mem", sibling_mem),
	ACT("open /proc/<sibling>/fd/0", sibling_fd),
	ACT("signal 0 to everybody", all_term),
	ACT("signal 0 to an outsider", outsider_signal_0),
	ACT("SIGTERM to an outsider", outsider_term),
	ACT("SIGABRT to an outsider", outsider_abort),
	ACT("ptrace an outsider", outsider_trace),
	ACT("read memory of an outsider", outsider_read),
	ACT("become dumpable", be_dumpable),
	ACT("become root", be_root),
	ACT("make a user namespace", new_user_namespace),
	ACT("raise the limit of descriptors", more_files),
	ACT("raise the limit of core files", core_dump),
	ACT("fork", make_process),
	ACT("call by the numbers of x32", call_x32),
	ACT("call by the numbers of i386", call_i386),
};
const size_t probe_acts_count = sizeof(probe_acts) / sizeof(probe_acts[0]);
