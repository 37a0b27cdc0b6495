#include "protocols/imap/scan.h"

#include "common/base/wire.h"
#include "protocols/imap/imap-private.h"

int imap_scan_ask(struct imap *s, struct imap_scan *sc)
{
	struct buf pairs = BUF_INIT(IMAP_PAIRS_MAX * 8);
	struct ipc_mbox_scan m = { .seq = ++s->seq,
		.mbox = s->view.mbox,
		.from_uid = sc->from_uid != 0 ? sc->from_uid : 1,
		.limit = IMAP_SCAN_ROWS,
		.since = sc->since,
		.mask = sc->mask,
		.want = sc->want };
	int r;

	sc->to = sc->from;
	set_pairs(sc->uids, &sc->to, &pairs);
	m.uids = buf_slice(&pairs);
	sc->seq = m.seq;
	r = pairs.overflow ? 1 : imap_send(s, IPC_mbox_scan, &m);
	buf_fini(&pairs);
	return r;
}

void imap_scan_page(struct imap_scan *sc, const struct ipc_mbox_rows *m)
{
	if (m->more != 0) {
		sc->from_uid = m->next_uid;
		/* Ranges that are done need not go with the next request. */
		while (sc->from < sc->to && sc->uids->r[sc->from].last < sc->from_uid)
			sc->from++;
	} else {
		sc->from = sc->to;
		sc->from_uid = 0;
	}
	sc->over = sc->from == sc->uids->n;
}

struct imap_row imap_row_at(struct slice rows, size_t i, struct slice sets)
{
	const uint8_t *p = rows.p + i * IPC_ROW_BYTES;

	return (struct imap_row){ .uid = wire_load_u32(p),
		.flags = wire_load_u32(p + 4),
		.keywords = keyset_of(wire_load_u64(p + 8), sets),
		.size = wire_load_u64(p + 16),
		.date = (int64_t)wire_load_u64(p + 24),
		.saved = (int64_t)wire_load_u64(p + 32),
		.modseq = wire_load_u64(p + 40),
		.id = wire_load_u64(p + 48),
		.thread = wire_load_u64(p + 56) };
}
