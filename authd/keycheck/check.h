/*
 * check - do the certificates and keys of a configuration belong together?
 *
 * Invariant: reads only from the descriptors that it is given, and leaves their positions alone:
 * the signer and the doors read the same files afterwards.
 */
#pragma once

#include "authd/signer/signer_keys.h"
#include "common/base/buf.h"

/*
 * Looks at one pair, named NAME in the configuration. KEYS collects the keys. 0; 1 after a
 * sentence in `errors`; or -errno.
 */
int check_pair(struct signer_keys *keys, const char *name, int chain_fd, int key_fd,
    struct buf *errors) __attribute__((warn_unused_result));
