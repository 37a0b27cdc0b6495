/*
 * mime-private - shared by the scanner (mime.c) and the reader of part headers (mime-header.c).
 */
#pragma once

#include "common/mail/mime.h"

/* Texts of one part's header into the row and `text`; ret_boundary is set for a multipart that has
 * one. */
void mime_header_read(struct mime_part *part, struct slice header, bool in_digest, struct buf *text,
    uint8_t *ret_boundary, size_t *ret_boundary_n);

/* Whether a field of that name is read by anybody behind the scanner. */
bool mime_header_wanted(struct slice name);
