/* stream-private - what the files of stream share; nobody else includes it. */
#pragma once

#include "common/front/stream.h"

/* stream.c: below compression */
enum stream_answer stream_read_raw(struct stream *s, void *p, size_t n, size_t *ret_n);
enum stream_answer stream_write_raw(struct stream *s, struct slice text, size_t *ret_n);

/* zip.c */
enum stream_answer stream_zip_read(struct stream *s, void *p, size_t n, size_t *ret_n);
enum stream_answer stream_zip_write(struct stream *s, struct slice text, size_t *ret_n);
void stream_zip_free(struct stream_zip **z);
