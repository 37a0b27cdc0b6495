/*
 * lent - output that is written from where it came (front_lend() in port.h).
 *
 * What is lent is lent for one message from another process: when that message goes, all of it has
 * left or lies in the output buffer, in its place.
 */
#pragma once

#include "common/front/port.h"
#include "common/front/stream.h"

/* The core may lend until front_lent_over(): it is called with a message. */
void front_lent_begin(struct front_port *p);
void front_lent_over(struct front_port *p);

/* Writes some of the output, what is lent in its place. *ret_n: octets, all of them accounted for
 * by front_lent_sent(). */
enum stream_answer front_lent_write(struct front_port *p, struct stream *s, size_t *ret_n);

/* So many octets of the output have left. */
void front_lent_sent(struct front_port *p, size_t n);

/* The message goes: what has not left is copied. Without room the output overflows. */
void front_lent_end(struct front_port *p);
