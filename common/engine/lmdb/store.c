#include "common/engine/engine-private.h"

#include <errno.h>

int engine_lmdb_open(int dir_fd, const struct engine_conf *conf, struct engine **ret_e)
{
	return -ENOTSUP;
}
