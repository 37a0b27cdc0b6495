/*
 * identity - may an account appear in From as this text says? The addresses are taken out of it
 * here, where nothing but this connection is at stake; routerd hears addresses alone.
 */
#include "protocols/admin/admin-private.h"

#include "common/mail/address.h"

/* Its addresses as arguments; how many, or -1 after an error. */
static int put_addresses(struct cmd *c, struct slice text)
{
	struct buf one = BUF_INIT(2 * ADDRESS_TEXT_MAX);
	struct address_iter it;
	struct address a;
	int n = 0;

	address_init(&it, text);
	while (n >= 0 && address_next(&it, &a) == 0) {
		if (a.kind != ADDRESS_MAILBOX)
			continue;
		if (a.local.n == 0 || a.domain.n == 0 || n == IDENTITY_ADDRESSES_MAX) {
			n = -1;
			break;
		}
		buf_reset(&one);
		buf_put(&one, a.local);
		buf_putc(&one, '@');
		buf_put(&one, a.domain);
		cmd_put_arg(c, buf_slice(&one));
		n++;
	}
	buf_fini(&one);
	return n;
}

/* account FOR text */
void run_verify_identity(struct cmd *c)
{
	int n;

	cmd_put_arg(c, cmd_text(c, 0));
	n = put_addresses(c, cmd_text(c, 1));
	if (n > 0) {
		cmd_send(c, VERB_account_identity, cmd_dir_done);
		return;
	}
	buf_reset(&c->ask);
	cmd_error(c, "the text has one address or several, each with its domain");
}
