/*
 * replay - runs a fuzz target over the files named as arguments (a directory: all files in it;
 * none: standard input), so that every finding and every seed is a test with any compiler. The
 * target sees its input in memory that cannot be written: who writes to it dies.
 */
#include "common/base/io.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int replay_text(const uint8_t *p, size_t n)
{
	size_t room = n > 0 ? n : 1;
	uint8_t *fixed =
	    mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = fixed == MAP_FAILED;

	if (r != 0)
		return r;
	memcpy(fixed, p, n);
	r = mprotect(fixed, room, PROT_READ) != 0;
	if (r == 0)
		LLVMFuzzerTestOneInput(fixed, n);
	munmap(fixed, room);
	return r;
}

static int replay_fd(int fd, const char *name)
{
	uint8_t *p;
	size_t n;
	int r = io_slurp(fd, 16 << 20, &p, &n);

	if (r == 0) {
		r = replay_text(p, n);
		free(p);
	}
	if (r != 0)
		fprintf(stderr, "replay: cannot read %s\n", name);
	return r != 0;
}

static int replay_dir(int dir, const char *path, unsigned *ret_inputs);

static int replay_at(int dir, const char *name, unsigned *ret_inputs)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), bad;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		fprintf(stderr, "replay: cannot open %s\n", name);
		bad = 1;
	} else if (S_ISDIR(st.st_mode)) {
		bad = replay_dir(fd, name, ret_inputs);
	} else {
		bad = replay_fd(fd, name);
		++*ret_inputs;
	}
	fd_close(&fd);
	return bad;
}

static int replay_dir(int dir, const char *path, unsigned *ret_inputs)
{
	struct dirent **names;
	int bad = 0, n = scandirat(dir, ".", &names, NULL, alphasort);

	if (n < 0) {
		fprintf(stderr, "replay: cannot list %s\n", path);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			bad |= replay_at(dir, names[i]->d_name, ret_inputs);
		free(names[i]);
	}
	free(names);
	return bad;
}

int main(int argc, char **argv)
{
	unsigned inputs = 0;
	int bad = 0;

	if (argc < 2)
		return replay_fd(0, "standard input");
	for (int i = 1; i < argc; i++)
		bad |= replay_at(AT_FDCWD, argv[i], &inputs);
	printf("%u inputs\n", inputs);
	return bad || inputs == 0;
}
