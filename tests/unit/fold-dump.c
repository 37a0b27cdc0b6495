/* fold-dump - the folded form of every character: a line of hexadecimal octets each. */
#include "common/mail/fold.h"
#include "common/mail/utf8.h"

#include <stdio.h>

int main(void)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		struct buf in = BUF_INIT(8), out = BUF_INIT(1024);

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		utf8_put(&in, c);
		fold_text(buf_slice(&in), &out);
		printf("%x ", c);
		for (size_t i = 0; i < out.n; i++)
			printf("%02x", out.p[i]);
		printf("\n");
		buf_fini(&in);
		buf_fini(&out);
	}
	return 0;
}
