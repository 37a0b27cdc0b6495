/*
 * replay - runs a fuzz target over the files named as arguments (or standard input), so that every
 * finding and every seed is a test with any compiler.
 */
#include "common/base/io.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>


static int replay_fd(int fd, const char *name)
{
	uint8_t *p;
	size_t n;
	int r = io_slurp(fd, 16 << 20, &p, &n);

	if (r != 0) {
		fprintf(stderr, "replay: cannot read %s\n", name);
		return 1;
	}
	LLVMFuzzerTestOneInput(p, n);
	free(p);
	return 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	if (argc < 2)
		return replay_fd(0, "standard input");
	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		bad |= fd < 0 || replay_fd(fd, argv[i]) != 0;
		fd_close(&fd);
	}
	printf("%d inputs\n", argc - 1);
	return bad;
}
