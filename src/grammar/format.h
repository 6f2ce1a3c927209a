/* The values of "format" that are enforced: date-time, date, time, duration, email, hostname, ipv4, ipv6, uri,
 * uri-reference, uuid, json-pointer and regex for strings, int32 and int64 for numbers. Other formats are annotations.
 *
 * Dates and times are RFC 3339's with capital T and Z and without leap seconds; e-mail addresses RFC 5321's without
 * quoted parts; URIs RFC 3986's; host names RFC 1123's; regular expressions those with up to two groups in each other.
 */
#ifndef GRAMMAR_FORMAT_H
#define GRAMMAR_FORMAT_H

#include "grammar/term.h"

/* *result: the texts; TERM_ALL for formats that are not enforced. */
int format_compile(struct terms *terms, struct smollm_text name, term *result, struct smollm_error *error);
/* The least and greatest number of a format of integers, as text; false for other formats. */
bool format_of_numbers(struct smollm_text name, struct smollm_text *min, struct smollm_text *max);

#endif
