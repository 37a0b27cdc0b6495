/*
 * sources - others who know passwords, asked one after the other when the own secret is not what
 * was typed: the system, then the external helper.
 *
 * Invariant: they are asked about the account that routerd named before the password was known, and
 * however the attempt ends, it is one failure at most: counted when somebody said no, or when
 * nobody waited for the end of it. Else whoever hangs up early enough could try on for ever.
 */
#include "authd/dialogue-private.h"

#include "authd/limits.h"
#include "common/base/addr.h"

#include <stdio.h>

static bool known(unsigned set, enum ipc_source source)
{
	return (set & 1u << source) != 0;
}

unsigned sources_of(const struct dialogue *d, uint32_t login_flags)
{
	unsigned set = 0;

	if (!conditions_clear_text(d))
		return 0;
	if ((login_flags & IPC_LOGIN_SYS) != 0)
		set |= 1u << IPC_SOURCE_SYS;
	if ((login_flags & IPC_LOGIN_EXT) != 0)
		set |= 1u << IPC_SOURCE_EXT;
	return set & d->a->helpers;
}

void sources_over(struct dialogue *d, enum ipc_auth_status status)
{
	make_leave(d);
	if (d->password.p == NULL)
		return;
	secret_fini(&d->password);
	/* Nobody could say, and there is no own secret that this was a guess at. */
	if (status == IPC_AUTH_TRYLATER && !d->own_known)
		return;
	failures_add(d->a, d->guess, d->fail_s);
}

/* The system knows the users of the Main Domain, without it. */
static struct slice name_for(const struct dialogue *d, enum ipc_source source)
{
	struct slice name = buf_slice(&d->name);
	ptrdiff_t at = slice_rfind(name, '@');

	return source == IPC_SOURCE_SYS && at >= 0 ? slice_part(name, 0, (size_t)at) : name;
}

static void ask(struct dialogue *d, enum ipc_source source)
{
	struct addr peer = { 0 };
	char text[ADDR_TEXT_MAX];
	struct ipc_source_ask m = { .source = source,
		.name = name_for(d, source),
		.service = slice_str(d->service),
		.password = secret_slice(&d->password) };

	addr_unpack(buf_slice(&d->peer), &peer);
	m.peer = slice_str(addr_ip_text(&peer, text));
	m.seq = dialogue_ask_seq(d);
	d->asks = source;
	d->state = DLG_SOURCE;
	dialogue_set_deadline(d, SOURCE_WAIT_MS);
	ipc_send(d->a->source, IPC_source_ask, &m, NULL);
}

static void ask_next(struct dialogue *d)
{
	for (enum ipc_source s = IPC_SOURCE_SYS; s <= IPC_SOURCE_EXT; s++) {
		if (!known(d->sources, s))
			continue;
		d->sources &= ~(1u << s);
		if (d->a->source != NULL) {
			ask(d, s);
			return;
		}
		d->later = true;
	}
	dialogue_refuse(d, d->later ? IPC_AUTH_TRYLATER : IPC_AUTH_BAD, SLICE_NONE);
}

void sources_begin(struct dialogue *d, struct slice password)
{
	work_free(&d->work);
	if (secret_init(&d->password, password) != 0)
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	else
		ask_next(d);
}

static void said_yes(struct dialogue *d, enum ipc_source source, bool keep)
{
	snprintf(d->source, sizeof(d->source), source == IPC_SOURCE_SYS ? "system" : "helper");
	if (keep)
		keep_password(
		    d->a, d->asked, d->changes, buf_slice(&d->name), secret_slice(&d->password));
	secret_fini(&d->password);
	buf_reset(&d->last);
	d->account = d->asked;
	dialogue_proved(d);
}

void dialogue_on_source(struct authd *a, const struct ipc_source_answer *m)
{
	struct dialogue *d = NULL;
	uint32_t seq = m->seq;

	HASH_FIND(hh, a->by_seq, &seq, sizeof(seq), d);
	if (d == NULL || d->state != DLG_SOURCE)
		return;
	dialogue_ask_over(d);
	if (m->status == IPC_SOURCE_YES) {
		/* Where the own password opens nothing it need not be kept. */
		said_yes(d, d->asks, m->keep != 0 && d->own);
		return;
	}
	d->later |= m->status == IPC_SOURCE_LATER;
	ask_next(d);
}

void sources_made(struct dialogue *d)
{
	bool late = d->make;

	d->make = false;
	if (d->confirmed != 0 && d->confirmed != d->asked) {
		/* The name is another's since: what was said of the one is no word about the other.
		 */
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	/* Its word opens what it may open of an account that was there before, and no more. */
	if (d->confirmed == 0 || !(known(d->sources, IPC_SOURCE_EXT) || (d->kept && d->own))) {
		/* Made while this one was on its way: its password may be the own one by now. */
		d->later |= late && d->sources == 0;
		ask_next(d);
		return;
	}
	/* Kept, if it is to be, by whoever made the account. */
	said_yes(d, IPC_SOURCE_EXT, false);
}
