#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include <stdlib.h>

void look_body(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice want)
{
	uint8_t *p = NULL;
	size_t n = 0;

	assert_int_equal(rig_body(s, mbox, uid, &p, &n), IPC_ST_OK);
	if (!slice_eq(slice_of(p, n), want))
		fail_msg("the body of uid %u is not what was sent (%zu bytes)", uid, n);
	free(p);
}

int look_body_status(struct rig_client *s, uint32_t mbox, uint32_t uid)
{
	uint8_t *p = NULL;
	size_t n = 0;
	int r = rig_body(s, mbox, uid, &p, &n);

	free(p);
	return r;
}
