/* Which generations of a backup stay: the newest ones, and whatever the order of names says that
 * which was just made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stored/backup/backup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = { "2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z",
	"2026-01-02T00-00-00Z-0002", "2026-01-03T00-00-00Z" };
enum { N = sizeof(names) / sizeof(names[0]) };

static int target_make(char *path)
{
	int fd;

	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(mkdirat(fd, names[i], 0700), 0);
	return fd;
}

/* A bit for each that is there. */
static unsigned there(int fd)
{
	unsigned bits = 0;
	struct stat st;

	for (unsigned i = 0; i < N; i++)
		bits |= (unsigned)(fstatat(fd, names[i], &st, 0) == 0) << i;
	return bits;
}

static unsigned trim(unsigned keep, unsigned made, unsigned *ret_removed)
{
	char path[] = "/tmp/generation-test-XXXXXX";
	int fd = target_make(path);
	unsigned bits;

	assert_int_equal(gen_trim(fd, keep, names[made], ret_removed), 0);
	bits = there(fd);
	for (unsigned i = 0; i < N; i++)
		(void)unlinkat(fd, names[i], AT_REMOVEDIR);
	close(fd);
	assert_int_equal(rmdir(path), 0);
	return bits;
}

static void the_newest_stay(void **state)
{
	unsigned removed;

	assert_int_equal(trim(2, 3, &removed), 0xc);
	assert_int_equal(removed, 2);
	assert_int_equal(trim(1, 3, &removed), 0x8);
	assert_int_equal(trim(N, 3, &removed), 0xf);
	assert_int_equal(trim(N + 5, 3, &removed), 0xf);
	assert_int_equal(trim(0, 3, &removed), 0xf);
	assert_int_equal(removed, 0);
}

/* A clock that went back: names are made behind the last one, but nothing hangs on that alone. */
static void that_which_was_just_made_stays(void **state)
{
	unsigned removed;

	assert_int_equal(trim(1, 0, &removed), 0x9);
	assert_int_equal(removed, 2);
	assert_int_equal(trim(2, 1, &removed), 0xe);
	assert_int_equal(removed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_stay),
		cmocka_unit_test(that_which_was_just_made_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
