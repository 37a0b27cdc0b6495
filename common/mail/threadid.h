/*
 * threadid - the numbers by which the store decides which conversation a message belongs to
 * (RFC 8474 5.2): hashes of its own message id and of those that it refers to.
 *
 * Pure. The numbers are a function of the facts alone and must never change for any message:
 * clients keep the thread ids that come of them. Format: docs/mail.md.
 */
#pragma once

#include "common/base/slice.h"
#include "common/ipc/types.h"

/* Its own id, the oldest one that it refers to, the four newest. */
enum { THREADID_NUMBERS_MAX = IPC_THREAD_NUMBERS, THREADID_BYTES_MAX = 8 * THREADID_NUMBERS_MAX };

/*
 * The numbers of the message with these facts, u64 each, little endian: its own (0: it has no id),
 * then those of its references, the oldest first, if there are any. The octets written; 0 when
 * these are no facts.
 */
size_t threadid_pack(struct slice facts, uint8_t out[THREADID_BYTES_MAX]);
