/*
 * outside - what the configuration needs of the machine: files, users and groups that it names.
 *
 * All that is missing is told at once, before anything is made or bound.
 */
#include "master/master.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool check_file(const struct conf_section *s, enum conf_key key, struct buf *errors)
{
	const char *path = conf_section_str(s, key);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool good = false;
	struct stat st;

	if (fd < 0)
		buf_printf(errors,
		    "certificate %s: cannot open its %s %s: %s; put it there, or name another in "
		    "the section\n",
		    s->name, conf_rows[key].name, path, strerror(errno));
	else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		buf_printf(errors, "certificate %s: its %s %s is no file\n", s->name,
		    conf_rows[key].name, path);
	else
		good = true;
	fd_close(&fd);
	return good;
}

static bool check_socket(const struct conf_section *s, struct buf *errors)
{
	const char *owner = conf_section_str(s, CONF_owner),
		   *group = conf_section_str(s, CONF_group);
	const char *path = conf_section_str(s, CONF_socket);
	bool good = true;

	if (owner[0] != '\0' && getpwnam(owner) == NULL) {
		buf_printf(errors, "socket %s: there is no user %s to own it\n", path, owner);
		good = false;
	}
	if (group[0] != '\0' && getgrnam(group) == NULL) {
		buf_printf(errors, "socket %s: there is no group %s to own it\n", path, group);
		good = false;
	}
	return good;
}

/* Is this the first row with its user? A program and its children may share one. */
static bool first_with_user(int row)
{
	for (int i = 0; i < row; i++)
		if (sandbox_rows[i].user != NULL &&
		    strcmp(sandbox_rows[i].user, sandbox_rows[row].user) == 0)
			return false;
	return true;
}

int outside_check_users(struct buf *errors)
{
	bool good = true;

	for (int i = 0; i < PROC_COUNT; i++) {
		const char *user = sandbox_rows[i].user;

		if (user == NULL || !first_with_user(i) || getpwnam(user) != NULL)
			continue;
		buf_printf(errors, "there is no user %s\n", user);
		good = false;
	}
	if (!good)
		buf_puts(errors, "  systemd-sysusers makes the users of the suite\n");
	return good ? 0 : -ENOENT;
}

int outside_check(const struct conf *c, struct buf *errors)
{
	bool good = true;

	for (size_t i = 0; i < c->n_sections; i++) {
		const struct conf_section *s = &c->sections[i];

		if (s->kind == CONF_SECTION_LISTENER) {
			good &= check_socket(s, errors);
		} else {
			good &= check_file(s, CONF_chain, errors);
			good &= check_file(s, CONF_key, errors);
		}
	}
	return good ? 0 : -ENOENT;
}
