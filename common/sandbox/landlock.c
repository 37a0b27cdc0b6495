#include "common/sandbox/landlock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Own definitions: the headers of Debian 12 stop at the first two fields' first. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

#define RULE_PATH_BENEATH 1
#define CREATE_VERSION    1u

enum {
	FS_EXECUTE,
	FS_WRITE_FILE,
	FS_READ_FILE,
	FS_READ_DIR,
	FS_REMOVE_DIR,
	FS_REMOVE_FILE,
	FS_MAKE_CHAR,
	FS_MAKE_DIR,
	FS_MAKE_REG,
	FS_MAKE_SOCK,
	FS_MAKE_FIFO,
	FS_MAKE_BLOCK,
	FS_MAKE_SYM,
	FS_REFER,
	FS_TRUNCATE,
	FS_IOCTL_DEV,
};

#define BIT(n) (1ull << (n))

/* By ABI: how many rights on files, on TCP, scopes; how long the attribute is. */
static const struct {
	uint8_t fs, net, scoped, size;
} abis[] = {
	{ 0, 0, 0, 0 },
	{ 13, 0, 0, 8 },
	{ 14, 0, 0, 8 },
	{ 15, 0, 0, 8 },
	{ 15, 2, 0, 16 },
	{ 16, 2, 0, 16 },
	{ 16, 2, 2, 24 },
};

/* Regular files and directories, no device, socket, link or program. */
#define HELD_DIR_RIGHTS                                                                   \
	(BIT(FS_WRITE_FILE) | BIT(FS_READ_FILE) | BIT(FS_READ_DIR) | BIT(FS_REMOVE_DIR) | \
	    BIT(FS_REMOVE_FILE) | BIT(FS_MAKE_DIR) | BIT(FS_MAKE_REG) | BIT(FS_REFER) |   \
	    BIT(FS_TRUNCATE))

static int add_dirs(int ruleset_fd, uint64_t handled, const int *dir_fds, size_t n_dirs)
{
	for (size_t i = 0; i < n_dirs; i++) {
		struct path_beneath rule = {
			.allowed = HELD_DIR_RIGHTS & handled,
			.parent_fd = dir_fds[i],
		};

		if (syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) < 0)
			return -errno;
	}
	return 0;
}

int landlock_make(enum sandbox_fs fs, const int *dir_fds, size_t n_dirs)
{
	struct ruleset_attr attr;
	long abi, fd;
	int r;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	if (abi < 0)
		return -errno;
	if (abi < LANDLOCK_ABI_WANTED)
		return -EOPNOTSUPP;
	if (abi >= (long)(sizeof(abis) / sizeof(abis[0])))
		abi = sizeof(abis) / sizeof(abis[0]) - 1;
	attr = (struct ruleset_attr){
		.fs = BIT(abis[abi].fs) - 1,
		.net = BIT(abis[abi].net) - 1,
		.scoped = BIT(abis[abi].scoped) - 1,
	};
	fd = syscall(SYS_landlock_create_ruleset, &attr, (size_t)abis[abi].size, 0);
	if (fd < 0)
		return -errno;
	if (fs != FS_HELD_DIRS)
		return (int)fd;
	r = add_dirs((int)fd, attr.fs, dir_fds, n_dirs);
	if (r < 0) {
		close((int)fd);
		return r;
	}
	return (int)fd;
}

int landlock_enter(int ruleset_fd)
{
	if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) != 0)
		return -errno;
	return 0;
}
