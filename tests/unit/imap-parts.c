/*
 * imap-parts FILE... - for each message one line: what imap_rebuild() says, then ENVELOPE, BODY and
 * BODYSTRUCTURE as FETCH would write them.
 */
#include "common/base/io.h"
#include "protocols/imap/envelope.h"
#include "tests/unit/imap-rebuild.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static void print(const char *name, struct slice message, const char *wrong, unsigned parts)
{
	static struct address_iter it;
	struct facts_maker *m = facts_maker_new_wide();
	struct buf blob = BUF_INIT(FACTS_WIDE_MAX), out = BUF_INIT(64 << 20);
	struct writer w = writer(&out, false);
	struct facts_view v;

	facts_maker_feed(m, message);
	if (facts_maker_finish(m, &blob) != 0 || facts_view(buf_slice(&blob), message.n, &v) != 0)
		abort();
	envelope_write(&w, v.field, &it);
	structure_write(&w, &v, false, &it);
	structure_write(&w, &v, true, &it);
	printf("%s %s %u %zu\n", name, wrong != NULL ? wrong : "whole", parts, out.n);
	fwrite(out.p, 1, out.n, stdout);
	printf("\n");
	facts_maker_free(&m);
	buf_fini(&blob);
	buf_fini(&out);
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		uint8_t *p = NULL;
		size_t n = 0;
		unsigned parts;
		const char *wrong;

		if (fd < 0 || io_slurp(fd, 256u << 20, &p, &n) != 0) {
			fprintf(stderr, "imap-parts: %s cannot be read\n", argv[i]);
			return 2;
		}
		wrong = imap_rebuild(slice_of(p, n), &parts);
		print(argv[i], slice_of(p, n), wrong, parts);
		bad |= wrong != NULL;
		free(p);
		fd_close(&fd);
	}
	return bad;
}
