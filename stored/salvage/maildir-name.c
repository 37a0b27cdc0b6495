#include "stored/salvage/maildir-name.h"

#include "common/ipc/types.h"
#include "common/mail/utf7.h"

#include <stdio.h>

enum { FILE_NAME_MAX = 255, KEYWORD_LETTERS = 26 };

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

/* A dot and what cannot be in the name of a file are written like letters that are not ASCII. */
static void level_put(struct buf *b, struct slice level)
{
	struct buf coded = BUF_INIT(16 << 10);

	utf7_encode(level, &coded);
	buf_putc(b, '.');
	for (size_t i = 0; i < coded.n; i++) {
		if (coded.p[i] == '.')
			buf_puts(b, "&AC4-");
		else
			buf_putc(b, coded.p[i]);
	}
	buf_fini(&coded);
}

void maildir_folder(struct slice name, uint64_t id, char *to, size_t size)
{
	struct buf b = BUF_INIT(16 << 10);

	to[0] = '\0';
	if (slice_eq(name, SLICE("INBOX")))
		return;
	while (name.n > 0)
		level_put(&b, slice_take(&name, '/'));
	if (b.overflow || b.n == 0 || b.n >= size || b.n > FILE_NAME_MAX)
		snprintf(to, size, ".long-%llu", (unsigned long long)id);
	else
		snprintf(to, size, "%.*s", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}

void maildir_file(const char *base, uint32_t flags, uint64_t keywords, char *to, size_t size)
{
	static const struct {
		uint32_t flag;
		char letter;
	} letters[] = { { IPC_FLAG_DRAFT, 'D' }, { IPC_FLAG_FLAGGED, 'F' },
		{ IPC_FLAG_ANSWERED, 'R' }, { IPC_FLAG_SEEN, 'S' }, { IPC_FLAG_DELETED, 'T' } };
	char suffix[40];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if ((flags & letters[i].flag) != 0)
			suffix[n++] = letters[i].letter;
	for (unsigned i = 0; i < KEYWORD_LETTERS; i++)
		if ((keywords & UINT64_C(1) << i) != 0)
			suffix[n++] = (char)('a' + i);
	suffix[n] = '\0';
	snprintf(to, size, "%s:2,%s", base, suffix);
}
