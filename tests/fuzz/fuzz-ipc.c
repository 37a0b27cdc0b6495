/* Any packet from a peer: decoded or refused, and what was decoded encodes to the same bytes. */
#include "common/ipc/codec.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf out = BUF_INIT(IPC_PACKET_MAX);
	enum ipc_type type;
	union ipc_any m;

	if (ipc_decode(slice_of(data, n), &type, &m) == 0 && n <= IPC_PACKET_MAX) {
		assert(ipc_encode(type, &m, &out) == 0);
		assert(slice_eq(buf_slice(&out), slice_of(data, n)));
	}
	buf_fini(&out);
	return 0;
}
