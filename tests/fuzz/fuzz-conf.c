/* A configuration file that parses must survive packing, and its slices must parse again. */
#include "common/conf/conf.h"
#include "common/conf/limits.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void pack_and_back(const struct conf *c)
{
	struct buf packed = BUF_INIT(CONF_PACK_MAX), again = BUF_INIT(CONF_PACK_MAX);
	struct conf d;

	conf_pack(c, &packed);
	if (!packed.overflow && conf_init(&d, NULL) == 0) {
		assert(conf_unpack(&d, buf_slice(&packed)) == 0);
		conf_pack(&d, &again);
		assert(slice_eq(buf_slice(&packed), buf_slice(&again)));
		conf_fini(&d);
	}
	buf_fini(&again);
	buf_fini(&packed);
}

static void slice_and_back(const struct conf *c, const char *who)
{
	struct buf text = BUF_INIT(CONF_SLICE_MAX), errors = BUF_INIT(CONF_ERRORS_BYTES);
	struct conf d;

	conf_slice_for(c, who, &text);
	if (!text.overflow && conf_init(&d, who) == 0) {
		assert(conf_parse(&d, "slice", buf_slice(&text), &errors) == 0);
		conf_fini(&d);
	}
	buf_fini(&errors);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	struct conf c;
	int r;

	if (conf_init(&c, NULL) == 0) {
		r = conf_parse(&c, "f", slice_of(data, n), &errors);
		assert(r < 0 || (r == 0) == (errors.n == 0));
		if (r == 0) {
			pack_and_back(&c);
			slice_and_back(&c, "pop3");
			slice_and_back(&c, "authd");
		}
		conf_fini(&c);
	}
	if (conf_init(&c, NULL) == 0) {
		conf_unpack(&c, slice_of(data, n));
		conf_fini(&c);
	}
	buf_fini(&errors);
	return 0;
}
