/* The texts of JSON numbers, as languages.
 *
 * A number without conditions may be written in each way that JSON knows. Under conditions it is written as programs
 * write numbers: decimal digits with or without a fraction, or in scientific notation with one digit before the point
 * and an exponent from -307 to 307; zero has no sign. Conditions compare values exactly, as decimals of any length. */
#ifndef GRAMMAR_NUMBER_H
#define GRAMMAR_NUMBER_H

#include "grammar/json_tree.h"
#include "grammar/term.h"

/* Languages that are used again and again. */
struct numbers {
    struct terms *terms;
    term any;     /* every number that JSON knows */
    term written; /* the numbers under conditions: all below are among these */
    term integer; /* without a fraction and exponent */
    term broken;  /* numbers that are no integers */
    /* Parts of these. */
    term digit, digits, fraction, unsigned_decimal, unsigned_written, zero, minus, mantissa, exponent, natural;
};
int numbers_begin(struct numbers *numbers, struct terms *terms, struct smollm_error *error);

/* At least this (or, strict, more). */
term number_from(struct numbers *numbers, const struct json_decimal *bound, bool strict);
/* All ways to write the number. */
term number_equal(struct numbers *numbers, const struct json_decimal *value);
/* Multiples of a positive number, without exponents. SMOLLM_EUNSUPPORTED when its digits are too many. */
int number_multiple(struct numbers *numbers, const struct json_decimal *of, term *result, struct smollm_error *error);

#endif
