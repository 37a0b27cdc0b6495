/* Header fields by offset, and every reader of a field's value over every value. */
#include "common/mail/address.h"
#include "common/mail/charset.h"
#include "common/mail/date.h"
#include "common/mail/header.h"
#include "common/mail/param.h"
#include "common/mail/subject.h"
#include "common/mail/thread.h"
#include "common/mail/utf8.h"
#include "common/mail/word.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void read_addresses(struct slice value)
{
	static struct address_iter it;
	struct address a;
	unsigned groups = 0, n = 0;
	struct buf out = BUF_INIT(1 << 20);

	address_init(&it, value);
	while (address_next(&it, &a) == 0) {
		groups += a.kind == ADDRESS_GROUP;
		groups -= a.kind == ADDRESS_GROUP_END;
		assert(groups <= 1 && ++n <= 2 * ADDRESS_COUNT_MAX + 2);
		address_print(&a, &out);
	}
	assert(groups == 0);
	buf_fini(&out);
}

static void read_date(struct slice value)
{
	struct mail_date d, e;
	struct buf out = BUF_INIT(128);

	if (mail_date_parse(value, &d) == 0) {
		mail_date_print(&d, &out);
		assert(mail_date_parse(buf_slice(&out), &e) == 0);
		/* The ends of year 1 and 9999 are pinned. */
		assert(e.unix_s == d.unix_s || e.unix_s < -62135000000 || e.unix_s > 253402000000);
		buf_reset(&out);
		mail_date_print_internal(&d, &out);
		assert(out.n == 26);
	}
	buf_fini(&out);
}

static void read_text(struct slice value)
{
	struct buf out = BUF_INIT(1 << 16), id = BUF_INIT(1 << 16);
	struct slice base, v = value;
	bool reply;

	word_decode(value, &out);
	assert(utf8_valid(buf_slice(&out)));
	assert(slice_find(buf_slice(&out), '\n') < 0 && slice_find(buf_slice(&out), 0) < 0);
	base = subject_base(buf_slice(&out), &reply);
	assert(base.n == 0 || (base.p >= out.p && base.p + base.n <= out.p + out.n));
	while (thread_next_id(&v, &id))
		buf_reset(&id);
	thread_pack(value, value, value, &out);
	buf_fini(&out);
	buf_fini(&id);
}

static void read_params(struct slice value)
{
	struct slice type, subtype, rest, list;
	struct buf out = BUF_INIT(MIME_PARAMS_MAX);
	struct mime_param p;
	int r;

	if (mime_type(value, &type, &subtype, &rest)) {
		mime_params_pack(rest, &out);
		list = buf_slice(&out);
		while ((r = mime_param_next(&list, &p)) == 0)
			assert(!(p.flags & PARAM_EXTENDED) || utf8_valid(p.value));
		assert(r == PARAM_DONE);
	}
	buf_fini(&out);
	list = value;
	while (mime_param_next(&list, &p) == 0)
		;
}

static void read_charset(struct slice value)
{
	struct slice rest = value, name = slice_take(&rest, ' ');
	struct buf out = BUF_INIT(1 << 16);

	charset_to_utf8(charset_find(name), rest, &out);
	assert(utf8_valid(buf_slice(&out)));
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct header_iter it = header_iter(slice_of(data, n));
	struct header_field f;
	size_t last = 0;

	while (header_next(&it, &f) == 0) {
		struct buf line = BUF_INIT(n);

		assert(f.start >= last && f.end > f.start && f.end <= n);
		assert(f.name.n > 0 && f.value.p >= f.name.p + f.name.n &&
		       f.value.p + f.value.n <= data + f.end);
		last = f.end;
		assert(header_unfold(f.value, &line) == 0);
		assert(slice_find(buf_slice(&line), '\n') < 0 &&
		       slice_find(buf_slice(&line), '\r') < 0);
		read_addresses(f.value);
		read_date(f.value);
		read_text(buf_slice(&line));
		read_params(f.value);
		read_charset(buf_slice(&line));
		buf_fini(&line);
	}
	assert(it.at <= n);
	return 0;
}
