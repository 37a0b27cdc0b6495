/*
 * facts-dump FILE... - one line of JSON for each message: what its facts say.
 * tests/real/mime-compare.py holds that against an independent parser. Octets above 127 appear as
 * \u0080 to \u00ff.
 */
#include "common/base/io.h"
#include "common/mail/address.h"
#include "common/mail/facts.h"
#include "common/mail/param.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static void put_string(struct slice s)
{
	if (s.p == NULL) {
		printf("null");
		return;
	}
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 32 || c >= 127)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void put_addresses(struct slice value)
{
	static struct address_iter it;
	struct address a;
	const char *comma = "";

	if (value.p == NULL) {
		printf("null");
		return;
	}
	address_init(&it, value);
	putchar('[');
	while (address_next(&it, &a) == 0) {
		printf("%s[%d,", comma, (int)a.kind);
		put_string(a.name);
		putchar(',');
		put_string(a.local);
		putchar(',');
		put_string(a.domain);
		putchar(']');
		comma = ",";
	}
	putchar(']');
}

static void put_fields(const struct slice field[FACTS_FIELD_COUNT])
{
	for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++) {
		bool addresses = i >= FACTS_FROM && i <= FACTS_BCC;

		printf("%s\"%s\":", i > 0 ? "," : "", facts_field_name[i]);
		if (addresses)
			put_addresses(field[i]);
		else
			put_string(field[i]);
	}
}

static void put_params(const char *name, struct slice list)
{
	struct mime_param p;
	const char *comma = "";

	printf(",\"%s\":{", name);
	while (mime_param_next(&list, &p) == 0) {
		if (p.flags & PARAM_WRITTEN)
			continue;
		printf("%s", comma);
		put_string(p.name);
		putchar(':');
		put_string(p.value);
		comma = ",";
	}
	putchar('}');
}

static void put_part(const struct facts_part *p)
{
	static const char *const names[MIME_FIELD_COUNT] = { "type", "subtype", NULL, "encoding",
		"id", "description", "disposition", NULL, "language", "location", "md5" };

	printf("{\"depth\":%u,\"kind\":%u,\"flags\":%u,\"header_start\":%llu,\"body_start\":%llu,",
	    p->depth, p->kind, p->flags, (unsigned long long)p->header_start,
	    (unsigned long long)p->body_start);
	printf("\"end\":%llu,\"lines\":%llu", (unsigned long long)p->end,
	    (unsigned long long)p->body_lines);
	for (unsigned i = 0; i < MIME_FIELD_COUNT; i++) {
		if (names[i] == NULL)
			continue;
		printf(",\"%s\":", names[i]);
		put_string(p->text[i]);
	}
	put_params("params", p->text[MIME_PARAMS]);
	put_params("disposition_params", p->text[MIME_DISPOSITION_PARAMS]);
	printf(",\"envelope\":{");
	put_fields(p->field);
	printf("}}");
}

static void put_view(const char *name, const struct facts_view *v, size_t blob_n)
{
	static const char *const keys[FACTS_KEY_COUNT] = { "base_subject", "from_mailbox",
		"from_display", "to_mailbox", "to_display", "cc_mailbox" };
	struct slice parts = v->parts, refs = v->refs, id;
	struct facts_part p;
	const char *comma = "";

	printf("{\"name\":");
	put_string(slice_str(name));
	printf(",\"blob\":%zu,\"size\":%llu,\"body_start\":%llu,\"flags\":%u,\"received\":%u,",
	    blob_n, (unsigned long long)v->size, (unsigned long long)v->body_start, v->flags,
	    v->received);
	if (v->has_date)
		printf("\"sent\":%lld,\"zone\":%d,", (long long)v->date.unix_s, v->date.zone_min);
	for (unsigned i = 0; i < FACTS_KEY_COUNT; i++) {
		printf("\"%s\":", keys[i]);
		put_string(v->key[i]);
		putchar(',');
	}
	printf("\"preview\":");
	put_string(v->preview);
	printf(",\"message_id\":");
	put_string(v->message_id);
	printf(",\"refs\":[");
	while (facts_ref_next(&refs, &id) == 0) {
		printf("%s", comma);
		put_string(id);
		comma = ",";
	}
	printf("],\"envelope\":{");
	put_fields(v->field);
	printf("},\"parts\":[");
	comma = "";
	while (facts_part_next(&parts, &p) == 0) {
		printf("%s", comma);
		put_part(&p);
		comma = ",";
	}
	printf("]}\n");
}

static int dump(const char *name, struct slice message)
{
	struct facts_maker *m = facts_maker_new();
	struct buf blob = BUF_INIT(FACTS_MAX);
	struct facts_view v;
	int r;

	if (m == NULL)
		return -1;
	/* In pieces, because that is how messages arrive. */
	for (size_t at = 0; at < message.n; at += 4099)
		facts_maker_feed(m, slice_part(message, at, 4099));
	r = facts_maker_finish(m, &blob);
	if (r == 0)
		r = facts_view(buf_slice(&blob), message.n, &v);
	if (r == 0)
		put_view(name, &v, blob.n);
	facts_maker_free(&m);
	buf_fini(&blob);
	return r;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		uint8_t *p = NULL;
		size_t n = 0;

		if (fd < 0 || io_slurp(fd, 256u << 20, &p, &n) != 0 ||
		    dump(argv[i], slice_of(p, n)) != 0) {
			fprintf(stderr, "facts-dump: %s failed\n", argv[i]);
			bad = 1;
		}
		free(p);
		fd_close(&fd);
	}
	return bad;
}
