/*
 * status - what STATUS tells of a mailbox, for the command and for LIST with RETURN (STATUS ...).
 */
#pragma once

#include "protocols/imap/parse.h"
#include "protocols/imap/write.h"

struct imap;
struct ipc_mbox_status_is;

/* "(" status-att *(SP status-att) ")": bits for imap_status_put(). */
unsigned imap_status_items(struct parse *p);
/* RFC 7162 3.1.8: whoever asks for HIGHESTMODSEQ has CONDSTORE. */
void imap_status_enable(struct imap *s, unsigned items);
/* Asks stored: the seq of the request. */
uint32_t imap_status_ask(struct imap *s, struct slice name, unsigned items);
/* "* STATUS name (...)" */
void imap_status_put(
    struct imap *s, struct slice name, unsigned items, const struct ipc_mbox_status_is *m);
