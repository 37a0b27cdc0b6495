#include "stored/salvage/maildir-name.h"

#include "common/mail/maildir-text.h"

#include <stdio.h>

enum { FILE_NAME_MAX = 255 };

void maildir_account(struct slice name, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < name.n && n + 1 < size && n < FILE_NAME_MAX; i++) {
		uint8_t c = name.p[i];

		to[n] = c <= ' ' || c == '/' || c >= 0x7f || (c == '.' && n == 0) ? '_' : (char)c;
		n++;
	}
	to[n] = '\0';
}

void maildir_folder(struct slice name, uint64_t id, char *to, size_t size)
{
	struct buf b = BUF_INIT(16 << 10);

	to[0] = '\0';
	if (slice_eq(name, SLICE("INBOX")))
		return;
	buf_putc(&b, '.');
	maildir_folder_encode(name, &b);
	if (b.overflow || b.n >= size || b.n > FILE_NAME_MAX || memchr(b.p, '\0', b.n) != NULL)
		snprintf(to, size, ".long-%llu", (unsigned long long)id);
	else
		snprintf(to, size, "%.*s", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}
